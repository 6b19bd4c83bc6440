"""Fixtures for all tests. Nothing of our own is faked: databases, sockets, processes and browsers are real."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

# Before the settings are read: tests keep their data apart and ask no service that happens to run on this machine.
_directory = tempfile.mkdtemp(prefix="stillwater-tests-")
os.environ.update(
    DATA_DIR=_directory, ENV_FILE=str(Path(_directory) / "none.env"), OLLAMA_URL="", OPENAI_BASE_URL="", OPENAI_API_KEY=""
)


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
    from conversations import dispatch, runner, threads

    dispatch.attach()
    yield
    await dispatch.detach()
    runner.close_threads()
    threads.reader.close()


@pytest.fixture(autouse=True)
def _plain_static_files(settings) -> None:
    """Templates name static files without `collectstatic` having run."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
