"""Which rules hold for whom: rows that staff edit, as plain values that the filters understand.

They are read when something begins (an answer, a title) and kept for `FRESH_SECONDS`; then one small query asks whether
anything has changed. An answer is filtered to its end by the rules with which it began.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from chatapp.accounts.models import User
from conversations.filters.base import Action, Rule
from conversations.filters.catalogue import detectors
from conversations.filters.patterns import BadPattern
from conversations.filters.redactor import Redactor
from conversations.models import FilterRule, Generation
from conversations.providers.base import ChatRequest, Endpoint

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
CHANGING = (FilterRule.Action.REDACT, FilterRule.Action.BLOCK)


@dataclass(frozen=True, slots=True)
class ServiceRule:
    """A moderation service that is to be asked, and what to do with what it says."""

    pk: int
    action: Action
    endpoint: Endpoint
    seconds: float
    categories: tuple[str, ...]
    sentence: str
    on_failure: str


@dataclass(frozen=True, slots=True)
class Filters:
    """The rules for one direction: those that change the text or end it, those that only look, and the services."""

    changing: tuple[Rule, ...] = ()
    watching: tuple[Rule, ...] = ()
    services: tuple[ServiceRule, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changing or self.watching or self.services)


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule that is switched on, with whom it is for; no ids are everybody."""

    directions: frozenset[str]
    model_ids: frozenset[int]
    group_ids: frozenset[int]
    rules: tuple[Rule, ...] = ()
    service: ServiceRule | None = None


class Rules:
    """The rules of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked_at = float("-inf")
        self._version: tuple[object, ...] = ()
        self._stored: tuple[StoredRule, ...] = ()

    def current(self) -> tuple[StoredRule, ...]:
        """Return the rules that are switched on. Blocks on the database for one small query at most, now and then."""
        with self._lock:
            if time.monotonic() - self._checked_at > FRESH_SECONDS:
                version = tuple(FilterRule.objects.order_by("pk").values_list("pk", "updated_at"))
                if version != self._version:
                    self._stored, self._version = _load(), version
                self._checked_at = time.monotonic()
            return self._stored

    def forget(self) -> None:
        """Look again at once."""
        self._checked_at = float("-inf")


rules = Rules()


def filters_for(owner: User, model_id: int | None, direction: str) -> Filters:
    """Return what holds for what is written by or for a user with a model. Blocks on the database."""
    stored = [rule for rule in rules.current() if direction in rule.directions]
    stored = [rule for rule in stored if not rule.model_ids or model_id in rule.model_ids]
    if any(rule.group_ids for rule in stored):
        groups = frozenset(owner.groups.values_list("pk", flat=True))
        stored = [rule for rule in stored if not rule.group_ids or rule.group_ids & groups]
    found = [one for rule in stored for one in rule.rules]
    return Filters(
        tuple(rule for rule in found if rule.action in CHANGING),
        tuple(rule for rule in found if rule.action not in CHANGING),
        tuple(rule.service for rule in stored if rule.service is not None),
    )


def outgoing(request: ChatRequest, generation: Generation) -> ChatRequest:
    """Return a request as the provider gets it: what users wrote is redacted there, and kept as it is here.

    What a rule would have blocked is redacted, too: it may stand in an older message. Blocks on the database.
    """
    filters = filters_for(generation.message.conversation.owner, generation.model_id, FilterRule.Direction.INPUT)
    if not filters.changing:
        return request
    messages = tuple(
        message
        if message.role == "assistant"
        else replace(message, content=redacted(message.content, filters.changing))
        for message in request.messages
    )
    return replace(request, messages=messages)


def redacted(text: str, changing: Iterable[Rule]) -> str:
    """Return a whole text without what these rules look for."""
    redactor = Redactor([replace(rule, action="redact") for rule in changing])
    left = redactor.feed(text).text + redactor.flush().text
    for rule in redactor.too_slow:
        logger.warning("Filter rule %s is left out of a text: its pattern took too long", rule.pk)
    return left


def _load() -> tuple[StoredRule, ...]:
    rows = FilterRule.objects.filter(enabled=True).prefetch_related("chat_models", "groups")
    return tuple(stored for row in rows if (stored := stored_rule(row)) is not None)


def stored_rule(row: FilterRule) -> StoredRule | None:
    """Return a rule as the filters understand it; None, said in the log, when its pattern cannot be used any more."""
    both = {FilterRule.Direction.INPUT, FilterRule.Direction.OUTPUT}
    directions = both if row.direction == FilterRule.Direction.BOTH else {row.direction}
    try:
        found = () if row.kind == FilterRule.Kind.SERVICE else compiled(row)
    except BadPattern as bad:
        logger.warning("Filter rule %s is left out: %s", row.pk, bad)
        return None
    return StoredRule(
        frozenset(str(direction) for direction in directions),
        frozenset(model.pk for model in row.chat_models.all()),
        frozenset(group.pk for group in row.groups.all()),
        found,
        _service(row) if row.kind == FilterRule.Kind.SERVICE else None,
    )


def compiled(row: FilterRule) -> tuple[Rule, ...]:
    """Return what a row looks for. Raises `BadPattern`."""
    action = cast(Action, str(row.action))
    return tuple(
        Rule(row.pk, action, detector, row.label or label, row.sentence)
        for detector, label in detectors(row.kind, row.source, ignore_case=row.ignore_case)
    )


def _service(row: FilterRule) -> ServiceRule:
    key = os.environ.get(row.api_key_variable, "") if row.api_key_variable else ""
    return ServiceRule(
        row.pk,
        cast(Action, str(row.action)),
        Endpoint(row.base_url, key, row.model_name),
        row.timeout_seconds,
        tuple(name.strip() for name in row.categories.split(",") if name.strip()),
        row.sentence,
        row.on_failure,
    )
