"""What can happen to a message: edits, deletions and reactions, by the vendor's own messages."""

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


def test_search_is_refused_by_name(client):
    saved = refs.ChatRef(self=refs.RefSelf())
    assert refused(client("ann"), messages.Search(chat_ref=saved, query="x")) == 501
