"""Runs the duties of an upkeep one after the other, each by itself: one that fails holds up none of the others.

A failure is logged here, with its traceback. That the database is away is no fault of a duty, and one sentence about it
is enough: it is raised, when all have been tried.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator

from django.db import InterfaceError, OperationalError

logger = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError)  # what a database raises that cannot be asked, or that is too busy

Duty = Callable[[], Awaitable[object]]


class _Failures:
    def __init__(self) -> None:
        self._away: OperationalError | InterfaceError | None = None

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        try:
            yield
        except AWAY as error:
            self._away = error
        except Exception:  # whatever it is, generations must not be left without an end for it
            logger.exception("A duty of the upkeep failed, and is tried again")

    def tell(self) -> None:
        if self._away is not None:
            raise self._away


async def each(*duties: Duty) -> None:
    """Do each of these, in this order. Raises one of `AWAY` at the end when the database was away at any."""
    failures = _Failures()
    for duty in duties:
        with failures.caught():
            await duty()
    failures.tell()


def each_here(*duties: Callable[[], object]) -> None:
    """Do each of these in this thread; else as `each`."""
    failures = _Failures()
    for duty in duties:
        with failures.caught():
            duty()
    failures.tell()
