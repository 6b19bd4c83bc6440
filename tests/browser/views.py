"""Every view of the site in each of its states, for the tests that look at all of them: a new view is one line here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.shortcuts import render
from django.test import RequestFactory
from playwright.sync_api import Page, expect

from chatapp import shell
from tests.browser.actions import FAST, answers, ask, wait_until_done

NOBODY = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class View:
    """`path` may name `{conversation}`, its `{id}`, `{question}`, `{answer}` and `{shared}`; `act` makes its state."""

    name: str
    path: str
    act: Callable[[Page], object] | None = None
    signed_in: bool = True
    html: Callable[[], bytes] | None = None  # for pages that no address shows


def _small(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})


def _drawer(page: Page) -> None:
    _small(page)
    page.locator(".topbar [popovertarget=sidebar]").click()
    expect(page.locator("#sidebar")).to_be_visible()


def _account(page: Page) -> None:
    if not page.locator(".account-button").is_visible():
        _drawer(page)
    page.locator(".account-button").click()
    expect(page.locator("#account-menu")).to_be_visible()


def _reasoning(page: Page) -> None:
    page.locator(".reasoning summary").first.click()


def _edit(page: Page) -> None:
    page.locator("article.user").first.hover()
    page.get_by_role("link", name="Edit this message").first.click()
    expect(page.get_by_role("textbox", name="Your message in other words")).to_be_visible()


def _answer_menu(page: Page) -> None:
    page.locator("article.assistant").last.get_by_role("button", name="More for this answer").click()
    expect(page.locator(".answer-menu:popover-open")).to_be_visible()


def _menu(page: Page) -> None:
    page.locator("[popovertarget=conversation-menu]").click()
    expect(page.locator("#conversation-menu")).to_be_visible()


def _outline(page: Page) -> None:
    page.locator("article.assistant").first.hover()
    page.locator(".outline summary").first.click()
    expect(page.locator(".outline a").first).to_be_visible()


def _panel(page: Page) -> None:
    page.locator("#settings-link").click()
    expect(page.locator("#panel .settings-form")).to_be_visible()


def _context(page: Page) -> None:
    page.locator(".window-button").click()
    expect(page.locator("#window-panel")).to_be_visible()


def _attach(page: Page) -> None:
    page.locator("[popovertarget=attach-menu]").click()
    expect(page.locator("#attach-menu")).to_be_visible()


def _attached(page: Page) -> None:
    page.locator("#pick").set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Notes"})
    expect(page.locator(".chip [name=attachment]")).to_have_count(1)


def _opinion(page: Page) -> None:
    page.locator("article.assistant").last.get_by_role("button", name="Bad answer").click()
    expect(page.locator(".comment[open]")).to_be_visible()


def _search(page: Page) -> None:
    page.get_by_role("searchbox", name="Search conversations").fill("python")
    expect(page.locator("#results .hit").first).to_be_visible()


def _item_menu(page: Page) -> None:
    page.locator(".row").first.hover()
    page.locator(".row .options").first.click()
    expect(page.locator("#item-menu .options-of")).to_be_visible()


def _ticked(page: Page) -> None:
    page.locator("#bulk [name=ids]").first.check()
    expect(page.get_by_role("button", name="Archive", exact=True)).to_be_visible()


def _narrower(page: Page) -> None:
    page.locator(".filters summary").click()


def _imported(page: Page) -> None:
    file = {"name": "conversations.json", "mimeType": "application/json", "buffer": b'[{"title": "Nothing"}]'}
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Import").click()
    expect(page.locator(".results li").first).to_be_visible()


def _palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-found [role=option]").first).to_be_visible()


def _shortcuts(page: Page) -> None:
    page.keyboard.press("Control+/")
    expect(page.locator("#shortcuts")).to_be_visible()


def _refused(page: Page) -> None:
    page.locator("#text").fill("   ")
    page.locator("#composer").evaluate("form => form.submit()")
    expect(page.locator("#composer-hint")).to_contain_text("Write a message first.")


def _wrong_password(page: Page) -> None:
    page.locator("[name=login]").fill("nobody")
    page.locator("[name=password]").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("[role=alert].notice")).to_be_visible()


def _taken_name(page: Page) -> None:
    page.locator("[name=username]").fill("owner")
    page.locator("[name=password1]").fill("a")
    page.locator("[name=password2]").fill("b")
    page.get_by_role("button", name="Create account").click()
    expect(page.locator(".field-error").first).to_be_visible()


def _old_form(page: Page) -> None:
    page.locator("[name=csrfmiddlewaretoken]").evaluate_all("fields => fields.forEach(field => { field.value = 'x' })")
    page.locator("form.form").evaluate("form => form.submit()")
    expect(page.get_by_role("heading", name="This form was too old")).to_be_visible()


def _deployment_done(page: Page) -> None:
    expect(page.get_by_text("All checks are done.")).to_be_visible()


def _places(page: Page) -> None:
    _small(page)
    page.get_by_role("button", name="Menu").click()
    expect(page.locator("#places")).to_be_visible()


def _filters(page: Page) -> None:
    page.locator(".list-filters summary").click()
    expect(page.locator("#changelist-filter")).to_be_visible()


def _template(name: str) -> Callable[[], bytes]:
    def html() -> bytes:
        request = RequestFactory().get("/")
        request.user = AnonymousUser()
        return render(request, name).content

    return html


VIEWS = [
    View("home", "/"),
    View("home-drawer", "/", _drawer),
    View("home-account-menu", "/", _account),
    View("home-refused", "/", _refused),
    View("conversation", "{conversation}"),
    View("conversation-phone", "{conversation}", _small),
    View("conversation-menu", "{conversation}", _menu),
    View("conversation-reasoning", "{conversation}", _reasoning),
    View("conversation-edit", "{conversation}", _edit),
    View("conversation-outline", "{conversation}", _outline),
    View("conversation-panel", "{conversation}", _panel),
    View("conversation-context", "{conversation}", _context),
    View("conversation-attach", "{conversation}", _attach),
    View("conversation-attached", "{conversation}", _attached),
    View("conversation-opinion", "{conversation}", _opinion),
    View("conversation-item-menu", "{conversation}", _item_menu),
    View("conversation-options", "{conversation}options/"),
    View("search", "{conversation}", _search),
    View("temporary", "/?temporary=on"),
    View("manage", "/conversations/"),
    View("manage-ticked", "/conversations/", _ticked),
    View("manage-narrower", "/conversations/", _narrower),
    View("manage-found", "/conversations/?q=python"),
    View("manage-nothing", "/conversations/?q=nothing+has+this+word"),
    View("archive", "/conversations/?place=archived"),
    View("answer-menu", "{conversation}", _answer_menu),
    View("versions", "/messages/{answer}/versions/"),
    View("again", "/messages/{answer}/again/"),
    View("edit", "/messages/{question}/edit/"),
    View("palette", "{conversation}", _palette),
    View("palette-page", "/palette/?q=nothing+has+this+name"),
    View("palette-found", "/palette/"),
    View("shortcuts-dialog", "/", _shortcuts),
    View("shortcuts", "/shortcuts/"),
    View("share", "{conversation}share/"),
    View("export", "{conversation}export/"),
    View("print", "{conversation}print/"),
    View("settings", "/settings/"),
    View("conversation-settings", "{conversation}settings/"),
    View("shares", "/shares/"),
    View("shared", "{shared}", signed_in=False),
    View("data", "/account/data/"),
    View("import", "/account/data/", _imported),
    View("delete-account", "/account/delete/"),
    View("deployment", "/deployment/", _deployment_done),
    View("admin", "/admin/"),
    View("admin-menu", "/admin/", _places),
    View("admin-conversations", "/admin/conversations/conversation/", _filters),
    View("admin-masked", "/admin/conversations/conversation/{id}/change/"),
    View("admin-queue", "/admin/conversations/flag/"),
    View("admin-rule", "/admin/conversations/filterrule/add/"),
    View("sign-out", "/accounts/logout/"),
    View("password", "/accounts/password/set/"),
    View("second-step", "/accounts/2fa/"),
    View("second-step-set-up", "/accounts/2fa/totp/activate/"),
    View("ways-in", "/accounts/3rdparty/"),
    View("provider", "/accounts/oidc/sso/login/", signed_in=False),
    View("provider-failed", "/accounts/oidc/sso/login/callback/", signed_in=False),
    View("sign-in", "/accounts/login/", signed_in=False),
    View("sign-in-refused", "/accounts/login/", _wrong_password, signed_in=False),
    View("password-reset", "/accounts/password/reset/", signed_in=False),
    View("password-reset-done", "/accounts/password/reset/done/", signed_in=False),
    View("inactive", "/accounts/inactive/", signed_in=False),
    View("emails", "/accounts/email/"),
    View("sign-up", "/accounts/signup/", signed_in=False),
    View("sign-up-refused", "/accounts/signup/", _taken_name, signed_in=False),
    View("deleted", f"/c/{NOBODY}/"),
    View("not-found", "/no/such/page/", signed_in=False),
    View("old-form", "/accounts/login/", _old_form, signed_in=False),
    View("offline", "/offline/", signed_in=False),
    View("bad-request", "/400/", html=_template("400.html"), signed_in=False),
    View("forbidden", "/403/", html=_template("403.html"), signed_in=False),
    View("too-many", "/429/", html=_template("429.html"), signed_in=False),
    View("broken", "/500/", html=lambda: shell.server_error(RequestFactory().get("/")).content, signed_in=False),
]


def rich_conversation(page: Page) -> dict[str, str]:
    """Have a conversation with code, a table, mathematics, reasoning and an error; return what paths are made of."""
    ask(page, f"Compare python code in a table with math [[think=1]] {FAST} [[length=1000]]")
    wait_until_done(page)
    ask(page, f"And now fail [[fault=cut]] [[after=20]] {FAST}")
    wait_until_done(page)
    expect(answers(page).last.locator(".notice.error")).to_be_visible()
    hrefs = [page.locator(name).first.get_attribute("href") for name in ("article.user .tools a", ".copy-answer")]
    question, answer = (href.split("/")[2] for href in hrefs)
    conversation = re.sub(r"^https?://[^/]+", "", page.url)
    page.goto(f"{conversation}share/")
    page.get_by_role("button", name="Make a link").click()
    shared = page.get_by_role("link", name="Open").get_attribute("href")
    names = {"conversation": conversation, "id": conversation.split("/")[2]}
    return {**names, "question": question, "answer": answer, "shared": shared}


def show(page: Page, view: View, names: dict[str, str]) -> None:
    """Bring a page to a view."""
    path = view.path.format(**names)
    if view.html is not None:
        body = view.html()
        page.route(f"**{path}", lambda route: route.fulfill(body=body, content_type="text/html; charset=utf-8"))
    page.goto(path)
    if view.act is not None:
        view.act(page)
