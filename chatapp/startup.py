"""The end of a start that cannot go well, the same in every kind of process: web server, worker, timer."""

from __future__ import annotations

from functools import cache
from io import StringIO

from django.core.management import call_command
from django.core.management.base import SystemCheckError


@cache  # `manage.py serve` comes by here before it prepares the database, and again as it loads the application
def refuse_what_cannot_work() -> None:
    """Run Django's system checks and ours, once in a process. Raises `SystemExit` with what is to be mended."""
    try:
        call_command("check", stdout=StringIO())
    except SystemCheckError as error:
        raise SystemExit(str(error)) from error  # an exception would only be logged by some
