"""The part of a long conversation that a page shows, and what brings a page that shows another part up to date.

A page opens with the last `PAGE` messages of the branch, or with those around one of them; what is before and after
comes a page at a time. The work is that of the messages shown, not of the conversation.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db.models import Prefetch

from conversations.asking.context import messages_at
from conversations.live.state import dom_id
from conversations.models import Conversation, Generation, Message
from conversations.models.paths import NO_LIMIT, upward
from conversations.reading.transcript import MessageView, running_tag, tag_of, versions_of, views_of

PAGE = 30
ABOVE = 10  # of the messages around one, so many come before it
REPORTED = 150  # so many messages, the last ones, a page reports


class Shown(NamedTuple):
    """A message that a page shows: the id of its element, and the tag it was rendered with."""

    dom_id: str
    tag: str


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive messages of a branch; `earlier` and `later` are the ids from which it goes on, if there is more."""

    views: list[MessageView] = field(default_factory=list)
    earlier: uuid.UUID | None = None
    later: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """What brings a page up to date.

    What the page shows after the element `keep` goes, if it `cuts`; `changed` replace the elements of the same ids;
    `window` comes after `keep`. Without `keep` the window is all there is.
    """

    keep: str
    cuts: bool
    changed: list[MessageView]
    window: Window

    @property
    def is_empty(self) -> bool:
        """Whether the page shows the truth."""
        return bool(self.keep) and not self.cuts and not self.changed and not self.window.views


def latest(conversation: Conversation) -> Window:
    """Return the end of the branch that is shown."""
    return _upwards(conversation, conversation.active_leaf_id)


def before(conversation: Conversation, message_id: uuid.UUID) -> Window:
    """Return the messages before one of them."""
    ids = upward(message_id, limit=PAGE + 2)[1:]
    return _window(conversation, ids[:PAGE], has_earlier=len(ids) > PAGE)


def after(conversation: Conversation, message_id: uuid.UUID) -> Window:
    """Return the messages after one of them: nothing, when it is not on the branch that is shown."""
    way = _way_to(conversation, message_id)
    ids = way[-PAGE - 1 : -1]
    return _window(conversation, ids, later=ids[0] if len(way) > PAGE + 1 else None)


def around(conversation: Conversation, message_id: uuid.UUID) -> Window:
    """Return the messages before and after one of them; the end of the branch, when it is near or the message is not.

    A message that is not on the branch that is shown counts as none.
    """
    way = _way_to(conversation, message_id)
    if len(way) <= PAGE - ABOVE:
        return latest(conversation)
    ids = way[-(PAGE - ABOVE) :] + upward(message_id, limit=ABOVE + 2)[1:]
    return _window(conversation, ids[:PAGE], has_earlier=len(ids) > PAGE, later=ids[0])


def patch(conversation: Conversation, shown: Sequence[Shown], *, near: uuid.UUID | None = None) -> Patch:
    """Return what a page lacks that shows the messages `shown`, of which the last is the end of what it shows.

    When it shows none of the branch any more it gets all anew, `near` a message if one is named. Where it lacks
    messages between others, it gets all from there on.
    """
    known = {row.dom_id: row.tag for row in shown}
    ids, place = _meeting(conversation, shown, limit=2 * PAGE)
    if place is None and near is not None:
        ids, place = _meeting(conversation, shown)
    if place is None:
        return Patch("", False, [], around(conversation, near) if near is not None else latest(conversation))
    keep = dom_id(ids[place])
    changed = _changed(conversation, ids[place : place + PAGE], known)
    fresh = ids[max(0, place - PAGE) : place]
    window = _window(conversation, fresh, later=fresh[0] if place > PAGE else None)
    return Patch(keep, keep != shown[-1].dom_id, changed, window)


def _meeting(
    conversation: Conversation, shown: Sequence[Shown], limit: int = NO_LIMIT
) -> tuple[list[uuid.UUID], int | None]:
    """Return the ids from the branch's end upwards, and the place of the last that is shown without a gap before it."""
    leaf = conversation.active_leaf_id
    ids = upward(leaf, limit=limit) if leaf is not None and shown else []
    places = {dom_id(pk): place for place, pk in enumerate(ids)}
    return ids, _end_of_run([places.get(row.dom_id) for row in shown])


def _end_of_run(places: list[int | None]) -> int | None:
    """Return where the first places that follow one another downwards end; None when there is none."""
    end: int | None = None
    for place in places:
        if end is not None and place != end - 1:
            break
        end = place
    return end


def _way_to(conversation: Conversation, message_id: uuid.UUID) -> list[uuid.UUID]:
    """Return the ids from the branch's end up to a message; nothing when it is not on it."""
    if conversation.active_leaf_id is None:
        return []
    way = upward(conversation.active_leaf_id, until=message_id)
    return way if way[-1:] == [message_id] else []


def _upwards(conversation: Conversation, start: uuid.UUID | None) -> Window:
    if start is None:
        return Window()
    ids = upward(start, limit=PAGE + 1)
    return _window(conversation, ids[:PAGE], has_earlier=len(ids) > PAGE)


def _window(
    conversation: Conversation, ids: list[uuid.UUID], *, has_earlier: bool = False, later: uuid.UUID | None = None
) -> Window:
    """Return the window of these messages, the last of which comes first."""
    views = views_of(messages_at(ids[::-1]), conversation.active_leaf_id)
    return Window(views, views[0].id if views and has_earlier else None, later)


def _changed(conversation: Conversation, ids: list[uuid.UUID], known: dict[str, str]) -> list[MessageView]:
    """Return those of the messages whose tags are not the known ones; an answer in progress looks after itself."""
    light = Prefetch("generations", Generation.objects.only("pk", "message_id", "status"))
    rows = Message.objects.filter(pk__in=ids).only("pk", "parent_id", "role", "conversation_id")
    messages = list(rows.prefetch_related(light))
    versions = versions_of(messages)
    stale = [row.pk for row in messages if _is_stale(row, versions[row.parent_id], known)]
    return views_of(messages_at(sorted(stale)), conversation.active_leaf_id) if stale else []


def _is_stale(message: Message, versions: list[uuid.UUID], known: dict[str, str]) -> bool:
    tag = known.get(dom_id(message.pk))
    generations = list(message.generations.all())
    in_progress = running_tag(generations[-1]) if generations else tag
    return tag is not None and tag not in {tag_of(message, versions), in_progress}
