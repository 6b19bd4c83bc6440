"""Gives Prometheus what `conversations.metrics` has counted, and what is known only at the moment of asking.

Each process tells of itself: a web process at `/metrics`, a worker at a port of its own (`METRICS_PORT`). What the
database knows, such as the length of the queue, is the same wherever one asks; web processes tell it.

Only those are answered who have the token, or, without one, who come from `METRICS_NETWORKS` and by no proxy: behind a
proxy everybody has its address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import Error, connection
from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from conversations import runner
from conversations.live import streams
from conversations.live.bus import bus
from conversations.measuring import lag
from conversations.metrics import registry
from conversations.models import Breaker, Generation
from conversations.threads import DatabaseThreads

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0  # with the database: what it cannot tell in time is left out, the rest is told
MOST_SERVICES = 50
REFUSED = b"Metrics are for those who have the token, or who ask from an allowed network and by no proxy.\n"
PROXIED = ("x-forwarded-for", "forwarded", "via", "x-real-ip")

_threads = DatabaseThreads("scraping")


@dataclass(frozen=True, slots=True)
class Shared:
    """What all processes have in common: the queue in seconds and numbers, and which services are left alone."""

    queued: int
    running: int
    oldest_seconds: float
    breakers: Mapping[str, bool]


def shared() -> Shared:
    """Read what the database knows. Blocks on it."""
    queued = Q(status=Generation.Status.QUEUED)
    counts = Generation.objects.active().aggregate(
        all=Count("pk"), queued=Count("pk", filter=queued), oldest=Min("created_at", filter=queued)
    )
    waited = (timezone.now() - counts["oldest"]).total_seconds() if counts["oldest"] else 0.0
    modes = {Breaker.Mode.OPEN: True, Breaker.Mode.CLOSED: False}
    rows = Breaker.objects.order_by("base_url")[:MOST_SERVICES]
    breakers = {_service(row.base_url): modes.get(Breaker.Mode(row.mode), row.is_open) for row in rows}
    return Shared(counts["queued"], counts["all"] - counts["queued"], max(0.0, waited), breakers)


def _service(base_url: str) -> str:
    """Return what names a service: never a user and password, which an address from the environment may hold."""
    try:
        return urlsplit(base_url).netloc.rpartition("@")[2]
    except ValueError:
        return "invalid"


def now() -> Iterator[Metric]:
    """Return what this process is like at this moment; nothing here blocks."""
    yield _gauge("stillwater_event_loop_lag_seconds", "How late the event loop is", lag.seconds())
    yield _gauge("stillwater_generations_here", "Generations that this process writes", runner.running())
    yield _gauge("stillwater_viewers", "Event streams open in this process", streams.watching())
    yield _gauge("stillwater_bus_connected", "Whether hints go to and come from other processes", bus.connected)
    yield _gauge("stillwater_bus_unsent", "Hints that wait to be sent", bus.unsent)
    if connection.vendor == "postgresql" and (pool := connection.pool):  # type: ignore[attr-defined] # PostgreSQL's
        stats = pool.get_stats()
        for name, key in (("size", "pool_size"), ("idle", "pool_available"), ("waiting", "requests_waiting")):
            help_text = f"The pool of database connections: {name}"
            yield _gauge(f"stillwater_database_pool_{name}", help_text, stats.get(key, 0))


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=float(value))


def told(facts: Shared | None) -> list[Metric]:
    """Return the facts of the database as metrics; of one that did not answer only that."""
    found = [_gauge("stillwater_database_up", "Whether the database answered in time", facts is not None)]
    if facts is not None:
        found += [
            _gauge("stillwater_generations_queued", "Generations that nobody has begun, anywhere", facts.queued),
            _gauge("stillwater_generations_running", "Generations being written, anywhere", facts.running),
            _gauge("stillwater_queue_oldest_seconds", "How long the oldest of the queue waits", facts.oldest_seconds),
        ]
        breakers = GaugeMetricFamily(
            "stillwater_breaker_open", "Whether a service is left alone", labels=["server_address"]
        )
        for address, is_open in facts.breakers.items():
            breakers.add_metric([address], float(is_open))
        found.append(breakers)
    return found


class _Everything:
    """A registry for one answer: what the process has, and what was found out for this answer."""

    def __init__(self, extra: Iterable[Metric]) -> None:
        self._extra = extra

    def collect(self) -> Iterator[Metric]:
        yield from registry.collect()
        yield from now()
        yield from self._extra


def exposition(accept: str, extra: Iterable[Metric] = ()) -> tuple[bytes, str]:
    """Return all metrics and their content type, in the format that the asking side prefers."""
    encode, content_type = choose_encoder(accept)
    return encode(_Everything(extra)), content_type


def is_allowed(peer: str, headers: Mapping[str, str]) -> bool:
    """Whether somebody may read the metrics; names of headers are in small letters."""
    if settings.METRICS_TOKEN:
        expected = f"Bearer {settings.METRICS_TOKEN}".encode()
        return secrets.compare_digest(headers.get("authorization", "").encode(), expected)
    if any(name in headers for name in PROXIED):
        return False
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in ipaddress.ip_network(network, strict=False) for network in settings.METRICS_NETWORKS)


async def metrics_page(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Serve `/metrics`."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if not settings.METRICS:
        status, body, content_type = 404, b"METRICS is off.\n", "text/plain"
    elif not is_allowed((scope.get("client") or [""])[0], headers):
        status, body, content_type = 403, REFUSED, "text/plain"
    else:
        extra = told(await _ask_database())
        status, (body, content_type) = 200, await asyncio.to_thread(exposition, headers.get("accept", ""), extra)
    answer = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": answer})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _ask_database() -> Shared | None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _threads.call(shared)
    except (Error, TimeoutError) as error:
        logger.warning("The database did not tell of the queue: %s", type(error).__name__)
        return None


class _Handler(BaseHTTPRequestHandler):
    """Answers `GET /metrics` of a worker."""

    timeout = 5  # seconds for a request to be complete
    server_version, sys_version = "Stillwater", ""

    def do_GET(self) -> None:
        """Answer, or refuse."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
        elif not is_allowed(str(self.client_address[0]), headers):
            self.send_error(403)
        else:
            body, content_type = exposition(headers.get("accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: an answered scrape is no news."""


def serve() -> ThreadingHTTPServer | None:
    """Serve the metrics of a worker at `METRICS_PORT`, in a thread; None without one, or when it is taken."""
    if not settings.METRICS or not settings.METRICS_PORT:
        return None
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    server_class = type("MetricsServer", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
    try:
        server: ThreadingHTTPServer = server_class((settings.HOST, settings.METRICS_PORT), _Handler)
    except OSError as error:  # a worker without metrics is worth more than none
        logger.error("Metrics of this worker cannot be served at port %d: %s", settings.METRICS_PORT, error)  # noqa: TRY400
        return None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
