"""Two bots of the public library in a direct chat."""

import asyncio
import contextlib

import pytest
from conftest import TICK, TOCK, user
from osmium_chat import Bot
from osmium_chat.channel import Channel
from osmium_chat.client import Client
from osmium_protos import PB_GetHistory


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
    running = asyncio.create_task(made.connect(f"osm-{name}"))
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


async def history(bot, other):
    """What a direct chat holds; it comes after everything that the bot asked for before."""
    return (await bot._client.request(PB_GetHistory(chat_ref=user(other)))).messages


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

            await answer.edit("tock!")
            await received.add_reaction("👍")
            await history(tock, TICK)
            page = await history(tick, TOCK)
            assert [message.message for message in page.messages] == ["tick", "tock!"]
            assert page.messages[1].edited_at is not None
            (reactions,) = page.reactions
            assert (reactions.message_id, reactions.reaction_fields[0].count) == (sent.id, 1)
            await received.remove_reaction("👍")
            await answer.delete()
            page = await history(tock, TICK)
            assert ([message.message for message in page.messages], page.reactions) == (["tick"], [])

    asyncio.run(talk())
