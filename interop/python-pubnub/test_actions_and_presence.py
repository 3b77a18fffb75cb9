"""protocols/pubnub.md §7.5, §8 and §10: what is done to messages, and who is there."""

import queue

import pytest
from pubnub.callbacks import SubscribeCallback
from pubnub.enums import PNStatusCategory
from pubnub.exceptions import PubNubException
from pubnub.models.consumer.message_actions import PNMessageAction

PATIENCE_SECONDS = 15


def action(message, kind="reaction", value="smile"):
    made = PNMessageAction()
    made.type, made.value, made.message_timetoken = kind, value, message
    return made


def publish_all(client, channel, messages):
    return [client.publish().channel(channel).message(message).sync().result.timetoken for message in messages]


def test_actions_are_added_listed_shown_and_removed(connect, fresh):
    client, channel = connect("ann"), fresh()
    [message] = publish_all(client, channel, ["m"])
    added = client.add_message_action().channel(channel).message_action(action(message)).sync().result
    assert (added.type, added.value, added.uuid) == ("reaction", "smile", "ann")
    with pytest.raises(PubNubException) as conflict:
        client.add_message_action().channel(channel).message_action(action(message)).sync()
    assert conflict.value._status_code == 409
    listed = client.get_message_actions().channel(channel).sync().result.actions
    assert [item.action_timetoken for item in listed] == [added.action_timetoken]
    fetch = client.fetch_messages().channels([channel]).include_message_actions(True).sync().result.channels
    assert list(fetch[channel][0].actions["reaction"]) == ["smile"]
    removal = client.remove_message_action().channel(channel)
    removal.message_timetoken(message).action_timetoken(added.action_timetoken).sync()
    assert client.get_message_actions().channel(channel).sync().result.actions == []


def test_one_message_is_deleted(connect, fresh):
    client, channel = connect("ann"), fresh()
    tokens = publish_all(client, channel, ["a", "b", "c"])
    client.delete_messages().channel(channel).start(tokens[1] + 1).end(tokens[1]).sync()
    entries = client.history().channel(channel).sync().result.messages
    assert [entry.entry for entry in entries] == ["a", "c"]


class Watcher(SubscribeCallback):
    def __init__(self):
        self.connected, self.events = queue.Queue(), queue.Queue()

    def status(self, client, status):
        if status.category == PNStatusCategory.PNConnectedCategory:
            self.connected.put(status)

    def message(self, client, message):
        pass

    def presence(self, client, event):
        self.events.put(event)


def watch(client, channel, presence):
    watcher = Watcher()
    client.add_listener(watcher)
    subscription = client.subscribe().channels([channel])
    (subscription.with_presence() if presence else subscription).execute()
    watcher.connected.get(timeout=PATIENCE_SECONDS)
    return watcher


def test_who_is_there(connect, fresh):
    channel = fresh()
    watcher = watch(connect("watcher"), channel, presence=True)
    visitor = connect("visitor")
    watch(visitor, channel, presence=False)
    events = []
    while not events or events[-1].uuid != "visitor":
        events.append(watcher.events.get(timeout=PATIENCE_SECONDS))
    assert (events[-1].event, events[-1].occupancy) == ("join", 2)

    observer = connect("observer")
    visitor.set_state().channels([channel]).state({"mood": "good"}).sync()
    here = observer.here_now().channels([channel]).include_uuids(True).include_state(True).sync().result
    assert here.total_occupancy == 2
    assert {item.uuid: item.state for item in here.channels[0].occupants}["visitor"] == {"mood": "good"}
    assert observer.where_now().uuid("visitor").sync().result.channels == [channel]
    assert visitor.get_state().channels([channel]).sync().result.channels[channel] == {"mood": "good"}

    visitor.unsubscribe().channels([channel]).execute()
    events = [watcher.events.get(timeout=PATIENCE_SECONDS) for _ in range(2)]
    assert [event.event for event in events] == ["state-change", "leave"]
