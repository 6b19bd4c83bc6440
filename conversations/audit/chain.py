"""The chain of the audit trail: each entry is sealed with the SHA-256 of the seal before it and its own content.

An entry is inserted without a seal, in the transaction of what it tells of, so that no action waits for another one's
entry. Seconds later the upkeep of some process seals what has been committed: one process at a time, by an advisory
lock on PostgreSQL, by the one writer on SQLite. `position` is the place in the chain, without gaps. It follows the
commits and not the ids: what is committed late gets a later place, and nothing in front of it changes.

Whoever can write to the database past its guards can change what is not sealed yet, or cut the end off and seal anew.
The first takes place within seconds; against the second, keep a head (see `Head`) elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection, transaction

from conversations.models import AuditEntry

logger = logging.getLogger(__name__)

GENESIS = "0" * 64
BATCH = 200
LOCK = 7_305_120  # any number: that of this very lock among the advisory locks of the database
LOG_SECONDS = 600.0

_logged_at = -LOG_SECONDS


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain at some moment. Written `<position>:<hash>`; kept elsewhere it proves what was there."""

    position: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read what was printed or logged. Raises ValueError."""
        position, _, digest = text.strip().partition(":")
        if len(digest) != len(GENESIS) or not position.isdecimal():
            raise ValueError(text)
        return cls(int(position), digest.lower())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found; `problem` says where the chain breaks, and is empty when it does not."""

    head: Head
    problem: str
    unsealed: int
    oldest_unsealed_at: datetime | None


def canonical(entry: AuditEntry, position: int) -> bytes:
    """Return all that an entry says, in the one form of which the hash is taken."""
    content = {
        "position": position,
        "id": entry.pk,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": entry.actor_id,
        "action": entry.action,
        "conversation": str(entry.conversation_id) if entry.conversation_id else None,
        "generation": str(entry.generation_id) if entry.generation_id else None,
        "data": entry.data,
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def hash_of(entry: AuditEntry, position: int, previous: str) -> str:
    """Return the seal of an entry behind the one that has the seal `previous`."""
    return hashlib.sha256(previous.encode("ascii") + canonical(entry, position)).hexdigest()


def seal() -> int:
    """Seal entries that have been committed, the oldest first; return how many. Blocks on the database.

    0 also when another process is just sealing.
    """
    if not AuditEntry.objects.filter(position=None).exists():
        return 0
    with transaction.atomic():
        if not _locked():
            return 0
        current = head()
        rows = list(AuditEntry.objects.filter(position=None).order_by("pk")[:BATCH])
        for row in rows:
            position = current.position + 1
            row.hash = hash_of(row, position, current.hash)
            row.position = position
            current = Head(position, row.hash)
        AuditEntry.objects.bulk_update(rows, ["position", "hash"])
    _log_now_and_then(current)
    return len(rows)


def seal_all(seconds: float = 1.0) -> None:
    """Seal what there is, for so long at most: the rest waits for the next call. Blocks on the database."""
    until = time.monotonic() + seconds
    while seal() == BATCH and time.monotonic() < until:
        pass


def head() -> Head:
    """Return the end of the chain as the database has it."""
    last = AuditEntry.objects.filter(position__isnull=False).order_by("-position").first()
    return Head(last.position or 0, last.hash) if last is not None else Head()


def verify(anchor: Head | None = None) -> Verdict:
    """Recalculate the whole chain; `anchor` is a head that was noted before, and must still be on it."""
    current, problem, anchored = Head(), "", anchor is None or anchor.position == 0
    for entry in _sealed():
        problem = _problem(entry, current)
        if problem:
            break
        current = Head(current.position + 1, entry.hash)
        if anchor is not None and current.position == anchor.position:
            anchored = current == anchor
            if not anchored:
                problem = f"position {anchor.position} (entry {entry.pk}) does not have the hash of the head given"
                break
    if not problem and not anchored and anchor is not None:
        problem = f"the chain ends at position {current.position}, before the head given at {anchor.position}"
    unsealed = AuditEntry.objects.filter(position=None)
    oldest = unsealed.order_by("pk").values_list("at", flat=True).first()
    return Verdict(current, problem, unsealed.count(), oldest)


def _sealed() -> Iterator[AuditEntry]:
    return AuditEntry.objects.filter(position__isnull=False).order_by("position").iterator(chunk_size=2_000)


def _problem(entry: AuditEntry, before: Head) -> str:
    """Say what is wrong with an entry that should follow `before`; nothing, if all is right."""
    expected = before.position + 1
    if entry.position != expected:
        return (
            f"position {expected} is missing: entry {entry.pk} at position {entry.position} follows {before.position}"
        )
    if entry.hash != hash_of(entry, expected, before.hash):
        return f"entry {entry.pk} at position {expected} is not what was sealed, or not what was sealed there"
    return ""


def _locked() -> bool:
    """Whether this transaction may seal. On SQLite it is the only one that writes anyway."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _log_now_and_then(current: Head) -> None:
    """Log the head: logs are usually kept where the database's administrator cannot reach them."""
    global _logged_at  # noqa: PLW0603 - one log a process
    if time.monotonic() - _logged_at >= LOG_SECONDS:
        _logged_at = time.monotonic()
        logger.info("Audit head %s", current)
