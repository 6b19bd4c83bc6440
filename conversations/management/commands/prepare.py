"""`manage.py prepare`: everything that must be done before a process serves; `serve` does it by itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, connection

from chatapp.accounts.owner import local_owner, sign_in_path
from conversations.asking import catalogue

LOCK = 7_305_119  # any number: that of this very lock among the advisory locks of the database


class Command(BaseCommand):
    """Migrates, seeds the models and makes the owner; safe to run by many processes at once."""

    help = "Migrate the database, seed the models and print a path that signs the owner in once."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's interface
        """Prepare; one process after the other."""
        _check_file()
        try:
            with _one_at_a_time():
                self._prepare()
        except (OperationalError, InterfaceError) as error:
            raise CommandError(f"The database cannot be used: {error}") from error

    def _prepare(self) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        for line in catalogue.seed():
            self.stdout.write(f"Models: {line}")
        self.stdout.write(f"Owner: {sign_in_path(local_owner())}")


def _check_file() -> None:
    """Say in one line that the file of the database is read-only.

    SQLite would open it, and leave files beside it that are read-only as well when it is not any more.
    """
    if connection.vendor != "sqlite":
        return
    path = Path(str(connection.settings_dict["NAME"]))
    files = [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]
    for needed in (path.parent, *filter(Path.exists, files)):
        if not os.access(needed, os.W_OK):
            raise CommandError(f"{needed} cannot be written. Let the user who runs Stillwater write there.")


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """PostgreSQL lets two processes migrate at once, and one of them fail; SQLite makes the second wait."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
