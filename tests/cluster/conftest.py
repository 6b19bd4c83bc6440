"""A cluster of real processes for a whole module, and a service with models that can go on from a partial answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.processes import Cluster
from tests.cluster.tab import Tab, question
from tests.provider_server import ProviderServer
from tests.server import Client, Server

SETTINGS = {
    "LEASE_SECONDS": "4",
    "POLL_SECONDS": "1",
    "QUEUED_SECONDS": "12",
    "JOB_LEASE_SECONDS": "5",
    "LOG_LEVEL": "DEBUG",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, provider: ProviderServer) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), OPENAI_BASE_URL=provider.base_url, **SETTINGS)
    try:
        cluster.start()
        cluster.database.execute("UPDATE conversations_chatmodel SET prefill = 'continue_final_message'")
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[Client]:
    client = Client(cluster.webs[0])
    yield client
    client.close()


@pytest.fixture
def ask(cluster: Cluster, client: Client) -> Callable[..., Tab]:
    """Ask for so many counted words at so many a second, and follow the answer in a tab."""

    def ask(words: int, speed: int = 40, servers: list[Server] | None = None) -> Tab:
        response = client.ask(question(words, speed))
        return Tab(client.cookies, response.text, servers or cluster.webs, response.url.path)

    return ask
