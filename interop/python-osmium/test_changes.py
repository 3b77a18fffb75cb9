"""What can happen to a message: edits, deletions and reactions, by the vendor's own messages."""

import time

import pytest
from conftest import ANN, BOB, Refused, user
from osmium_protos.osmium.client import core, messages, reactions, refs
from test_conversation import history, refused, send, texts

THUMB = reactions.ReactionEmoji(unicode_emoji="👍")


def void(client, payload):
    result = client.call(payload)
    assert result == core.RpcResult(req_id=result.req_id), "a void success carries no member"


def test_only_the_author_edits_and_both_sides_see_it(client):
    ann, bob = client("ann"), client("bob")
    id = send(ann, user(BOB), "frist")
    assert refused(bob, messages.EditMessage(chat_ref=user(ANN), message_id=id, message="x")) == 403
    void(ann, messages.EditMessage(chat_ref=user(BOB), message_id=id, message="first"))
    message = history(bob, user(ANN), around=id, limit=1).messages[0]
    assert (message.message_id, message.message) == (id, "first")
    assert message.edited_at >= 1_700_000_000_000, "milliseconds"
    for told, other in [(ann, BOB), (bob, ANN)]:
        update = told.updates_until("message").message
        assert (update.message_id, update.message, update.chat_ref.user.user_id) == (id, "first", other)


def test_a_deletion_takes_all_or_nothing(client):
    ann, bob = client("ann"), client("bob")
    mine, also_mine = send(ann, user(BOB), "mine"), send(ann, user(BOB), "also mine")
    theirs = send(bob, user(ANN), "theirs")
    with pytest.raises(Refused) as refusal:
        ann.call(messages.DeleteMessage(chat_ref=user(BOB), message_ids=[mine, theirs]))
    assert refusal.value.code == 403
    assert texts(ann, user(BOB), limit=3) == ["mine", "also mine", "theirs"]
    for _ in range(2):
        void(ann, messages.DeleteMessage(chat_ref=user(BOB), message_ids=[mine, also_mine, 7]))
    shown = [message.message_id for message in history(bob, user(ANN), limit=100).messages]
    assert mine not in shown and also_mine not in shown and theirs in shown
    deleted = bob.updates_until("message_deleted")
    assert (deleted.message_ids, deleted.chat_ref.user.user_id) == ([mine, also_mine], ANN)
    around = [message.message_id for message in history(bob, user(ANN), around=mine, limit=1).messages]
    assert around == [theirs], "what is gone is still a position"


def test_reactions_are_seen_from_both_sides(client):
    ann, bob = client("ann"), client("bob")
    id = send(ann, user(BOB), "funny")
    for _ in range(2):
        void(bob, reactions.AddReaction(chat_ref=user(ANN), message_id=id, emoji=THUMB))
    for looking, other, me in [(ann, BOB, False), (bob, ANN, True)]:
        (found,) = history(looking, user(other), around=id, limit=1).reactions
        (field,) = found.reaction_fields
        assert found.message_id == id
        assert (field.emoji, field.count, field.me, field.preview_user_ids) == (THUMB, 1, me, [BOB])
        update = looking.updates_until("message_reactions")
        assert [field.me for field in update.reactions.reaction_fields] == [me]
    void(bob, reactions.RemoveReaction(chat_ref=user(ANN), message_id=id, emoji=THUMB))
    assert ann.updates_until("message_reactions").reactions.reaction_fields == []
    assert history(ann, user(BOB), around=id, limit=1).reactions == []
    no_emoji = reactions.AddReaction(chat_ref=user(ANN), message_id=id, emoji=reactions.ReactionEmoji())
    assert refused(bob, no_emoji) == 400
    assert refused(bob, reactions.AddReaction(chat_ref=user(ANN), message_id=7, emoji=THUMB)) == 404


def search(client, chat, query, **fields):
    """Pages of what was found, once the index is there."""
    for _ in range(600):
        try:
            page = client.call(messages.Search(chat_ref=chat, query=query, **fields)).messages
            return [message.message for message in page.messages]
        except Refused as refusal:
            assert refusal.code == 503, "only while the index is made"
            time.sleep(0.1)
    raise AssertionError("the index is not made in time")


def test_messages_are_found_in_a_chat_and_in_a_community(client, put):
    put("communities/6", name="Harbour", owner=str(ANN))
    for id, name in [(60, "pier"), (61, "mole")]:
        put(f"communities/6/channels/{id}", name=name)
    put("communities/6/channels/62", name="bridge", overrides={"0": {"deny": ["VIEW_CHANNEL"]}})
    put("communities/6/members/1002")
    pier, mole, bridge = (refs.ChatRef(channel=refs.ChannelRef(community_id=6, channel_id=id)) for id in (60, 61, 62))
    ann, bob = client("ann"), client("bob")
    first = send(ann, pier, "The Lighthouse is on")
    second = send(ann, mole, "lighthouse keeper wanted")
    send(ann, bridge, "lighthouse secrets")
    send(ann, pier, "nothing of it")
    assert search(ann, pier, "lighthouse") == ["lighthouse secrets", "lighthouse keeper wanted", "The Lighthouse is on"]
    assert search(bob, pier, "lighthouse") == ["lighthouse keeper wanted", "The Lighthouse is on"]
    assert search(bob, pier, "lighthouse", scoped=True) == ["The Lighthouse is on"]
    assert search(bob, pier, "LIGHTHOUSE keep") == ["lighthouse keeper wanted"]
    assert search(bob, pier, "lighthouse", since=first) == ["lighthouse keeper wanted"]
    assert search(bob, pier, "lighthouse", before=second) == ["The Lighthouse is on"]
    assert refused(bob, messages.Search(chat_ref=bridge, query="x")) == 403
    assert refused(bob, messages.Search(chat_ref=pier, query=" ")) == 400
    ann.call(messages.DeleteMessage(chat_ref=pier, message_ids=[first]))
    assert search(bob, pier, "lighthouse") == ["lighthouse keeper wanted"]
