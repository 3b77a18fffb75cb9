"""Starts the program on an empty folder and a free port, for the whole suite."""

import os
import re
import subprocess

import pytest

CHANNEL = "PyOpen0000000001"
SECRET = "python-open-secret"
GUARDED = "PyGuarded0000001"

CONFIG = f"""
[[app]]
name = "open"
[app.scaledrone]
channel = "{CHANNEL}"
secret = "{SECRET}"
history = {{ messages = 100, age = "30d" }}

[[app]]
name = "guarded"
[app.scaledrone]
channel = "{GUARDED}"
secret = "python-guarded-secret"
require_auth = true
"""


@pytest.fixture(scope="session")
def base_url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scrollback")
    config = folder / "scrollback.toml"
    config.write_text(CONFIG)
    program = subprocess.Popen(
        [os.environ["SCROLLBACK_BIN"], "serve", "--config", config, "--listen", "127.0.0.1:0", "--data", folder / "data"],
        stdout=subprocess.PIPE,
        text=True,
    )
    address = re.search(r"http://127\.0\.0\.1:\d+", program.stdout.readline())
    assert address, "the first line of the program ends with its address"
    yield address.group()
    program.terminate()
    assert program.wait(timeout=15) == 0
