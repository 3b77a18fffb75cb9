"""Starts the program on an empty folder and a free port, for the whole suite."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from program import serving

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
    with serving(tmp_path_factory.mktemp("scrollback"), CONFIG) as address:
        yield f"http://{address}"


@pytest.fixture(scope="session")
def base(origin):
    return f"{origin}/dev/v2/project/{APP_ID}"
