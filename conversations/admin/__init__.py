"""The Django admin: models are edited here; transcripts are read, as the user saw them, and never changed."""

from conversations.admin import (
    catalogue,
    dashboard,
    feedback,
    filters,
    flags,
    limits,
    logbook,
    messages,
    operations,
    retention,
    trail,
    transcripts,
)

__all__ = [
    "catalogue",
    "dashboard",
    "feedback",
    "filters",
    "flags",
    "limits",
    "logbook",
    "messages",
    "operations",
    "retention",
    "trail",
    "transcripts",
]
