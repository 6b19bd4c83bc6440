"""Refuse settings that cannot work, with a sentence that says what to change."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

SHORTEST_KEY = 32
LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


@register(Tags.security)
def check_debug_is_local(**_kwargs: Any) -> list[CheckMessage]:
    """DEBUG shows settings and source to whoever can reach the site."""
    public = set(settings.ALLOWED_HOSTS) - LOOPBACK - {"testserver", ".localhost"}
    if settings.DEBUG and (public or settings.HOST not in LOOPBACK):
        return [Error("DEBUG is on and the site is public.", hint="Unset DEBUG.", id="stillwater.E001")]
    return []


@register(Tags.security)
def check_secret_key(**_kwargs: Any) -> list[CheckMessage]:
    """A short or well-known key lets anybody forge sessions."""
    key = settings.SECRET_KEY
    if len(key) < SHORTEST_KEY or key.lower().startswith(("changeme", "change-me", "secret", "django-insecure")):
        hint = "Set SECRET_KEY to at least 50 random characters, or unset it and one is made in DATA_DIR."
        return [Error("SECRET_KEY is too short or a default.", hint=hint, id="stillwater.E002")]
    return []


@register(Tags.compatibility)
def check_leases_outlive_polls(**_kwargs: Any) -> list[CheckMessage]:
    """A lease must be renewed several times before it runs out."""
    if settings.LEASE_SECONDS < 4 * settings.FRAME_SECONDS:
        return [Error("LEASE_SECONDS is too short for FRAME_SECONDS.", id="stillwater.E003")]
    return []


@register(Tags.compatibility)
def check_workers_can_be_reached(**_kwargs: Any) -> list[CheckMessage]:
    """Workers share with web processes a database for many writers, a queue, and a bus."""
    if settings.GENERATION_BACKEND != "celery":
        return []
    errors: list[CheckMessage] = []
    if connection.vendor == "sqlite":
        hint = "Set DATABASE_URL to a PostgreSQL database, or GENERATION_BACKEND to embedded."
        errors.append(Error("Workers cannot share an SQLite database.", hint=hint, id="stillwater.E004"))
    for name in ("BROKER_URL", "BUS_URL"):
        if not getattr(settings, name):
            hint = f"Set REDIS_URL, or {name} alone."
            errors.append(Error(f"Workers need {name}.", hint=hint, id="stillwater.E005"))
    return errors
