"""Starts the program on an empty folder and a free port, for the whole suite."""

import os
import re
import subprocess

import pytest

APP_ID = "970CA35de60c44645bbae8a215061b33"
CERTIFICATE = "5CFd2fd1755d40ecb72977518be15d3b"
NATIVE_KEY = "native-agora"

CONFIG = f"""
[[app]]
name = "agora"
[[app.key]]
secret = "{NATIVE_KEY}"
may = ["read", "write", "delete", "admin"]
[app.agora]
app_id = "{APP_ID}"
certificate = "{CERTIFICATE}"
customer_key = "me"
customer_secret = "secret"
history_rate = "unlimited"
send_rate = "unlimited"
"""


@pytest.fixture(scope="session")
def origin(tmp_path_factory):
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


@pytest.fixture(scope="session")
def base(origin):
    return f"{origin}/dev/v2/project/{APP_ID}"
