"""Writes a conversation that came in as rows: all of it or nothing, and never twice."""

from __future__ import annotations

import uuid
from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from chatapp.accounts.models import User
from conversations.files.inspection import Unacceptable, inspect
from conversations.models import (
    Attachment,
    ChatModel,
    Conversation,
    Feedback,
    Generation,
    Job,
    JobResult,
    Message,
    Tag,
)
from conversations.search import index_conversation
from conversations.transfer.sources import Enclosures, title_of, tree_of
from conversations.transfer.splitting import Piece
from conversations.transfer.trees import Enclosed, NotImported, Skipped, Tree, notes

Status = JobResult.Status


class Importer:
    """Imports the pieces of one job; `import_piece` may be called again for a piece that was imported before."""

    def __init__(self, job: Job, enclosures: Enclosures) -> None:
        self.job = job
        self.enclosures = enclosures

    @cached_property
    def models(self) -> dict[tuple[str, str], ChatModel]:
        """The models by name and label, and by name alone; those that can be chosen win."""
        found: dict[tuple[str, str], ChatModel] = {}
        for model in ChatModel.objects.order_by("enabled", "-position"):
            found[model.model_name, model.label] = found[model.model_name, ""] = model
        return found

    def import_piece(self, number: int, piece: Piece) -> JobResult:
        """Import one conversation and note what became of it."""
        try:
            tree = tree_of(piece)
        except NotImported as problem:
            status = Status.SKIPPED if isinstance(problem, Skipped) else Status.FAILED
            return self._note(number, status, title_of(piece), str(problem))
        try:
            with transaction.atomic():
                result = self._import_tree(number, tree)
        except IntegrityError:  # another import has brought the same conversation a moment ago
            if (known := self._known(tree.origin)) is None:
                raise
            return self._note_known(number, known)
        _index(result)  # now that nobody waits for it
        return result

    def index_last(self) -> None:
        """Index what was imported last: whoever did that may have died just behind it."""
        if (last := self.job.results.order_by("-number").first()) is not None:
            _index(last)

    def _import_tree(self, number: int, tree: Tree) -> JobResult:
        if (known := self._known(tree.origin)) is not None:
            return self._note_known(number, known)
        deleted = self.job.owner.conversations.filter(origin=tree.origin).exclude(deleted_at=None)
        deleted.update(origin="")  # an undo brings it back beside the new one
        conversation = self._conversation(tree)
        return self._note(number, Status.IMPORTED, conversation.title, notes(tree), conversation)

    def _known(self, origin: str) -> Conversation | None:
        mine = self.job.owner.conversations.visible()
        known = mine.filter(origin=origin).first()
        if known is None and (pk := _uuid(origin)) is not None:
            known = mine.filter(pk=pk).first()
        return known

    def _note_known(self, number: int, known: Conversation) -> JobResult:
        return self._note(number, Status.KNOWN, known.title, gettext("It was left as it is."), known)

    def _note(
        self, number: int, status: str, title: str, detail: str, conversation: Conversation | None = None
    ) -> JobResult:
        values = {"status": status, "title": title[:200], "detail": detail[:500], "conversation": conversation}
        return JobResult.objects.create(job=self.job, number=number, **values)

    def _conversation(self, tree: Tree) -> Conversation:
        created_at = tree.created_at or _earliest(tree) or timezone.now()
        conversation = Conversation.objects.create(
            owner=self.job.owner,
            title=tree.title,
            title_source=tree.title_source,
            system_prompt=tree.system_prompt,
            model=self._model(tree.model),
            parameters=tree.parameters,
            pinned=tree.pinned,
            archived=tree.archived,
            created_at=created_at,
            updated_at=tree.updated_at or created_at,
            origin=tree.origin,
        )
        messages = self._messages(conversation, tree, created_at)
        conversation.active_leaf = messages[tree.active] if tree.active is not None else messages[-1]
        conversation.save(update_fields=["active_leaf"])
        conversation.tags.set(_tags(self.job.owner, tree.tags))
        return conversation

    def _messages(self, conversation: Conversation, tree: Tree, at: datetime) -> list[Message]:
        messages: list[Message] = []
        for node in tree.nodes:
            parent = messages[node.parent] if node.parent is not None else None
            at = node.created_at or (parent.created_at if parent is not None else at)
            messages.append(
                Message(conversation=conversation, parent=parent, role=node.role, text=node.text, created_at=at)
            )
        Message.objects.bulk_create(messages, batch_size=500)
        pairs = list(zip(messages, tree.nodes, strict=True))
        rows = [self._generation(message, fields) for message, node in pairs for fields in node.generations]
        Generation.objects.bulk_create(rows, batch_size=200)
        opinions = [(message, node.feedback) for message, node in pairs if node.feedback is not None]
        Feedback.objects.bulk_create(_feedback(message, self.job.owner, fields) for message, fields in opinions)
        for message, node in pairs:
            tree.left_out += sum(not self._attach(message, file) for file in node.files)
        return messages

    def _attach(self, message: Message, enclosed: Enclosed) -> bool:
        """Give a message a file that came along, if it could have been uploaded, too."""
        data = enclosed.text.encode() if enclosed.text else self.enclosures.read(enclosed.member)
        if data is None or not settings.ATTACHMENTS_PER_MESSAGE or message.role != Message.Role.USER:
            return False
        try:
            found = inspect(enclosed.name, data)
        except Unacceptable:
            return False
        if found.is_image is not bool(enclosed.member):
            return False
        row = Attachment(owner=self.job.owner, message=message, created_at=message.created_at, **found.fields)
        if found.is_image:
            row.file.save(found.name, ContentFile(data), save=False)
        row.save(force_insert=True)
        return True

    def _generation(self, message: Message, fields: dict[str, Any]) -> Generation:
        values = {name: value for name, value in fields.items() if name not in {"model", "created_at"}}
        model = self._model(fields["model"])
        values["model_name"] = values["model_name"] or ("" if model else fields["model"][1] or fields["model"][0])
        created_at = fields["created_at"] or message.created_at
        return Generation(message=message, model=model, created_at=created_at, **values)

    def _model(self, named: tuple[str, str]) -> ChatModel | None:
        return self.models.get(named) or self.models.get((named[0], ""))


def _index(result: JobResult) -> None:
    if result.status == Status.IMPORTED and result.conversation is not None:
        index_conversation(result.conversation)


def _feedback(message: Message, owner: User, fields: dict[str, Any]) -> Feedback:
    created_at = fields["created_at"] or message.created_at
    return Feedback(
        message=message, owner=owner, value=fields["value"], comment=fields["comment"], created_at=created_at
    )


def _tags(owner: User, names: list[str]) -> list[Tag]:
    return [Tag.objects.get_or_create(owner=owner, name=name)[0] for name in names]


def _earliest(tree: Tree) -> datetime | None:
    return min((node.created_at for node in tree.nodes if node.created_at is not None), default=None)


def _uuid(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None
