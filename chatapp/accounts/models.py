"""The user. A model of our own from the first day, because Django cannot change to one later."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """Somebody who signs in; owns conversations."""

    default_model = models.ForeignKey(
        "conversations.ChatModel", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    default_preset = models.ForeignKey(
        "conversations.Preset", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    language = models.CharField(max_length=10, blank=True)
