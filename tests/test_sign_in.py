"""Guessing passwords is slow, from wherever, and tells nothing about who has an account."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from chatapp.accounts.addresses import client_network
from tests.factories import make_model, make_user

LOGIN = "/accounts/login/"
WRONG = "not correct"
TOO_MANY = "Too many failed login attempts"


@pytest.fixture(autouse=True)
def _nobody_has_tried(db):
    make_model()
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def hashes(monkeypatch) -> list[str]:
    """A note for each password that was really compared."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    compared: list[str] = []
    encode = PBKDF2PasswordHasher.encode

    def noted(self, password, salt, iterations=None):
        compared.append(password)
        return encode(self, password, salt, iterations)

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", noted)
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 1_000)  # as slow as need be for a test
    return compared


def attempt(client: Client, name: str, password: str = "wrong", **headers: str):
    return client.post(LOGIN, {"login": name, "password": password}, headers=headers)


def test_a_thousand_guesses_at_one_account_are_five(client, hashes):
    make_user("grace")
    hashes.clear()
    pages = [attempt(client, "grace", f"guess {n}").content.decode() for n in range(40)]
    for n in range(960):
        attempt(client, "grace", f"guess {n}", x_forwarded_for=f"10.1.{n % 250}.{n // 250}")
    assert len(set(hashes)) <= 5
    assert TOO_MANY in pages[10]
    assert attempt(client, "grace").status_code == 429
    attempt(client, "grace", "a long password")
    assert client.get("/").status_code == 302  # also the right password waits now


def test_guesses_at_many_accounts_from_one_address_are_limited_whatever_it_claims(client, hashes):
    for n in range(200):
        attempt(client, f"user-{n}", x_forwarded_for=f"10.0.0.{n}", x_real_ip=f"10.0.0.{n}")
    assert len(hashes) <= 3 * 10


def test_behind_our_proxy_each_address_counts_for_itself(client, hashes, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for n in range(30):
        attempt(client, f"user-{n}", x_forwarded_for=f"6.6.6.6, 10.0.0.{n}")
    assert len(hashes) >= 30


def test_the_admin_is_no_way_around(client, hashes):
    make_user("root", is_staff=True, is_superuser=True)
    hashes.clear()
    for n in range(1_000):
        response = client.post("/admin/login/", {"username": "root", "password": f"guess {n}"})
        assert response.status_code == 302
        assert response.url.startswith(LOGIN)
    assert hashes == []


def test_counts_are_shared_by_all_processes(client, hashes):
    """They are in the database: a process that starts now knows them."""
    make_user("grace")
    for _ in range(6):
        attempt(client, "grace")
    hashes.clear()
    attempt(Client(), "grace")
    assert hashes == []


def test_an_unknown_name_reads_and_costs_as_much_as_a_wrong_password(client, hashes, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": None}
    make_user("grace")

    def guess(name: str) -> tuple[int, str]:
        """How many passwords were compared, which is nearly all of the time, and what the page says."""
        hashes.clear()
        page = attempt(client, name).content.decode()
        return len(hashes), page.split('class="notice', 1)[-1].split("</")[0]

    assert guess("grace") == guess("nobody")
    assert guess("nobody")[0] > 0


def test_the_address_is_known_within_a_request_and_forgotten_after_it(client):
    client.get(LOGIN)
    assert client_network.get() == ""
