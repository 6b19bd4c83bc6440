"""Real processes that are really killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server import Server


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server with these settings; all are killed at the end."""
    servers: list[Server] = []

    def start(**environment: str) -> Server:
        directory = tmp_path / str(len(servers))
        directory.mkdir()
        server = Server(directory, **environment)
        servers.append(server)
        server.prepare()
        server.start()
        return server

    yield start
    for server in servers:
        server.close()
