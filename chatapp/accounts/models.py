"""The user. A model of our own from the first day, because Django cannot change to one later."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Somebody who signs in; owns conversations."""
