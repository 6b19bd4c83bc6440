"""Fixtures around the provider server; a conftest (or test module) imports what it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from conversations.providers import close_clients
from tests.provider_server import ProviderServer


@pytest.fixture(scope="session")
def provider_server_process() -> Iterator[ProviderServer]:
    """One server for all tests: starting one costs more than most tests take."""
    with ProviderServer() as server:
        yield server


@pytest.fixture
def provider_server(provider_server_process: ProviderServer) -> ProviderServer:
    """A service on a real socket that remembers no earlier test; `base_url` is its address."""
    provider_server_process.reset()
    return provider_server_process


@pytest_asyncio.fixture
async def clients_closed() -> AsyncIterator[None]:
    """Closes the shared HTTP clients of the test's loop behind the test."""
    yield
    await close_clients()
