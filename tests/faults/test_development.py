"""`manage.py runserver` does not serve without ASGI."""

from __future__ import annotations

import subprocess
import sys

from tests.process import ROOT
from tests.server import Server


def test_without_asgi_nothing_is_served(tmp_path):
    server = Server(tmp_path)
    server.prepare()
    command = [sys.executable, "manage.py", "runserver", "--noasgi", "--noreload", f"127.0.0.1:{server.port}"]
    done = subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "Stillwater must be served by an ASGI server: `make run`, or chatapp.asgi:application with daphne or uvicorn."
    )
