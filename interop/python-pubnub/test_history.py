"""protocols/pubnub.md §3, §4, §6 and §7: what is published is what history returns."""

import pytest
from pubnub.exceptions import PubNubException

PAYLOADS = [{"text": "hi", "n": [1, 2.5]}, [1, None, "x"], "text", 42, 0, 1.5, True, False, {}, [], "", "a/b?c=d&e#f%20g+h 🎉"]


def publish_all(client, channel, messages):
    return [client.publish().channel(channel).message(message).sync().result.timetoken for message in messages]


def test_time_is_a_timetoken(connect):
    assert len(connect().time().sync().result.value_as_string) == 17


@pytest.mark.parametrize("use_post", [False, True])
@pytest.mark.parametrize("payload", PAYLOADS, ids=repr)
def test_a_payload_comes_back_as_it_was(connect, fresh, payload, use_post):
    client, channel = connect(), fresh()
    client.publish().channel(channel).message(payload).use_post(use_post).sync()
    entries = client.history().channel(channel).count(1).sync().result.messages
    assert [entry.entry for entry in entries] == [payload]
    fetched = client.fetch_messages().channels([channel]).maximum_per_channel(1).sync().result.channels
    assert [item.message for item in fetched[channel]] == [payload]


@pytest.mark.parametrize("name", ["with space", "per%cent", "pl+us", "sl/ash", "ha#sh", "emoji 🎉", "quest?ion", "a:b|c'()*!~"])
def test_a_channel_may_be_called_so(connect, fresh, name):
    client, channel = connect(), fresh(name)
    publish_all(client, channel, [1])
    client.publish().channel(channel).message(2).use_post(True).sync()
    assert [entry.entry for entry in client.history().channel(channel).sync().result.messages] == [1, 2]
    counts = client.message_counts().channel([channel]).channel_timetokens([1]).sync().result.channels
    assert list(counts.values()) == [2]


# start and end as indices into five messages; expected as the table of §6.1 says.
ROWS = [
    ({"count": 2}, [3, 4]),
    ({"count": 2, "reverse": True}, [0, 1]),
    ({"count": 2, "start": 3}, [1, 2]),
    ({"count": 2, "start": 1, "reverse": True}, [2, 3]),
    ({"count": 2, "end": 1}, [3, 4]),
    ({"count": 9, "end": 1}, [1, 2, 3, 4]),
    ({"count": 2, "end": 3, "reverse": True}, [0, 1]),
    ({"count": 2, "start": 4, "end": 1}, [2, 3]),
    ({"count": 2, "start": 4, "end": 1, "reverse": True}, [2, 3]),
    ({"count": 9, "start": 4}, [0, 1, 2, 3]),
    ({"count": 9, "start": 2, "reverse": True}, [3, 4]),
    ({"count": 9, "end": 2, "reverse": True}, [0, 1, 2]),
    ({"count": 2, "start": 0, "end": 3}, [1, 2]),
    ({"count": 2, "start": 0, "end": 3, "reverse": True}, [1, 2]),
    ({"count": 9, "start": 2, "end": 2}, []),
    ({"count": 9, "start": 2, "end": 2, "reverse": True}, []),
]


@pytest.mark.parametrize(("query", "expected"), ROWS, ids=repr)
def test_rows_of_the_selection_table(connect, fresh, query, expected):
    client, channel = connect(), fresh()
    tokens = publish_all(client, channel, range(5))
    history = client.history().channel(channel).count(query["count"]).include_timetoken(True)
    fetch = client.fetch_messages().channels([channel]).maximum_per_channel(query["count"])
    for bound in ("start", "end"):
        if bound in query:
            getattr(history, bound)(tokens[query[bound]])
            getattr(fetch, bound)(tokens[query[bound]])
    result = history.reverse(query.get("reverse", False)).sync().result
    assert [entry.entry for entry in result.messages] == expected
    assert [entry.timetoken for entry in result.messages] == [tokens[index] for index in expected]
    ends = (tokens[expected[0]], tokens[expected[-1]]) if expected else (0, 0)
    assert (result.start_timetoken, result.end_timetoken) == ends
    if "reverse" not in query:
        channels = fetch.sync().result.channels
        assert [item.message for item in channels.get(channel, [])] == expected


def test_meta_and_types_come_back(connect, fresh):
    client, channel = connect(), fresh()
    client.publish().channel(channel).message("x").meta({"level": 3}).sync()
    publish_all(client, channel, ["y"])
    entries = client.history().channel(channel).include_meta(True).sync().result.messages
    assert [entry.meta for entry in entries] == [{"level": 3}, ""]
    fetch = client.fetch_messages().channels([channel]).include_meta(True).include_uuid(True).include_message_type(True)
    items = fetch.sync().result.channels[channel]
    assert [(item.meta, item.uuid) for item in items] == [({"level": 3}, "ann"), ("", "ann")]


def test_what_is_not_to_be_stored_is_not(connect, fresh):
    client, channel = connect(), fresh()
    client.publish().channel(channel).message("gone").should_store(False).sync()
    client.fire().channel(channel).message("fired").sync()
    client.signal().channel(channel).message("signalled").sync()
    client.publish().channel(channel).message("kept").should_store(True).ttl(10).sync()
    assert [entry.entry for entry in client.history().channel(channel).sync().result.messages] == ["kept"]


def test_counts_are_exclusive(connect, fresh):
    client, channel, unknown = connect(), fresh(), fresh()
    tokens = publish_all(client, channel, range(5))
    counts = client.message_counts().channel([channel, unknown]).channel_timetokens([tokens[1], tokens[1]])
    assert counts.sync().result.channels == {channel: 3, unknown: 0}


def test_pages_have_the_vendors_sizes(connect, fresh):
    client, many, few = connect(), fresh(), fresh()
    publish_all(client, many, range(120))
    publish_all(client, few, range(30))
    fetch = client.fetch_messages().channels([many]).maximum_per_channel(100)
    assert [item.message for item in fetch.sync().result.channels[many]] == list(range(20, 120))
    both = client.fetch_messages().channels([many, few, fresh()]).maximum_per_channel(25).sync().result.channels
    assert {name: len(items) for name, items in both.items()} == {many: 25, few: 25}


def test_errors_are_errors(connect, fresh):
    client = connect()
    with pytest.raises(PubNubException) as refused:
        client.signal().channel(fresh()).message("x" * 100).sync()
    assert refused.value._status_code == 400
    stranger = connect(keys={"publish_key": "pub-c-unknown", "subscribe_key": "sub-c-py"})
    with pytest.raises(PubNubException) as refused:
        stranger.publish().channel(fresh()).message(1).sync()
    assert refused.value._status_code == 400
