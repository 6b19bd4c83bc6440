"""An export of 100 MB is made, and given to somebody who reads slowly, in the memory of a few pieces of it."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.combination import SERVERS
from tests.server import Client, Server

FILES, FILE_BYTES = 20, 5_000_000
MOST_GROWTH = 40_000_000  # bytes: pieces, what SQLite keeps, and what a process needs for its first job
PLANT = f"""
import os
from conversations.models import Attachment
from conversations.files.storage import written
from chatapp.accounts.models import User
owner = User.objects.get()
for number in range({FILES}):
    with written(f"large/{{number}}") as file:
        file.write(os.urandom({FILE_BYTES}))
    Attachment.objects.create(owner=owner, kind="image", name=f"{{number}}.png", content_type="image/png",
        size={FILE_BYTES}, file=f"large/{{number}}")
"""


@pytest.fixture(params=SERVERS)
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(tmp_path, request.param) as server:
        yield server


def forget_peak(server: Server) -> None:
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def peak_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def test_a_large_export_needs_the_memory_of_a_few_pieces(server, tmp_path):
    client = Client(server)
    server.manage("shell", "--no-imports", "-c", PLANT)
    before = server.memory_bytes()
    forget_peak(server)
    page = client.post("/account/data/everything/")
    until = time.monotonic() + 90
    while "/file/" not in page.text:
        assert time.monotonic() < until, page.text
        time.sleep(0.2)
        page = client.http.get(page.url.path)
    assert peak_bytes(server) - before < MOST_GROWTH
    forget_peak(server)
    before = server.memory_bytes()
    target = tmp_path / "export.zip"
    with client.http.stream("GET", f"{page.url.path}file/") as response, target.open("wb") as file:
        assert response.status_code == 200
        time.sleep(3)  # nobody reads
        for piece in response.iter_raw():
            file.write(piece)
    assert target.stat().st_size == int(response.headers["content-length"]) > FILES * FILE_BYTES
    assert peak_bytes(server) - before < MOST_GROWTH
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert (
            sum(info.file_size for info in archive.infolist() if info.filename.endswith(".png")) == FILES * FILE_BYTES
        )
    client.close()
