"""`manage.py runserver`: it does not serve without ASGI, and a change of the code costs no answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.tab import Tab, is_beginning, question
from tests.process import ROOT
from tests.provider_server import ProviderServer
from tests.server import Client, Server, finished
from tests.viewer import Viewer


class Reloading(Server):
    """`runserver` over a copy of the code, which begins anew when a file of it changes."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        super().__init__(data_dir, **environment)
        self.code = data_dir / "code"
        self.code.mkdir()
        for name in ("chatapp", "conversations", "templates", "static", "locale"):
            shutil.copytree(ROOT / name, self.code / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("manage.py", "pyproject.toml"):
            shutil.copy(ROOT / name, self.code)

    def command(self) -> list[str]:
        arguments = ["manage.py", "runserver", f"127.0.0.1:{self.port}"]
        return ["env", "-C", str(self.code), f"PYTHONPATH={self.code}", sys.executable, *arguments]

    def works(self, said: str) -> bool:  # noqa: ARG002 - it says nothing of a link
        return self._answers()

    def close(self) -> None:
        self.terminate()  # it takes its child along


@pytest.fixture
def reloading(provider: ProviderServer, tmp_path: Path):
    server = Reloading(tmp_path, OPENAI_BASE_URL=provider.base_url)
    with server:
        yield server


def change_code(server: Reloading) -> None:
    """Touch a module that is loaded, and wait until the server says that it has seen it."""
    said = server.log.stat().st_size
    os.utime(server.code / "conversations" / "runner.py", (time.time() + 5, time.time() + 5))
    until = time.monotonic() + 30
    while b"changed, reloading" not in server.log.read_bytes()[said:]:
        assert time.monotonic() < until, server.log.read_text()
        time.sleep(0.1)


def test_code_that_changes_in_mid_answer_costs_nothing_that_was_seen(reloading):
    client = Client(reloading, reloading.new_link())
    response = client.ask(question(2_000, 20))
    path = response.url.path
    tab = Tab(client.cookies, response.text, [reloading], path)
    tab.wait_for_words(20)
    change_code(reloading)
    seen = tab.finish(90)
    client.close()
    again = Client(reloading, reloading.new_link())
    page = finished(again, path, 60)
    stored = Viewer(page).answer()
    assert stored.startswith(seen)
    assert is_beginning(stored)
    assert "/continue/" in page
    again.close()


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
