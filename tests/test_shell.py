"""The site as an application, and the pages for what goes wrong: status, sentence, a way back, theme, language."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles import finders
from django.http import HttpRequest
from django.test import Client
from django.urls import path, reverse

from chatapp import shell
from chatapp.urls import urlpatterns as real_patterns

NOBODY = "00000000-0000-7000-8000-000000000000"


@login_not_required
def _break(request: HttpRequest) -> None:
    raise RuntimeError("broken on purpose")


urlpatterns = [path("break/", _break), *real_patterns]
handler500 = shell.server_error


def test_the_manifest_can_be_installed_from(client, db):
    response = client.get(reverse("manifest"))
    assert response["Content-Type"] == "application/manifest+json"
    manifest = response.json()
    assert (manifest["name"], manifest["start_url"], manifest["scope"]) == ("Stillwater", "/", "/")
    assert manifest["display"] == "standalone"
    assert {(icon["sizes"], icon["purpose"]) for icon in manifest["icons"]} == {
        (f"{size}x{size}", purpose) for size in (192, 512) for purpose in ("any", "maskable")
    }


def test_icons_have_the_size_that_the_manifest_says(client, db):
    for icon in client.get(reverse("manifest")).json()["icons"]:
        content = Path(finders.find(icon["src"].removeprefix("/static/"))).read_bytes()
        sides = struct.unpack(">II", content[16:24])  # the header of every PNG begins so
        assert f"{sides[0]}x{sides[1]}" == icon["sizes"]
        assert len(content) < 6000


def test_the_manifest_follows_theme_and_language(client, db):
    client.cookies.load({"theme": "dark", "django_language": "de"})
    manifest = client.get(reverse("manifest")).json()
    assert manifest["background_color"] == shell.PAPER["dark"]
    assert (manifest["lang"], manifest["dir"]) == ("de", "ltr")


def test_colours_around_the_page_are_those_of_the_stylesheet():
    css = Path(finders.find("css/stillwater.css")).read_text(encoding="utf-8")
    assert f"--paper: light-dark({shell.PAPER['light']}, {shell.PAPER['dark']})" in css
    base = Path("templates/base.html").read_text(encoding="utf-8")
    assert set(re.findall(r'#[0-9a-f]{6}(?=")', base)) <= set(shell.PAPER.values())


def test_the_service_worker_governs_all_and_is_always_fresh(client, db):
    response = client.get(reverse("service_worker"))
    assert response["Content-Type"].startswith("text/javascript")
    assert response["Service-Worker-Allowed"] == "/"
    assert "no-store" in response["Cache-Control"]
    assert "worker-src 'self'" in client.get(reverse("account_login"))["Content-Security-Policy"]


def test_the_service_worker_is_a_new_one_for_another_offline_page(client, db):
    def version() -> str:
        return re.search(r'VERSION = "([0-9a-f]{12})"', client.get(reverse("service_worker")).content.decode())[1]

    first = version()
    assert version() == first
    client.cookies["theme"] = "dark"
    assert version() != first


def test_the_offline_page_holds_nothing_of_anybody(client, user):
    client.force_login(user)
    page = client.get(reverse("offline")).content.decode()
    assert "You are offline" in page
    assert "csrf" not in page
    assert user.username not in page


@pytest.mark.parametrize("name", ["manifest", "service_worker", "offline"])
def test_the_shell_needs_no_sign_in(client, db, name, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get(reverse(name)).status_code == 200


@pytest.mark.urls("tests.test_shell")
def test_a_mistake_of_ours_is_told_without_the_database():
    client = Client(raise_request_exception=False)
    client.cookies.load({"theme": "dark", "django_language": "de"})
    response = client.get("/break/")  # any query would fail: this test may not use the database
    page = response.content.decode()
    assert response.status_code == 500
    assert 'data-theme="dark"' in page
    assert 'lang="de"' in page
    assert 'href="/"' in page


@pytest.mark.parametrize(
    ("address", "signed_in"), [(f"/c/{NOBODY}/", True), ("/no/such/page/", True), ("/no/such/page/", False)]
)
def test_what_is_not_there_is_a_page_with_a_way_back(client, user, address, signed_in):
    if signed_in:
        client.force_login(user)
    client.cookies["theme"] = "light"
    response = client.get(address)
    page = response.content.decode()
    assert response.status_code == 404
    assert "This page does not exist" in page
    assert 'data-theme="light"' in page
    assert 'class="button primary" href="/"' in page


def test_a_form_that_is_too_old_is_refused_with_a_sentence(db):
    response = Client(enforce_csrf_checks=True).post(reverse("account_login"), {"login": "x"})
    assert response.status_code == 403
    assert "This form was too old" in response.content.decode()


def test_too_many_attempts_are_refused_with_a_sentence(client, db, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login": "1/m/ip"}
    for _ in range(2):
        response = client.post(reverse("account_login"), {"login": "x", "password": "y"}, REMOTE_ADDR="192.0.2.77")
    assert response.status_code == 429
    assert "Wait a few minutes" in response.content.decode()


def test_a_request_that_cannot_be_read_is_refused_with_a_sentence(client, db):
    response = client.get("/", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "This could not be accepted" in response.content.decode()


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize(
    "address",
    ["/s/%00/", f"/s/%00/files/{NOBODY}/", "/c/%00/", "/accounts/login/?next=%00", "/accounts/login/?a%00b=1"],
)
def test_an_address_that_no_database_takes_is_refused_with_a_sentence(client, user, address, signed_in):
    if signed_in:
        client.force_login(user)
    response = client.get(address, headers={"Accept-Language": "de"})
    assert response.status_code == 400
    assert 'lang="de"' in response.content.decode()
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_a_cookie_that_no_database_takes_is_refused_with_a_sentence(db, django_assert_num_queries):
    cookie = r'sessionid="aaaaaaaaaaaaaaaa\000bbbb"'  # within quotes Django reads octal numbers
    with django_assert_num_queries(0):
        response = Client().get(reverse("account_login"), headers={"Cookie": cookie})
    assert response.status_code == 400
    assert "This could not be accepted" in response.content.decode()
