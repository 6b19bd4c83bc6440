"""Staff with the roles of the admin, and what they do there."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from tests.factories import make_user


def make_staff(name: str, *roles: str):
    """A member of staff; the roles are made again, because tests with threads leave empty tables behind."""
    import_module("conversations.migrations.0018_review_roles").make_roles(apps, None)
    user = make_user(name, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(name: str, *args) -> str:
    return reverse(f"admin:conversations_{name}", args=args)


def open_transcript(client: Client, conversation, reason: str = "A complaint by phone") -> None:
    response = client.post(page("conversation_open", conversation.pk), {"reason": reason})
    assert response.status_code == 302, response.content.decode()


def text(client: Client, url: str, **sent: str) -> str:
    response = client.get(url, sent)
    assert response.status_code == 200, response.status_code
    return response.content.decode()
