"""Who is limited, and to what: plans of groups, else the settings.

Everybody counts in up to three ways, each a `Subject`: as a user, as a member of a group, and by the address they come
from. A limit of 0 or None is no limit, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from django.conf import settings

from chatapp.accounts.models import User
from conversations.models import Plan


@dataclass(frozen=True, slots=True)
class Limits:
    """What one user may use; None is without limit."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    tokens_per_month: int | None
    generations: int | None
    streams: int | None
    message_characters: int | None
    attachments: int | None
    attachment_bytes: int | None


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody who is counted, and what is counted: names of limits with their values."""

    key: str
    limits: dict[str, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """A user with all that limits them; of `groups` one with room is enough."""

    user: Subject
    own: Limits
    groups: tuple[Subject, ...] = ()
    address: Subject | None = None
    plans: tuple[str, ...] = field(default=())

    def subjects(self) -> list[Subject]:
        """Return everybody who counts, without those that have no limit."""
        return [s for s in (self.user, *self.groups, *([self.address] if self.address else [])) if s.limits]


COUNTED = ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "tokens_per_month", "generations")
SHARED = ("tokens_per_day", "tokens_per_month", "generations")


def default_limits() -> Limits:
    """Return what users have whose groups have no plan."""
    return _limits({field.name: getattr(settings, f"LIMIT_{field.name.upper()}", 0) for field in fields(Limits)})


def limits_of(user: User) -> Limits:
    """Return what a user may use. One query."""
    return standing_of(user).own


def standing_of(user: User, network: str = "") -> Standing:
    """Return a user with their groups and the network they come from. One query."""
    pairs = Plan.groups.through.objects.filter(group__user=user).select_related("plan")
    members = [(row.group_id, row.plan) for row in pairs.order_by("group_id", "plan_id")]
    plans = [plan for _, plan in members]
    own = _most_generous(plans) if plans else default_limits()
    counted = {name: value for name in COUNTED if (value := getattr(own, name)) is not None}
    return Standing(
        Subject(f"user:{user.pk}", counted),
        own,
        _groups(members),
        _address(network),
        tuple(sorted({plan.name for plan in plans})),
    )


def _limits(values: dict[str, int | None]) -> Limits:
    return Limits(**{name: value or None for name, value in values.items()})


def _most_generous(plans: Iterable[Plan]) -> Limits:
    rows = list(plans)
    best: dict[str, int | None] = {}
    for limit in fields(Limits):
        values = [getattr(plan, limit.name) for plan in rows]
        best[limit.name] = max(values) if all(values) else None
    return _limits(best)


def _groups(members: list[tuple[int, Plan]]) -> tuple[Subject, ...]:
    """Return the groups whose members share something; none when one of them shares nothing, and so limits nothing."""
    found = []
    for group_id, plan in members:
        shared = {name: value for name in SHARED if (value := getattr(plan, f"group_{name}"))}
        if not shared:
            return ()
        found.append(Subject(f"group:{group_id}", shared))
    return tuple(found)


def _address(network: str) -> Subject | None:
    if not network:
        return None
    values = {
        "requests_per_minute": settings.ADDRESS_REQUESTS_PER_MINUTE,
        "tokens_per_day": settings.ADDRESS_TOKENS_PER_DAY,
        "generations": settings.ADDRESS_GENERATIONS,
    }
    return Subject(f"address:{network}", {name: value for name, value in values.items() if value})
