"""Starts the program on an empty folder and a free port, for the whole suite."""

import contextlib
import itertools
import os
import re
import subprocess

import pytest
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub import PubNub

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


@contextlib.contextmanager
def serving(folder, limits=""):
    """Runs the program on a folder; tells its address. `limits` are lines of the section [limits]."""
    config = folder / "scrollback.toml"
    config.write_text(f"[limits]\n{limits}\n{CONFIG}")
    program = subprocess.Popen(
        [os.environ["SCROLLBACK_BIN"], "serve", "--config", config, "--listen", "127.0.0.1:0", "--data", folder / "data"],
        stdout=subprocess.PIPE,
        text=True,
    )
    address = re.search(r"http://(127\.0\.0\.1:\d+)", program.stdout.readline())
    assert address, "the first line of the program ends with its address"
    yield address.group(1)
    program.terminate()
    assert program.wait(timeout=15) == 0


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
