"""The sessions of one user."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.sessions.models import Session

from chatapp.accounts.models import User


def sessions_of(user: User) -> Iterator[Session]:
    """Yield the sessions of a user.

    They know their user only inside, so all are looked through: not in a transaction, in which all others wait.
    """
    for session in Session.objects.order_by("expire_date").iterator(chunk_size=500):
        if session.get_decoded().get("_auth_user_id") == str(user.pk):
            yield session
