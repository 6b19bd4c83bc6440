"""Scenarios in which the answer is right but comes in an unusual shape, and junk in between."""

from __future__ import annotations

import asyncio
import json

from tests.provider_exchange import SECRET_ECHO, Exchange, Scenario, chunk, event_bytes, usage


async def _stream(x: Exchange, *events: object, reason: str = "stop") -> None:
    """`events` (bytes as they are, anything else as JSON), then a finish_reason and [DONE]."""
    await x.start()
    for event in events:
        await x.send(event if isinstance(event, bytes) else event_bytes(event))
    await x.finish(reason, 2)


def _says(text: object, **fields: object) -> dict[str, object]:
    return chunk({"content": text, **fields})


async def bad_json(x: Exchange, _: str) -> None:
    junk = b"data: {not json\n\ndata: [1,2]\n\ndata: null\n\nnonsense\n\ndata:\n\n"
    await _stream(x, _says("before "), junk, b'data: {"choices":"\xff\xfe"}\n\n', _says("after"))


async def no_choices(x: Exchange, _: str) -> None:
    junk = ({"choices": []}, {"choices": None}, {}, {"choices": [None, 3]}, {"choices": [{"delta": None}]})
    await _stream(x, _says("before "), *junk, {"choices": [{"index": 0, "delta": []}]}, _says("after"))


async def odd_deltas(x: Exchange, _: str) -> None:
    odd = (_says(None), _says(7), _says({"a": 1}), _says("", role="user"), _says("", tool_calls=[{"index": 0}]))
    other = {"choices": [{"index": 1, "delta": {"content": "WRONG"}, "finish_reason": "length"}]}
    await _stream(x, _says("before ", role="assistant"), *odd, other, _says("after"))


async def list_content(x: Exchange, _: str) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    await _stream(x, _says([thinking]), _says([{"type": "text", "text": "before "}, "af", {"type": "x"}]), _says("ter"))


async def json_answer(x: Exchange, _: str) -> None:
    message = {"role": "assistant", "content": "before after", "reasoning_content": "hm"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    await x.json(200, {"object": "chat.completion", "model": "whole", "choices": [choice], "usage": usage(3, 2)})


async def json_error(x: Exchange, _: str) -> None:
    await x.json(200, {"error": {"message": SECRET_ECHO}})


async def json_other(x: Exchange, _: str) -> None:
    await x.json(200, {"status": "ok"})


async def json_broken(x: Exchange, _: str) -> None:
    await x.start(200, "application/json")
    await x.send(b'{"choices": [')
    await x.end()


async def json_endless(x: Exchange, _: str) -> None:
    await x.start(200, "application/json")
    while not x.gone.is_set():
        await x.send(b"[" * 100_000)


async def done_open(x: Exchange, _: str) -> None:
    """Complete, [DONE] and all, but for the end of the body."""
    await x.start()
    await x.send(event_bytes(chunk({"content": "before after"}, "stop")) + b"data: [DONE]\n\n")
    await x.gone.wait()


async def usage_twice(x: Exchange, _: str) -> None:
    early = {"choices": [], "usage": usage(1, 1)}
    await _stream(x, early, _says("before after"), {"choices": [], "usage": usage(7, 5)})


async def usage_negative(x: Exchange, _: str) -> None:
    await _usage(x, usage(-5, 3))


async def usage_huge(x: Exchange, _: str) -> None:
    await _usage(x, usage(5, 10**30))


async def usage_junk(x: Exchange, _: str) -> None:
    await _usage(x, {"prompt_tokens": "5", "completion_tokens": True})


async def usage_reasoning(x: Exchange, _: str) -> None:
    await _usage(x, {**usage(5, 9), "completion_tokens_details": {"reasoning_tokens": 4}})


async def _usage(x: Exchange, value: object) -> None:
    await x.start()
    for event in (_says("before after"), chunk({}, "stop"), {"choices": [], "usage": value}):
        await x.event(event)
    await x.send(b"data: [DONE]\n\n")
    await x.end()


async def no_include_usage(x: Exchange, _: str) -> None:
    """Strict about parameters it does not know."""
    if "stream_options" in x.body:
        await x.json(400, {"error": {"message": f"Unrecognized argument: stream_options {SECRET_ECHO}"}})
    else:
        await _stream(x, _says("before after"))


async def huge_line(x: Exchange, _: str) -> None:
    """Two good tokens, then 50 MB without a line's end."""
    await x.start()
    await x.event(_says("before "))
    await x.event(_says("after"))
    await x.send(b'data: {"choices":[{"index":0,"delta":{"content":"')
    for _ in range(800):
        await x.send(b"x" * 65_536)
        await asyncio.sleep(0)


async def endless(x: Exchange, _: str) -> None:
    await x.start()
    while not x.gone.is_set():
        await x.send(event_bytes(_says("word " * 200)))


async def think_tag(x: Exchange, _: str) -> None:
    """`<think>` cut between any two characters."""
    await _stream(x, *(_says(c) for c in "<think>\nhm <b>\n</think>\n\nbefore `<think>` after"))


async def think_open(x: Exchange, _: str) -> None:
    await _stream(x, _says("<think>hm</thi"))


async def reasoning(x: Exchange, _: str) -> None:
    await _stream(x, _says(None, reasoning_content="h"), _says("", reasoning="m"), _says("before after"))


async def reasoning_both(x: Exchange, _: str) -> None:
    """The same reasoning under both names, as some gateways send it."""
    await _stream(x, _says("", reasoning="hm", reasoning_content="hm"), _says("before after"))


async def reasoning_only(x: Exchange, _: str) -> None:
    await _stream(x, _says("", reasoning_content="hm"))


async def refusal(x: Exchange, _: str) -> None:
    await _stream(x, _says(None, refusal="before after"))


async def split_bytes(x: Exchange, _: str) -> None:
    """A BOM, CRLF, no space behind `data:`, and each byte in a chunk of its own."""
    data = b"\xef\xbb\xbf: hello\r\n\r\n" + event_bytes(_says("naïve 😀 日本")).replace(b"data: ", b"data:")
    await x.start()
    for byte in data.replace(b"\n", b"\r\n"):
        await x.send(bytes([byte]))
    await x.finish(output_tokens=1)


async def no_blank_lines(x: Exchange, _: str) -> None:
    lines = [event_bytes(_says(text)).rstrip() + b"\n" for text in ("before ", "after")]
    await _stream(x, b"".join(lines))


async def many_lines(x: Exchange, _: str) -> None:
    """One event over several data lines, as the standard for server-sent events allows."""
    lines = json.dumps(_says("before after"), indent=1).split("\n")
    await _stream(x, b"".join(f"data: {line}\n".encode() for line in lines) + b"\n")


async def surrogates(x: Exchange, _: str) -> None:
    """An emoji cut in two, a lone half, and NUL."""
    escaped = json.dumps(_says("HERE"))
    texts = ("a\\ud83d", "\\ude00b", "\\udc00c", "\\u0000d\\ud83d")
    await _stream(x, *(f"data: {escaped.replace('HERE', text)}\n\n".encode() for text in texts))


async def unended(x: Exchange, _: str) -> None:
    """The last line has no end."""
    await x.start()
    await x.event(_says("before after"))
    await x.send(event_bytes(chunk({}, "stop")).rstrip())
    await x.end()


SHAPES: dict[str, Scenario] = {
    shape.__name__.replace("_", "-"): shape
    for shape in (
        *(bad_json, no_choices, odd_deltas, list_content, json_answer, json_error, json_other, json_broken),
        *(json_endless, done_open, usage_twice),
        *(usage_negative, usage_huge, usage_junk, usage_reasoning, no_include_usage, huge_line, endless, think_tag),
        *(think_open, reasoning, reasoning_both, reasoning_only, refusal, split_bytes, no_blank_lines, many_lines),
        *(surrogates, unended),
    )
}
