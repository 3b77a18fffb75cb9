"""protocols/pubnub.md §5 and §9: what subscribers hear, with threads and with asyncio."""

import asyncio
import queue

import pytest
import requests
from conftest import OPEN, serving
from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNStatusCategory
from pubnub.models.consumer.message_actions import PNMessageAction
from pubnub.pubnub import PubNub
from pubnub.pubnub_asyncio import PubNubAsyncio

PATIENCE_SECONDS = 15


class Ear(SubscribeCallback):
    """Everything that a client hears, each kind in a queue of its own."""

    def __init__(self):
        self.connected, self.messages, self.signals = queue.Queue(), queue.Queue(), queue.Queue()
        self.actions, self.presences = queue.Queue(), queue.Queue()

    def status(self, client, status):
        if status.category == PNStatusCategory.PNConnectedCategory:
            self.connected.put(status)

    def message(self, client, message):
        self.messages.put(message)

    def signal(self, client, signal):
        self.signals.put(signal)

    def message_action(self, client, action):
        self.actions.put(action)

    def presence(self, client, event):
        self.presences.put(event)

    def heard(self, count):
        return [self.messages.get(timeout=PATIENCE_SECONDS) for _ in range(count)]


def subscribed(client, channels=(), groups=(), timetoken=None, presence=False):
    ear = Ear()
    client.add_listener(ear)
    subscription = client.subscribe().channels(list(channels)).channel_groups(list(groups))
    if presence:
        subscription.with_presence()
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
    publisher.remove_channel_from_channel_group().channels([later]).channel_group(group).sync()
    assert publisher.list_channels_in_channel_group().channel_group(group).sync().result.channels == [member]
    publisher.remove_channel_group().channel_group(group).sync()
    assert publisher.list_channels_in_channel_group().channel_group(group).sync().result.channels == []


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


@pytest.mark.parametrize("name", ["with space", "per%cent", "pl+us", "sl/ash", "double//slash", "ha#sh", "emoji 🎉", "quest?ion"])
def test_a_channel_called_so_is_heard_and_acted_on(connect, fresh, name):
    publisher, channel = connect("publisher"), fresh(name)
    ear = subscribed(connect("subscriber"), [channel, fresh()])
    [token] = publish_all(publisher, channel, [name])
    publisher.signal().channel(channel).message("typing").sync()
    [heard] = ear.heard(1)
    assert (heard.channel, heard.message) == (channel, name)
    assert ear.signals.get(timeout=PATIENCE_SECONDS).channel == channel
    action = PNMessageAction()
    action.type, action.value, action.message_timetoken = "reaction", name, token
    added = publisher.add_message_action().channel(channel).message_action(action).sync().result
    heard = ear.actions.get(timeout=PATIENCE_SECONDS)
    assert (heard.value, heard.action_timetoken) == (name, added.action_timetoken)
    removal = publisher.remove_message_action().channel(channel)
    removal.message_timetoken(token).action_timetoken(added.action_timetoken).sync()
    assert ear.actions.get(timeout=PATIENCE_SECONDS).action_timetoken == added.action_timetoken
    publisher.delete_messages().channel(channel).sync()
    assert publisher.history().channel(channel).sync().result.messages == []


def test_one_subscription_too_many_is_told_so(configure, tmp_path):
    with serving(tmp_path, "subscriptions = 1") as address:
        first, second = (PubNub(configure(user, at=address)) for user in ("first", "second"))
        subscribed(first, ["room"])
        refused = queue.Queue()
        listener = Ear()
        listener.status = lambda client, status: refused.put(status)
        second.add_listener(listener)
        second.subscribe().channels(["room"]).execute()
        status = refused.get(timeout=PATIENCE_SECONDS)
        while not status.is_error():
            status = refused.get(timeout=PATIENCE_SECONDS)
        assert status.status_code == 429
        answer = requests.get(f"http://{address}/v2/subscribe/{OPEN['subscribe_key']}/room/0?tt=0", timeout=PATIENCE_SECONDS)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        first.stop()
        second.stop()


def test_a_crowd_is_told_in_intervals(configure, tmp_path):
    with serving(tmp_path, 'presence_announced = 3\npresence_interval = "1s"') as address:
        watcher = PubNub(configure("watcher", at=address))
        ear = subscribed(watcher, ["room"], presence=True)
        for number in range(10):
            PubNub(configure(f"user-{number}", at=address)).heartbeat().channels("room").sync()
        event = ear.presences.get(timeout=PATIENCE_SECONDS)
        while (event.event, event.occupancy) != ("interval", 11):
            event = ear.presences.get(timeout=PATIENCE_SECONDS)
        assert "user-9" in event.join
        watcher.stop()


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
