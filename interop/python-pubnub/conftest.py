"""Starts the program on an empty folder and a free port, for the whole suite."""

import itertools
import pathlib
import sys

import pytest
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub import PubNub

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import program

OPEN = {"publish_key": "pub-c-py", "subscribe_key": "sub-c-py"}
GUARDED = {"publish_key": "pub-c-guarded", "subscribe_key": "sub-c-guarded"}
SECRET = "sec-c-py"

CONFIG = f"""
[[app]]
name = "open"
[app.pubnub]
publish_key = "{OPEN["publish_key"]}"
subscribe_key = "{OPEN["subscribe_key"]}"
delete_from_history = true

[[app]]
name = "guarded"
[app.pubnub]
publish_key = "{GUARDED["publish_key"]}"
subscribe_key = "{GUARDED["subscribe_key"]}"
secret_key = "{SECRET}"
access_manager = true
delete_from_history = true
"""


def serving(folder, limits=""):
    """Runs the program on a folder; tells its address. `limits` are lines of the section [limits]."""
    return program.serving(folder, f"[limits]\n{limits}\n{CONFIG}")


@pytest.fixture(scope="session")
def origin(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("scrollback")) as address:
        yield address


@pytest.fixture
def configure(origin):
    """Makes configurations; everything but the user has a default."""

    def configuration(user, keys=OPEN, secret=None, at=None):
        made = PNConfiguration()
        made.origin = at or origin
        made.ssl = False
        made.publish_key = keys["publish_key"]
        made.subscribe_key = keys["subscribe_key"]
        made.secret_key = secret
        made.user_id = user
        made.enable_subscribe = True
        return made

    return configuration


@pytest.fixture
def connect(configure):
    """Makes clients, and stops them in the end."""
    clients = []

    def client(user="ann", **options):
        made = PubNub(configure(user, **options))
        clients.append(made)
        return made

    yield client
    for made in clients:
        made.stop()


@pytest.fixture
def fresh():
    """Names that no other test uses."""
    return lambda prefix="channel": f"{prefix}-{next(NUMBERS)}"


NUMBERS = itertools.count(1)
