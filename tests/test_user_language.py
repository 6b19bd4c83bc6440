"""A language chosen on one device holds on all: pages, the cookie, streams."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.urls import reverse

from conversations.serving.sessions import access
from tests.factories import make_conversation, make_model, make_turn, make_user

SET = reverse("set_language")
COOKIE = "django_language"


@pytest.fixture(autouse=True)
def _model(db):
    make_model()


def language(client, address: str = "/") -> str:
    page = client.get(address, follow=True).content.decode()
    return page.split('<html lang="')[1].split('"')[0]


def test_the_choice_is_kept_with_the_user(client, user):
    client.force_login(user)
    client.post(SET, {"language": "de", "next": "/"})
    user.refresh_from_db()
    assert user.language == "de"
    client.post(SET, {"language": "xx", "next": "/"})
    user.refresh_from_db()
    assert user.language == "de"


def test_the_choice_of_nobody_is_kept_in_the_cookie_alone(client):
    other = make_user("grace", language="zh-hans")
    client.post(SET, {"language": "de", "next": "/"})
    other.refresh_from_db()
    assert (other.language, client.cookies[COOKIE].value) == ("zh-hans", "de")


def test_signing_in_on_another_device_brings_the_language(client):
    make_user("grace", language="de")
    assert language(client, "/accounts/login/") == "en"
    response = client.post(reverse("account_login"), {"login": "grace", "password": "a long password"})
    assert response.cookies[COOKIE].value == "de"
    assert response.cookies[COOKIE]["max-age"] == django_settings.LANGUAGE_COOKIE_AGE
    assert language(client) == "de"


def test_a_change_on_one_device_reaches_the_other(client, user):
    client.force_login(user)
    client.cookies[COOKIE] = "en"
    user.language = "zh-hans"
    user.save()
    assert language(client) == "zh-hans"
    assert client.cookies[COOKIE].value == "zh-hans"
    assert COOKIE not in client.get("/").cookies  # once is enough


@pytest.mark.parametrize("stored", ["", "xx", "<b>"])
def test_without_a_language_of_the_user_the_browser_counts(client, user, stored):
    user.language = stored
    user.save()
    client.force_login(user)
    client.cookies[COOKIE] = "de"
    assert language(client) == "de"


def test_the_language_stays_after_signing_out(client, user):
    user.language = "de"
    user.save()
    client.force_login(user)
    client.get("/")
    client.post(reverse("account_logout"))
    assert language(client, "/accounts/login/") == "de"


def test_a_stream_knows_the_language_of_its_user(client, user, stranger):
    generation = make_turn(make_conversation(user))
    user.language = "de"
    user.save()
    client.force_login(user)
    found, language = access(generation.pk, f"sessionid={client.cookies['sessionid'].value}", "")
    assert found is not None
    assert (found.message_id, language) == (generation.message_id, "de")
    client.force_login(stranger)
    assert access(generation.pk, f"sessionid={client.cookies['sessionid'].value}", "") == (None, "")
    assert access(generation.pk, "", "") == (None, "")
