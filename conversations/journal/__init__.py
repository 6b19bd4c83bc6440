"""The append-only log of what models write: see `commit` for the way in, `storage` for the database."""

from conversations.journal.commit import Hint, Journal, Lane
from conversations.journal.storage import Ending, Progress, StoredDelta, end_generation, fold, replay

__all__ = ["Ending", "Hint", "Journal", "Lane", "Progress", "StoredDelta", "end_generation", "fold", "replay"]
