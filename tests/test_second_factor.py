"""The second step of a sign-in: set up, asked for on every way in, not guessed, not used twice, demanded by setting."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client

from chatapp.accounts.owner import sign_in_path
from tests.factories import make_model, make_user

LOGIN, STEP, SET_UP = "/accounts/login/", "/accounts/2fa/authenticate/", "/accounts/2fa/totp/activate/"
PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def _nobody_has_tried(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick: it is not what is tested
    make_model()
    cache.clear()
    yield
    cache.clear()


def code(secret: str, steps: int = 0) -> str:
    """What an authenticator app shows (RFC 6238), or showed `steps` half minutes ago."""
    counter = int(time.time()) // 30 - steps
    digest = hmac.new(base64.b32decode(secret), counter.to_bytes(8, "big"), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def set_up(client: Client) -> str:
    """Switch the second step on for whoever is signed in; the secret."""
    page = client.get(SET_UP, follow=True)
    if "reauthenticate" in page.request["PATH_INFO"]:
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        page = client.get(SET_UP)
    secret = re.search(r'class="secret">([A-Z2-7]+)<', page.content.decode())[1]
    assert client.post(SET_UP, {"code": code(secret, 1)}).url == "/accounts/2fa/recovery-codes/"
    return secret


def password(name: str = "grace") -> Client:
    """Somebody who has given the right name and password."""
    client = Client()
    client.post(LOGIN, {"login": name, "password": PASSWORD})
    return client


@pytest.fixture
def grace():
    return make_user("grace", is_staff=True, is_superuser=True)


@pytest.fixture
def secret(grace) -> str:
    return set_up(password())


def is_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def test_a_password_alone_opens_nothing(secret):
    client = password()
    for path in ("/", "/admin/", "/settings/", SET_UP, "/accounts/2fa/", "/accounts/2fa/recovery-codes/"):
        response = client.get(path)
        assert response.status_code == 302, path
        assert response.url.startswith((LOGIN, "/admin/login/")), path
    assert "authenticator app" in client.get(STEP).content.decode()
    client.post(STEP, {"code": code(secret)})
    assert is_in(client)


def test_a_code_counts_once_and_not_for_long(secret):
    first, second, third = password(), password(), password()
    now = code(secret)
    first.post(STEP, {"code": now})
    second.post(STEP, {"code": now})
    third.post(STEP, {"code": code(secret, 3)})
    assert [is_in(client) for client in (first, second, third)] == [True, False, False]


def test_codes_are_not_guessed(secret):
    client = password()
    pages = [client.post(STEP, {"code": f"{n:06}"}).content.decode() for n in range(30)]
    assert "Too many" in pages[-1]
    client.post(STEP, {"code": code(secret)})
    assert not is_in(client)


def test_a_recovery_code_counts_once(grace):
    client = password()
    set_up(client)
    codes = re.findall(r"<li><code>(\w+)</code>", client.get("/accounts/2fa/recovery-codes/").content.decode())
    assert len(set(codes)) == 10
    first, second = password(), password()
    first.post(STEP, {"code": codes[0]})
    second.post(STEP, {"code": codes[0]})
    assert (is_in(first), is_in(second)) == (True, False)


def test_the_owners_link_asks_for_it_too(secret, grace):
    grace.refresh_from_db()
    client = Client()
    assert client.get(sign_in_path(grace)).url == STEP
    assert not is_in(client)


def test_secrets_are_not_in_the_database_nor_in_the_admin(secret, grace):
    stored = " ".join(str(row.data) for row in Authenticator.objects.all())
    assert secret not in stored
    client = Client()
    client.force_login(grace)
    for row in Authenticator.objects.all():
        page = client.get(f"/admin/mfa/authenticator/{row.pk}/change/").content.decode()
        assert "grace" in page
        assert not any(value in page for value in map(str, row.data.values()) if len(value) > 5)


def test_a_secret_of_another_key_makes_no_code(secret, settings):
    settings.SECRET_KEY = "another key, as long as a key has to be, and longer"
    assert not any(row.wrap().validate_code(code(secret)) for row in Authenticator.objects.filter(type="totp"))


def test_staff_take_away_a_factor_that_was_lost(secret, grace):
    client = Client()
    client.force_login(grace)
    for row in Authenticator.objects.all():
        assert client.post(f"/admin/mfa/authenticator/{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert is_in(password())


def test_staff_must_have_one_when_the_setting_says_so(grace, settings):
    settings.MFA = "staff"
    make_user("ada")
    assert is_in(password("ada"))
    client = password()
    for path in ("/", "/admin/", "/settings/", "/admin/conversations/conversation/"):
        assert client.get(path).url == SET_UP, path
    assert client.post("/c/", {"text": "x"}).status_code == 403
    assert client.get("/", headers={"hx-request": "true"}).status_code == 403
    set_up(client)
    assert is_in(client)
    page = client.post("/accounts/2fa/totp/deactivate/")
    assert "You cannot deactivate" in page.content.decode()
    assert Authenticator.objects.filter(type="totp").count() == 1


def test_all_must_have_one_when_the_setting_says_so(settings):
    settings.MFA = "all"
    make_user("ada")
    assert password("ada").get("/").url == SET_UP
    assert Client().get("/").url.startswith(LOGIN)


def test_switched_off_it_is_not_asked_for(secret, settings):
    settings.MFA = "off"
    assert is_in(password())


def test_to_switch_it_off_takes_more_than_a_session(secret, grace):
    client = Client()
    client.force_login(grace)
    assert client.post("/accounts/2fa/totp/deactivate/").url.startswith("/accounts/")
    assert client.get("/accounts/2fa/recovery-codes/generate/").url.startswith("/accounts/")
    page = client.get("/accounts/2fa/recovery-codes/")
    assert page.status_code == 302 or not re.search(r"<code>\d{8}", page.content.decode())
    assert Authenticator.objects.filter(type="totp").exists()
