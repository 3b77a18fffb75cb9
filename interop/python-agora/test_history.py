"""The real store against a plain filter over all messages: any source, destination, times, offset, limit and order."""

import random
from datetime import datetime, timezone

import requests
from conftest import NATIVE_KEY

NAMES = ["ann", "bob", "x y", "room"]
AUTH = ("me", "secret")


class House:
    def __init__(self, base, origin):
        self.base, self.origin = base, origin
        self.session = requests.Session()
        self.session.auth = AUTH

    def ask(self, method, path, **arguments):
        answer = self.session.request(method, self.base + path, timeout=30, **arguments)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, source, destination, peer, text):
        kind, field = ("peer_messages", "destination") if peer else ("channel_messages", "channel_name")
        body = {field: destination, "payload": text, "enable_historical_messaging": True}
        return self.ask("POST", f"/rtm/users/{source.replace(' ', '%20')}/{kind}", json=body)["id"]

    def page(self, query):
        location = self.ask("POST", "/rtm/message/history/query", json=query)["location"]
        page = self.ask("GET", location[1:])
        assert page["code"] == "ok"
        return page["messages"]

    def count(self, filter):
        parameters = [(name, one) for name, value in filter.items() for one in (value if isinstance(value, list) else [value])]
        return self.ask("GET", "/rtm/message/history/count", params=parameters)["count"]

    def delete(self, channel, ids):
        url = f"{self.origin}/v1/apps/agora/channels/{channel.replace(' ', '%20')}/messages/delete"
        headers = {"Authorization": f"Bearer {NATIVE_KEY}"}
        assert requests.post(url, json={"ids": ids}, headers=headers, timeout=30).status_code == 200


def written(ms):
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


def fill(house, chance, count):
    """Messages that are there at the end, oldest first: a fifth of those to channels is deleted again."""
    for number in range(count):
        house.send(chance.choice(NAMES), chance.choice(NAMES), chance.random() < 0.5, f"m{number}")
    there = []
    for name in NAMES:
        cursor = 0
        while True:
            query = {"filter": {"source": name, **ALL_TIMES}, "offset": cursor, "limit": 100, "order": "asc"}
            page = house.page(query)
            there += page
            cursor += len(page)
            if not page:
                break
    there.sort(key=lambda message: int(message["id"]))
    assert len(there) == count and len({message["id"] for message in there}) == count
    for name in NAMES:
        of_channel = [m for m in there if m["dst"] == name and m["message_type"] == "group_message"]
        gone = [m["id"] for m in of_channel if chance.random() < 0.2]
        house.delete(name, gone)
        there = [m for m in there if m["id"] not in gone]
    return there


ALL_TIMES = {"start_time": "2020-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z"}


def test_pages_and_counts_are_what_a_plain_filter_says(base, origin):
    house, chance = House(base, origin), random.Random(7)
    there = fill(house, chance, 400)
    moments = [message["ms"] for message in there]
    for _ in range(150):
        source, destination = chance.choice(NAMES + [None]), chance.choice(NAMES + [None])
        if source is None and destination is None:
            continue
        start, end = sorted(chance.choice(moments) + chance.choice([-1, 0, 1]) for _ in range(2))
        between = source is not None and destination is not None and chance.random() < 0.3
        times = {"start_time": written(start), "end_time": written(end)}
        if between:
            filter = {"between": [source, destination], **times}
        else:
            filter = {"source": source or "", "destination": destination or "", **times}

        def fits(message):
            straight = source in (None, message["src"]) and destination in (None, message["dst"])
            back = (source, destination) == (message["dst"], message["src"])
            peer = message["message_type"] == "peer_message"
            return start <= message["ms"] <= end and (peer and (straight or back) if between else straight)

        expected = [message for message in there if fits(message)]
        assert house.count(filter) == len(expected), filter
        offset, limit = chance.choice([0, 1, 7, len(expected) // 2, len(expected)]), chance.choice([1, 10, 20, 50, 100])
        up = house.page({"filter": filter, "offset": offset, "limit": limit, "order": "asc"})
        assert up == expected[offset : offset + limit], filter
        down = house.page({"filter": filter, "offset": offset, "limit": limit, "order": "desc"})
        assert down == expected[::-1][offset : offset + limit], filter
