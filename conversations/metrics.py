"""What is counted and timed in this process, for Prometheus. What each figure means is in `docs/measuring.md`.

Names follow OpenTelemetry's conventions for generative AI where there is one, spelt as Prometheus spells them. No label
holds anything that users or providers choose: models by the names of their rows, and only the first `MOST_MODELS` of
them, everything else from lists of ours. What is known only at the moment of asking (queues, pools, the bus) is in
`conversations.serving.scraping`, which also serves all this.

What happens with every delta is counted by `LoopHistogram`, which takes no lock.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from conversations.models import ChatModel, Generation

MOST_MODELS = 50
OTHER = "other"
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_SECONDS = (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
GAP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TOKENS = tuple(float(4**power) for power in range(11))
BATCH = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)

disable_created_metrics()  # type: ignore[no-untyped-call] # the library's; a second series for each, of no use here
registry = CollectorRegistry()
ProcessCollector(registry=registry)
GCCollector(registry=registry)


class Counts:
    """One series of a `LoopHistogram`."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value. From the thread of the event loop alone."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Return the buckets as Prometheus has them: each holds those below it too."""
        found, so_far = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), tuple(self.counts), strict=True):
            so_far += count
            found.append((bound, float(so_far)))
        return found


class LoopHistogram(Collector):
    """A histogram that only the event loop writes: without the lock that the library's own takes twice a value."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._described = name, documentation, labels
        self._bounds = bounds
        self._series: dict[tuple[str, ...], Counts] = {}
        registry.register(self)

    def labels(self, *values: str) -> Counts:
        """Return the series with these labels; to be kept by whoever counts often."""
        return self._series.setdefault(values, Counts(self._bounds))

    def collect(self) -> Iterator[Metric]:
        """Return all series."""
        name, documentation, labels = self._described
        family = HistogramMetricFamily(name, documentation, labels=labels)
        for values, counts in tuple(self._series.items()):
            family.add_metric(values, counts.cumulative(), counts.total)
        yield family


_CALL = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")

operation_duration = Histogram(
    "gen_ai_client_operation_duration_seconds",
    "From asking a model to the end of its answer",
    (*_CALL, "error_type"),
    buckets=SECONDS,
    registry=registry,
)
token_usage = Histogram(
    "gen_ai_client_token_usage",
    "Tokens of one answer, as the provider counted them, else estimated",
    (*_CALL, "gen_ai_token_type"),
    buckets=TOKENS,
    registry=registry,
)
first_chunk = Histogram(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "From asking a model to its first delta",
    _CALL,
    buckets=FIRST_SECONDS,
    registry=registry,
)
between_chunks = LoopHistogram(
    "gen_ai_client_operation_time_per_output_chunk_seconds", "Between two deltas of a model", _CALL, GAP_SECONDS
)
first_token = Histogram(
    "gen_ai_server_time_to_first_token_seconds",
    "From the user's accepted request to the first delta, with the time in the queue",
    _CALL,
    buckets=FIRST_SECONDS,
    registry=registry,
)
painted = Histogram(
    "stillwater_painted_first_text_seconds",
    "From pressing Send to the first text on the screen, as browsers report it",
    ("arm",),
    buckets=FIRST_SECONDS,
    registry=registry,
)
between_frames = LoopHistogram(
    "stillwater_frame_gap_seconds", "Between two frames sent to one viewer", ("arm",), GAP_SECONDS
)
generations = Counter(
    "stillwater_generations", "Generations that ended", ("gen_ai_request_model", "status"), registry=registry
)
errors = Counter(
    "stillwater_generation_errors", "Ends that have a code", ("gen_ai_request_model", "error_type"), registry=registry
)
arm_endings = Counter("stillwater_arm_generations", "Ends by arm of pacing", ("arm", "status"), registry=registry)
takeovers = Counter("stillwater_takeovers", "Generations taken over from a writer that was gone", registry=registry)
streams_opened = Counter("stillwater_streams_opened", "Event streams that began", registry=registry)
reconnects = Counter(
    "stillwater_stream_reconnects", "Event streams that resumed behind an event they had seen", registry=registry
)
limits_hit = Counter("stillwater_limits_hit", "Requests that a limit refused", ("limit",), registry=registry)
admission_refusals = Counter(
    "stillwater_admission_refusals", "Requests refused because the machine was full", ("reason",), registry=registry
)
journal_commit = Histogram(
    "stillwater_journal_commit_seconds",
    "One group commit, with its retries",
    buckets=COMMIT_SECONDS,
    registry=registry,
)
journal_deltas = Histogram(
    "stillwater_journal_batch_deltas", "Rows of text in one group commit", buckets=BATCH, registry=registry
)
journal_generations = Histogram(
    "stillwater_journal_batch_generations", "Generations in one group commit", buckets=BATCH, registry=registry
)

_models: set[str] = set()


def model_label(model: ChatModel | None) -> str:
    """Return the label of a model: its configured name while there are few of them, else `other`."""
    if model is None:
        return OTHER
    if len(_models) < MOST_MODELS:
        _models.add(model.model_name)
    return model.model_name if model.model_name in _models else OTHER


def arm_label(arm: str) -> str:
    """Return the label of an arm: `none` for whoever is in none that is set up now."""
    return arm if any(known.name == arm for known in settings.PACING_ARMS) else "none"


@cache
def _between(labels: tuple[str, ...]) -> Counts:
    return between_chunks.labels(*labels)


class Stopwatch:
    """Times one attempt at a generation."""

    __slots__ = ("_between", "_fresh", "_generation", "_last", "_started")

    def __init__(self, generation: Generation, *, fresh: bool) -> None:
        self._generation = generation
        self._fresh = fresh  # nothing had been written before this attempt
        self._started = time.monotonic()
        self._last = 0.0
        self._between: Counts | None = None

    def delta(self) -> None:
        """Note that a piece of the answer has come."""
        now = time.monotonic()
        if self._between is not None:
            self._between.observe(now - self._last)
        elif settings.METRICS:
            self._first(now)
        self._last = now

    def _first(self, now: float) -> None:
        labels = self._labels()  # by now it is decided which model answers
        self._between = _between(labels)
        first_chunk.labels(*labels).observe(now - self._started)
        if self._fresh:
            first_token.labels(*labels).observe(max(0.0, time.time() - self._generation.created_at.timestamp()))

    def ended(self, status: str, error: str, input_tokens: int | None, output_tokens: int | None) -> None:
        """Note the end."""
        if not settings.METRICS:
            return
        labels = self._labels()
        operation_duration.labels(*labels, error).observe(time.monotonic() - self._started)
        for kind, tokens in (("input", input_tokens), ("output", output_tokens)):
            if tokens is not None:
                token_usage.labels(*labels, kind).observe(tokens)
        count_end(self._generation, status, error)

    def _labels(self) -> tuple[str, str, str]:
        model = self._generation.model
        provider = "demo" if model is not None and model.is_demo else "openai"
        return "chat", provider, model_label(model)


class FrameClock:
    """Times what one viewer is sent."""

    __slots__ = ("_gaps", "_last")

    def __init__(self, arm: str) -> None:
        self._gaps = between_frames.labels(arm_label(arm))
        self._last = 0.0

    def frame(self) -> None:
        """Note that a frame was sent."""
        now = time.monotonic()
        if self._last:
            self._gaps.observe(now - self._last)
        self._last = now


def count_end(generation: Generation, status: str, error: str) -> None:
    """Count a generation that has ended."""
    model = model_label(generation.model)
    generations.labels(model, status).inc()
    arm_endings.labels(arm_label(generation.arm), status).inc()
    if error:
        errors.labels(model, error).inc()
