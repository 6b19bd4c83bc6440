"""The way around in the admin: pages by what they are for, filters that are on, and tables that say what a cell is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import template
from django.contrib.admin.views.main import ChangeList
from django.template.context import Context
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy

register = template.Library()

# By the names of models; what stands in no group comes last, so that no list is out of reach.
GROUPS = (
    (gettext_lazy("Review"), ("Flag", "Conversation", "Feedback", "Message", "Generation")),
    (gettext_lazy("Operate"), ("HourlyFigures", "ChatModel", "Breaker")),
    (gettext_lazy("Rules"), ("FilterRule", "Plan", "Preset", "RetentionRule")),
    (gettext_lazy("Records"), ("AuditEntry", "LegalHold")),
    (gettext_lazy("People"), ("User", "Group", "EmailAddress", "Authenticator", "SocialAccount")),
)
NAMES = {"Flag": gettext_lazy("Review queue"), "AuditEntry": gettext_lazy("Audit trail")}
CELL = re.compile(r"^<(td|th)(?! class=\"action-checkbox)")
CONTROL = re.compile(r'<(input(?! type="hidden")|select|textarea)\b')


@dataclass(frozen=True, slots=True)
class Place:
    """One page that somebody may see; `here` when it, or a page of one of its rows, is what they look at."""

    name: str
    url: str
    here: bool
    add_url: str = ""


@register.simple_tag(takes_context=True)
def navigation(context: Context) -> list[tuple[str, list[Place]]]:
    """Return the groups of pages that this user may see."""
    request = context["request"]
    models = {
        model["object_name"]: model
        for app in context.get("available_apps") or ()
        for model in app["models"]
        if model["admin_url"]
    }
    found = [(str(title), [models.pop(name) for name in names if name in models]) for title, names in GROUPS]
    groups = [(title, [_place(model, request.path) for model in rows]) for title, rows in found]
    if request.user.has_perm("conversations.stop_generations"):
        groups[1][1].insert(0, _page("operations", gettext("What runs now"), request.path))
    if request.user.is_staff:
        groups[1][1].append(_page("conversations:deployment", gettext("Deployment"), request.path))
    rest = [_place(model, request.path) for model in models.values()]
    return [(title, places) for title, places in (*groups, (gettext("More"), rest)) if places]


def _place(model: dict[str, Any], path: str) -> Place:
    name = capfirst(str(NAMES.get(model["object_name"], model["name"])))
    return Place(name, model["admin_url"], path.startswith(model["admin_url"]), model["add_url"] or "")


def _page(name: str, label: str, path: str) -> Place:
    url = reverse(name)
    return Place(label, url, path == url)


@register.simple_tag
def active_filters(changelist: ChangeList) -> list[tuple[str, str, str]]:
    """Return what a list is narrowed down by: the title of a filter, the choice, and the address without it."""
    return [active for spec in changelist.filter_specs for active in _active(spec, changelist)]


def _active(spec: Any, changelist: ChangeList) -> Iterator[tuple[str, str, str]]:
    choices = list(spec.choices(changelist))
    for number, choice in enumerate(choices):
        if "clear" in choice:  # of a filter that is typed
            if choice["value"]:
                yield str(spec.title), choice["value"], choice["clear"]
        elif number and choice.get("selected"):
            yield str(spec.title), str(choice["display"]), choices[0]["query_string"]


@register.simple_tag
def labelled(row: Any, headers: list[dict[str, Any]]) -> SafeString:
    """Return the cells of a row, each with the name of its column: on a phone a row is a card, without a head above.

    Fields that are edited in the list are named by column and row.
    """
    form = getattr(row, "form", None)
    cells = zip(row, headers, strict=False)
    return mark_safe("".join(_cell(str(cell), str(header["text"]), form) for cell, header in cells))  # noqa: S308 - Django's own cells


def _cell(cell: str, title: str, form: Any) -> str:
    if not CELL.match(cell):
        return cell
    label = escape(capfirst(title))
    if form is not None:
        cell = CONTROL.sub(rf'<\1 aria-label="{_literal(label)}: {_literal(escape(form.instance))}"', cell)
    return CELL.sub(rf'<\1 data-label="{_literal(label)}"', cell)


def _literal(text: str) -> str:
    return text.replace("\\", r"\\")
