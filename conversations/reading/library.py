"""A user's conversations as lists need them: the sidebar, the page that manages them, and what is filtered or found.

Pages go on behind the last row that was shown (its time and id), never at a number: what is added or deleted meanwhile
moves nothing, and the last page costs what the first one does.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Count, Prefetch, Q
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop

from chatapp.accounts.models import User
from conversations import search
from conversations.models import ChatModel, Conversation, ConversationQuerySet, Generation, SearchEntry, Tag

PAGE = 40
NEARBY_DAYS = (
    (0, gettext_noop("Today")),
    (1, gettext_noop("Yesterday")),
    (7, gettext_noop("Last 7 days")),
    (30, gettext_noop("Last 30 days")),
)
PINNED = gettext_noop("Pinned")
UNDO_SECONDS = 10
YEARS = range(1970, 2101)  # in which conversations are looked for
LONGEST_SHOWN = 200  # characters of a query


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: where the next one begins."""

    pinned: bool
    updated_at: datetime
    id: uuid.UUID

    def __str__(self) -> str:
        return f"{int(self.pinned)}.{round(self.updated_at.timestamp() * 1_000_000)}.{self.id.hex}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Read what `str` wrote; None when it is anything else."""
        pinned, _, rest = text.partition(".")
        micros, _, key = rest.partition(".")
        try:
            # In UTC: within a zone that has summer time, sums are of what clocks show, not of time that has passed.
            moment = datetime.fromtimestamp(0, tz=UTC) + timedelta(microseconds=int(micros))
            place = cls(pinned == "1", moment, uuid.UUID(key))
        except (ValueError, OverflowError):
            return None
        return place if moment.year in YEARS else None

    def before(self) -> Q:
        """Return the condition for what comes behind it in order of time."""
        same = Q(updated_at=self.updated_at, id__lt=self.id)
        return Q(updated_at__lte=self.updated_at) & (Q(updated_at__lt=self.updated_at) | same)


@dataclass(slots=True)
class Item:
    """A conversation as a row."""

    id: uuid.UUID
    title: str
    updated_at: datetime
    pinned: bool = False
    archived: bool = False
    running: bool = False
    current: bool = False
    model: str = ""
    tags: list[Tag] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """Rows of one day or so; `continued` when its heading is on the page before."""

    label: str
    items: list[Item] = field(default_factory=list)
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of rows; `more` is where the next one begins, or empty."""

    groups: list[Group]
    more: str = ""

    @property
    def items(self) -> list[Item]:
        """All rows, in order."""
        return [item for group in self.groups for item in group.items]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; whatever a browser sent that makes no sense is left out."""

    query: str = ""
    tag: int | None = None
    model: int | None = None
    since: date | None = None
    until: date | None = None
    place: str = ""

    @classmethod
    def read(cls, sent: Mapping[str, str]) -> Filters:
        """Read filters from the query of a URL or from a form."""
        place = sent.get("place", "")
        return cls(
            query=sent.get("q", "").replace("\0", "").strip()[:LONGEST_SHOWN],
            tag=number(sent.get("tag", "")),
            model=number(sent.get("model", "")),
            since=_day(sent.get("since", "")),
            until=_day(sent.get("until", "")),
            place=place if place in {"archived", "all"} else "",
        )

    def __bool__(self) -> bool:
        return self != Filters()

    def encoded(self) -> str:
        """Return them as the query of a URL."""
        named = {"q": self.query, "tag": self.tag, "model": self.model, "since": self.since, "until": self.until}
        return urlencode({name: value for name, value in {**named, "place": self.place}.items() if value})

    def conditions(self, prefix: str = "") -> Q:
        """Return what rows must be like; `prefix` leads from their model to the conversation."""
        wanted: dict[str, object] = {"deleted_at": None, "temporary": False}
        if self.place != "all" and not (self.query and not self.place):  # a search looks everywhere
            wanted["archived"] = self.place == "archived"
        if self.tag is not None:
            wanted["tags"] = self.tag
        if self.model is not None:
            wanted["model"] = self.model
        if self.since is not None:
            wanted["updated_at__gte"] = _midnight(self.since)
        if self.until is not None:
            wanted["updated_at__lt"] = _midnight(self.until) + timedelta(days=1)
        return Q(**{f"{prefix}{name}": value for name, value in wanted.items()})


def sidebar(user: User, current: Conversation | None = None, after: Cursor | None = None) -> Listing:
    """Return a page of the list: pinned ones first, then newest first, by day. Two queries, however many there are."""
    rows = Conversation.objects.filter(Filters().conditions(), owner=user).order_by("-pinned", "-updated_at", "-id")
    if after is not None:
        # A plain comparison on `pinned`, because SQLite uses no index for "NOT pinned".
        behind = after.before() & Q(pinned__in=[after.pinned])
        rows = rows.filter(behind | Q(pinned__in=[False]) if after.pinned else behind)
    found = list(rows.only("title", "updated_at", "pinned")[: PAGE + 1])
    items = [item(row, current) for row in found[:PAGE]]
    _mark_running(user, items)
    continued = _label(after.pinned, after.updated_at) if after is not None else ""
    return Listing(_grouped(items, continued), _more(found))


def managed(user: User, filters: Filters, after: Cursor | None = None) -> Listing:
    """Return a page of what passes the filters, newest first, with tags and models. Three queries."""
    rows = Conversation.objects.filter(filters.conditions(), owner=user).order_by("-updated_at", "-id")
    rows = rows.filter(after.before()) if after is not None else rows
    found = list(rows.select_related("model").prefetch_related(Prefetch("tags"))[: PAGE + 1])
    items = [item(row, None) for row in found[:PAGE]]
    for shown, row in zip(items, found, strict=False):
        shown.model = row.model.label if row.model else ""
        shown.tags = list(row.tags.all())
    _mark_running(user, items)
    return Listing([Group("", items)] if items else [], _more(found))


def found(user: User, filters: Filters, before: int | None = None) -> search.Results:
    """Return what is found by the words of the filters, within what passes the rest of them."""
    entries = SearchEntry.objects.filter(filters.conditions("conversation__"))
    return search.search(user.pk, filters.query, entries, before=before)


def running_ids(user: User) -> set[uuid.UUID]:
    """Return which of a user's conversations have an answer being written."""
    # From the few that run to their owner: by their partial index (which wants the values written out), and not, the
    # sign sees to that, through all that the owner has ever said.
    active = Generation.objects.filter(message__conversation__deleted_at=None).extra(
        where=[
            "conversations_generation.status IN ('queued', 'in_progress')",
            "+conversations_conversation.owner_id = %s",
        ],
        params=[user.pk],
    )
    return set(active.order_by().values_list("message__conversation", flat=True))


def newest(user: User) -> datetime | None:
    """Return when something last happened in the list; for pages that want to know whether theirs is of today."""
    rows = Conversation.objects.filter(Filters().conditions(), owner=user).order_by("-updated_at")
    return rows.values_list("updated_at", flat=True).first()


def tags_of(user: User) -> list[Tag]:
    """Return a user's tags by name."""
    return list(user.tags.order_by("name"))


def models_of(user: User) -> list[ChatModel]:
    """Return the models that a user's conversations have."""
    used = Conversation.objects.visible().filter(owner=user).order_by().values("model").distinct()
    return list(ChatModel.objects.filter(pk__in=used))


def number(text: str) -> int | None:
    """Return a key that a browser sent; None for what cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 15 else None  # noqa: PLR2004 - a key


def rows_of(user: User, ids: Iterable[str]) -> ConversationQuerySet:
    """Return a user's conversations among ids that a browser sent."""
    keys = []
    for text in ids:
        try:
            keys.append(uuid.UUID(text))
        except ValueError:
            continue
    return Conversation.objects.visible().filter(owner=user, pk__in=keys)


@dataclass(frozen=True, slots=True)
class Undoable:
    """What was deleted last and can still be brought back."""

    deleted_at: datetime
    count: int

    @property
    def token(self) -> str:
        """The moment, as a form carries it."""
        return self.deleted_at.isoformat()


def undoable(user: User) -> Undoable | None:
    """Return what a user has deleted within the last ten seconds."""
    since = timezone.now() - timedelta(seconds=UNDO_SECONDS)
    rows = Conversation.objects.filter(deleted_at__isnull=False, deleted_at__gte=since, owner=user)
    last = rows.order_by("-deleted_at").values("deleted_at").annotate(count=Count("pk")).first()
    return Undoable(last["deleted_at"], last["count"]) if last and last["deleted_at"] else None


def day_label(day: date) -> str:
    """Return how a list of conversations calls a day."""
    age = timezone.localdate() - day
    for days, label in NEARBY_DAYS:
        if age <= timedelta(days=days):
            return gettext(label)
    return date_format(day, "YEAR_MONTH_FORMAT")


def item(row: Conversation, current: Conversation | None) -> Item:
    title = row.title or gettext("New conversation")
    archived = "archived" not in row.get_deferred_fields() and row.archived
    return Item(row.pk, title, row.updated_at, row.pinned, archived, current=row == current)


def _mark_running(user: User, items: list[Item]) -> None:
    running = running_ids(user)
    for item in items:
        item.running = item.id in running


def _label(pinned: bool, updated_at: datetime) -> str:
    return gettext(PINNED) if pinned else day_label(timezone.localtime(updated_at).date())


def _grouped(items: list[Item], continued: str) -> list[Group]:
    groups: list[Group] = []
    for item in items:
        label = _label(item.pinned, item.updated_at)
        if not groups or groups[-1].label != label:
            groups.append(Group(label, continued=not groups and label == continued))
        groups[-1].items.append(item)
    return groups


def _more(found: list[Conversation]) -> str:
    if len(found) <= PAGE:
        return ""
    last = found[PAGE - 1]
    return str(Cursor(last.pinned, last.updated_at, last.pk))


def _day(text: str) -> date | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day is not None and day.year in YEARS else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, datetime.min.time()))
