"""Fixtures for all tests. Nothing of our own is faked: databases, sockets, processes and browsers are real."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest


@pytest.fixture
def user(db: None):
    from tests.factories import make_user

    return make_user("ada")


@pytest.fixture
def stranger(db: None):
    from tests.factories import make_user

    return make_user("eve")


@pytest.fixture
async def process(transactional_db: None) -> AsyncIterator[None]:
    """This event loop serves as a Stillwater process: what is dispatched runs here."""
    from conversations import dispatch, threads

    dispatch.attach()
    yield
    await dispatch.detach()
    threads.reader.close()


@pytest.fixture(autouse=True)
def _plain_static_files(settings) -> None:
    """Templates name static files without `collectstatic` having run."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps its event loop running, and no other can run beside it."""
    items.sort(key=lambda item: "tests/browser/" in item.nodeid)
