"""Every call of the vendor's Python wrapper."""

import pytest
import requests
from conftest import CHANNEL, GUARDED, SECRET
from scaledrone import Scaledrone


@pytest.fixture
def client(base_url):
    return Scaledrone(CHANNEL, SECRET, base_url=base_url)


def history(base_url, room):
    answer = requests.get(f"{base_url}/{CHANNEL}/{room}/history", auth=(CHANNEL, SECRET), timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def payloads(base_url, room):
    return [message["payload"] for message in history(base_url, room)["messages"]]


def test_publishes_any_json_to_one_room(client, base_url):
    sent = [{"foo": "bar"}, "a plain string", 7, [1, "ä🎉"], False, {}]
    for message in sent:
        assert client.publish("py-one", message).status_code == 200
    assert payloads(base_url, "py-one") == sent


def test_publishes_to_several_rooms_with_names_to_escape(client, base_url):
    assert client.publish(["py-a", "py & b"], {"foo": "bar"}).status_code == 200
    assert payloads(base_url, "py-a") == [{"foo": "bar"}]
    assert payloads(base_url, "py%20%26%20b") == [{"foo": "bar"}]


def test_messages_by_rest_have_no_author_and_a_page_tells_what_it_covers(client, base_url):
    for number in range(7):
        client.publish("py-page", number)
    page = requests.get(f"{base_url}/{CHANNEL}/py-page/history?limit=3", timeout=10).json()
    assert [message["payload"] for message in page["messages"]] == [4, 5, 6]
    assert all("author" not in message for message in page["messages"])
    assert page["page"]["head"]["seq"] == 7 and page["page"]["more"] is True
    older = requests.get(f"{base_url}/{CHANNEL}/py-page/history{page['page']['previous']}", timeout=10).json()
    assert [message["payload"] for message in older["messages"]] == [1, 2, 3]
    after = requests.get(f"{base_url}/{CHANNEL}/py-page/history?after={page['messages'][0]['id']}", timeout=10).json()
    assert [message["payload"] for message in after["messages"]] == [5, 6]


def test_lists_are_empty_lists_and_maps_when_nobody_is_there(client):
    assert client.channel_stats().json() == {"users_count": 0}
    assert client.members_list().json() == []
    assert client.rooms_list().json() == []
    assert client.room_members_list("nobody").json() == []
    assert client.all_room_members_list().json() == {}


def test_wrong_credentials_are_refused_with_a_message(base_url):
    for wrong in [Scaledrone(CHANNEL, "wrong", base_url=base_url), Scaledrone(GUARDED, SECRET, base_url=base_url)]:
        for answer in [wrong.publish("r", {}), wrong.channel_stats(), wrong.all_room_members_list()]:
            assert answer.status_code == 401
            assert answer.json()["message"]


def test_a_guarded_channel_needs_credentials_and_an_open_one_does_not(base_url):
    assert requests.post(f"{base_url}/{GUARDED}/r/publish", data="hi", timeout=10).status_code == 401
    assert requests.post(f"{base_url}/{CHANNEL}/r/publish", data="hi", timeout=10).status_code == 200


def test_the_content_type_decides_between_json_and_a_string(base_url):
    json = {"Content-Type": "application/json; charset=utf-8"}
    text = {"Content-Type": "text/plain"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for headers, body in [(json, '{"a":1}'), (text, '{"a":1}'), (form, "a=1"), ({}, "1.23"), (json, "{broken"), (text, "")]:
        answer = requests.post(f"{base_url}/{CHANNEL}/py-types/publish", data=body.encode(), headers=headers, timeout=10)
        assert answer.status_code == 200
    assert payloads(base_url, "py-types") == [{"a": 1}, '{"a":1}', "a=1", "1.23", "{broken", ""]


def test_what_is_too_large_or_not_text_is_refused(base_url):
    url = f"{base_url}/{CHANNEL}/py-large/publish"
    assert requests.post(url, data=b"x" * (32 * 1024 + 1), timeout=10).status_code == 413
    assert requests.post(url, data=b"\xff", timeout=10).status_code == 400
    assert requests.post(f"{base_url}/{CHANNEL}/{'x' * 600}/publish", data=b"x", timeout=10).status_code == 400
    assert requests.post(f"{base_url}/{CHANNEL}/publish/rooms", data=b"x", timeout=10).status_code == 400
    assert payloads(base_url, "py-large") == []
