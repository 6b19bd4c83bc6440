"""What a stream promises to its readers (section B), and the faults around it that matter most: on every combination.

See `tests.combination` for which those are, and how all of them are run.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator

import httpx2
import pytest

from tests.cluster.tab import Tab, counted, question
from tests.combination import ALL, CHOSEN, Combination, running
from tests.provider_server import ProviderServer
from tests.server import Client, Server, finished, stream_url
from tests.viewer import Viewer

BROKEN_OFF = 12  # times, each somewhere else


@pytest.fixture(scope="module", params=CHOSEN, ids=str)
def combination(request: pytest.FixtureRequest) -> Combination:
    return request.param


@pytest.fixture(scope="module")
def server(
    combination: Combination, provider: ProviderServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    times = {"LEASE_SECONDS": "4", "POLL_SECONDS": "1"}
    with running(combination, tmp_path_factory.mktemp("server"), OPENAI_BASE_URL=provider.base_url, **times) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


def read_stream(client: Client, page: str) -> Viewer:
    """Watch an answer to its end."""
    viewer, rest = Viewer(page), ""
    with client.http.stream("GET", stream_url(page)) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for piece in response.iter_text():
            *messages, rest = (rest + piece).split("\n\n")
            for message in messages:
                viewer.take(message)
    assert viewer.closed
    return viewer


@pytest.mark.parametrize("last_event_id", ["", "x", "9" * 9000, "1.99.99999", "1.-1.5", "../..", "1.1.1%0d%0aevent: x"])
def test_any_last_event_id_ends_in_the_true_state(client, last_event_id):
    response = client.ask("A question [[scenario=paced-50]] [[length=20]]")
    page = finished(client, response.url.path)
    generation = stream_url(response.text)
    viewer = Viewer(page)
    with client.http.stream("GET", generation, headers={"Last-Event-ID": last_event_id}) as stream:
        for message in stream.read().decode().split("\n\n"):
            viewer.take(message)
    assert viewer.answer() == Viewer(page).answer()
    assert viewer.closed


def test_what_is_shown_is_what_is_stored(client):
    response = client.ask("A question [[scenario=paced-100]] [[length=120]]")
    viewer = read_stream(client, response.text)
    stored = Viewer(client.http.get(response.url.path).text)
    assert viewer.answer() == stored.answer()
    assert len(stored.answer()) > 300


def test_unknown_foreign_and_signed_out_streams_end_with_a_sentence(server, client):
    url = "/generations/01a1fc31-7b60-781c-8528-3b475ef48ee7/stream"
    running = client.ask("A question [[scenario=paced-20]] [[length=200]]")
    with httpx2.Client(base_url=server.url, timeout=10) as nobody:
        for who, address in ((client.http, url), (nobody, url), (nobody, stream_url(running.text))):
            answer = who.get(address)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert "This answer cannot be shown here any more." in answer.text
            assert "event: done" in answer.text
    client.post(f"{running.url.path}stop/")


def test_a_new_version_does_not_get_the_words_of_the_old_one(server, client):
    response = client.ask(question(2000, 40))
    old = Tab(client.cookies, response.text, [server], response.url.path)
    old.wait_for_words(10)
    client.post(f"{old.path}stop/")
    page = finished(client, old.path)
    message = page.split('action="/messages/')[-1].split("/")[0]
    answer = client.post(f"/messages/{message}/regenerate/")
    assert answer.status_code == 200
    new = Tab(client.cookies, answer.text, [server], old.path)
    old_text = old.finish(20)
    new.wait_for_words(10)
    client.post(f"{old.path}stop/")
    assert new.url != old.url
    assert new.finish(20).split()[0] == "w0"
    assert old.viewer.answer() == old_text


def read_some(client: Client, url: str, viewer: Viewer, *, messages: int = 0, size: int = 0) -> None:
    """Read until the end, so many messages or so many bytes; then break the connection off."""
    headers = {"Last-Event-ID": viewer.last_event_id} if viewer.last_event_id else {}
    rest, read, before = "", 0, viewer.messages
    with client.http.stream("GET", url, headers=headers) as stream:
        for piece in stream.iter_text(64 if size else None):
            read += len(piece)
            *complete, rest = (rest + piece).split("\n\n")
            for message in complete:
                viewer.take(message)
            if viewer.closed or (messages and viewer.messages >= before + messages) or (size and read >= size):
                return


@pytest.mark.parametrize("every", [1, 2, 7])
def test_a_reader_that_reconnects_all_the_time_sees_everything_once(client, every):
    response = client.ask(question(120, 120))
    viewer = Viewer(response.text)
    for _ in range(400):
        read_some(client, stream_url(response.text), viewer, messages=every)
        if viewer.closed:
            break
    assert viewer.closed
    assert viewer.answer() == counted(120) == Viewer(client.http.get(response.url.path).text).answer()


def test_a_stream_that_breaks_off_anywhere_goes_on_from_there(client):
    source = random.Random(7)
    response = client.ask(question(300, 200))
    viewer = Viewer(response.text)
    for _ in range(BROKEN_OFF):
        read_some(client, stream_url(response.text), viewer, size=source.randint(1, 3_000))
    if not viewer.closed:
        read_some(client, stream_url(response.text), viewer)
    assert viewer.closed
    assert viewer.answer() == counted(300) == Viewer(client.http.get(response.url.path).text).answer()


def test_two_tabs_at_their_own_pace_see_the_same(server, client):
    response = client.ask(question(200, 100))
    tabs = [Tab(client.cookies, response.text, [server], response.url.path) for _ in range(2)]
    viewer = Viewer(response.text)
    while not viewer.closed:
        read_some(client, stream_url(response.text), viewer, messages=3)
    assert {tab.finish() for tab in tabs} == {viewer.answer()} == {counted(200)}


def test_stop_works_and_keeps_what_was_seen(server, client):
    response = client.ask(question(4000, 60))
    tab = Tab(client.cookies, response.text, [server], response.url.path)
    tab.wait_for_words(10)
    client.post(f"{response.url.path}stop/")
    shown = tab.finish(10)
    page = finished(client, response.url.path)
    assert Viewer(page).answer() == shown == counted(len(shown.split()))
    assert "Stopped" in page


def test_the_same_request_twice_makes_one_answer(client):
    fields = {"text": question(5, 100), "request_key": str(uuid.uuid4())}
    pages = [client.post("/c/", **fields) for _ in range(3)]
    assert len({page.url.path for page in pages}) == 1
    page = finished(client, pages[0].url.path)
    assert page.count('class="message assistant"') == 1


@pytest.mark.parametrize("how", ["kill", "terminate"] if CHOSEN == ALL else ["kill"])
def test_a_web_process_that_ends_loses_nothing_that_was_seen(server, client, combination, how):
    response = client.ask(question(200, 40))
    tab = Tab(client.cookies, response.text, [server], response.url.path)
    tab.wait_for_words(20)
    took = getattr(server, how)()
    assert how == "kill" or took < 5
    server.start()
    shown = tab.finish(60)  # complains about every word that was lost, doubled or changed
    page = finished(client, response.url.path)
    assert Viewer(page).answer() == shown
    # A worker does not care; what ran in the process itself cannot be continued with this model.
    assert shown == counted(200) if combination.backend == "celery" else "/continue/" in page


def test_a_client_that_goes_takes_nothing_along(server, client):
    log = server.log.stat().st_size
    response = client.ask(question(60, 60))
    for _ in range(5):
        read_some(client, stream_url(response.text), Viewer(response.text), messages=1)
    assert Viewer(finished(client, response.url.path)).answer() == counted(60)
    assert "Traceback" not in server.log.read_text()[log:]
