"""Starts the program for the Python suites."""

import contextlib
import os
import re
import subprocess


@contextlib.contextmanager
def serving(folder, text):
    """Runs the program with this configuration, on data in `folder` and a free port: its host and port."""
    config = folder / "scrollback.toml"
    config.write_text(text)
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
