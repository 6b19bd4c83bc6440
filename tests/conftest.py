"""Fixtures for all tests. Nothing of our own is faked: databases, sockets, processes and browsers are real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
from django.test import Client
from django.utils import translation

from tests.provider_server import ProviderServer

# A busy machine is no reason to fail.
hypothesis.settings.register_profile(
    "stillwater", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("stillwater")


@pytest.fixture
def user(db: None):
    from tests.factories import make_user

    return make_user("ada")


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """A page that a test asked for in another language leaves that language behind in this thread."""
    yield
    translation.deactivate()


@pytest.fixture
def stranger(db: None):
    from tests.factories import make_user

    return make_user("eve")


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    """A service that runs models, on a real socket; `base_url` is its address."""
    with ProviderServer() as server:
        yield server


@pytest.fixture
def ending_process() -> Iterator[None]:
    """This process is about to end: it takes every request, and leaves what is to run queued for the next process."""
    from conversations.process import engine, jobs

    async def begin_to_end() -> None:
        engine.attach(asyncio.Event().wait)  # an upkeep that never comes to its work
        await engine.detach()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin_to_end())
    yield
    loop.close()
    jobs.open_up()


@pytest.fixture
def owner_client(client: Client, user) -> Client:
    """The browser of `user`, who is signed in and has a model to ask."""
    from tests.factories import make_model

    make_model()
    client.force_login(user)
    return client


@pytest.fixture
async def process(transactional_db: None) -> AsyncIterator[None]:
    """This event loop serves as a Stillwater process: what is dispatched runs here."""
    from conversations import dispatch, threads, turns
    from conversations.process import engine, jobs

    turns.attach()
    await engine.ready()
    yield
    await dispatch.detach()
    jobs.open_up()  # for tests that call what works on them
    await threads.reader.close()


@pytest.fixture(scope="session", autouse=True)
def _no_connection_is_left(request: pytest.FixtureRequest, django_db_blocker) -> Iterator[None]:
    """PostgreSQL drops no database that somebody is connected to, and threads of asgiref keep their connections."""
    from django.db import connection

    if connection.vendor == "postgresql":
        request.getfixturevalue("django_db_setup")  # so that this ends before it
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"
            cursor.execute(query, [connection.settings_dict["NAME"], connection.connection.info.backend_pid])


# What Django derives from the models stays when a test empties all tables: to make it again costs more than most tests.
DERIVED = ("auth_permission", "django_content_type")


@pytest.fixture(scope="session", autouse=True)
def _flush_is_quick_and_may_empty_the_trail() -> Iterator[None]:
    """Tests with transactions of their own empty all tables, also the one that the database guards."""
    from django.core.management.commands import flush
    from django.db import connection

    from conversations.audit import guards

    operations = type(connection.ops)
    list_statements, execute = operations.sql_flush, operations.execute_sql_flush

    def statements(self, style, tables, **options) -> list[str]:
        return list_statements(self, style, [table for table in tables if table not in DERIVED], **options)

    def unguarded(self, statements: list[str]) -> None:
        guards.remove(self.connection)
        execute(self, statements)
        guards.install(self.connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "sql_flush", statements)
        patch.setattr(operations, "execute_sql_flush", unguarded)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_arguments, **_options: None)
        yield


@pytest.fixture(autouse=True)
def _plain_static_files(settings) -> None:
    """Templates name static files without `collectstatic` having run."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


# Real browsers, processes and sockets have deadlines, which a machine that does other work can miss. Such a test is
# tried three times more; the summary names each that needed it. What only computes either holds or does not.
TRIED_ONCE = ("tests/rendering/", "tests/test_templates", "tests/test_languages", "tests/cluster/test_postgresql")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps its event loop running, and no other can run beside it."""
    items.sort(key=lambda item: "tests/browser/" in item.nodeid)
    for item in items:
        if not item.nodeid.startswith(TRIED_ONCE):
            item.add_marker(pytest.mark.flaky(reruns=3))
