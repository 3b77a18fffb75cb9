"""Tokens of the builder from PyPI: accepted as they are, refused with any field changed."""

import time

import pytest
import requests
from agora_token_builder import RtcTokenBuilder, RtmTokenBuilder
from agora_token_builder.AccessToken import AccessToken, kRtmLogin
from conftest import APP_ID, CERTIFICATE

USER = "camera 1"
TIMES = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2027-01-01T00:00:00.123456Z"}


def build(app_id=APP_ID, certificate=CERTIFICATE, user=USER):
    return RtmTokenBuilder.buildToken(app_id, certificate, user, 1, 0)


def status(base, token, user=USER):
    headers = {"x-agora-token": token, "x-agora-uid": user}
    return requests.get(f"{base}/rtm/message/history/count", {"source": "a", **TIMES}, headers=headers, timeout=10).status_code


def by_hand(ts=None, salt=None, privilege=kRtmLogin):
    token = AccessToken(APP_ID, CERTIFICATE, USER, "")
    token.addPrivilege(privilege, 0)
    token.ts = token.ts if ts is None else ts
    token.salt = token.salt if salt is None else salt
    return token.build()


def test_a_token_is_accepted_for_its_user(base):
    assert status(base, build()) == 200
    assert status(base, by_hand(salt=0)) == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"app_id": "0123456789abcdef0123456789abcdef"},
        {"app_id": APP_ID.lower()},
        {"certificate": CERTIFICATE.upper()},
        {"user": "camera 2"},
    ],
)
def test_a_token_with_a_field_changed_is_refused(base, changed):
    assert status(base, build(**changed)) == 401


def test_a_token_is_for_rtm_and_for_its_time_and_user(base):
    assert status(base, build(), "camera 2") == 401
    assert status(base, by_hand(ts=int(time.time()) - 1)) == 401
    assert status(base, by_hand(privilege=1)) == 401
    rtc = RtcTokenBuilder.buildTokenWithUid(APP_ID, CERTIFICATE, USER, 0, 1, int(time.time()) + 600)
    assert status(base, rtc) == 401


def test_every_changed_character_is_refused(base):
    token = build()
    for at in range(0, len(token), 3):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        if not 35 + 50 <= at < 35 + 58:  # The checksum of an empty user is neither signed nor used.
            assert status(base, changed) == 401, at
