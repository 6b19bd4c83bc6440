"""Signing in: the owner's link, sign-up by setting, the theme."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from chatapp.accounts.owner import local_owner, sign_in_path
from tests.factories import make_model, make_user


@pytest.fixture(autouse=True)
def _model(db):
    make_model()


def test_the_owner_is_made_once_and_has_no_password():
    owner = local_owner()
    assert local_owner() == owner
    assert owner.is_superuser
    assert not owner.has_usable_password()


@pytest.mark.parametrize("lost", ["is_active", "is_superuser"])
def test_another_owner_is_made_when_the_first_is_none_any_more(lost, caplog):
    first = local_owner()
    get_user_model().objects.filter(pk=first.pk).update(**{lost: False})
    make_user("Owner2")
    owner = local_owner()
    assert (owner.username, local_owner()) == ("owner3", owner)
    assert "“owner” is taken: the owner is now “owner3”" in caplog.text


def test_the_link_signs_in_once(client):
    link = sign_in_path(local_owner())
    assert client.get(link).url == "/"
    assert client.get("/").status_code == 200
    client.logout()
    response = client.get(link, follow=True)
    assert response.redirect_chain[-1][0].startswith("/accounts/login/")
    assert "has been used or is too old" in response.content.decode()


def test_using_the_link_again_while_signed_in_just_shows_the_chat(client):
    link = sign_in_path(local_owner())
    client.get(link)
    assert client.get(link, follow=True).status_code == 200


@pytest.mark.parametrize("uid", ["MQ", "!!", "LTE", "YWJj", "OTk5OTk5OTk5OTk5OTk5OTk5OTk"])
@pytest.mark.parametrize("token", ["x", "didjkc-edaecb47b9d6fdd62cab63c899f41f06", "-"])
def test_a_forged_link_signs_nobody_in(client, uid, token):
    local_owner()
    client.get(reverse("sign_in", args=[uid, token]))
    assert client.get("/").status_code == 302


def test_a_link_of_a_disabled_user_is_void(client):
    owner = local_owner()
    link = sign_in_path(owner)
    get_user_model().objects.update(is_active=False)
    client.get(link)
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(("is_open", "users"), [(True, 1), (False, 0)])
def test_sign_up_follows_the_setting(client, settings, is_open, users):
    settings.SIGNUP_OPEN = is_open
    fields = {"username": "grace", "password1": "correct horse 1", "password2": "correct horse 1"}
    client.post(reverse("account_signup"), fields)
    assert get_user_model().objects.count() == users


def test_sign_in_and_out_with_a_password(client):
    make_user("grace")
    client.post(reverse("account_login"), {"login": "grace", "password": "wrong"})
    assert client.get("/").status_code == 302
    client.post(reverse("account_login"), {"login": "grace", "password": "a long password"})
    assert client.get("/").status_code == 200
    client.post(reverse("account_logout"))
    assert client.get("/").status_code == 302


@pytest.mark.parametrize("name", ["account_change_password", "account_set_password", "account_logout"])
def test_account_pages_open(client, name):
    client.force_login(local_owner() if name == "account_set_password" else make_user("grace"))
    assert client.get(reverse(name)).status_code == 200


@pytest.mark.parametrize(
    ("choice", "cookie"), [("dark", "dark"), ("light", "light"), ("system", ""), ("<script>", ""), ("", "")]
)
def test_the_theme_is_kept_in_a_cookie(client, choice, cookie):
    response = client.post(reverse("theme"), {"theme": choice, "next": "/accounts/login/"})
    assert response.url == "/accounts/login/"
    assert client.cookies["theme"].value == cookie


@pytest.mark.parametrize(("choice", "cookie"), [("hidden", "hidden"), ("shown", ""), ('"><script>', "")])
def test_a_hidden_list_is_kept_in_a_cookie_and_in_the_first_html(client, choice, cookie):
    client.cookies["theme"] = "dark"
    client.post(reverse("theme"), {"list": choice, "next": "/"})
    assert client.cookies["list"].value == cookie
    assert client.cookies["theme"].value == "dark"
    html = client.get(reverse("account_login")).content.decode()
    assert ('data-list="hidden"' in html) is bool(cookie)


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_the_theme_redirects_only_within_the_site(client, target):
    assert client.post(reverse("theme"), {"theme": "dark", "next": target}).url == "/"


def test_the_admin_signs_in_by_the_same_page(client):
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/accounts/login/")


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://testserver/?temporary=on", "/%3Ftemporary%3Don"),
        ("http://testserver/c/00000000-0000-7000-8000-000000000000/", "/c/00000000-0000-7000-8000-000000000000/"),
        ("http://testserver", "/"),
        ("https://elsewhere.example/c/", "/"),
        ("//elsewhere.example/c/", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_what_was_sent_without_a_sign_in_leads_back_to_its_page(client, referer, back):
    response = client.post("/c/", {"text": "Hello"}, headers={"Referer": referer} if referer else {})
    assert (response.status_code, response.url) == (302, f"/accounts/login/?next={back}")


def test_a_page_that_wants_a_sign_in_is_shown_after_it(client):
    assert (
        client.get("/conversations/?place=archived").url == "/accounts/login/?next=/conversations/%3Fplace%3Darchived"
    )


def test_the_address_of_a_beginning_leads_home(client):
    client.force_login(local_owner())
    assert client.get("/c/").url == "/"
