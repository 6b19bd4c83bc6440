"""The local owner and the link that signs them in once, as Jupyter prints one.

The link holds a token of Django's password-reset kind: signed, limited in time, and tied to the last sign-in, so that
using it makes it void.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from chatapp.accounts.models import User


class SignInTokenGenerator(PasswordResetTokenGenerator):
    """Tokens that sign in; a salt of their own keeps password-reset tokens out."""

    key_salt = "chatapp.accounts.owner.SignInTokenGenerator"


tokens = SignInTokenGenerator()


def local_owner() -> User:
    """Return the first superuser, made without a password when there is none."""
    owner = get_user_model().objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if owner is None:
        owner = get_user_model().objects.create_superuser(username="owner", email="", password=None)
    return owner


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
