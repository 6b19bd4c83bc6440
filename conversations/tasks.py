"""Celery tasks: unpack, call, nothing else. What they promise is with what they call."""

from __future__ import annotations

import uuid
from functools import partial

from celery import shared_task

from conversations import runner
from conversations.audit import chain
from conversations.generating import claims
from conversations.keeping import purge, retention
from conversations.measuring import figures, tracing
from conversations.process import duties, jobs, worker


@shared_task(ignore_result=True, acks_late=False)
def generate(generation_id: str, parent: str = "") -> None:
    """Run a generation; a second delivery of the same one does nothing. `parent`: see `tracing`."""
    tracing.carry(uuid.UUID(generation_id), parent)
    worker.run(uuid.UUID(generation_id))


@shared_task(ignore_result=True, acks_late=False)
def run_job(job_id: str) -> None:
    """Hand slow work to the threads of this process; a second delivery of the same one does nothing."""
    jobs.submit(uuid.UUID(job_id))


@shared_task(ignore_result=True, expires=10)
def sweep() -> None:
    """End what nobody has taken in time, seal what was noted, and take away what was deleted."""
    duties.each_here(
        claims.end_unclaimed,
        partial(claims.end_abandoned, runner.held()),
        chain.seal_all,
        retention.delete_now_and_then,
        purge.tidy,
        figures.roll_up_now_and_then,
    )
