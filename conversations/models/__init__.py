"""Tables, querysets and the small transitions between states.

A transition is a conditional UPDATE: its row count says who won. What a user can do is in `turns`, what a model does
in `runner`; nothing here speaks HTTP or calls a provider.
"""

from conversations.models.chat_models import ChatModel
from conversations.models.conversations import Conversation, ConversationQuerySet, Draft, Preset, QueuedMessage, Tag
from conversations.models.figures import ActiveUser, HourlyFigures
from conversations.models.filters import FilterRule
from conversations.models.generations import Delta, Generation, GenerationQuerySet, Parts
from conversations.models.ids import uuid7
from conversations.models.limits import Breaker, Meter, Plan, Reservation, Watching
from conversations.models.messages import Attachment, Feedback, Message, StoredFile, StoredPiece
from conversations.models.records import AuditEntry, Delivery, Worker
from conversations.models.retention import LegalHold, RetentionRule
from conversations.models.review import Flag, FlagNote, Opening
from conversations.models.search import SearchEntry
from conversations.models.sharing import Job, JobResult, Share

__all__ = [
    "ActiveUser",
    "Attachment",
    "AuditEntry",
    "Breaker",
    "ChatModel",
    "Conversation",
    "ConversationQuerySet",
    "Delivery",
    "Delta",
    "Draft",
    "Feedback",
    "FilterRule",
    "Flag",
    "FlagNote",
    "Generation",
    "GenerationQuerySet",
    "HourlyFigures",
    "Job",
    "JobResult",
    "LegalHold",
    "Message",
    "Meter",
    "Opening",
    "Parts",
    "Plan",
    "Preset",
    "QueuedMessage",
    "Reservation",
    "RetentionRule",
    "SearchEntry",
    "Share",
    "StoredFile",
    "StoredPiece",
    "Tag",
    "Watching",
    "Worker",
    "uuid7",
]
