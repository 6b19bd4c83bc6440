"""What a user can do with conversations in the list: one, or many at once.

`rows` are always a user's own conversations; an action on many is one transaction. Deleting hides at once, everywhere,
and stops what runs; `purge` takes away for good what nobody has restored.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from chatapp.accounts.models import User
from conversations import audit
from conversations.keeping.purge import forget_unused
from conversations.models import Conversation, ConversationQuerySet, Generation, Tag
from conversations.search import index_conversation
from conversations.turns.base import TurnRefused, locked
from conversations.turns.messages import stop


def delete(conversation: Conversation) -> datetime:
    """Stop what runs in a conversation and delete it; return what `undo_delete` needs. Raises `Gone`."""
    with transaction.atomic():
        conversation = locked(conversation)
        return delete_many(conversation.owner, Conversation.objects.filter(pk=conversation.pk))


def delete_many(user: User, rows: ConversationQuerySet) -> datetime:
    """Stop what runs in conversations and delete them; return what `undo_delete` needs."""
    now = timezone.now()
    with transaction.atomic():
        visible = rows.visible().filter(owner=user)
        ids = list(visible.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
        deleted = Conversation.objects.filter(owner=user, pk__in=ids)
        active = Generation.objects.active().filter(message__conversation__in=ids)
        for conversation in deleted.filter(pk__in=set(active.values_list("message__conversation", flat=True))):
            stop(conversation)
        deleted.update(deleted_at=now)
        audit.record_each(user, "conversation.delete", ids)
    return now


def undo_delete(user: User, deleted_at: datetime) -> int:
    """Bring back what was deleted at this moment; return how many were still there."""
    with transaction.atomic():
        rows = Conversation.objects.filter(owner=user, deleted_at=deleted_at)
        ids = list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))
        Conversation.objects.filter(pk__in=ids).update(deleted_at=None, left_at=None)
        audit.record_each(user, "conversation.restore", ids)
    return len(ids)


def set_pinned(rows: ConversationQuerySet, pinned: bool) -> int:
    """Put conversations at the top of the list, or back into their day."""
    return _changed(rows, "pin" if pinned else "unpin", pinned=pinned)


def set_archived(rows: ConversationQuerySet, archived: bool) -> int:
    """Take conversations out of the list, or bring them back."""
    return _changed(rows, "archive" if archived else "unarchive", archived=archived)


def _changed(rows: ConversationQuerySet, action: str, **fields: bool) -> int:
    """Change a user's visible conversations, note each, and return how many there were."""
    with transaction.atomic():
        visible = dict(rows.visible().values_list("pk", "owner"))
        Conversation.objects.filter(pk__in=visible).update(**fields)
        owner = User.objects.filter(pk__in=set(visible.values())).first()
        audit.record_each(owner, f"conversation.{action}", visible)
    return len(visible)


def tag(user: User, rows: ConversationQuerySet, name: str) -> Tag:
    """Give conversations a tag, which is made if there is none of that name. Raises `TurnRefused` without a name."""
    name = " ".join(name.replace("\0", "").split()).removeprefix("#").strip()[: Tag._meta.get_field("name").max_length]
    if not name:
        raise TurnRefused(gettext("Give the tag a name."))
    with transaction.atomic():
        tags = user.tags.select_for_update()  # else it could be gone with its last conversation before it is given
        found = tags.filter(name__iexact=name).first() or tags.get_or_create(owner=user, name=name)[0]
        through = Conversation.tags.through
        ids = list(rows.visible().values_list("pk", flat=True))
        links = [through(conversation_id=pk, tag_id=found.pk) for pk in ids]
        through.objects.bulk_create(links, ignore_conflicts=True, batch_size=500)
        audit.record_each(user, "conversation.tag", ids)
    return found


def untag(rows: ConversationQuerySet, tag: Tag) -> None:
    """Take a tag from conversations; one that nothing has any more is gone."""
    with transaction.atomic():
        links = Conversation.tags.through.objects.filter(tag=tag, conversation__in=rows)
        audit.record_each(tag.owner, "conversation.untag", list(links.values_list("conversation", flat=True)))
        links.delete()
        forget_unused(Tag.objects.filter(pk=tag.pk))


def leave(conversation: Conversation) -> None:
    """Note that a page of a temporary conversation was closed; unless it is opened again, the conversation goes."""
    Conversation.objects.filter(pk=conversation.pk, temporary=True).update(left_at=timezone.now())


def come_back(conversation: Conversation) -> None:
    """Note that a page of a temporary conversation is open."""
    if conversation.temporary:
        Conversation.objects.filter(pk=conversation.pk, left_at__isnull=False).update(left_at=None)


def keep(conversation: Conversation) -> None:
    """Make a temporary conversation one like all others. Raises `Gone`."""
    with transaction.atomic():
        conversation = locked(conversation)
        if not conversation.temporary:
            return
        conversation.temporary, conversation.left_at = False, None
        conversation.save(update_fields=["temporary", "left_at"])
        audit.record(conversation.owner, "conversation.keep", conversation_id=conversation.pk)
        index_conversation(conversation)
