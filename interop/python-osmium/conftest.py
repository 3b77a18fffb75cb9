"""Starts the program on an empty folder and a free port, for the whole suite, and speaks to it."""

import contextlib
import json
import pathlib
import sys
import urllib.request

import pytest
from osmium_protos import wrap
from osmium_protos.osmium.client.auth import Authorize
from osmium_protos.osmium.client.core import Initialize, ServerMessage
from osmium_protos.osmium.client.refs import ChatRef, UserRef
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from program import serving

ANN, BOB, EVE, TICK, TOCK = 1001, 1002, 1003, 1004, 1005

CONFIG = """
[[app]]
name = "demo"
search = true
[[app.key]]
secret = "k-admin"
may = ["admin", "read", "write"]
[app.osmium]
""" + "".join(
    f'[[app.osmium.user]]\nid = {id}\nname = "{name}"\ntoken = "osm-{name}"\nbot = {str(id >= TICK).lower()}\n'
    for id, name in [(ANN, "ann"), (BOB, "bob"), (EVE, "eve"), (TICK, "tick"), (TOCK, "tock")]
)


@pytest.fixture(scope="session")
def origin(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("scrollback"), CONFIG) as address:
        yield address


@pytest.fixture(scope="session")
def put(origin):
    """Puts something into the directory."""

    def put(path, **fields):
        request = urllib.request.Request(f"http://{origin}/v1/apps/demo/osmium/{path}", method="PUT")
        request.add_header("Authorization", "Bearer k-admin")
        request.data = json.dumps(fields).encode()
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    return put


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, error):
        super().__init__(error)
        self.code = error.error_code


class Client:
    """A connection; updates that come between answers are kept for later."""

    def __init__(self, socket):
        self.socket = socket
        self.requests = 0
        self.received = 0
        self.updates = []

    def receive(self):
        message = ServerMessage.parse(self.socket.recv(timeout=30))
        self.received += 1
        assert message.id == self.received, "the server counts its messages from 1"
        return message

    def call(self, payload):
        self.requests += 1
        self.socket.send(bytes(wrap(payload, id=self.requests)))
        while True:
            message = self.receive()
            if message.result is None:
                self.updates.append(message.update)
                continue
            assert message.result.req_id == self.requests
            if message.result.error is not None:
                raise Refused(message.result.error)
            return message.result

    def update(self):
        return self.updates.pop(0) if self.updates else self.receive().update

    def updates_until(self, wanted):
        """The first update that has this member."""
        while (found := getattr(self.update(), wanted)) is None:
            pass
        return found


@pytest.fixture
def client(origin):
    """Makes connections, and closes them in the end."""
    with contextlib.ExitStack() as sockets:
        # What the server has closed cannot be closed once more.
        sockets.enter_context(contextlib.suppress(ConnectionClosed))

        def make(name=None):
            made = Client(sockets.enter_context(connect(f"ws://{origin}/", compression=None)))
            if name:
                assert made.call(Initialize(client_id=7, device_type="test")).initialized is not None
                made.authorization = made.call(Authorize(token=f"osm-{name}")).authorization
            return made

        yield make


def user(id):
    return ChatRef(user=UserRef(user_id=id))
