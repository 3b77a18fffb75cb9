"""A conversation of two users, spoken in the vendor's own messages."""

import time

import pytest
from conftest import ANN, BOB, EVE, Refused, user
from osmium_protos.osmium.client import chats, core, messages, refs, types
from osmium_protos.osmium.client.auth import Authorize, SignUp
from osmium_protos.osmium.client.chats import GetChats
from osmium_protos.osmium.client.media import MediaRef, MediaRefEmbed
from websockets.exceptions import ConnectionClosed

LARGEST = 2**64 - 1


def send(client, to, text, **fields):
    sent = client.call(messages.SendMessage(chat_ref=to, message=text, **fields)).sent_message
    return sent.message_id


def history(client, chat, **fields):
    return client.call(messages.GetHistory(chat_ref=chat, **fields)).messages


def texts(client, chat, **fields):
    return [message.message for message in history(client, chat, **fields).messages]


def refused(client, payload):
    with pytest.raises(Refused) as refusal:
        client.call(payload)
    return refusal.value.code


def test_the_handshake_and_its_errors(client):
    ann = client("ann")
    assert ann.authorization.token == "osm-ann"
    assert (ann.authorization.user.id, ann.authorization.user.name) == (ANN, "ann")
    assert ann.authorization.session_id != 0
    stranger = client()
    assert refused(stranger, messages.GetHistory(chat_ref=user(BOB))) == 401
    assert refused(stranger, Authorize(token="wrong")) == 403
    assert refused(stranger, SignUp(name="x")) == 501
    assert stranger.call(Authorize(token="osm-bob")).authorization.user.id == BOB
    assert refused(stranger, GetChats()) == 501, "a method that is not served"
    stranger.socket.send(b"\x08\x01")
    assert texts(stranger, user(EVE)) == [], "a keepalive has no answer"


def test_what_ends_a_connection(client):
    for sent, code in [("text", 1003), (b"\xff" * 20, 1007), (b"\x0a" + b"\x00" * (4 << 20), 1009)]:
        broken = client()
        broken.socket.send(sent)
        with pytest.raises(ConnectionClosed) as closed:
            broken.socket.recv(timeout=30)
        assert closed.value.rcvd.code == code, sent[:4]


def test_ten_messages_and_every_way_to_read_them(client):
    eve, bob = client("eve"), client("bob")
    assert history(bob, user(EVE)) == messages.Messages()
    ids = []
    for number in range(1, 11):
        speaker, other = (eve, BOB) if number % 2 else (bob, EVE)
        ids.append(send(speaker, user(other), str(number * 10)))
        time.sleep(0.002)
    page = history(bob, user(EVE))
    assert [message.message_id for message in page.messages] == ids
    assert [message.author_id for message in page.messages] == [EVE, BOB] * 5
    assert {message.chat_ref.user.user_id for message in page.messages} == {EVE}, "named by the other side"
    assert [(listed.id, listed.name) for listed in page.users] == [(EVE, "eve"), (BOB, "bob")]
    assert page.members == [] and page.reactions == []

    def rows(limit, expected, **offset):
        assert texts(eve, user(BOB), limit=limit, **offset) == expected.split(), (limit, offset)

    rows(3, "80 90 100")
    rows(3, "50 60 70", since=ids[3])
    rows(3, "50 60 70", since=ids[3] + 1)
    rows(2, "30 20", before=ids[3])
    rows(2, "40 30", before=ids[3] + 1)
    for limit, expected in [(1, "50"), (2, "40 50"), (3, "40 50 60"), (4, "30 40 50 60"), (5, "30 40 50 60 70")]:
        rows(limit, expected, around=ids[4])
    rows(4, "40 50 60 70", around=ids[4] + 1)
    rows(4, "10 20", around=ids[0])
    rows(4, "80 90 100", around=ids[9])
    rows(4, "10 20", around=ids[0] - 1)
    rows(4, "90 100", around=ids[9] + 1)
    rows(3, "10 20 30", since=0)
    rows(3, "", before=0)
    rows(4, "10 20", around=0)
    rows(3, "", since=LARGEST)
    rows(3, "100 90 80", before=LARGEST)
    assert len(texts(eve, user(BOB), limit=0)) == 10
    assert len(texts(eve, user(BOB), limit=2**32 - 1)) == 10


def test_both_sides_are_told_at_once(client):
    ann, bob = client("ann"), client("bob")
    id = send(ann, user(BOB), "news", client_id=42)
    for told, other, nonce in [(ann, BOB, 42), (bob, ANN, None)]:
        created = told.updates_until("message_created")
        assert (created.message.message_id, created.message.message) == (id, "news")
        assert created.message.chat_ref.user.user_id == other
        assert (created.author.id, created.client_id) == (ANN, nonce)


def test_replies_entities_and_media_come_back_as_sent(client):
    ann, bob = client("ann"), client("bob")
    first = send(bob, user(ANN), "question?")
    entity = types.MessageEntity(start_index=3, length=4, bold=True)
    quote = messages.SendMessageReplyToQuote(message="quest")
    id = send(
        ann,
        user(BOB),
        "😀 bold",
        entities=[entity],
        media=[MediaRef(embed=MediaRefEmbed(url="https://example.org/"))],
        reply_to=messages.SendMessageReplyTo(message_id=first, quote=quote),
    )
    message = history(bob, user(ANN), around=id, limit=1).messages[0]
    assert message.entities == [entity]
    assert message.media[0].embed.url == "https://example.org/"
    assert (message.reply.message_id, message.reply_to, message.reply.quote.message) == (first, first, "quest")
    assert (message.edited_at, message.forward, message.pinned) == (None, None, None)
    inside_a_pair = types.MessageEntity(start_index=1, length=1, bold=True)
    call = messages.SendMessage(chat_ref=user(BOB), message="😀", entities=[inside_a_pair])
    assert refused(ann, call) == 400
    assert refused(ann, messages.SendMessage(chat_ref=user(BOB))) == 400
    assert refused(ann, messages.SendMessage(chat_ref=user(77), message="x")) == 404


def test_communities_roles_pins_and_marks(client, put):
    put("communities/5", name="Town", owner=str(ANN))
    put("communities/5/channels/50", name="square")
    hidden = {"0": {"deny": ["VIEW_CHANNEL"]}}
    put("communities/5/channels/51", name="council", overrides=hidden)
    put("communities/5/members/1002", nickname="Bobby")
    square, council = (refs.ChatRef(channel=refs.ChannelRef(community_id=5, channel_id=id)) for id in (50, 51))
    ann, bob, eve = client("ann"), client("bob"), client("eve")
    mention = types.MessageEntity(start_index=0, length=4, username=True)
    first = send(ann, square, "@bob come here", entities=[mention])
    assert refused(bob, messages.GetHistory(chat_ref=council)) == 403
    assert refused(eve, messages.GetHistory(chat_ref=square)) == 404
    assert refused(bob, messages.SetMessagePin(chat_ref=square, message_id=first, pin=True)) == 403
    void = ann.call(messages.SetMessagePin(chat_ref=square, message_id=first, pin=True))
    assert void == core.RpcResult(req_id=void.req_id), "a void success carries no member"
    page = history(bob, square)
    assert page.messages[0].pinned is True
    assert [(member.id, member.nickname) for member in page.members] == [(ANN, None), (BOB, "Bobby")]
    pinned = bob.call(messages.GetPinnedMessages(chat_ref=square)).messages
    assert [message.message_id for message in pinned.messages] == [first]
    unread = messages.GetUnreadMentions(chat_ref=square)
    assert bob.call(unread).unread_mentions.message_ids == [first]
    bob.call(chats.MarkChatRead(chat_ref=square, message_id=first))
    assert bob.call(unread).unread_mentions.message_ids == []
    read = bob.updates_until("conversation_last_read")
    assert (read.last_read_message_id, read.unread_count, read.unread_mentions_count) == (first, 0, 0)
    put("communities/5/channels/51", name="council")
    assert texts(bob, council) == [], "at once"


def test_a_forward_tells_when_it_was_said_first(client):
    ann = client("ann")
    saved = refs.ChatRef(self=refs.RefSelf())
    id = send(ann, saved, "note")
    ann.call(messages.ForwardMessage(chat_ref=user(EVE), from_=saved, message_ids=[id]))
    message = history(client("eve"), user(ANN)).messages[-1]
    assert message.message == "note"
    assert abs(message.forward.date - time.time() * 1000) < 60_000


def test_a_page_of_large_messages_is_one_that_clients_take(client):
    ann = client("ann")
    saved = refs.ChatRef(self=refs.RefSelf())
    for _ in range(100):
        send(ann, saved, "語" * 4000)
    page = history(ann, saved, limit=100)
    assert 70 < len(page.messages) < 80
    assert len(bytes(page)) <= 900 * 1024


def test_a_connection_that_does_not_read_stalls_nobody(client):
    ann, idle = client("ann"), [client("eve") for _ in range(20)]
    for number in range(20):
        send(ann, user(EVE), str(number))
    assert texts(client("eve"), user(ANN), limit=1) == ["19"]
    for eve in idle:
        told = [eve.updates_until("message_created").message.message for _ in range(20)]
        assert told == [str(number) for number in range(20)], "in order, each once"
