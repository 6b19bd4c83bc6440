"""A second way into the test's database, past Django: to see what is committed, and to be in the way."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
from django.db import connection


def other_connection() -> Any:
    """A connection of its own to the database of the tests, in autocommit."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return sqlite3.connect(settings["NAME"], isolation_level=None)
    names = {"NAME": "dbname", "HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}
    return psycopg.connect(**{word: settings[name] for name, word in names.items() if settings[name]}, autocommit=True)


@contextlib.contextmanager
def locked_generations() -> Iterator[None]:
    """Nobody can write generations meanwhile."""
    with contextlib.closing(other_connection()) as locker:
        if connection.vendor == "sqlite":
            locker.execute("BEGIN EXCLUSIVE")
        else:
            locker.execute("BEGIN")
            locker.execute("LOCK TABLE conversations_generation IN ACCESS EXCLUSIVE MODE")
        yield
        locker.execute("ROLLBACK")
