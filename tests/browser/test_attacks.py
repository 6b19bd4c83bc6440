"""Attacks in a real browser, on every surface: no script runs, nothing leaves, nothing of htmx is alive, in any frame.

Few pages with many payloads: the model streams them in small pieces while an observer looks at every change of a page.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.attacks.payloads import EVIL, ONE_LINE, PAYLOADS
from tests.browser.actions import ask, wait_until_done
from tests.browser.conftest import Visit, wrong
from tests.provider_server import ProviderServer
from tests.server import Server

# Notes scripts that run, and elements and attributes that a page of ours never has where a model or a user writes.
WATCH = """
window.seen = [];
for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => window.seen.push('a script ran');
const BAD = 'script, style, iframe, frame, object, embed, base, link, meta, title, video, audio, portal, dialog, form,'
  + 'template, textarea, select, math [href], svg [onload], [style], [srcdoc], [formaction], [background], [poster],'
  + '[contenteditable], [autofocus], [popover], img:not([src^="/attachments/"])';
const look = window.look = (element) => {
  const place = element.closest('.prose, .user .text, .bubble');
  if (!place) return;
  if (element.matches(BAD) && !element.closest('.edit, .queue')) window.seen.push(element.outerHTML.slice(0, 200));
  for (const { name } of element.attributes) {
    if (/^(on|hx-|data-hx)/.test(name) && name !== 'hx-ignore') window.seen.push(element.outerHTML.slice(0, 200));
  }
  const href = element.getAttribute('href');
  if (href && !/^(https?:|mailto:|#)/i.test(href)) window.seen.push(`leads to ${href}`);
};
new MutationObserver((changes) => {
  for (const { target, addedNodes } of changes) {
    if (target.nodeType === 1) look(target);
    for (const node of addedNodes) if (node.nodeType === 1) { look(node); node.querySelectorAll('*').forEach(look); }
  }
}).observe(document, { subtree: true, childList: true, attributes: true });
"""


FROM_ELSEWHERE = """async (site) => {
  const stream = '/generations/00000000-0000-7000-8000-000000000000/stream';
  const json = { method: 'POST', credentials: 'include', headers: { 'Content-Type': 'application/json' }, body: '{}' };
  const outcome = [];
  for (const [path, options] of [['/conversations/state/', {}], [stream, {}], ['/c/', json]]) {
    const request = fetch(site + path, { credentials: 'include', ...options });
    outcome.push(await request.then(() => 'read', () => 'refused'));
  }
  const body = new URLSearchParams({ text: 'x', _method: 'DELETE' });
  const sent = await fetch(`${site}/c/`, { method: 'POST', mode: 'no-cors', credentials: 'include', body });
  return [...outcome, sent.type];
}"""


class Sink:
    """A server of the attacker's, which counts who comes."""

    def __init__(self) -> None:
        hits = self.hits = []
        pages = self.pages = {}  # by path; not counted

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path not in {*pages, "/favicon.ico"}:
                    hits.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(pages.get(self.path, "").encode())

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.close()


@pytest.fixture(scope="module")
def provider(sink) -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        server.said = "\n\n".join(payload.replace(EVIL, sink.address) for payload in PAYLOADS)
        yield server


@pytest.fixture(scope="module")
def server(provider, tmp_path_factory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), OPENAI_BASE_URL=provider.base_url) as server:
        yield server


class Attacked:
    """A visit whose pages watch themselves; `asked` has every request that they make."""

    def __init__(self, browser: Browser, server: Server, sink: Sink) -> None:
        self.visit = Visit(browser, server, server.log.with_name("state.json"), viewport={"width": 1280, "height": 800})
        self.context, self.server, self.sink = self.visit.context, server, sink
        self.context.add_init_script(WATCH)
        self.asked: list[str] = []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.dialogs: list[str] = []
        self.context.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def expect_calm(self, page: Page) -> None:
        """Nothing that an attacker wanted has happened since the page was opened."""
        page.evaluate("() => document.querySelectorAll('*').forEach(look)")
        assert page.evaluate("window.seen") == []
        assert self.dialogs == []
        assert self.sink.hits == []
        own = (self.server.url, "data:", "blob:", "file:")
        assert [url for url in self.asked if not url.startswith(own) or "/attack" in url] == []
        assert "Stolen" not in page.title()


@pytest.fixture
def attacked(browser, server, sink) -> Iterator[Attacked]:
    attacked = Attacked(browser, server, sink)
    yield attacked
    attacked.context.close()
    assert attacked.visit.problems == []


def hostile(sink: Sink) -> str:
    return ONE_LINE.replace("src=x", f"src={sink.address}/x")


RENAME = """
from conversations.models import ChatModel
ChatModel.objects.update(label=%r[:100])
"""


def test_no_attack_works_on_any_surface(attacked, provider, sink, tmp_path):
    page = attacked.visit.page()
    before = page.locator("#composer").evaluate("form => form.outerHTML.length")
    name = f"{hostile(sink).replace('/', '')[:120]}.txt"
    page.locator("#pick").set_input_files({"name": name, "mimeType": "text/plain", "buffer": hostile(sink).encode()})
    expect(page.locator(".chip [name=attachment]")).to_have_count(1)
    ask(page, f"{hostile(sink)}\n\n{provider.said[:20_000]}\n[[scenario=said-700]]".replace("\0", ""))
    wait_until_done(page, 60)
    attacked.expect_calm(page)
    assert page.locator("article.assistant").count() == 1
    assert page.locator("#composer").evaluate("form => form.outerHTML.length") >= before - 500
    conversation = page.url.removeprefix(attacked.server.url)
    page.goto(f"{conversation}options/")
    title = page.locator("input[name=title]").first
    title.fill(hostile(sink)[:200])
    title.press("Enter")
    attacked.server.manage("shell", "-c", RENAME % hostile(sink))
    page.goto(f"{conversation}share/")
    page.get_by_role("button", name="Make a link").click()
    shared = page.get_by_role("link", name="Open").get_attribute("href")
    identity = conversation.split("/")[2]
    surfaces = [
        *(conversation, shared, f"{conversation}print/", f"{conversation}options/", f"{conversation}settings/"),
        *("/", "/conversations/", "/conversations/?q=onerror", "/palette/?q=onerror", "/shares/", "/limits/"),
        *(f"/admin/conversations/conversation/{identity}/change/", "/admin/conversations/conversation/"),
        *("/admin/conversations/message/", "/admin/conversations/generation/", "/admin/conversations/chatmodel/"),
        *("/admin/conversations/auditentry/", f"{conversation}window/", "/no/such/<script>alert(1)</script>/"),
    ]
    for surface in surfaces:
        page.goto(surface)
        attacked.expect_calm(page)
    exported = tmp_path / "exported.html"
    exported.write_bytes(page.request.get(f"{conversation}export/?format=html").body())
    page.goto(exported.as_uri())
    attacked.expect_calm(page)


def test_the_watch_would_find_something(attacked):
    page = attacked.visit.page()
    for made in (["b", "hx-get"], ["style", ""], ["a", "href"], ["b", "style"]):
        page.evaluate("window.seen.length = 0")
        page.evaluate(
            """([tag, name]) => {
              const place = Object.assign(document.createElement('p'), { className: 'prose' });
              const element = document.createElement(tag);
              if (name) element.setAttribute(name, '/x');
              place.append(element);
              document.body.append(place);
            }""",
            made,
        )
        assert page.evaluate("new Promise((done) => setTimeout(() => done(window.seen.length), 50))") > 0, made
    page.wait_for_timeout(300)
    page.close()
    wrong.clear()
    attacked.visit.problems.clear()  # the policy refused a style


def test_what_a_failing_provider_says_is_text(attacked, provider):
    page = attacked.visit.page()
    for scenario in ("500-html", "error-event"):
        ask(page, f"A question [[scenario={scenario}]]")
        wait_until_done(page)
    assert "sk-echoed" not in page.content()
    attacked.expect_calm(page)


def test_strings_become_no_html_and_no_script(attacked):
    """Trusted Types are on: what a script of ours could be made to do by a string is refused by the browser."""
    page = attacked.context.new_page()
    page.goto("/shortcuts/")
    for attempt in (
        "document.body.innerHTML = '<b>x</b>'",
        "document.createElement('script').src = '/x.js'",
        "new DOMParser().parseFromString('<b>x</b>', 'text/html')",
        "trustedTypes.createPolicy('another', {})",
    ):
        assert page.evaluate(
            f"(async () => {{ try {{ await ({attempt}); return '' }} catch (e) {{ return e.name }} }})()"
        )
    page.wait_for_timeout(300)
    page.close()
    wrong.clear()  # the browser reports what it has refused


def test_other_sites_can_neither_send_nor_read(attacked, sink):
    """F12, F13: a page elsewhere, in the browser of somebody who is signed in."""
    sink.pages["/page"] = "<title>Elsewhere</title>"
    page = attacked.context.new_page()
    page.goto(f"{sink.address}/page")
    tried = page.evaluate(FROM_ELSEWHERE, attacked.server.url)
    assert tried == ["refused", "refused", "refused", "opaque"]
    own = attacked.context.request.get(f"{attacked.server.url}/conversations/state/").json()
    assert own["running"] == []
    page.wait_for_timeout(300)
    page.close()
    wrong.clear()  # the browser reports what it has refused


def test_pages_are_not_shown_inside_others(attacked, sink):
    page = attacked.context.new_page()
    body = f"<iframe src='{attacked.server.url}/'></iframe>"
    sink.pages["/frame"] = body
    page.goto(f"{sink.address}/frame")
    assert page.frames[-1].locator("#composer").count() == 0
    page.wait_for_timeout(300)
    page.close()
    wrong.clear()  # as above


def test_the_log_holds_no_key(server):
    assert "sk-echoed" not in Path(server.log).read_text()
