"""Streams end when the session ends by which they are watched; a user watches so many and no more."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.server import CSRF, Client, Server, stream_url

GONE = "This answer cannot be shown here any more."
MANY = "You have many answers open at once."
PASSWORD = "correct horse 1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    with Server(directory, LIMIT_STREAMS="3", LIMIT_GENERATIONS="0", POLL_SECONDS="0.5", STALL_SECONDS="0.2") as server:
        yield server


class Person(Client):
    """Somebody who has signed up with a password."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.http = httpx2.Client(base_url=server.url, follow_redirects=True, timeout=20)
        self.token = CSRF.search(self.http.get("/accounts/signup/").text)[1]
        fields = {"username": name, "password1": PASSWORD, "password2": PASSWORD}
        self.token = CSRF.search(self.post("/accounts/signup/", **fields).text)[1]

    def watch(self) -> Watched:
        return Watched(self, stream_url(self.ask("Go on [[speed=20]] [[length=2000]]").text))


class Watched:
    """A stream that is read in a thread; `text` is what has come, `ended_at` when it ended."""

    def __init__(self, person: Person, url: str) -> None:
        self.text = ""
        self.ended_at: float | None = None
        self._began = threading.Event()
        self._ended = threading.Event()
        self._cookies = dict(person.http.cookies)
        self._url = person.server.url + url
        threading.Thread(target=self._read_to_the_end, daemon=True).start()
        assert self._began.wait(10)

    def _read_to_the_end(self) -> None:
        with contextlib.suppress(httpx2.TransportError):  # the server of the test has ended
            self._read()

    def _read(self) -> None:
        with httpx2.Client(timeout=60, cookies=self._cookies) as client, client.stream("GET", self._url) as response:
            for piece in response.iter_text():
                self.text += piece
                if "data:" in self.text:
                    self._began.set()
        self.ended_at = time.monotonic()
        self._ended.set()

    def goes_on(self, seconds: float = 20) -> bool:
        """Whether more comes."""
        length, until = len(self.text), time.monotonic() + seconds
        while len(self.text) == length and time.monotonic() < until:
            time.sleep(0.05)
        return len(self.text) > length and self.ended_at is None

    def wait(self, seconds: float = 20) -> float:
        assert self._ended.wait(seconds), "the stream goes on"
        return self.ended_at


@pytest.fixture(scope="module")
def python(server: Server) -> Callable[[str], None]:
    """Something done by another process, which tells nobody."""

    def run(code: str) -> None:
        server.manage("shell", "-c", f"from django.contrib.auth import get_user_model as users\n{code}")

    return run


@pytest.fixture
def join(server: Server) -> Iterator[Callable[[str], Person]]:
    """Make somebody who has signed in."""
    people: list[Person] = []

    def new(name: str) -> Person:
        people.append(Person(server, name))
        return people[-1]

    yield new
    for person in people:
        person.close()


def sign_out(person: Person) -> None:
    person.post("/accounts/logout/")


def change_password(person: Person) -> None:
    fields = {"oldpassword": PASSWORD, "password1": "another horse 2", "password2": "another horse 2"}
    other = httpx2.Client(base_url=person.server.url, follow_redirects=True, timeout=20)
    token = CSRF.search(other.get("/accounts/login/").text)[1]
    login = {"csrfmiddlewaretoken": token, "login": person.name, "password": PASSWORD}
    page = other.post("/accounts/login/", data=login).text
    form = {"csrfmiddlewaretoken": CSRF.search(page)[1], **fields}
    assert other.post("/accounts/password/change/", data=form).status_code == 200
    other.close()


@pytest.mark.parametrize("end", [sign_out, change_password])
def test_a_stream_ends_at_once_with_its_session(join, end):
    person = join(end.__name__)
    watched = person.watch()
    before = time.monotonic()
    end(person)
    assert watched.wait(40) - before < 40  # a busy machine hashes slowly; without the hint and the poll: five minutes
    assert GONE in watched.text
    assert watched.text.rstrip().endswith("event: done\ndata: end")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("deactivated", "users().objects.filter(username='deactivated').update(is_active=False)"),
        ("new-hash", "u = users().objects.get(username='new-hash'); u.set_password('x'); u.save()"),
        ("flushed", "from django.contrib.sessions.models import Session\nSession.objects.all().delete()"),
        ("deleted", "users().objects.filter(username='deleted').delete()"),
    ],
)
def test_a_stream_ends_when_another_process_ends_its_session(join, python, name, code):
    watched = join(name).watch()
    python(code)
    watched.wait()
    assert GONE in watched.text


def test_the_streams_of_others_go_on(join):
    stays, leaves = join("stays"), join("leaves")
    going, ending = stays.watch(), leaves.watch()
    sign_out(leaves)
    ending.wait()
    assert going.goes_on()
    stays.post("/accounts/logout/")
    going.wait()


def test_one_stream_too_many_closes_friendly_and_others_go_on(join):
    person, other = join("many"), join("other")
    open_streams = [person.watch() for _ in range(3)]
    refused = [person.watch() for _ in range(5)]
    theirs = other.watch()
    for watched in refused:
        watched.wait()
        assert MANY in watched.text
        assert "retry: 10000" in watched.text
        assert "event: done" not in watched.text  # the client comes back by itself
    assert all(watched.goes_on() for watched in (*open_streams, theirs))
    sign_out(person)
    sign_out(other)


def test_a_place_that_becomes_free_is_given_and_the_notice_goes(server, join):
    person = join("patient")
    urls = [stream_url(person.ask("Go on [[speed=20]] [[length=2000]]").text) for _ in range(4)]
    with httpx2.Client(base_url=server.url, timeout=20, cookies=dict(person.http.cookies)) as tab:
        places = [tab.stream("GET", url) for url in urls[:3]]
        texts = [place.__enter__().iter_text() for place in places]  # kept: a reader that is dropped closes its stream
        assert all("data:" in next(part for part in text if "data:" in part) for text in texts)
        refused = Watched(person, urls[3])
        refused.wait()
        assert MANY in refused.text
        for place in places:
            place.__exit__(None, None, None)
    until = time.monotonic() + 10
    while MANY in (watched := Watched(person, urls[3])).text:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert 'innerHTML"></hx-partial>' in watched.text
    sign_out(person)
    watched.wait()


OPENED = """
from django.contrib.auth.models import Group
from conversations.review import openings
from conversations.models import Conversation
row = Conversation.objects.get(owner__username="owen")
for name in ("rita", "rolf"):
    user = users().objects.get(username=name)
    user.is_staff = True
    user.save()
    user.groups.set([Group.objects.get(name="reviewer")])
    openings.open_transcripts(users().objects.get(username=name), [row.pk], reason="A complaint")
"""
CLOSED = """
from django.utils import timezone
from conversations.models import Opening
Opening.objects.filter(reader__username="rita").update(expires_at=timezone.now())
users().objects.get(username="rolf").groups.clear()
"""


def test_a_reviewer_watches_no_longer_than_the_transcript_is_open(join, python):
    rita, rolf, owner = join("rita"), join("rolf"), join("owen")
    url = stream_url(owner.ask("Go on [[speed=20]] [[length=2000]]").text)
    python(OPENED)
    own, watched = Watched(owner, url), [Watched(rita, url), Watched(rolf, url)]
    assert not any(GONE in stream.text for stream in watched)
    python(CLOSED)
    closed_at = time.monotonic()
    for stream in watched:
        assert stream.wait() - closed_at < 5
        assert GONE in stream.text
    assert own.ended_at is None
