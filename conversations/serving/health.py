"""Whether this process lives, and what it would need to do all of its work: for probes and for operators.

`/healthz` answers as long as the event loop turns; a restart is right when it does not. `/readyz` tells of each part
whether it is there, and of a missing one what works without it: no restart helps then. `/drip` is for the page of
operators, which asks all of them from the browser's side. None holds a secret.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from redis import Redis
from redis.exceptions import RedisError

from conversations.models import Worker
from conversations.threads import DatabaseThreads

PATIENCE_SECONDS = 3.0
WORKER_SECONDS = 20.0  # a worker that has not reported for so long counts as gone
DRIP_PIECES = 8
DRIP_SECONDS = 0.1
CONSEQUENCES = {
    "database": "Nothing can be read or sent. Answers that are being written wait, and go on when it is back.",
    "bus": "Answers are seen up to POLL_SECONDS late, and Stop works as late.",
    "broker": "Answers begin up to some seconds late: workers find them in the database.",
    "workers": "What is sent waits, and ends with a sentence after QUEUED_SECONDS. Everything else works.",
}
REMEDIES = {
    "database": "Does the server that DATABASE_URL names run, with room on its disk and free connections?",
    "bus": "Does the Redis that BUS_URL (or REDIS_URL) names run?",
    "broker": "Does the server that BROKER_URL (or REDIS_URL) names run?",
    "workers": "Start one with `celery -A chatapp worker`, or see in its log why it cannot reach the database.",
}

Part = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Check:
    """A part that is being asked, by one or several probes."""

    asked: float
    answer: asyncio.Task[Part]


_threads = {name: DatabaseThreads(f"health-{name}") for name in CONSEQUENCES}  # a part that hangs holds up no other
_checks: dict[str, Check] = {}


async def alive(_scope: dict[str, Any], _receive: Any, send: Send) -> None:
    """Serve `/healthz`."""
    await _answer(send, 200, {"status": "alive"})


async def ready(_scope: dict[str, Any], _receive: Any, send: Send) -> None:
    """Serve `/readyz`: 200 when every part is there, else 503."""
    parts = await report()
    missing = [name for name, part in parts.items() if not part["ok"]]
    body = {
        "ready": not missing,
        "missing": {name: CONSEQUENCES[name] for name in missing},
        "mend": {name: REMEDIES[name] for name in missing},
        "parts": parts,
        "mode": settings.GENERATION_BACKEND,
    }
    await _answer(send, 503 if missing else 200, body)


async def drip(_scope: dict[str, Any], _receive: Any, send: Send) -> None:
    """Serve a short event stream whose pieces come apart, so that a browser can see whether something holds it back."""
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store, no-transform")]
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, (b"x-accel-buffering", b"no")]})
    for number in range(DRIP_PIECES):
        piece = f"data: {number}\n\n".encode()
        await send({"type": "http.response.body", "body": piece, "more_body": number < DRIP_PIECES - 1})
        await asyncio.sleep(DRIP_SECONDS)


async def report() -> dict[str, Part]:
    """Return the state of each part that these settings need, asked for side by side."""
    checks: dict[str, Callable[[], Part]] = {"database": _database}
    if settings.BUS_URL:
        checks["bus"] = lambda: _redis(settings.BUS_URL)
    if settings.GENERATION_BACKEND == "celery":
        checks |= {"broker": lambda: _redis(settings.BROKER_URL), "workers": _workers}
    parts = await asyncio.gather(*(_report(name, check) for name, check in checks.items()))
    return dict(zip(checks, parts, strict=True))


async def _report(name: str, check: Callable[[], Part]) -> Part:
    """Return what a part answers, within `PATIENCE_SECONDS` of having been asked; it is not asked again meanwhile."""
    asking = _checks.get(name)
    if asking is None or asking.answer.done() or asking.answer.get_loop() is not asyncio.get_running_loop():
        answer = asyncio.create_task(_asked(name, check), context=contextvars.Context())
        asking = _checks[name] = Check(time.monotonic(), answer)
    left = asking.asked + PATIENCE_SECONDS - time.monotonic()
    done, _ = await asyncio.wait({asking.answer}, timeout=max(0.0, left))
    part = asking.answer.result() if done else {"ok": False, "error": "still waiting"}
    return part | {"ms": round((time.monotonic() - asking.asked) * 1000)}


async def _asked(name: str, check: Callable[[], Part]) -> Part:
    try:
        return await _threads[name].call(check)
    except (DatabaseError, RedisError, OSError) as error:
        return {"ok": False, "error": type(error).__name__}


def _database() -> Part:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {"ok": True, "vendor": connection.vendor}


def _redis(url: str) -> Part:
    with Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as client:
        return {"ok": bool(client.ping())}


def _workers() -> Part:
    seen = list(Worker.seen(WORKER_SECONDS).values_list("running", "capacity"))
    running, capacity = sum(row[0] for row in seen), sum(row[1] for row in seen)
    return {"ok": bool(seen), "seen": len(seen), "running": running, "capacity": capacity}


async def _answer(send: Send, status: int, body: dict[str, Any]) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body, indent=1).encode() + b"\n", "more_body": False})
