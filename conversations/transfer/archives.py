"""Conversations on their way out: one of them, or all of a user in one zip, written conversation by conversation.

The bytes of images stand beside the JSON in a zip, under the names that the JSON has for them; what text files say is
in the JSON itself.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from django.utils import timezone

from conversations.models import Attachment, Conversation, Job, Message
from conversations.transfer.documents import Place, document_of, header, nowhere, tree_of
from conversations.transfer.importing import Progress
from conversations.transfer.names import Names, file_name
from conversations.transfer.pages import page_of
from conversations.transfer.texts import markdown_of

JSON, MARKDOWN, HTML = "json", "markdown", "html"
EXTENSIONS = {JSON: "json", MARKDOWN: "md", HTML: "html"}

logger = logging.getLogger(__name__)


class Files:
    """The files that belong into an archive: `place` gives each its name there, `add_to` puts them in, one by one."""

    def __init__(self) -> None:
        self._names = Names()
        self._places: dict[uuid.UUID, str] = {}

    def place(self, attachment: Attachment) -> str | None:
        """Return the name of an image in the archive. None for a text, which is in the document."""
        if not attachment.file:
            return None
        if attachment.pk not in self._places:
            stem, _dot, extension = attachment.name.rpartition(".")
            name = file_name(stem or attachment.name, extension[:10] or "bin", fallback="file")
            self._places[attachment.pk] = f"files/{self._names.unique(name)}"
        return self._places[attachment.pk]

    def add_to(self, archive: zipfile.ZipFile) -> Iterator[str]:
        """Add what was given a name, and yield that."""
        for pk, name in self._places.items():
            if (row := Attachment.objects.filter(pk=pk).only("file").first()) is not None:  # else deleted meanwhile
                add_file(archive, name, row)
                yield name


class _Sink(io.RawIOBase):
    """What an archive is written to that is sent while it grows: nowhere to go back in."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Keep some bytes until they are taken."""
        self._written += data
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken, self._written = bytes(self._written), bytearray()
        return taken


def add_file(archive: zipfile.ZipFile, name: str, row: Attachment) -> None:
    """Add the bytes of a file. One that cannot be read is noted and left out: the document names it still."""
    try:
        with row.file.open("rb") as stored, archive.open(name, "w", force_zip64=True) as member:
            shutil.copyfileobj(stored, member)
    except (OSError, ValueError) as error:
        logger.warning("The file of attachment %s could not be read: %s", row.pk, error)


def write_all(job: Job, file: IO[bytes], progress: Progress) -> None:
    """Write a zip with all conversations in the format that the job asks for."""
    form = str(job.parameters.get("format"))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if form == JSON:
            files = Files()
            add_documents(archive, job, progress, files.place)
            for _name in files.add_to(archive):
                pass
            return
        names = Names()
        for conversation in each(job, progress):
            day = timezone.localtime(conversation.created_at).date()
            name = names.unique(file_name(f"{day} {conversation}", EXTENSIONS[form]))
            archive.writestr(name, as_text(conversation, form, whole=True))


def add_documents(archive: zipfile.ZipFile, job: Job, progress: Progress, place: Place) -> None:
    """Add `conversations.json`, which the import takes back."""
    with archive.open("conversations.json", "w", force_zip64=True) as member:
        head = json.dumps(header(), ensure_ascii=False, indent=1)
        member.write(f'{head[:-2]},\n "conversations": ['.encode())
        for number, conversation in enumerate(each(job, progress)):
            text = json.dumps(document_of(conversation, None, place), ensure_ascii=False)
            member.write(f"{',' if number else ''}\n{text}".encode("utf-8", "replace"))
        member.write(b"\n]}\n")


def has_files(conversation: Conversation) -> bool:
    """Whether there are files in a conversation whose bytes no text can hold."""
    return Attachment.objects.filter(message__conversation=conversation).exclude(file="").exists()


def zip_of(conversation: Conversation, *, whole: bool) -> Iterator[bytes]:
    """Yield a zip with a conversation as JSON and its files, of which one is in memory at a time."""
    files, sink = Files(), _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        text = as_text(conversation, JSON, whole=whole, place=files.place)
        archive.writestr("conversations.json", text.encode("utf-8", "replace"))
        yield sink.take()
        for _name in files.add_to(archive):
            yield sink.take()
    yield sink.take()


def as_text(conversation: Conversation, form: str, *, whole: bool, place: Place = nowhere) -> str:
    """Return a conversation in one of the formats: the branch that is shown, or all of its tree."""
    messages = tree_of(conversation) if whole else _shown(conversation)
    if form == MARKDOWN:
        return markdown_of(conversation, messages)
    if form == HTML:
        return page_of(conversation, messages)
    document = document_of(conversation, messages, place)
    return json.dumps(header() | {"conversations": [document]}, ensure_ascii=False, indent=1)


def each(job: Job, progress: Progress) -> Iterator[Conversation]:
    """Yield the conversations of the job's owner, oldest first, telling the progress."""
    rows = job.owner.conversations.visible()
    if not job.parameters.get("temporary"):
        rows = rows.filter(temporary=False)
    ids: list[uuid.UUID] = list(rows.order_by("created_at", "pk").values_list("pk", flat=True))
    progress(0, len(ids))
    for number, pk in enumerate(ids, start=1):
        found = Conversation.objects.select_related("model", "active_leaf").prefetch_related("tags").filter(pk=pk)
        if (conversation := found.first()) is not None:  # else it was deleted meanwhile
            yield conversation
        progress(number, len(ids))


def _shown(conversation: Conversation) -> list[Message]:
    tree = {message.pk: message for message in tree_of(conversation)}
    path: list[Message] = []
    current = tree.get(conversation.active_leaf_id) if conversation.active_leaf_id else None
    while current is not None:
        path.append(current)
        current = tree.get(current.parent_id) if current.parent_id else None
    return path[::-1]
