"""The local owner and the link that signs them in once, as Jupyter prints one.

The link holds a token of Django's password-reset kind: signed, limited in time, and tied to the last sign-in, so that
using it makes it void.
"""

from __future__ import annotations

import logging
from itertools import chain, count

from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from chatapp.accounts.models import User

logger = logging.getLogger(__name__)

NAME = "owner"


class SignInTokenGenerator(PasswordResetTokenGenerator):
    """Tokens that sign in; a salt of their own keeps password-reset tokens out."""

    key_salt = "chatapp.accounts.owner.SignInTokenGenerator"


tokens = SignInTokenGenerator()


def local_owner() -> User:
    """Return the first superuser, made without a password when there is none that is active."""
    owner = get_user_model().objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if owner is None:
        owner = get_user_model().objects.create_superuser(username=_free_name(), email="", password=None)
        if owner.username != NAME:
            logger.warning("No superuser is active, and “%s” is taken: the owner is now “%s”", NAME, owner.username)
    return owner


def _free_name() -> str:
    """Return the owner's name, or one like it: the account of that name may have been deactivated or demoted."""
    names = chain([NAME], (f"{NAME}{number}" for number in count(2)))
    return next(name for name in names if not get_user_model().objects.filter(username__iexact=name).exists())


def sign_in_path(user: User) -> str:
    """Return the path that signs `user` in, once."""
    return reverse("sign_in", args=[urlsafe_base64_encode(str(user.pk).encode()), tokens.make_token(user)])


def user_of_link(uid: str, token: str) -> User | None:
    """Return the user whom a link belongs to, or None when it is forged, too old or used."""
    try:
        user = get_user_model().objects.filter(pk=int(urlsafe_base64_decode(uid)), is_active=True).first()
    except ValueError:  # not base64, not a number, or not UTF-8
        return None
    return user if user is not None and tokens.check_token(user, token) else None
