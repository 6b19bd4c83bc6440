"""A real server asks a real provider over a socket: what users and logs see of its faults; how Stop reaches it."""

from __future__ import annotations

import re
import socket
import statistics
import time
from collections.abc import Iterator

import pytest

from tests.provider_exchange import SECRET_ECHO
from tests.provider_server import ProviderServer
from tests.server import Client, Server, finished, free_port, visible_text
from tests.viewer import Viewer

KEY = "sk-planted-0123456789"
DEADLINES = {"CONNECT_SECONDS": "2", "FIRST_TOKEN_SECONDS": "2", "IDLE_SECONDS": "1.5", "TOTAL_SECONDS": "20"}


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def server(
    provider: ProviderServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    with Server(directory, request.param, OPENAI_BASE_URL=provider.base_url, OPENAI_API_KEY=KEY, **DEADLINES) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


@pytest.mark.parametrize(
    ("scenario", "sentence", "partial"),
    [
        ("401", "key", False),
        ("404", "model", False),
        ("429-3600", "60 minutes", False),
        ("500-html", "try again", False),
        ("html", "", False),
        ("silence", "", False),
        ("stall-3", "", True),
        ("cut-3", "", True),
        ("eof-3", "", True),
        ("error-event", "", True),
    ],
)
def test_each_fault_ends_in_a_sentence_with_retry_and_keeps_the_partial(server, client, scenario, sentence, partial):
    response = client.ask(f"A question [[scenario={scenario}]]")
    page = finished(client, response.url.path)
    assert "Retry" in page
    assert ("/continue/" in page) is partial
    notice = visible_text(re.split('class="notice(?! unscripted)', page)[1].split(">", 1)[1].split("</p>")[0])
    assert sentence in notice
    assert len(notice) > 20
    assert bool(Viewer(page).answer()) is partial
    for secret in (KEY, SECRET_ECHO, "sk-echoed"):
        assert secret not in page
        assert secret not in server.log.read_text()


def test_a_provider_that_cannot_be_reached_says_so(tmp_path):
    server = Server(tmp_path, OPENAI_BASE_URL=f"http://127.0.0.1:{free_port()}/v1", OPENAI_MODEL="gone", **DEADLINES)
    server.prepare()
    server.start()
    client = Client(server)
    try:
        page = finished(client, client.ask("Anybody?").url.path)
        assert "Retry" in page
        assert "cannot be reached" in page or "could not be reached" in page
    finally:
        client.close()
        server.close()


def test_stop_closes_the_providers_socket(client, provider):
    waits = []
    for _ in range(5):
        before = len(provider.answers)
        response = client.ask("Go on and on [[scenario=paced-50]] [[length=2000]]")
        request = provider.wait_answers(before + 1)[-1]
        time.sleep(0.3)
        clicked = time.monotonic()
        client.post(f"{response.url.path}stop/", htmx=True)
        waits.append(request.wait_closed(2) - clicked)
        assert "Stopped" in finished(client, response.url.path)
    assert statistics.median(waits) < 1


def test_stop_before_the_first_token(client, provider):
    before = len(provider.answers)
    response = client.ask("Silence [[scenario=silence]]")
    request = provider.wait_answers(before + 1)[-1]
    client.post(f"{response.url.path}stop/", htmx=True)
    request.wait_closed(2)
    page = finished(client, response.url.path)
    assert "Stopped" in page
    assert "/continue/" not in page


def test_continue_sends_the_partial_and_goes_on(client, provider):
    response = client.ask("A question [[scenario=cut-5]] [[length=40]]")
    page = finished(client, response.url.path)
    partial = Viewer(page).answer()
    path = page.split('action="/messages/')[1].split('"')[0]
    message = path.split("/")[0]
    client.post(f"/messages/{message}/continue/")
    finished(client, response.url.path)
    sent = provider.answers[-1].body["messages"]
    assert any(m["role"] == "assistant" and " ".join(m["content"].split()) == partial for m in sent)


def test_reasoning_is_kept_apart(client):
    response = client.ask("Think [[scenario=think-tag]]")
    page = finished(client, response.url.path)
    viewer = Viewer(page)
    assert "Thought for" in page
    assert viewer.text("-rbody")
    assert viewer.text("-rbody") not in viewer.answer()


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {}, 405),
        ("HEAD", {}, 405),
        ("OPTIONS", {}, 405),
        ("GET", {"Host": "evil.example"}, 400),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", {"Origin": "http://[bad"}, 403),
    ],
)
def test_requests_that_get_no_stream(client, method, headers, status):
    url = "/generations/01a1fc31-7b60-781c-8528-3b475ef48ee7/stream"
    assert client.http.request(method, url, headers=headers).status_code == status


def test_a_half_open_request_does_not_hold_up_others(server, client):
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        started = time.monotonic()
        assert client.http.get("/").status_code == 200
        assert time.monotonic() - started < 5


def test_idle_memory_is_small(server):
    assert server.memory_bytes() < 180_000_000
