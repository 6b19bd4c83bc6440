"""How the service is doing, for whoever may see generations: charts drawn here, over the sums of `figures`.

It reads sums alone, at most 30 days of them, in a fixed number of queries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.db.models import Count
from django.db.models.functions import TruncDay, TruncHour
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from conversations.admin.base import ReadOnlyAdmin
from conversations.admin.charts import NOTHING, Chart, Series, bars, figure, lines
from conversations.measuring import figures
from conversations.models import ActiveUser, HourlyFigures

MOST_ERRORS = 20
MOST_MODELS = 50  # in the list to choose from, and in tables
Rows = Iterable[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Period:
    """A time that can be looked at, in steps."""

    name: str
    label: Promise
    steps: int
    step: timedelta

    @property
    def by_hour(self) -> bool:
        """Whether a step is an hour, and not a day of the site's time zone."""
        return self.step < timedelta(days=1)

    def begin_of(self, moment: datetime) -> datetime:
        """Return when the step of a moment begins."""
        local = timezone.localtime(moment).replace(minute=0, second=0, microsecond=0)
        return local if self.by_hour else local.replace(hour=0)

    def moments(self, now: datetime) -> list[datetime]:
        """Return the beginnings of all steps, the last of which is not over."""
        last = self.begin_of(now)
        if self.by_hour:
            return [last - self.step * back for back in reversed(range(self.steps))]
        days = [last.date() - self.step * back for back in reversed(range(self.steps))]  # also when clocks change
        return [timezone.make_aware(datetime(day.year, day.month, day.day)) for day in days]


PERIODS = (
    Period("24h", gettext_lazy("Last 24 hours"), 24, timedelta(hours=1)),
    Period("7d", gettext_lazy("Last 7 days"), 7, timedelta(days=1)),
    Period("30d", gettext_lazy("Last 30 days"), 30, timedelta(days=1)),
)


@dataclass(slots=True)
class Sums:
    """Sums over some hours, and what follows from them; None where there was nothing to tell."""

    values: defaultdict[str, Any] = field(default_factory=lambda: defaultdict(int))
    first_token: list[int] = field(default_factory=list)
    painted: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Rows) -> Sums:
        """Add up rows."""
        sums, first, painted = cls(), [], []
        for row in rows:
            for name in figures.FIELDS:
                sums.values[name] += row[name]
            first.append(row["first_token"])
            painted.append(row["painted"])
        sums.first_token, sums.painted = figures.added(first), figures.added(painted)
        return sums

    def share(self, name: str) -> float | None:
        """Return which part of all ended so, in percent."""
        return 100 * self.values[name] / self.values["ended"] if self.values["ended"] else None

    def first_seconds(self, share: float) -> float | None:
        """Return a quantile of the time to the first token."""
        return _seconds(figures.quantile(self.first_token, share))

    def painted_seconds(self, share: float) -> float | None:
        """Return a quantile of the time until text was on the screen."""
        return _seconds(figures.quantile(self.painted, share))

    @property
    def tokens_per_second(self) -> float | None:
        """How fast models wrote, after their first token."""
        if not self.values["writing_ms"]:
            return None
        return float(1000 * self.values["writing_tokens"] / self.values["writing_ms"])

    @property
    def cost(self) -> float:
        """What it cost, in the currency of the prices."""
        return float(Decimal(self.values["cost"]))

    def told(self) -> list[tuple[str, str]]:
        """Return everything as pairs of words and figures."""
        return [
            (gettext("Answers"), figure(self.values["ended"])),
            (gettext("First token, p50"), _told(self.first_seconds(0.5), "s")),
            (gettext("First token, p95"), _told(self.first_seconds(0.95), "s")),
            (gettext("Painted, p50"), _told(self.painted_seconds(0.5), "s")),
            (gettext("Painted, p95"), _told(self.painted_seconds(0.95), "s")),
            (gettext("Tokens per second"), figure(self.tokens_per_second)),
            (gettext("Completed"), _told(self.share("completed"), "%")),
            (gettext("Stopped"), _told(self.share("stopped"), "%")),
            (gettext("Interrupted"), _told(self.share("interrupted"), "%")),
            (gettext("Failed"), _told(self.share("failed"), "%")),
            (gettext("Cost"), _told(self.cost, settings.CURRENCY)),
        ]


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _told(value: float | None, unit: str) -> str:
    return figure(value) if value is None else f"{figure(value)} {unit}"


@admin.register(HourlyFigures)
class DashboardAdmin(ReadOnlyAdmin):
    """The list of the sums is the dashboard."""

    class Media:
        css: ClassVar = {"all": ("css/dashboard.css",)}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's interface
        """Allow it to those who may see generations."""
        return request.user.has_perm("conversations.view_generation")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Be in the index for the same people."""
        return self.has_view_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the dashboard."""
        if not self.has_view_permission(request):
            return super().changelist_view(request, extra_context)  # which refuses
        context = {
            **self.admin_site.each_context(request),
            **_content(request.GET.get("period", ""), request.GET.get("model", "")[:200]),
            "title": gettext("Dashboard"),
            "opts": self.opts,
            "media": self.media,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/conversations/dashboard.html", context)


def _content(period_name: str, model: str) -> dict[str, Any]:
    period = next((period for period in PERIODS if period.name == period_name), PERIODS[0])
    moments = period.moments(timezone.now())
    until = timezone.now() + figures.HOUR
    fields = ("starts_at", "model", "arm", *figures.FIELDS, "first_token", "painted", "errors")
    rows = list(figures.between(moments[0], until, model).values(*fields))
    by_step = _grouped(rows, lambda row: period.begin_of(row["starts_at"]))
    steps = [Sums.of(by_step.get(moment, ())) for moment in moments]
    users, most_users = _active_users(period, moments)
    return {
        "periods": PERIODS,
        "period": period,
        "models": _models(until),
        "model": model,
        "summary": [*Sums.of(rows).told(), (gettext("Active users"), figure(most_users))],
        "charts": [*_charts(period, moments, steps), _users_chart(period, moments, users)],
        "errors": _errors(rows),
        "by_model": _table(rows, "model"),
        "by_arm": _table([row for row in rows if row["arm"]], "arm"),
        "newest": max((row["starts_at"] for row in rows), default=None),
    }


def _grouped(rows: Rows, key: Callable[[dict[str, Any]], Any]) -> dict[Any, list[dict[str, Any]]]:
    found: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def _models(until: datetime) -> list[str]:
    rows = figures.between(until - timedelta(days=31), until).order_by("model").values_list("model", flat=True)
    return [name for name in rows.distinct()[:MOST_MODELS] if name]


def _active_users(period: Period, moments: Sequence[datetime]) -> tuple[dict[datetime, int], int]:
    rows = ActiveUser.objects.filter(starts_at__gte=moments[0]).order_by()
    step = (TruncHour if period.by_hour else TruncDay)("starts_at")
    counted = rows.annotate(step=step).values_list("step").annotate(users=Count("user", distinct=True))
    return dict(counted), rows.aggregate(users=Count("user", distinct=True))["users"]


def _names(period: Period, moments: Sequence[datetime]) -> list[str]:
    return [date_format(moment, "H:i" if period.by_hour else "j.n.") for moment in moments]


def _charts(period: Period, moments: Sequence[datetime], steps: Sequence[Sums]) -> list[Chart]:
    names = _names(period, moments)
    quantiles = ((gettext("half of them within"), 0.5), (gettext("95 of 100 within"), 0.95))
    ends = (
        (gettext("completed"), "completed"),
        (gettext("stopped by the user"), "stopped"),
        (gettext("interrupted"), "interrupted"),
        (gettext("failed"), "failed"),
    )
    first = [Series(name, [one.first_seconds(share) for one in steps]) for name, share in quantiles]
    painted = [Series(name, [one.painted_seconds(share) for one in steps]) for name, share in quantiles]
    shares = [Series(name, [one.share(status) for one in steps]) for name, status in ends]
    pace = Series(gettext("tokens per second"), [one.tokens_per_second for one in steps])
    count = Series(gettext("answers"), [one.values["ended"] for one in steps])
    cost = Series(gettext("cost"), [one.cost for one in steps])
    return [
        lines("first", gettext("Time to first token"), "s", names, *first),
        lines("painted", gettext("First text on the screen"), "s", names, *painted),
        lines("pace", gettext("Tokens per second"), "1/s", names, pace),
        lines("ends", gettext("How answers end"), "%", names, *shares),
        bars("answers", gettext("Answers"), "", names, count),
        bars("cost", gettext("Cost"), settings.CURRENCY, names, cost),
    ]


def _users_chart(period: Period, moments: Sequence[datetime], users: dict[datetime, int]) -> Chart:
    series = Series(gettext("active users, of all models"), [users.get(moment, 0) for moment in moments])
    return bars("users", gettext("Active users"), "", _names(period, moments), series)


def _errors(rows: Rows) -> list[tuple[str, str, int, float]]:
    """Return model, code, how many, and their part of the most frequent one in percent; most first."""
    counts: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        for code, count in row["errors"].items():
            counts[row["model"] or NOTHING, code] += count
    most = sorted(counts.items(), key=lambda item: -item[1])[:MOST_ERRORS]
    return [(model, code, count, round(100 * count / most[0][1], 1)) for (model, code), count in most]


def _table(rows: Rows, key: str) -> list[tuple[str, list[tuple[str, str]]]]:
    groups = _grouped(rows, lambda row: row[key])
    return [(name or NOTHING, Sums.of(found).told()) for name, found in sorted(groups.items())[:MOST_MODELS]]
