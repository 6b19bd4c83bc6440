"""What the search knows: an entry for each title and each message that can be found."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from conversations.models.conversations import Conversation
from conversations.models.messages import Message


class SearchEntryQuerySet(models.QuerySet["SearchEntry"]):
    """Entries; which words they have only `conversations.search` knows."""


class SearchEntry(models.Model):
    """A message, or, without one, a title, that is found by its words; ids grow with the time of the message."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+")
    message = models.OneToOneField(Message, null=True, blank=True, on_delete=models.CASCADE, related_name="+")

    objects = SearchEntryQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("conversation",), condition=Q(message=None), name="one_search_entry_of_a_title"
            ),
        )

    def __str__(self) -> str:
        return f"words of {self.message_id or self.conversation_id}"
