"""Traces for OpenTelemetry: one of a request, one of the generation that it asked for, one of the call to the provider.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector and the extra `[otel]` is installed; then `span` costs a
comparison. Spans carry ids, models and counts, never what anybody wrote. The trace of a request goes on in the process
that writes the answer: `carried` gives its name to whoever starts it, `span` takes it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse

Handler = Callable[[HttpRequest], HttpResponse]

logger = logging.getLogger(__name__)

MOST_CARRIED = 10_000  # parents of generations that this process has asked for and not begun yet

_parents: OrderedDict[uuid.UUID, str] = OrderedDict()


@cache
def _tracer() -> Any:
    """Return the tracer of this process; None when there is none."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
    except ImportError:
        logger.warning("Traces are asked for, and cannot be made: install Stillwater with the extra [otel]")
        return None
    provider = TracerProvider(resource=Resource.create({"service.name": "stillwater"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("stillwater")


@contextlib.contextmanager
def span(name: str, *, parent: str = "", **attributes: str | float | None) -> Iterator[Any]:
    """Be in a span within the block; yields it, or None when there are no traces. `parent` is what `carried` gave.

    A name of an attribute has `__` for each dot.
    """
    tracer = _tracer()
    if tracer is None:
        yield None
        return
    from opentelemetry.propagate import extract  # noqa: PLC0415 - there is one only with the extra

    context = extract({"traceparent": parent}) if parent else None
    with tracer.start_as_current_span(name, context=context) as current:
        note(current, **attributes)
        yield current


def note(current: Any, **attributes: str | float | None) -> None:
    """Give a span attributes; those without a value are left out. Harmless without a span."""
    if current is not None:
        for name, value in attributes.items():
            if value not in (None, ""):
                current.set_attribute(name.replace("__", "."), value)


def carried() -> str:
    """Return the name of the current span for another process or task; empty when there is none."""
    if _tracer() is None:
        return ""
    from opentelemetry.propagate import inject  # noqa: PLC0415 - as above

    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent", "")


def carry(generation_id: uuid.UUID, parent: str) -> None:
    """Note which span asked for a generation, for whoever begins it in this process."""
    if parent:
        _parents[generation_id] = parent
        if len(_parents) > MOST_CARRIED:
            _parents.popitem(last=False)


def taken(generation_id: uuid.UUID) -> str:
    """Return which span asked for a generation, once; empty when that is not known here."""
    return _parents.pop(generation_id, "")


def trace_middleware(get_response: Handler) -> Handler:
    """Have one span for each request, named by its route: an address may hold what opens a shared page."""
    if _tracer() is None:
        return get_response

    def middleware(request: HttpRequest) -> HttpResponse:
        with span(f"{request.method}", http__request__method=request.method) as current:
            response = get_response(request)
            route = request.resolver_match.route if request.resolver_match else ""
            current.update_name(f"{request.method} /{route}")
            note(current, http__route=f"/{route}", http__response__status_code=response.status_code)
            return response

    return middleware
