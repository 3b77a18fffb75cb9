"""The lines of Python that the README prints, run as they stand but for the address."""

import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_lines_work_as_printed(origin):
    blocks = README.read_text().split("```python\n")[1:]
    lines = next(block.split("```")[0] for block in blocks if "osmium_protos" in block)
    assert len(lines.splitlines()) <= 15
    program = lines.replace("127.0.0.1:7117", origin)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["1001 hello"]), done.stderr
