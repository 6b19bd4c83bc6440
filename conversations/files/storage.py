"""Keeps files in the database.

Web processes write them and workers, perhaps on other machines, read them; with the database they need no shared disk,
come back with its backup, and are gone in the transaction that deletes what they belong to. They are written and read
in pieces, so that an export of any size needs the memory of one. They have no address: views serve them to whom they
belong.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, Any, cast

from django.core.files.base import File
from django.core.files.storage import Storage
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from conversations.models import Attachment, Job, StoredFile, StoredPiece
from conversations.models.messages import AttachmentQuerySet

PIECE_BYTES = 1_048_576
UNSENT_HOURS = 24
TIDY_SECONDS = 3600.0

_tidied = 0.0


class _Reader(io.RawIOBase):
    """Reads a stored file anywhere in it, holding one piece; blocks on the database."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__()
        self._name, self._size = name, size
        self._position = 0
        self._start, self._piece = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; no byte is read for it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill as much of `buffer` as one piece can. Raises `FileNotFoundError` when the file was deleted meanwhile."""
        if self._position >= self._size:
            return 0
        if not self._start <= self._position < self._start + len(self._piece):
            self._fetch()
        offset = self._position - self._start
        found = self._piece[offset : offset + len(buffer)]
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)

    def _fetch(self) -> None:
        pieces = StoredPiece.objects.filter(file=self._name, start__lte=self._position).order_by("-start")
        row = pieces.values_list("start", "data").first()
        if row is None or row[0] + len(row[1]) <= self._position:
            raise FileNotFoundError(self._name)
        self._start, self._piece = row[0], bytes(row[1])


class _Opened(File):  # type: ignore[type-arg] # generic for the type checker alone
    """A stored file as Django knows files; it can be opened again when it was closed."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(io.BufferedReader(_Reader(name, size)), name)
        self.size = size

    def open(self, mode: str | None = None, *_: Any, **__: Any) -> _Opened:  # noqa: ARG002 - Django's interface
        if self.closed:
            self.file = io.BufferedReader(_Reader(str(self.name), self.size))
        self.seek(0)
        return self


class _Writer(io.RawIOBase):
    """Writes a new file from its beginning to its end, a row for each piece; blocks on the database."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._file = StoredFile.objects.create(name=name)
        self._start = 0
        self._rest = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Take bytes, and store the pieces that are full."""
        self._rest += data
        while len(self._rest) >= PIECE_BYTES:
            self._store(PIECE_BYTES)
        return len(data)

    def finish(self) -> int:
        """Store what is left; return the size of the file."""
        if self._rest:
            self._store(len(self._rest))
        StoredFile.objects.filter(pk=self._file.pk).update(size=self._start)
        return self._start

    def _store(self, count: int) -> None:
        StoredPiece.objects.create(file=self._file, start=self._start, data=bytes(self._rest[:count]))
        self._start += count
        del self._rest[:count]


@contextmanager
def written(name: str) -> Iterator[IO[bytes]]:
    """A new file of this name to write, from its beginning to its end; it is deleted when the block fails."""
    writer = _Writer(name)
    try:
        yield cast(IO[bytes], writer)
        writer.finish()
    except BaseException:
        StoredFile.objects.filter(pk=name).delete()
        raise


class DatabaseStorage(Storage):
    """Django's storage interface over `StoredFile`; a file that is not there raises `FileNotFoundError`."""

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if mode != "rb":
            raise ValueError("Stored files are read, not changed")
        return _Opened(name, self.size(name))

    def _save(self, name: str, content: File[Any]) -> str:
        content.seek(0)
        with written(name) as file:
            for chunk in content.chunks(PIECE_BYTES):
                file.write(chunk)
        return name

    def delete(self, name: str) -> None:
        """Delete a file; one that is not there is no error."""
        StoredFile.objects.filter(pk=name).delete()

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return StoredFile.objects.filter(pk=name).exists()

    def size(self, name: str) -> int:
        """Its length in bytes."""
        size: int | None = StoredFile.objects.filter(pk=name).values_list("size", flat=True).first()
        if size is None:
            raise FileNotFoundError(name)
        return size


def forget_unsent() -> int:
    """Delete what was uploaded and not sent within a day, and bytes that no row names; return how many files.

    Blocks on the database.
    """
    before = timezone.now() - timedelta(hours=UNSENT_HOURS)
    count = delete_unsent(Attachment.objects.filter(created_at__lt=before))
    unnamed().filter(created_at__lt=before).delete()
    return count


def unnamed() -> QuerySet[StoredFile]:
    """Return the files that no row names. For each an index is asked: `NOT IN` would read all rows for each file."""
    named = (rows.objects.filter(file=OuterRef("pk"), file__gt="").order_by() for rows in (Attachment, Job))
    return StoredFile.objects.filter(*(~Exists(rows) for rows in named))


def delete_unsent(rows: AttachmentQuerySet) -> int:
    """Delete those of these files that belong to no message; return how many. One that is being sent is waited for.

    Django deletes by key what it has read before: without the lock also what was sent in between.
    """
    with transaction.atomic():
        ids = list(rows.unsent().select_for_update().order_by("pk").values_list("pk", flat=True))
        count: int = Attachment.objects.filter(pk__in=ids).delete()[1].get("conversations.Attachment", 0)
    return count


def forget_now_and_then() -> None:
    """Forget what was not sent, if that was not done within the hour. For an upkeep that is called more often."""
    global _tidied  # noqa: PLW0603 - one upkeep a process
    if not _tidied or time.monotonic() - _tidied >= TIDY_SECONDS:
        forget_unsent()
        _tidied = time.monotonic()
