"""Every process of a cluster tells of itself: web processes beside the pages, workers at a port of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.cluster.processes import Cluster
from tests.provider_server import ProviderServer
from tests.server import Client, finished, free_port
from tests.test_metrics import Samples, samples, total

TOKEN = "token-of-this-test-0123456789"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, int]]:
    port = free_port()
    with ProviderServer() as provider:
        cluster = Cluster(
            tmp_path_factory.mktemp("measured"),
            webs=1,
            workers=1,
            OPENAI_BASE_URL=provider.base_url,
            METRICS_PORT=str(port),
            METRICS_TOKEN=TOKEN,
            LOG_FORMAT="json",
        )
        try:
            cluster.start()
            client = Client(cluster.webs[0])
            finished(client, client.ask("Hello.").url.path, 60)
            client.close()
            yield cluster, port
        finally:
            cluster.close()


def read(url: str) -> Samples:
    answer = httpx2.get(url, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return samples(answer.text)


def test_a_worker_tells_what_it_wrote_and_a_web_process_what_it_showed(measured):
    cluster, port = measured
    worker, web = read(f"http://127.0.0.1:{port}/metrics"), read(f"{cluster.webs[0].url}/metrics")
    assert total(worker, "stillwater_generations_total", status="completed") == 1
    assert total(worker, "gen_ai_server_time_to_first_token_seconds_count") == 1
    assert total(worker, "stillwater_journal_commit_seconds_count") >= 1
    assert total(web, "stillwater_generations_total") == 0
    assert total(web, "stillwater_database_pool_size") >= 1
    assert total(web, "stillwater_database_up") == 1
    assert httpx2.get(f"http://127.0.0.1:{port}/metrics").status_code == 403


def test_a_process_tells_when_the_bus_is_lost_and_back(measured):
    cluster, _ = measured
    url = f"{cluster.webs[0].url}/metrics"
    assert total(read(url), "stillwater_bus_connected") == 1
    cluster.redis.stop()
    wait_for_bus(url, 0)
    cluster.redis.start()
    wait_for_bus(url, 1)


def wait_for_bus(url: str, expected: int) -> None:
    until = time.monotonic() + 30
    while total(read(url), "stillwater_bus_connected") != expected:
        assert time.monotonic() < until, f"the bus is not {expected}"
        time.sleep(0.2)


def test_log_lines_of_both_processes_meet_in_the_generation(measured):
    cluster, _ = measured
    lines = [json.loads(line) for line in cluster.webs[0].log.read_text().splitlines() if line.startswith("{")]
    asked = next(line for line in lines if line["message"] == "A generation was asked for")
    assert {"request_id", "generation_id", "conversation_id"} <= set(asked)
