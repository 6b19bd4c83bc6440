"""What the provider server does with a request: one small coroutine for each scenario.

`<name>-<argument>`: the argument is a number of tokens (`cut-3`), a speed (`paced-50`) or seconds (`429-2`). Directives
in the last user message set the rest: `[[length=40]]` tokens, `[[seed=3]]`, `[[speed=100]]` tokens a second.
Answers in unusual shapes are in `provider_shapes.py`.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from tests.provider_exchange import SECRET_ECHO, Exchange, Scenario, chunk, directives, event_bytes, text_of
from tests.provider_shapes import SHAPES

_TIMES = re.compile(r"x(\d+)$")


def choose(body: dict[str, Any], default: str) -> str:
    """The scenario for this request."""
    wanted = directives(body).get("scenario") or str(body.get("model", ""))
    return wanted if is_known(wanted) else default


async def play(scenario: str, exchange: Exchange, nth: int) -> None:
    """Run `scenario` for its request number `nth`, counted from 0."""
    times = _TIMES.search(scenario)
    if exchange.is_title:
        await exchange.whole_stream(["A title ", "of the ", "provider"])
    elif times and nth >= int(times[1]):
        await paced(exchange, "0")
    else:
        await _find(_TIMES.sub("", scenario), exchange)


def is_known(scenario: str) -> bool:
    scenario = _TIMES.sub("", scenario)
    name = scenario.partition("-")[0]
    return scenario in SCENARIOS or name in SCENARIOS or name.isdigit()


async def _find(scenario: str, exchange: Exchange) -> None:
    name, _, argument = scenario.partition("-")
    if scenario in SCENARIOS:
        await SCENARIOS[scenario](exchange, "")
    elif name in SCENARIOS:
        await SCENARIOS[name](exchange, argument)
    else:
        await status(exchange, scenario)


async def paced(x: Exchange, speed: str) -> None:
    """A good answer at `speed` tokens a second; 0: all at once."""
    await _paced(x, float(x.directives.get("speed", speed)), x.tokens)


async def _paced(x: Exchange, speed: float, tokens: list[str]) -> None:
    if not speed:
        await x.whole_stream(tokens)
        return
    await x.start()
    due = time.monotonic()
    for token in tokens:
        await x.delta(token)
        due += 1 / speed
        await asyncio.sleep(max(0, due - time.monotonic()))
    await x.finish(output_tokens=len(tokens))


async def fast(x: Exchange, _: str) -> None:
    await paced(x, "0")


async def stamped(x: Exchange, speed: str) -> None:
    """As paced, but each token is the time at which it was sent (`time.monotonic()`), for measuring delays."""
    await x.start()
    due = time.monotonic()
    for _ in range(x.length):
        await x.delta(f"{time.monotonic():.6f} ")
        due += 1 / float(speed or 50)
        await asyncio.sleep(max(0, due - time.monotonic()))
    await x.finish(output_tokens=x.length)


async def counted(x: Exchange, speed: str) -> None:
    """As paced, but each token is its number, so that a lost or doubled one shows; goes on behind a part of it."""
    whole = "".join(f"w{number} " for number in range(x.length))
    rest = whole[len(x.partial) :] if whole.startswith(x.partial) else f"<{x.partial}> is no beginning of it"
    await _paced(x, float(x.directives.get("speed", speed or 50)), re.findall(r"\S+\s*|\s+", rest))


async def said(x: Exchange, speed: str) -> None:
    """What the test has put into the server's `said`, in pieces of 1 to 8 characters."""
    pieces = re.findall(r".{1,8}", x.said, re.DOTALL)
    await _paced(x, float(speed or 500), pieces)


async def burst(x: Exchange, count: str) -> None:
    """`count` tokens as fast as the socket takes them, each in a chunk of its own."""
    await x.start()
    for token in text_of(1, int(count or 10_000)):
        await x.delta(token)
    await x.finish()


async def status(x: Exchange, argument: str) -> None:
    """Refused with an HTTP status; `-n`: with a Retry-After of n seconds; `500-html`, `400-context`, `429-credit`."""
    code, _, detail = argument.partition("-")
    message = {"context": "maximum context length is 10", "credit": "insufficient_quota"}.get(detail, "refused")
    if detail == "html":
        await x.start(int(code), "text/html")
        await x.send(f"<html>{SECRET_ECHO}</html>".encode())
        await x.end()
        return
    extra = f"Retry-After: {detail}\r\n" if re.fullmatch(r"[\d.]+", detail) else ""
    await x.json(int(code), {"error": {"message": f"{message} {SECRET_ECHO}"}}, extra)


async def html(x: Exchange, _: str) -> None:
    await x.start(200, "text/html; charset=utf-8")
    await x.send(f"<html><body>{SECRET_ECHO}</body></html>".encode())
    await x.end()


async def text(x: Exchange, _: str) -> None:
    """200, no content type to speak of, and not a stream."""
    await x.start(200, "text/plain")
    await x.send(b"it works\n")
    await x.end()


async def silence(x: Exchange, _: str) -> None:
    await x.start()
    await x.gone.wait()


async def noheaders(x: Exchange, _: str) -> None:
    await x.gone.wait()


async def keepalive(x: Exchange, argument: str) -> None:
    """`n` tokens, then comments and empty deltas for ever."""
    await x.start()
    for token in x.tokens[: int(argument or 0)]:
        await x.delta(token)
    while not x.gone.is_set():
        await x.send(b": keepalive\n\n" + event_bytes(chunk({"content": ""})))
        await asyncio.sleep(0.02)


async def stall(x: Exchange, count: str) -> None:
    await _first(x, count)
    await x.gone.wait()


async def cut(x: Exchange, count: str) -> None:
    """RST after `count` tokens, in the middle of a line."""
    await _first(x, count)
    await x.send(b'data: {"choices":[{"ind')
    await asyncio.sleep(0.02)
    x.reset_connection()


async def fin(x: Exchange, count: str) -> None:
    """As cut, but with a FIN and without the last chunk."""
    await _first(x, count)


async def eof(x: Exchange, count: str) -> None:
    """The body ends properly, the answer does not."""
    await _first(x, count)
    await x.end()


async def done(x: Exchange, count: str) -> None:
    """[DONE] without a finish_reason."""
    await _first(x, count)
    await x.send(b"data: [DONE]\n\n")
    await x.end()


async def error(x: Exchange, kind: str) -> None:
    """3 tokens, then an error in mid-stream: `error-event`, `error-text`, `error-named`, `error-reason`."""
    await _first(x, "3")
    bodies = {
        "event": event_bytes({"error": {"message": SECRET_ECHO, "code": 500}}),
        "text": event_bytes({"error": SECRET_ECHO}),
        "named": b"event: error\n" + event_bytes({"message": SECRET_ECHO}),
        "reason": event_bytes(chunk({}, "error")),
    }
    await x.send(bodies[kind or "event"])
    await x.gone.wait()


async def finish(x: Exchange, reason: str) -> None:
    """`finish-length`, `finish-filter`, `finish-tools`, `finish-strange`."""
    await _first(x, "3")
    await x.finish({"filter": "content_filter", "tools": "tool_calls"}.get(reason, reason), 3)


async def say(x: Exchange, size: str) -> None:
    """Says `[[say=…]]` (UTF-8 in hexadecimal) in deltas of `size` characters, or in two: `[[cut=3]]`.

    `[[as=reasoning_content]]` names the field, `[[then=stall]]` what comes behind it: a scenario, or a finish_reason.
    A part of it that the assistant has said already is not said again.
    """
    whole = bytes.fromhex(x.directives["say"]).decode()
    text = whole.removeprefix(x.partial)
    cut, step = int(x.directives.get("cut", 0)), int(size or len(text))
    pieces = [text[:cut], text[cut:]] if cut else [text[at : at + step] for at in range(0, len(text), step)]
    await x.start()
    for piece in pieces:
        await x.event(chunk({x.directives.get("as", "content"): piece}))
    then = "stop" if x.partial else x.directives.get("then", "stop")
    if then == "stall":
        await x.gone.wait()
    elif then == "cut":
        x.reset_connection()
    else:
        await x.finish(then, len(pieces))


async def moderate(x: Exchange) -> None:
    """Judge a text by the model's name: `strict` flags what holds "forbidden"; `silent` and `broken` never do."""
    model, text = x.body.get("model"), str(x.body["input"])
    if model == "silent":
        await x.gone.wait()
    elif model == "broken":
        await x.json(500, {"error": {"message": SECRET_ECHO}})
    elif model == "odd":
        await x.json(200, {"results": [{}]})
    else:
        flagged = "forbidden" in text
        categories = {"violence": flagged, "harassment": False}
        await x.json(200, {"id": "m", "model": model, "results": [{"flagged": flagged, "categories": categories}]})


async def linger(x: Exchange, _: str) -> None:
    """Complete but for [DONE] and the end of the body."""
    await _first(x, "3")
    await x.event(chunk({}, "stop"))
    await x.gone.wait()


async def redirect(x: Exchange, target: str) -> None:
    """307 to port `target` of this machine, else to another path."""
    where = f"http://127.0.0.1:{target}/v1/chat/completions" if target else "/elsewhere/chat/completions"
    await x.json(307, {}, f"Location: {where}\r\n")


async def _first(x: Exchange, count: str) -> None:
    await x.start()
    for token in x.tokens[: int(count or 3)]:
        await x.delta(token)


SCENARIOS: dict[str, Scenario] = SHAPES | {
    scenario.__name__: scenario
    for scenario in (
        *(paced, fast, stamped, counted, said, burst, html, text, silence, noheaders, keepalive, stall),
        *(cut, fin, eof, done, error, finish, linger, redirect, say),
    )
}
