"""Sign-in through an OpenID provider on a socket: what it says is believed only when all of it fits."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape

import httpx2
import pytest
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client

from tests.factories import make_model, make_user
from tests.openid_provider import CLIENT, OpenIdServer
from tests.process import ROOT

LOGIN = "/accounts/oidc/sso/login/"
CALLBACK = f"{LOGIN}callback/"
SIGNED_OUT = 302


@pytest.fixture(scope="module")
def server() -> Iterator[OpenIdServer]:
    with OpenIdServer() as server:
        yield server


@pytest.fixture
def provider(server, settings, db) -> OpenIdServer:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick: it is not what is tested
    make_model()
    cache.clear()
    server.tell_the_truth()
    settings.OIDC_ISSUER = server.address
    providers = copy.deepcopy(settings.SOCIALACCOUNT_PROVIDERS)
    providers["openid_connect"]["APPS"][0]["settings"]["server_url"] = server.address
    settings.SOCIALACCOUNT_PROVIDERS = providers
    return server


def leave(client: Client, query: str = "") -> str:
    """Where the browser is sent to."""
    page = client.post(f"{LOGIN}{query}")
    assert page.status_code == 200, page
    return unescape(re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.content.decode())[1])


def come_back(address: str) -> str:
    """Sign in at the provider; the path that it sends the browser to."""
    location = httpx2.get(address).headers["location"]
    assert location.startswith(f"http://testserver{CALLBACK}?")
    return location.removeprefix("http://testserver")


def sign_in(client: Client, query: str = ""):
    return client.get(come_back(leave(client, query)))


def who(client: Client) -> str:
    response = client.get("/settings/")
    return response.context["user"].username if response.status_code == 200 else ""


def test_the_first_sign_in_makes_an_account_and_the_next_finds_it(provider):
    for _ in range(2):
        client = Client()
        assert sign_in(client).url == "/"
        assert who(client) == "grace"
    user = get_user_model().objects.get()
    assert not user.has_usable_password()
    assert SocialAccount.objects.get().user == user
    asked = provider.asked[-1]
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert set(asked["scope"].split()) == {"openid", "profile", "email"}
    assert provider.asked[0]["nonce"] != provider.asked[1]["nonce"]
    assert provider.asked[0]["state"] != provider.asked[1]["state"]


NOW = time.time()
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LIES = {
    "issuer": {"lies": {"iss": "https://elsewhere.example"}},
    "no issuer": {"lies": {"iss": None}},
    "published issuer": {"issuer": "https://elsewhere.example"},
    "audience": {"lies": {"aud": "another"}},
    "no audience": {"lies": {"aud": None}},
    "party": {"lies": {"aud": ["stillwater", "another"], "azp": "another"}},
    "expired": {"lies": {"exp": int(NOW) - 60}},
    "no end": {"lies": {"exp": None}},
    "from tomorrow": {"lies": {"iat": int(NOW) + 86400}},
    "nonce": {"lies": {"nonce": "another"}},
    "no nonce": {"lies": {"nonce": None}},
    "no subject": {"lies": {"sub": None}},
    "another's info": {"user_info": {"sub": "another"}},
    "signature": {"key": OTHER_KEY},
    "key": {"kid": "second"},
    "symmetric": {"key": "stillwater" * 4, "algorithm": "HS256"},
    "unsigned": {"key": None, "algorithm": "none"},
    "no discovery": {"failing": "/.well-known/openid-configuration"},
    "no keys": {"failing": "/jwks"},
    "no token": {"failing": "/token"},
    "no info": {"failing": "/userinfo"},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_signs_nobody_in(client, provider, lie):
    address = leave(client)
    for name, value in lie.items():
        setattr(provider, name, value)
    response = client.get(come_back(address))
    assert response.status_code == 401
    assert "cannot be believed" in response.content.decode()
    assert who(client) == ""
    assert not get_user_model().objects.exists()


def test_a_provider_that_is_away_is_said(client, provider):
    provider.failing = "/.well-known/openid-configuration"
    assert client.post(LOGIN).status_code == 401


def test_a_code_counts_in_the_session_that_asked_for_it_and_once(client, provider):
    path = come_back(leave(client))
    other = Client()
    leave(other)
    assert other.get(path).status_code == 401  # somebody is to be signed in as somebody else
    assert who(other) == ""
    assert client.get(path).status_code == 302
    assert client.get(path).status_code == 401
    assert client.get(f"{CALLBACK}?code=x").status_code == 401
    assert client.get(f"{CALLBACK}?code=x&state=x").status_code == 401


def test_to_begin_takes_a_form_of_this_site(provider):
    client = Client(enforce_csrf_checks=True)
    assert b"http-equiv" not in client.get(LOGIN).content
    assert client.post(LOGIN).status_code == 403
    assert provider.asked == []


def test_an_address_adds_nothing_to_what_is_asked(client, provider):
    sign_in(client, "?auth_params=nonce%3Dknown%26prompt%3Dnone&scope=admin")
    assert "prompt" not in provider.asked[0]
    assert provider.asked[0]["nonce"] != "known"
    assert "admin" not in provider.asked[0]["scope"]


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_it_leads_back_within_the_site_only(client, provider, target):
    assert sign_in(client, f"?next={target}").url == "/"


@pytest.mark.parametrize("verified", [True, False, "false", "true", None])
def test_an_address_opens_no_account_that_was_made_another_way(client, provider, verified):
    local = make_user("ada", email="ada@example.org")
    provider.claims |= {"email": "ada@example.org", "email_verified": verified, "preferred_username": "ada"}
    sign_in(client)
    assert who(client) == ""  # a form asks for another address
    assert not SocialAccount.objects.filter(user=local).exists()


def test_an_address_that_was_not_verified_opens_nothing_later(client, provider):
    """Somebody claims an address first; its owner, whom the provider knows, does not fall into that account."""
    provider.claims |= {"sub": "attacker", "email": "ada@example.org", "email_verified": False}
    sign_in(client)
    provider.claims |= {"sub": "ada", "email": "ada@example.org", "email_verified": True}
    other = Client()
    sign_in(other)
    assert (who(client), who(other)) == ("grace", "")


def test_the_provider_grants_no_rights(client, provider):
    provider.claims |= {"is_staff": True, "is_superuser": True, "groups": ["admin"], "roles": ["admin"]}
    sign_in(client)
    user = get_user_model().objects.get()
    assert not (user.is_staff or user.is_superuser or user.groups.exists())


def test_whom_only_the_provider_knows_gets_no_account_when_that_is_closed(client, provider, settings):
    settings.OIDC_SIGNUP = False
    sign_in(client)
    assert who(client) == ""
    assert not get_user_model().objects.exists()


def test_an_account_that_is_switched_off_stays_off(client, provider):
    sign_in(client)
    get_user_model().objects.update(is_active=False)
    other = Client()
    sign_in(other)
    assert who(other) == ""


def test_a_local_account_is_connected_by_whoever_proves_both(client, provider):
    ada = make_user("ada")
    client.post("/accounts/login/", {"login": "ada", "password": "a long password"})
    assert sign_in(client, "?process=connect").url.startswith("/accounts/reauthenticate/")
    assert not SocialAccount.objects.exists()
    client.post("/accounts/reauthenticate/", {"password": "a long password"})
    sign_in(client, "?process=connect")
    assert SocialAccount.objects.get().user == ada
    other = Client()
    sign_in(other)
    assert who(other) == "ada"


def test_the_pages_say_what_happens_and_no_secret(client, provider):
    pages = [client.get("/accounts/login/"), client.get(LOGIN), client.post(LOGIN), client.get(CALLBACK)]
    client.force_login(make_user("ada"))
    pages.append(client.get("/accounts/3rdparty/"))
    for page in pages:
        assert CLIENT[1] not in page.content.decode()
    assert "Sign in with OpenID Connect" in pages[0].content.decode()


OFF = """
import django
from django.conf import settings
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
django.setup()
from django.test import Client
client = Client(headers={"host": "localhost"})
paths = ["/accounts/2fa/", "/accounts/oidc/sso/login/", "/accounts/3rdparty/", "/accounts/3rdparty/signup/"]
page = client.get("/accounts/login/").content.decode()
print([client.get(path).status_code for path in paths], "Sign in with" in page)
"""


def test_without_settings_there_is_nothing_to_see(tmp_path):
    (tmp_path / "static").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", OFF],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("OIDC_", "MFA"))},
            "DJANGO_SETTINGS_MODULE": "chatapp.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path / 'none.sqlite3'}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == "[404, 404, 404, 404] False", run.stderr


@pytest.mark.parametrize(("issuer", "works"), [("http://id.example.org", False), ("https://id.example.org", True)])
def test_a_provider_is_asked_over_tls_only(issuer, works):
    environment = {**os.environ, "OIDC_ISSUER": issuer}
    run = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    assert (run.returncode == 0) is works
