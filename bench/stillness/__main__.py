"""Stream the corpus into a real page and count what is taken back: `python -m bench.stillness [--naive] [NAME …]`.

Each document is answered in pieces of four characters, one a frame, through the whole application: provider, journal,
live document, event stream, htmx, our style sheet, in the system's Chromium. `instrument.js` says what is counted.
`--naive` first breaks the page on purpose: each change makes the whole answer anew, the second half left out at
first, which must show in every count that it concerns; an instrument that finds nothing there finds nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, sync_playwright

from bench.corpus import documents
from bench.streams import running
from tests.browser.conftest import FLAGS
from tests.server import Server, free_port

INSTRUMENT = Path(__file__).with_name("instrument.js").read_text("utf-8")
PARTIAL = re.compile(r'<hx-partial hx-target="[^"]*"(?: hx-swap="[^"]*")?>(.*?)</hx-partial>', re.DOTALL)
FOOTER = re.compile(r'<hx-partial [^>]*-footer".*?</hx-partial>', re.DOTALL)
BODY = ".message.assistant:last-of-type > .prose > .body"
NAIVE = """
  const body = still.body;
  setInterval(() => {
    const html = body.innerHTML;
    body.innerHTML = html.slice(0, html.length / 2);
    requestAnimationFrame(() => { body.innerHTML = '<div><b>' + html + '</b></div>'; });
    setTimeout(() => { body.innerHTML = html; }, 50);
  }, 300);
"""
COLUMNS = (
    ("characters", "characters"),
    ("layout shift", "shift"),
    ("taken back /1000", "taken_back"),
    ("block changed /1000", "block_changed"),
    ("style changed /1000", "style_changed"),
    ("recoloured /1000", "recoloured"),
    ("moved", "moved"),
    ("wrapped", "wrapped"),
    ("shrank", "shrank"),
    ("same as reload", "same"),
    ("nodes made / left", "nodes"),
    ("foreign requests", "foreign"),
    ("HTML sent / final", "html"),
    ("stream / final", "raw"),
    ("gzip / final", "gzip"),
)


@dataclass
class Row:
    """What one document showed."""

    name: str
    characters: int
    shift: float
    taken_back: float
    block_changed: float
    style_changed: float
    recoloured: float
    moved: int
    wrapped: int
    shrank: int
    same: bool
    nodes: float
    foreign: int
    html: float
    raw: float
    gzip: float


@contextmanager
def application(pause: float, frame: float) -> Iterator[Server]:
    """A server whose model recites."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as data,
        running("-m", "bench.stillness.provider", "--port", str(port), "--pause", str(pause)),
    ):
        time.sleep(1)
        address = f"http://127.0.0.1:{port}/v1"
        server = Server(
            Path(data),
            OPENAI_BASE_URL=address,
            OPENAI_API_KEY="x",
            OPENAI_MODEL="reciter",
            FRAME_SECONDS=str(frame),
        )
        server.prepare()
        server.start()
        try:
            yield server
        finally:
            server.close()


def ask(page: Page, server: Server, words: str, *, quiet: bool, naive: bool = False) -> dict[str, Any]:
    """Ask in a new conversation, wait for the end of the answer; return what the instrument counted."""
    page.goto(server.url)
    page.fill("textarea", words)
    page.keyboard.press("Enter")
    page.wait_for_selector(".stream", state="attached")
    page.evaluate("([body, quiet]) => still.watch(document.querySelector(body), quiet)", [BODY, quiet])
    if naive:
        page.evaluate(NAIVE)
    page.wait_for_selector(".copy-answer", timeout=900_000)
    page.wait_for_timeout(300)
    report: dict[str, Any] = page.evaluate("still.report()")
    return report


def same_as_reload(page: Page, report: dict[str, Any]) -> bool:
    """Whether the answer as it came equals the answer as a reload shows it."""
    page.reload()
    page.wait_for_selector(".copy-answer")
    body = page.locator(BODY)
    return bool(body.inner_text() == report["text"] and body.inner_html() == report["html"])


def measure(context: BrowserContext, server: Server, name: str, *, naive: bool) -> Row:
    """Measure one document."""
    foreign: list[str] = []
    page = context.new_page()
    page.on(
        "request",
        lambda request: foreign.append(request.url) if urlsplit(request.url).hostname != "127.0.0.1" else None,
    )
    report = ask(page, server, f"recite {name} 1", quiet=False, naive=naive)
    stream = FOOTER.sub("", "".join(report["stream"]))  # the toolbar of an answer is no part of its text
    final = len(report["html"].encode())
    sent = sum(len(html.encode()) for html in PARTIAL.findall(stream.replace("\ndata: ", "\n")))
    per_thousand = 1000 / max(1, report["characters"])
    for example in report["examples"]:
        print(f"  {name}: {example}", file=sys.stderr)
    row = Row(
        name=name,
        characters=report["characters"],
        shift=round(report["shift"], 4),
        taken_back=round(report["takenBack"] * per_thousand, 2),
        block_changed=round(report["blockChanged"] * per_thousand, 2),
        style_changed=round(report["styleChanged"] * per_thousand, 2),
        recoloured=round(report["recoloured"] * per_thousand, 2),
        moved=report["moved"],
        wrapped=report["wrapped"],
        shrank=report["shrank"],
        same=same_as_reload(page, report),
        nodes=round(report["created"] / max(1, report["nodes"]), 3),
        foreign=len(foreign),
        html=round(sent / final, 3),
        raw=round(len(stream.encode()) / final, 2),
        gzip=round(len(gzip.compress(stream.encode())) / final, 2),
    )
    page.close()
    return row


def work_seconds(context: BrowserContext, server: Server, name: str, times: int) -> float:
    """Return the seconds of script, style and layout that the page needs for a document so many times over."""
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    ask(page, server, f"recite {name} {times}", quiet=True)
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    page.close()
    return float(metrics["ScriptDuration"] + metrics["LayoutDuration"] + metrics["RecalcStyleDuration"])


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    lines = ["| document | " + " | ".join(title for title, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {row.name} | " + " | ".join(str(getattr(row, field)) for _, field in COLUMNS) + " |" for row in rows]
    return "\n".join(lines)


def total(rows: list[Row]) -> Row:
    """Return all documents as one: sums, and means weighted by their length."""
    characters = sum(row.characters for row in rows)

    def mean(field: str) -> float:
        return round(sum(getattr(row, field) * row.characters for row in rows) / characters, 3)

    means = {
        field: mean(field)
        for field in ("taken_back", "block_changed", "style_changed", "recoloured", "nodes", "html", "raw", "gzip")
    }
    sums = {field: sum(getattr(row, field) for row in rows) for field in ("moved", "wrapped", "shrank", "foreign")}
    return Row(
        name="all",
        characters=characters,
        shift=round(sum(row.shift for row in rows), 4),
        same=all(row.same for row in rows),
        **means,
        **sums,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=sorted(documents()))
    parser.add_argument("--pause", type=float, default=0.03, help="seconds between pieces of four characters")
    parser.add_argument("--frame", type=float, default=0.03, help="seconds between frames, at least")
    parser.add_argument("--width", type=int, default=820)
    parser.add_argument("--naive", action="store_true")
    parser.add_argument("--growth", metavar="NAME", help="instead: the work for this document once and eight times")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with sync_playwright() as playwright, application(options.pause, options.frame) as server:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = browser.new_context(viewport={"width": options.width, "height": 1000})
        context.add_init_script(INSTRUMENT)
        context.new_page().goto(server.link)
        if options.growth:
            once, eight = (work_seconds(context, server, options.growth, times) for times in (1, 8))
            print(f"{options.growth}: {once:.2f} s once, {eight:.2f} s eight times: {eight / once:.1f} times")
            return
        rows = []
        for name in options.names:
            rows.append(measure(context, server, name, naive=options.naive))
            print(rows[-1], file=sys.stderr)
        print(table([*rows, total(rows)]))
        if options.json:
            options.json.write_text(json.dumps([vars(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
