"""The Celery application: `celery -A chatapp worker` runs generations, `celery -A chatapp beat` is the timer.

A worker process has one event loop for all its generations (see `conversations.process.worker`); Celery's threads only
hand them over.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")

from celery import Celery, signals
from django.conf import settings

from chatapp import startup

DRAIN_SECONDS = 4.0

app = Celery("stillwater")
app.conf.update(
    broker_url=settings.BROKER_URL or "memory://",
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "socket_connect_timeout": 1,  # seconds; what cannot be sent soon is found in the database
        "socket_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "global_keyprefix": "stillwater:",
    },
    broker_heartbeat=0,
    task_default_queue="stillwater",
    task_ignore_result=True,
    task_acks_late=False,  # redelivery is no recovery: leases are
    worker_prefetch_multiplier=1,
    worker_concurrency=8,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_enable_remote_control=False,
    worker_pool="threads",
    beat_schedule={"sweep": {"task": "conversations.tasks.sweep", "schedule": 10.0}},
    beat_schedule_filename=str(settings.DATA_DIR / "celerybeat-schedule"),
    timezone=settings.TIME_ZONE,
)
app.autodiscover_tasks(["conversations"])


@signals.worker_init.connect
def _start(**_kwargs: Any) -> None:
    from conversations import turns  # noqa: PLC0415 - the applications are loaded by now
    from conversations.asking import titles  # noqa: PLC0415 - the applications are loaded by now
    from conversations.process import worker  # noqa: PLC0415 - the applications are loaded by now
    from conversations.serving import scraping  # noqa: PLC0415 - the applications are loaded by now

    startup.refuse_what_cannot_work()
    worker.start(turns.send_after, titles.suggest)
    scraping.serve()


@signals.beat_init.connect
def _check_timer(**_kwargs: Any) -> None:
    startup.refuse_what_cannot_work()


@signals.worker_shutting_down.connect
def _begin_drain(**_kwargs: Any) -> None:
    from conversations.process import worker  # noqa: PLC0415 - as above

    worker.begin_drain()


@signals.worker_shutdown.connect
def _end_drain(**_kwargs: Any) -> None:
    from conversations import dispatch  # noqa: PLC0415 - as above
    from conversations.process import worker  # noqa: PLC0415 - as above

    worker.end_drain(DRAIN_SECONDS)
    dispatch.forget_unsent()
