"""An import from beginning to end, in pieces that are committed one by one: whoever goes on finds what is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from django.utils.translation import gettext

from conversations.models import Job, JobResult
from conversations.transfer.sources import Enclosures, NothingThere, pieces
from conversations.transfer.storing import Importer

MOST_CONVERSATIONS = 50_000

Progress = Callable[[int, int | None], None]  # pieces that are done, and of how many; None: not known yet


def import_file(job: Job, progress: Progress) -> None:
    """Import what is in the job's file. Raises `NothingThere`, also when nothing of it could be imported."""
    with _opened(job) as file, _opened(job) as beside:  # one is read from beginning to end, the other anywhere
        done = set(job.results.values_list("number", flat=True))
        total = _count(file, lambda: progress(len(done), None))
        progress(len(done), total)
        importer = Importer(job, Enclosures(beside))
        importer.index_last()
        for number, piece in enumerate(pieces(file, lambda: progress(len(done), total)), start=1):
            if number not in done:
                importer.import_piece(number, piece)
                done.add(number)
                progress(len(done), total)
    counts = Counter(job.results.values_list("status", flat=True))
    if not counts[JobResult.Status.IMPORTED] + counts[JobResult.Status.KNOWN]:
        raise NothingThere(gettext("Nothing in this file could be imported. Each conversation has its reason below."))


def _count(file: IO[bytes], reading: Callable[[], None]) -> int:
    """Read the file once, to the end: what is broken is said before anything is imported."""
    total = 0
    for _piece in pieces(file, reading):
        total += 1
        if total > MOST_CONVERSATIONS:
            limit = f"{MOST_CONVERSATIONS:,}"
            raise NothingThere(gettext("There are more than %(limit)s conversations in this file.") % {"limit": limit})
    if not total:
        raise NothingThere(
            gettext("There is no conversation in this file: expected is an export of Stillwater or ChatGPT.")
        )
    return total


@contextmanager
def _opened(job: Job) -> Iterator[IO[bytes]]:
    """The job's file, to be read anywhere in it. Raises `NothingThere` when it is gone."""
    gone = gettext("The file that was sent is no longer there. Send it again.")
    if not job.file.name:
        raise NothingThere(gone)
    try:
        file = job.file.storage.open(job.file.name, "rb")
    except FileNotFoundError:
        raise NothingThere(gone) from None
    with file:
        yield file
