"""What Prometheus reads: of a real process, after real traffic, and by nobody else."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta

import httpx2
import pytest
import yaml
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from chatapp.accounts.models import User
from conversations import metrics
from conversations.generating.claims import claim
from conversations.limits import LimitExceeded
from conversations.limits.admission import Full
from conversations.measuring import pacing
from conversations.models import Breaker, ChatModel
from conversations.serving import scraping
from conversations.turns import LimitReached
from tests.factories import make_conversation, make_model, make_running, make_turn
from tests.process import ROOT
from tests.provider_fixtures import provider_server, provider_server_process
from tests.server import Client, Server, finished, free_port, stream_url

__all__ = ["provider_server", "provider_server_process"]
TOKEN = "0123456789abcdef"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(found: Samples, name: str, **labels: str) -> float:
    return sum(value for (sample, has), value in found.items() if sample == name and set(labels.items()) <= set(has))


def scrape(server: Server, **headers: str) -> Samples:
    answer = httpx2.get(f"{server.url}/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return samples(answer.text)


@pytest.fixture(scope="module")
def busy_server(tmp_path_factory, provider_server_process):
    """A server that has answered, failed, been stopped and been watched."""
    server = Server(
        tmp_path_factory.mktemp("metrics"),
        OPENAI_BASE_URL=provider_server_process.base_url,
        OPENAI_MODEL="fast",
        PACING_ARMS="only:frame_ms=30",
    )
    provider_server_process.reset()
    server.prepare()
    server.start()
    try:
        client = Client(server)
        use(server, client)
        yield server, client
        client.close()
    finally:
        server.close()


def use(server: Server, client: Client) -> None:
    first = client.ask("Hello.")
    path = first.url.path
    finished(client, path)
    failed = client.ask("[[scenario=500]]")
    finished(client, failed.url.path)
    slow = client.ask("[[scenario=paced-50]] [[length=600]]")
    address = stream_url(slow.text)
    for headers in ({}, {"Last-Event-ID": "1.0.0"}):
        with client.http.stream("GET", address, headers=headers) as stream:
            wait_for_bytes(stream)
    client.post(f"{slow.url.path}stop/")
    finished(client, slow.url.path)


def wait_for_bytes(stream: httpx2.Response, seconds: float = 1.0) -> None:
    until = time.monotonic() + seconds
    for _ in stream.iter_raw():
        if time.monotonic() > until:
            break


def test_metrics_tell_what_happened(busy_server):
    server, _ = busy_server
    found = scrape(server)
    model = {"gen_ai_request_model": "fast"}
    assert total(found, "stillwater_generations_total", status="completed", **model) == 1
    assert total(found, "stillwater_generations_total", status="failed", **model) == 1
    assert total(found, "stillwater_generations_total", status="stopped", **model) == 1
    assert total(found, "stillwater_generation_errors_total", error_type="server_error") == 1
    assert total(found, "gen_ai_server_time_to_first_token_seconds_count") == 2
    assert total(found, "gen_ai_client_operation_duration_seconds_count", gen_ai_operation_name="chat") == 3
    assert total(found, "gen_ai_client_token_usage_sum", gen_ai_token_type="output") > 5
    assert total(found, "gen_ai_client_operation_time_per_output_chunk_seconds_count") > 20
    assert total(found, "stillwater_journal_commit_seconds_count") > 5
    assert total(found, "stillwater_frame_gap_seconds_count", arm="only") > 5
    assert total(found, "stillwater_streams_opened_total") >= 2
    assert total(found, "stillwater_stream_reconnects_total") == 1
    assert total(found, "stillwater_arm_generations_total", arm="only") == 3
    assert total(found, "stillwater_database_up") == 1
    assert total(found, "stillwater_bus_connected") == 1
    assert total(found, "stillwater_generations_queued") == 0
    assert total(found, "process_resident_memory_bytes") > 1e6


def test_histograms_are_cumulative(busy_server):
    server, _ = busy_server
    buckets = [
        (float(dict(labels)["le"]), value)
        for (name, labels), value in scrape(server).items()
        if name == "gen_ai_client_operation_time_per_output_chunk_seconds_bucket"
    ]
    values = [value for _, value in sorted(buckets)]
    assert values == sorted(values)
    assert values[-1] > 0


def test_no_label_names_anybody_or_anything_said(busy_server):
    server, _ = busy_server
    text = httpx2.get(f"{server.url}/metrics").text
    assert "Hello" not in text
    assert "scenario" not in text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text)


def test_metrics_are_refused_to_whoever_comes_by_a_proxy(busy_server):
    server, _ = busy_server
    for header in scraping.PROXIED:
        assert httpx2.get(f"{server.url}/metrics", headers={header: "127.0.0.1"}).status_code == 403


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("127.0.0.1", {}, True),
        ("::ffff:127.0.0.1", {}, True),
        ("::1", {}, True),
        ("10.0.0.9", {}, False),
        ("", {}, False),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, False),
    ],
)
def test_metrics_without_a_token_are_for_allowed_networks(peer, headers, expected):
    assert scraping.is_allowed(peer, headers) is expected


def test_metrics_with_a_token_are_for_those_who_have_it(settings):
    settings.METRICS_TOKEN = TOKEN
    assert scraping.is_allowed("10.0.0.9", {"authorization": f"Bearer {TOKEN}", "x-forwarded-for": "1.2.3.4"})
    for wrong in ("", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ü"):
        assert not scraping.is_allowed("127.0.0.1", {"authorization": wrong})


def test_a_worker_serves_its_own_metrics(settings):
    settings.METRICS_PORT, settings.METRICS_TOKEN = free_port(), TOKEN
    server = scraping.serve()
    try:
        url = f"http://127.0.0.1:{settings.METRICS_PORT}/metrics"
        assert httpx2.get(url).status_code == 403
        assert httpx2.get(f"{url[:-8]}/").status_code == 404
        found = samples(httpx2.get(url, headers={"Authorization": f"Bearer {TOKEN}"}).text)
        assert total(found, "stillwater_generations_here") == 0
        assert scraping.serve() is None  # the port is taken, and the worker lives on
    finally:
        server.shutdown()
        server.server_close()


def test_metrics_can_be_switched_off(tmp_path):
    server = Server(tmp_path, METRICS="false")
    server.prepare()
    server.start()
    try:
        client = Client(server)
        finished(client, client.ask("Hello.").url.path)
        client.close()
        assert httpx2.get(f"{server.url}/metrics").status_code == 404
    finally:
        server.close()


def test_model_labels_are_bounded(monkeypatch):
    monkeypatch.setattr(metrics, "_models", set())
    labels = {metrics.model_label(ChatModel(model_name=f"model-{number}")) for number in range(500)}
    assert len(labels) == metrics.MOST_MODELS + 1
    assert metrics.OTHER in labels
    assert metrics.model_label(None) == metrics.OTHER
    assert metrics.model_label(ChatModel(model_name="model-3")) == "model-3"


def test_arm_labels_are_those_that_are_set_up(settings):
    settings.PACING_ARMS = pacing.parse("steady,fast")
    assert [metrics.arm_label(arm) for arm in ("fast", "", "gone")] == ["fast", "none", "none"]


def test_provider_model_names_are_no_labels(db):
    """What a provider says that it used is its own word, and may be another one each time."""
    generation = make_turn(make_conversation(_owner(), model=make_model()), model_name="x" * 40)
    metrics.count_end(generation, "completed", "")
    assert b"x" * 40 not in scraping.exposition("")[0]


def value(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0


def test_refusals_are_counted():
    before = value("stillwater_admission_refusals_total", reason="lag"), value("stillwater_limits_hit_total", limit="x")
    Full("lag")
    LimitReached(User(), LimitExceeded("Too much.", "x"))
    after = value("stillwater_admission_refusals_total", reason="lag"), value("stillwater_limits_hit_total", limit="x")
    assert after == (before[0] + 1, before[1] + 1)


def test_takeovers_are_counted(user):
    before = value("stillwater_takeovers_total")
    for seconds in (60, -60):  # one that somebody writes, one that its writer has left
        lease = timezone.now() + timedelta(seconds=seconds)
        claim(make_running(make_conversation(user), lease_expires_at=lease).pk)
    assert value("stillwater_takeovers_total") == before + 1


def test_what_the_database_knows_is_told(user):
    make_turn(make_conversation(user), status="queued", created_at=timezone.now() - timedelta(seconds=30))
    make_running(make_conversation(user))
    Breaker.objects.create(base_url="https://models.example.org/v1", mode=Breaker.Mode.OPEN)
    found = samples(scraping.exposition("", scraping.told(scraping.shared()))[0].decode())
    assert total(found, "stillwater_generations_queued") == 1
    assert total(found, "stillwater_generations_running") == 1
    assert 29 < total(found, "stillwater_queue_oldest_seconds") < 120
    assert total(found, "stillwater_breaker_open", server_address="models.example.org") == 1

    Breaker.objects.update(base_url="https://ada:s3cret@models.example.org/v1")
    Breaker.objects.create(base_url="http://[broken", mode=Breaker.Mode.OPEN)
    text = scraping.exposition("", scraping.told(scraping.shared()))[0].decode()
    assert "s3cret" not in text
    assert total(samples(text), "stillwater_breaker_open", server_address="models.example.org") == 1
    assert total(samples(text), "stillwater_breaker_open", server_address="invalid") == 1

    away = samples(scraping.exposition("", scraping.told(None))[0].decode())
    assert total(away, "stillwater_database_up") == 0
    assert not any(name == "stillwater_generations_queued" for name, _ in away)


def _owner():
    from tests.factories import make_user

    return make_user("grace")


# --- dashboards and alert rules

NAMES = re.compile(r"\b(?:gen_ai|stillwater|process)_[a-z_]+")


def expressions() -> dict[str, list[str]]:
    """All expressions in PromQL, by file."""
    found: dict[str, list[str]] = {}
    for path in (ROOT / "deploy" / "prometheus").glob("*.yml"):
        for group in yaml.safe_load(path.read_text()).get("groups", []):
            found.setdefault(path.name, []).extend(rule["expr"] for rule in group["rules"])
    for path in (ROOT / "deploy" / "grafana").rglob("*.json"):
        panels = json.loads(path.read_text())["panels"]
        found[path.name] = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return found


def test_dashboards_and_rules_name_only_what_a_real_server_tells(busy_server):
    server, _ = busy_server
    text = httpx2.get(f"{server.url}/metrics").text
    known = set(re.findall(r"^# TYPE (\S+)", text, re.M)) | {name for name, _ in samples(text)}
    labels = {"gen_ai_request_model", "gen_ai_token_type", "gen_ai_operation_name", "gen_ai_provider_name"}
    database = {"stillwater_database_pool_size", "stillwater_database_pool_idle", "stillwater_database_pool_waiting"}
    used = expressions()
    assert len(used) >= 2
    for file, queries in used.items():
        assert queries, file
        for query in queries:
            names = set(NAMES.findall(query)) - labels
            families = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in names}
            unknown = {name for name in names if name not in known} & {n for n in names if families - known}
            assert unknown - database == set(), (file, query)


def test_metrics_are_all_documented(busy_server):
    server, _ = busy_server
    text = (ROOT / "docs" / "measuring.md").read_text()
    told = re.findall(r"^# TYPE ((?:gen_ai|stillwater)\S+)", httpx2.get(f"{server.url}/metrics").text, re.M)
    assert len(told) > 20
    assert {name for name in told if f"`{name.removesuffix('_total')}" not in text} == set()
