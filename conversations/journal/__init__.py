"""The append-only log of what models write: see `commit` for the way in, `storage` for the database."""

from conversations.journal.commit import ANY, SESSIONS, Hint, Journal, Lane
from conversations.journal.storage import Ending, Progress, StoredDelta, end_generation, fold, heads, replay

__all__ = [
    "ANY",
    "SESSIONS",
    "Ending",
    "Hint",
    "Journal",
    "Lane",
    "Progress",
    "StoredDelta",
    "end_generation",
    "fold",
    "heads",
    "replay",
]
