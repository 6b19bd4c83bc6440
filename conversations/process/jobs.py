"""Slow work for users: imports, exports, the erasure of an account. A row in the database, worked on in threads.

Whoever claims a job holds a lease and renews it while it reads, and with each piece that is done and committed. When
its process dies, or is about to end, the upkeep of some process takes the job up and goes on behind the last piece (an
export begins anew). Work that kills its process again and again is given up.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.models.functions import Now
from django.utils import timezone, translation
from django.utils.translation import gettext

from conversations.files.storage import written
from conversations.keeping.erasing import Held, erase_account
from conversations.models import Job
from conversations.transfer.archives import write_all
from conversations.transfer.importing import Progress, import_file
from conversations.transfer.personal import write_everything
from conversations.transfer.sources import NothingThere

logger = logging.getLogger(__name__)

MOST_CLAIMS = 3  # without a piece that nobody had done before; of an export in all
HELD_SECONDS = 600.0  # until an erasure that a legal hold keeps up is tried again
KEPT_FILES = timedelta(days=1)
KEPT_JOBS = timedelta(days=30)
EXPIRY_SECONDS = 600.0  # how often a process looks for what is too old
NOTE_SECONDS = 0.5  # progress is written this often at most

_threads = ThreadPoolExecutor(2, thread_name_prefix="jobs")
_mine: set[uuid.UUID] = set()  # what these threads have or are about to have
_stopping = threading.Event()
_expired_at = -EXPIRY_SECONDS


class Stopping(Exception):
    """This process is about to end: somebody else goes on."""


def open_up() -> None:
    """Take jobs, from now on."""
    _stopping.clear()


def drain() -> None:
    """Take no more jobs; those at work are given back after the piece that they are at."""
    _stopping.set()


def submit(job_id: uuid.UUID) -> None:
    """Work on a job in a thread of this process, soon."""
    if job_id in _mine or _stopping.is_set():
        return
    _mine.add(job_id)
    _threads.submit(_run_in_thread, job_id)


def claimable() -> list[uuid.UUID]:
    """Return jobs that nobody works on, and now and then remove what is too old. Blocks; for the upkeep."""
    global _expired_at  # noqa: PLW0603 - one look a process
    if time.monotonic() - _expired_at > EXPIRY_SECONDS:
        _expired_at = time.monotonic()
        expire()
    return list(Job.objects.claimable().order_by("pk").values_list("pk", flat=True)[:2])


def release_all() -> None:
    """Take up at once what an earlier process of this machine has left; for the only process there is."""
    Job.objects.filter(status=Job.Status.RUNNING).update(lease_expires_at=Now())


def run(job_id: uuid.UUID) -> None:
    """Work on a job to its end, in this thread; does nothing when somebody else has it."""
    job = Job.claim(job_id, settings.JOB_LEASE_SECONDS)
    if job is None:
        return
    with translation.override(str(job.parameters.get("language") or "en")):
        try:
            _perform(job)
        except Stopping:
            Job.objects.filter(pk=job_id, status=Job.Status.RUNNING).update(claims=0, lease_expires_at=Now())
        except NothingThere as problem:
            _finish(job, Job.Status.FAILED, str(problem))


def expire() -> None:
    """Remove results and uploads after a day, and the memory of jobs after a month."""
    now = timezone.now()
    ended = Job.objects.exclude(status__in=Job.UNFINISHED)
    for job in ended.filter(ended_at__lt=now - KEPT_FILES).exclude(file="").only("file"):
        job.file.delete(save=False)
        Job.objects.filter(pk=job.pk).update(file="")
    ended.filter(ended_at__lt=now - KEPT_JOBS).delete()


def _run_in_thread(job_id: uuid.UUID) -> None:
    try:
        run(job_id)
    except DatabaseError as error:
        logger.warning("Job %s waits for the database: %s", job_id, error)
    except Exception:
        logger.exception("Job %s broke off; it is tried again when its lease has run out", job_id)
    finally:
        _mine.discard(job_id)
        connections.close_all()


def _perform(job: Job) -> None:
    note = _Progress(job)
    if job.kind == Job.Kind.ERASURE:
        try:
            erase_account(job, note)
        except Held:
            logger.info("The account of job %s cannot be erased yet: a legal hold keeps something of it", job.pk)
            Job.objects.filter(pk=job.pk).update(claims=0, lease_expires_at=Now() + timedelta(seconds=HELD_SECONDS))
        return
    if job.claims > MOST_CLAIMS:
        raise NothingThere(gettext("This was tried several times and broke off each time. Try a smaller file."))
    if job.kind == Job.Kind.IMPORT:
        import_file(job, note)
        _finish(job, Job.Status.COMPLETED)
    else:
        _export(job, write_everything if job.parameters.get("everything") else write_all, note)


def _export(job: Job, write: Callable[..., None], note: Progress) -> None:
    """Write straight into the storage: what was written is deleted on failure, or a day later when the process died."""
    name = job.file.storage.get_available_name(job.file.field.generate_filename(job, "export"))
    with written(name) as file:
        write(job, file, note)
    ended = {"status": Job.Status.COMPLETED, "ended_at": timezone.now(), "lease_expires_at": None}
    parameters = job.parameters | {"bytes": job.file.storage.size(name)}
    running = Job.objects.filter(pk=job.pk, status=Job.Status.RUNNING)
    if not running.update(file=name, parameters=parameters, **ended):  # deleted, or done by somebody else
        job.file.storage.delete(name)


def _finish(job: Job, status: str, sentence: str = "") -> None:
    """End a job; what was sent for it is of no use any more."""
    if job.kind == Job.Kind.IMPORT and job.file:
        job.file.delete(save=False)
    Job.objects.filter(pk=job.pk, status=Job.Status.RUNNING).update(
        status=status, error_message=sentence[:500], file="", ended_at=timezone.now(), lease_expires_at=None
    )


class _Progress:
    """Notes how far a job is, renews its lease, and stops it when this process is about to end. Raises `Stopping`.

    A job that comes further than anybody before has not been claimed in vain. Of an export nothing is kept when its
    process dies: that it came so far says nothing.
    """

    def __init__(self, job: Job) -> None:
        self._rows = Job.objects.filter(pk=job.pk)
        self._noted = 0.0
        self._before = job.done if job.kind == Job.Kind.IMPORT else None

    def __call__(self, done: int, total: int | None) -> None:
        if _stopping.is_set():
            raise Stopping
        if done != total and time.monotonic() - self._noted < NOTE_SECONDS:
            return
        self._noted = time.monotonic()
        lease = Now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)
        claims = {"claims": 0} if self._before is not None and done > self._before else {}
        if not self._rows.update(done=done, total=total, lease_expires_at=lease, **claims):
            raise Stopping  # the account was deleted meanwhile
