"""Every address of the site, every method, everybody who may come: what they get, and that they get nothing else.

A new route needs a row; what a missing or a wrong row should say is in the failure. A method without a row answers 405,
or sends somebody who is signed out to the sign-in; of django-allauth's pages it may also answer as one that has a row.
"""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.serving import sessions
from tests.factories import make_conversation, make_model
from tests.route_table import ADMIN, ROUTES
from tests.route_world import METHODS, NEUTRAL, PLANTED, VISITORS, address, belongings, nothing, people, routes

EDIT = "messages/<uuid:message_id>/edit/"
PUBLIC = ("s/<str:token>/", "s/<str:token>/files/<uuid:attachment_id>/")
SECRETS = ("planted-key-of-a-provider", "the secret of the client", "md5$")
TRIES = 5
PAGES = [pattern for pattern in routes() if not pattern.startswith("admin/")]
ADMIN_PAGES = [pattern for pattern in routes() if pattern.startswith("admin/")]


class World:
    """One of everything, and everybody who could ask for it."""

    def __init__(self) -> None:
        make_model()
        self.people = people()
        self.owned = belongings(self.people["owner"])
        make_conversation(self.people["foreign"])
        self.cookies = {"anonymous": ""}
        for visitor, user in self.people.items():
            client = Client()
            client.force_login(user)
            self.cookies[visitor] = client.cookies.output(header="", sep=";")

    def ask(self, visitor: str, method: str, pattern: str, things: dict[str, object]) -> Any:
        """The answer; what the request has changed is undone."""
        values = {**NEUTRAL, **things}
        if pattern == EDIT:
            values["message_id"] = things["question_id"]
        client = Client(raise_request_exception=False)
        client.cookies = SimpleCookie(self.cookies[visitor])
        with transaction.atomic():
            with CaptureQueriesContext(connection) as asked:
                response = client.generic(method, address(pattern, values))
            transaction.set_rollback(True)
        response.queries = len(asked)
        response.all = b"".join(response) if response.streaming and not response.is_async else _content(response)
        return response


def _content(response: Any) -> bytes:
    return b"" if response.streaming else response.content


@pytest.fixture
def world(db, settings, monkeypatch) -> World:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick: it is not what is tested
    settings.OPENAI_API_KEY = SECRETS[0]
    monkeypatch.setenv("OPENAI_API_KEY", SECRETS[0])
    cache.clear()
    return World()


@pytest.mark.parametrize("pattern", PAGES)
def test_a_route_answers_as_its_row_says(world, settings, pattern):
    answers = {method: [world.ask(visitor, method, pattern, world.owned) for visitor in VISITORS] for method in METHODS}
    row = {method: tuple(answer.status_code for answer in found) for method, found in answers.items()}
    wanted = ROUTES.get(pattern, {})
    lines = "\n".join(f"{pattern or '-'} {method} {' '.join(map(str, row[method]))}" for method in METHODS)
    assert wanted, f"tests/route_table.py needs those of these that are meant:\n{lines}"
    assert {method: row[method] for method in wanted} == wanted
    for method in set(METHODS) - set(wanted):
        listed = {status for statuses in wanted.values() for status in statuses}
        may = {405} | (listed | {200} if _is_lax(pattern) else set())
        assert set(row[method][1:]) <= may, (method, row)
        assert row[method][0] in may | {302}, (method, row)
    for method, found in answers.items():
        for visitor, answer in zip(VISITORS, found, strict=True):
            assert answer.status_code < 500 or answer.status_code == 501, (method, visitor)
            whole = answer.all + str(dict(answer.headers)).encode()
            assert not any(secret.encode() in whole for secret in (*SECRETS, settings.SECRET_KEY)), (method, visitor)
            if visitor != "owner" and pattern not in PUBLIC:
                assert PLANTED.encode() not in whole, (method, visitor)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert re.search("frame-ancestors 'none'|(^|; )sandbox(;|$)", answer.headers["Content-Security-Policy"])
            assert "Access-Control-Allow-Origin" not in answer.headers
            if visitor == "anonymous" and answer.status_code == 302 and not pattern.startswith(("theme", "i18n")):
                assert answer.url.startswith(("/accounts/login/", "/")), method


def _is_lax(pattern: str) -> bool:
    """Whether a page is not ours, or sends away before it looks at the method."""
    return pattern.startswith(("accounts/", "i18n/", "deployment/"))


VARYING = re.compile(
    rb'name="csrfmiddlewaretoken" value="[^"]+"|nonce="[^"]+"|nonce-[^\']+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
    rb"|m[0-9a-f]{10}|/s/[\w-]{22}/"
)


@pytest.mark.parametrize("pattern", [pattern for pattern in PAGES if "_id>" in pattern])
def test_what_belongs_to_somebody_else_is_like_what_does_not_exist(world, pattern):
    for visitor in ("foreign", "staff"):
        for method in ROUTES[pattern]:
            things = world.owned if pattern not in PUBLIC else {**world.owned, "attachment_id": nothing()["queued_id"]}
            theirs = world.ask(visitor, method, pattern, things)
            none = world.ask(visitor, method, pattern, nothing())
            assert theirs.status_code == none.status_code, (visitor, method)
            assert VARYING.sub(b"", theirs.all) == VARYING.sub(b"", none.all), (visitor, method)
            if pattern not in PUBLIC:  # nor does it take longer; only whoever asks first reads what is kept a moment
                fewest = theirs.queries, none.queries
                for _ in range(TRIES):
                    if fewest[0] == fewest[1]:
                        break
                    again = world.ask(visitor, method, pattern, things), world.ask(visitor, method, pattern, nothing())
                    fewest = min(fewest[0], again[0].queries), min(fewest[1], again[1].queries)
                assert fewest[0] == fewest[1], (visitor, method)


def test_a_stream_of_somebody_else_asks_the_same_queries_as_one_that_does_not_exist(world):
    def queries(generation_id: object) -> list[str]:
        cookies = world.cookies["foreign"].strip()
        with CaptureQueriesContext(connection) as asked:
            assert sessions.access(generation_id, cookies, "") == (None, "")
        return [re.sub("'[^']*'", "", query["sql"]) for query in asked]

    assert queries(world.owned["generation_id"]) == queries(nothing()["generation_id"])


def test_no_row_is_for_a_route_that_is_gone():
    assert set(ROUTES) - set(PAGES) == set()


def model_of(pattern: str) -> tuple[str, str]:
    """The model of a page of the admin and which page it is, or the pattern itself."""
    found = re.fullmatch(r"admin/(\w+/(?!done)\w+)/(?:<path:object_id>/)?(\w*)/?", pattern)
    if not found:
        return pattern, "GET"
    return found[1], found[2] or ("other" if "object_id" in pattern else "list")


def test_the_admin_is_for_staff_and_shows_each_model_as_its_row_says(world):
    things = {**world.owned, "object_id": world.owned["conversation_id"]}
    found: dict[str, dict[str, int]] = {}
    for pattern in ADMIN_PAGES:
        things["pk"] = 0 if "<int:pk>" in pattern else world.owned["conversation_id"]
        for visitor in ("anonymous", "owner"):
            for method in ("GET", "POST"):
                answer = world.ask(visitor, method, pattern, things)
                assert PLANTED.encode() not in answer.all
                if pattern in {"admin/login/", "admin/logout/"}:
                    continue
                assert answer.status_code in {302, 301}, (pattern, visitor, method)
                assert answer.url.startswith(("/admin/login/", "/admin/x/", "/accounts/")), (pattern, answer.url)
        if "app_label" in pattern:
            continue  # names all apps
        model, page = model_of(pattern)
        answer = world.ask("staff", "GET", pattern, things)
        found.setdefault(model, {})[page] = answer.status_code
        assert not any(secret.encode() in answer.all for secret in SECRETS[:2]), pattern
    assert found == ADMIN
