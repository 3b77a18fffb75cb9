"""Starts the program on an empty folder and a free port, for the whole suite."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from program import serving

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
    with serving(tmp_path_factory.mktemp("scrollback"), CONFIG) as address:
        yield f"http://{address}"
