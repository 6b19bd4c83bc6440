"""What was delivered of an answer, to whom, until when, and how that ended."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from conversations.journal import StoredDelta
from conversations.live import deliveries
from conversations.live.sse import Position
from conversations.live.state import RenderedState
from conversations.models import Delivery
from tests.factories import make_conversation, make_turn
from tests.server import Client, Server, finished, stream_url
from tests.test_document import TEXT

STREAM_SECONDS = 2
LIST = (
    "import json; from conversations.models import Delivery; print(json.dumps([[str(r.generation_id), r.from_character,"
    " r.to_character, r.end, r.connections] for r in Delivery.objects.order_by('pk')]))"
)
LENGTHS = (
    "import json; from conversations.models import Generation; print(json.dumps({str(r.pk): sum(len(p['text']) for p in"
    " r.output) for r in Generation.objects.all()}))"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), STREAM_SECONDS=str(STREAM_SECONDS)) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


def rows(server: Server, url: str = "") -> list[list]:
    """Generation, from, to, how it ended, connections; those of the generation of a stream, if one is named."""
    found = json.loads(server.manage("shell", "--no-imports", "-c", LIST))
    return [row for row in found if row[0] in url] if url else found


def length(server: Server, url: str) -> int:
    lengths = json.loads(server.manage("shell", "--no-imports", "-c", LENGTHS))
    return next(length for pk, length in lengths.items() if pk in url)


def test_a_viewer_who_stays_is_sent_all(server, client):
    url = stream_url(client.ask("Hello [[speed=0]] [[length=300]]").text)
    client.http.get(url)
    [[_, start, to, end, connections]] = rows(server, url)
    assert (to, end, connections) == (length(server, url), "finished", 1)
    assert start < to  # the page that was sent first may have had the first words


def test_a_viewer_who_leaves_was_sent_a_part(server, client):
    response = client.ask("Hello [[speed=50]] [[length=1500]]")
    url = stream_url(response.text)
    with client.http.stream("GET", url) as stream:
        for piece in stream.iter_text():
            if "data:" in piece:
                break
    time.sleep(0.5)
    [[_, start, to, end, connections]] = rows(server, url)
    assert (end, connections) == ("left", 1)
    finished(client, response.url.path, 60)
    assert start < to < length(server, url)


def test_connections_that_follow_one_another_are_one_row(server, client):
    url = stream_url(client.ask("Hello [[speed=60]] [[length=1500]]").text)
    last, connections = "", 0
    while connections < 30:
        connections += 1
        with client.http.stream("GET", url, headers={"Last-Event-ID": last} if last else {}) as stream:
            text = "".join(stream.iter_text())
        last = text.rsplit("\nid: ", 1)[-1].split("\n", 1)[0] if "\nid: " in text else last
        if "event: done" in text:
            break
    assert connections > 1
    [[_, start, *rest]] = rows(server, url)
    assert rest == [length(server, url), "finished", connections]
    assert start < rest[0]


def test_a_server_that_ends_in_good_order_notes_what_it_has_sent(tmp_path):
    server = Server(tmp_path)
    server.prepare()
    server.start()
    client = Client(server)
    with client.http.stream("GET", stream_url(client.ask("Hello [[speed=30]] [[length=1500]]").text)) as stream:
        pieces, said = stream.iter_text(), ""
        while said.count("data:") < 5:  # the first ones may hold no character yet
            said += next(pieces)
        server.terminate()
    [[_, start, to, end, _]] = rows(server)
    assert end == "shutdown"
    assert start < to
    server.close()


@pytest.fixture
def generation(user):
    return make_turn(make_conversation(user), answer="x" * 100)


def delivery(generation, user, start: int, to: int, end: str, *, after: float = 0) -> Delivery:
    began = timezone.now() + timedelta(seconds=after)
    return Delivery(
        generation_id=generation.pk,
        viewer_id=user.pk,
        from_character=start,
        to_character=to,
        started_at=began,
        ended_at=began + timedelta(seconds=1),
        end=end,
    )


def stored() -> list[tuple]:
    return list(Delivery.objects.values_list("from_character", "to_character", "end", "connections"))


def test_only_rotations_of_the_same_viewer_are_joined(generation, user, stranger):
    deliveries.store([delivery(generation, user, 0, 10, "rotated")])
    deliveries.store(
        [delivery(generation, stranger, 0, 5, "left", after=2), delivery(generation, user, 8, 20, "left", after=2)]
    )
    deliveries.store([delivery(generation, user, 20, 30, "finished", after=5)])
    assert stored() == [(0, 20, "left", 2), (0, 5, "left", 1), (20, 30, "finished", 1)]


def test_rotations_that_are_written_together_are_joined_too(generation, user):
    pieces = [delivery(generation, user, 0, 10, "rotated"), delivery(generation, user, 10, 20, "left", after=2)]
    deliveries.store(pieces)
    assert stored() == [(0, 20, "left", 2)]


def test_a_viewer_who_comes_and_goes_all_the_time_does_not_fill_the_table(generation, user):
    for number in range(3 * deliveries.MOST_ROWS):
        deliveries.store([delivery(generation, user, number, number + 1, "left", after=2 * number)])
    assert Delivery.objects.count() == deliveries.MOST_ROWS
    assert sum(connections for *_, connections in stored()) == 3 * deliveries.MOST_ROWS
    assert max(to for _, to, *_ in stored()) == 3 * deliveries.MOST_ROWS


def test_what_was_deleted_meanwhile_is_left_out(generation, user):
    gone = delivery(generation, user, 0, 1, "left")
    gone.generation_id = uuid.uuid4()
    deliveries.store([gone, delivery(generation, user, 0, 2, "left")])
    assert stored() == [(0, 2, "left", 1)]


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_a_position_says_how_many_characters_its_viewer_has(size):
    """Never more than the viewer has, and all of them at the end."""
    state = RenderedState(uuid.uuid4(), [])
    for seq, start in enumerate(range(0, len(TEXT), size)):
        state.feed(StoredDelta(seq, "text", TEXT[start : start + size], seq))
        final = state.characters - state.renderer.held
        assert state.characters_at(state.position) <= final
        assert state.characters_at(state.position) > 0 or not state.position.operations
        assert state.characters_at(Position(state.position.operations, 1 + state.renderer.held)) <= state.characters
    assert state.characters_at(None) == state.characters_at(Position(0)) == 0
