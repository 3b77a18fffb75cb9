"""protocols/pubnub.md §11: signatures, tokens, the older grants."""

import base64
import hmac

import pytest
from conftest import GUARDED, SECRET
from pubnub.exceptions import PubNubException
from pubnub.models.consumer.v3.channel import Channel


@pytest.fixture
def administrator(connect):
    return connect("administrator", keys=GUARDED, secret=SECRET)


@pytest.fixture
def user(connect):
    def client(name, token=None):
        made = connect(name, keys=GUARDED)
        if token:
            made.set_token(token)
        return made

    return client


def forbidden(call):
    with pytest.raises(PubNubException) as refused:
        call.sync()
    assert refused.value._status_code == 403
    return str(refused.value)


def granted(administrator, *channels, user=None):
    grant = administrator.grant_token().ttl(15).channels(list(channels))
    if user:
        grant.authorized_uuid(user)
    return grant.sync().result.get_token()


@pytest.mark.parametrize("use_post", [False, True])
def test_the_secret_key_may_everything(administrator, fresh, use_post):
    channel = fresh("signed ~!*() 🎉")
    message = administrator.publish().channel(channel).message({"text": "~ ! 🎉"}).meta({"a": "~'()"}).use_post(use_post)
    message.sync()
    assert len(administrator.history().channel(channel).sync().result.messages) == 1


def test_nobody_may_anything(user, fresh):
    client, channel = user("stranger"), fresh()
    assert channel in forbidden(client.publish().channel(channel).message(1))
    forbidden(client.history().channel(channel))
    forbidden(client.fetch_messages().channels([channel]))
    forbidden(client.message_counts().channel([channel]).channel_timetokens([1]))


def test_a_token_gives_what_it_says(administrator, user, fresh):
    channel, other = fresh(), fresh()
    token = granted(administrator, Channel.id(channel).read().write())
    client = user("ann", token)
    client.publish().channel(channel).message("mine").sync()
    assert [entry.entry for entry in client.history().channel(channel).sync().result.messages] == ["mine"]
    forbidden(client.publish().channel(other).message(1))
    reader = user("bob", granted(administrator, Channel.id(channel).read()))
    forbidden(reader.publish().channel(channel).message(1))


def test_the_client_reads_what_a_token_says(administrator):
    token = granted(administrator, Channel.id("room-1").read().write(), Channel.pattern("^room-.*$").read(), user="ann")
    parsed = administrator.parse_token(token)
    assert parsed["ttl"] == 15
    assert parsed["authorized_uuid"] == "ann"
    assert parsed["resources"]["channels"]["room-1"]["write"] is True
    assert parsed["patterns"]["channels"]["^room-.*$"] == {**parsed["patterns"]["channels"]["^room-.*$"], "read": True}


def test_patterns_and_the_authorised_user(administrator, user, fresh):
    prefix = fresh("room")
    token = granted(administrator, Channel.pattern(f"^{prefix}-[0-9]+$").write(), user="ann")
    user("ann", token).publish().channel(f"{prefix}-1").message(1).sync()
    forbidden(user("ann", token).publish().channel(f"{prefix}-x").message(1))
    forbidden(user("bob", token).publish().channel(f"{prefix}-1").message(1))


def test_a_revoked_token_is_refused(administrator, user, fresh):
    channel = fresh()
    token = granted(administrator, Channel.id(channel).write())
    client = user("ann", token)
    client.publish().channel(channel).message(1).sync()
    administrator.revoke_token(token).sync()
    assert "revoked" in forbidden(client.publish().channel(channel).message(2))


def aged(token, seconds):
    """The same grant as if it had been made earlier, sealed as the server seals its tokens: nobody waits for a minute here."""
    seal = hmac.digest(SECRET.encode(), b"scrollback: pubnub access token\0" + GUARDED["subscribe_key"].encode(), "sha256")
    cbor = bytearray(base64.urlsafe_b64decode(token))
    issued = cbor.index(b"\x41t\x1a") + 3
    cbor[issued : issued + 4] = (int.from_bytes(cbor[issued : issued + 4]) - seconds).to_bytes(4)
    cbor[-32:] = hmac.digest(seal, bytes(cbor[:-38]), "sha256")
    return base64.urlsafe_b64encode(cbor).decode()


def test_a_token_that_has_ended_is_refused(administrator, user, fresh):
    channel = fresh()
    token = granted(administrator, Channel.id(channel).write())
    user("ann", aged(token, 0)).publish().channel(channel).message(1).sync()
    assert "expired" in forbidden(user("ann", aged(token, 15 * 60)).publish().channel(channel).message(2))


def test_who_is_there_is_asked_and_said_with_a_signature(administrator, user, fresh):
    channel = fresh("signed ~!*() 🎉")
    administrator.heartbeat().channels(channel).sync()
    administrator.set_state().channels([channel]).state({"mood": "~'()!"}).sync()
    here = administrator.here_now().channels([channel]).include_uuids(True).include_state(True).sync().result
    assert {item.uuid: item.state for item in here.channels[0].occupants} == {"administrator": {"mood": "~'()!"}}
    assert administrator.where_now().uuid("administrator").sync().result.channels == [channel]
    assert administrator.get_state().channels([channel]).sync().result.channels[channel] == {"mood": "~'()!"}
    forbidden(user("eve").here_now().channels([channel]))
    reader = user("bob", granted(administrator, Channel.id(channel).read()))
    assert reader.here_now().channels([channel]).sync().result.total_occupancy == 1


def test_older_grants(administrator, user, fresh):
    channel = fresh()
    administrator.grant().channels([channel]).auth_keys(["key-1"]).read(True).write(True).ttl(5).sync()
    client = user("ann")
    forbidden(client.publish().channel(channel).message(1))
    client.config.auth_key = "key-1"
    client.publish().channel(channel).message(1).sync()
