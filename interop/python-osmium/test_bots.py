"""Two bots of the public library in a direct chat."""

import asyncio
import contextlib

import pytest
from conftest import TICK, TOCK, user
from osmium_chat import Bot
from osmium_chat.channel import Channel
from osmium_chat.client import Client


@contextlib.asynccontextmanager
async def bot(origin, name):
    """A bot that is connected, and what it was told in direct chats."""
    made = Bot(prefix="!", client_id=1)
    heard, ready = asyncio.Queue(), asyncio.Event()

    async def on_message(message):
        await heard.put(message)

    async def on_connect():
        ready.set()

    made._listeners = {"dm_message": [on_message], "connect": [on_connect]}
    running = asyncio.create_task(made.connect(f"t-{name}"))
    await asyncio.wait_for(ready.wait(), 30)
    try:
        yield made, heard
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await made._client._connection.close()


@pytest.fixture(autouse=True)
def address(origin, monkeypatch):
    monkeypatch.setattr(Client, "WS_URL", f"ws://{origin}/")


async def hear(heard, author):
    """The next message of an author; a bot hears itself, too."""
    while (message := await asyncio.wait_for(heard.get(), 30)).author_id != author:
        pass
    return message


def test_two_bots_talk(origin):
    async def talk():
        async with bot(origin, "tick") as (tick, tick_heard), bot(origin, "tock") as (tock, tock_heard):
            sent = await Channel(user(TOCK), tick._client).send("tick")
            received = await hear(tock_heard, TICK)
            assert (received.id, received.content, received.author.name) == (sent.id, "tick", "tick")
            answer = await received.reply("tock")
            reply = await hear(tick_heard, TOCK)
            assert (reply.id, reply.content) == (answer.id, "tock")
            assert reply.reply_to == sent.id

    asyncio.run(talk())
