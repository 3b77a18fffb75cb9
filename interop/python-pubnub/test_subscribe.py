"""protocols/pubnub.md §5 and §9: what subscribers hear, with threads and with asyncio."""

import asyncio
import queue

import pytest
from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNStatusCategory
from pubnub.pubnub_asyncio import PubNubAsyncio

PATIENCE_SECONDS = 15


class Ear(SubscribeCallback):
    """Everything that a client hears, each kind in a queue of its own."""

    def __init__(self):
        self.connected, self.messages, self.signals = queue.Queue(), queue.Queue(), queue.Queue()

    def status(self, client, status):
        if status.category == PNStatusCategory.PNConnectedCategory:
            self.connected.put(status)

    def message(self, client, message):
        self.messages.put(message)

    def signal(self, client, signal):
        self.signals.put(signal)

    def presence(self, client, event):
        pass

    def heard(self, count):
        return [self.messages.get(timeout=PATIENCE_SECONDS) for _ in range(count)]


def subscribed(client, channels=(), groups=(), timetoken=None):
    ear = Ear()
    client.add_listener(ear)
    subscription = client.subscribe().channels(list(channels)).channel_groups(list(groups))
    if timetoken:
        subscription.with_timetoken(timetoken)
    subscription.execute()
    ear.connected.get(timeout=PATIENCE_SECONDS)
    return ear


def publish_all(client, channel, messages):
    return [client.publish().channel(channel).message(message).sync().result.timetoken for message in messages]


def test_messages_and_signals_are_heard_once_in_order(connect, fresh):
    publisher, channel = connect("publisher"), fresh()
    ear = subscribed(connect("subscriber"), [channel])
    tokens = publish_all(publisher, channel, range(20))
    publisher.signal().channel(channel).message("typing").sync()
    heard = ear.heard(20)
    assert [item.message for item in heard] == list(range(20))
    assert [item.timetoken for item in heard] == tokens
    assert {item.publisher for item in heard} == {"publisher"}
    assert ear.signals.get(timeout=PATIENCE_SECONDS).message == "typing"
    assert ear.messages.empty()


def test_wildcards_and_groups_are_heard(connect, fresh):
    publisher, root, group, member = connect("publisher"), fresh("root"), fresh("group"), fresh()
    publisher.add_channel_to_channel_group().channels([member]).channel_group(group).sync()
    ear = subscribed(connect("subscriber"), [f"{root}.*"], [group])
    publish_all(publisher, f"{root}.a", [1])
    publish_all(publisher, member, [2])
    later = fresh()
    publisher.add_channel_to_channel_group().channels([later]).channel_group(group).sync()
    publish_all(publisher, later, [3])
    heard = ear.heard(3)
    assert [item.message for item in heard] == [1, 2, 3]
    assert [item.channel for item in heard] == [f"{root}.a", member, later]
    assert [item.subscription for item in heard] == [f"{root}.*", group, group]
    listed = publisher.list_channels_in_channel_group().channel_group(group).sync().result.channels
    assert sorted(listed) == sorted([member, later])


def test_a_filter_lets_through_what_fits(configure, connect, fresh):
    client, publisher, channel = connect("subscriber"), connect("publisher"), fresh()
    client.config.filter_expression = "age >= 32 && role LIKE 'ADM*'"
    ear = subscribed(client, [channel])
    for meta in [None, {"age": 31, "role": "admin"}, {"age": 32, "role": "admin"}]:
        publisher.publish().channel(channel).message(str(meta)).meta(meta).sync()
    assert "32" in ear.heard(1)[0].message
    assert ear.messages.empty()


def test_what_was_published_while_away_is_caught_up(connect, fresh):
    publisher, channel = connect("publisher"), fresh()
    tokens = publish_all(publisher, channel, range(150))
    ear = subscribed(connect("subscriber"), [channel], timetoken=tokens[0])
    assert [item.message for item in ear.heard(149)] == list(range(1, 150))


def test_asyncio_publishes_reads_and_hears(configure, fresh):
    channel = fresh()

    async def scenario():
        client = PubNubAsyncio(configure("ann"))
        ear = Ear()
        client.add_listener(ear)
        client.subscribe().channels(channel).execute()
        await asyncio.to_thread(ear.connected.get, timeout=PATIENCE_SECONDS)
        tokens = []
        for index in range(10):
            envelope = await client.publish().channel(channel).message({"index": index}).future()
            tokens.append(envelope.result.timetoken)
        heard = await asyncio.to_thread(ear.heard, 10)
        assert [item.timetoken for item in heard] == tokens
        history = await client.history().channel(channel).count(10).future()
        assert [entry.entry for entry in history.result.messages] == [{"index": index} for index in range(10)]
        counts = await client.message_counts().channel([channel]).channel_timetokens([tokens[3]]).future()
        assert counts.result.channels == {channel: 6}
        client.unsubscribe_all()
        await client.stop()

    asyncio.run(asyncio.wait_for(scenario(), 4 * PATIENCE_SECONDS))
