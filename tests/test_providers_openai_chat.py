"""The client against a service on a real socket that does everything wrong that services do wrong."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from conversations.providers import (
    ChatMessage,
    ChatRequest,
    Deadlines,
    Endpoint,
    Event,
    Finished,
    Notice,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    Usage,
    close_clients,
    open_provider,
)
from conversations.providers.base import Prefill
from conversations.providers.errors import FAILURES
from conversations.providers.event_stream import MAX_LINE_BYTES
from conversations.providers.network import AsyncioBackend
from conversations.providers.openai_chat import OpenAIChatProvider
from tests import provider_fixtures
from tests.process import ROOT
from tests.provider_exchange import text_of
from tests.provider_server import ProviderServer

provider_server_process = provider_fixtures.provider_server_process
provider_server = provider_fixtures.provider_server
clients_closed = provider_fixtures.clients_closed
pytestmark = pytest.mark.usefixtures("clients_closed")

KEY = "sk-a-secret-key"
SHORT = Deadlines(connect_seconds=1, first_token_seconds=0.4, idle_seconds=0.2, total_seconds=2)
PATIENT = Deadlines(connect_seconds=2, first_token_seconds=10, idle_seconds=5, total_seconds=20)


@dataclass
class Outcome:
    events: list[Event] = field(default_factory=list)
    error: ProviderError | None = None
    seconds: float = 0

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def finished(self) -> Finished:
        assert self.error is None, self.error.code
        assert [event for event in self.events if isinstance(event, Finished)] == self.events[-1:]
        assert isinstance(self.events[-1], Finished)
        return self.events[-1]

    @property
    def failure(self) -> ProviderError:
        assert self.error is not None, "it finished"
        assert self.error.message == FAILURES[self.error.code][0] or self.error.retry_after_seconds is not None
        shown = f"{self.error!r} {self.error.message} {self.error.detail}"
        assert not any(secret in shown for secret in (KEY, "sk-echoed", "127.0.0.1", "/v1"))
        return self.error


def endpoint(server: ProviderServer, model: str, prefill: Prefill = "") -> Endpoint:
    return Endpoint(server.base_url, KEY, model, prefill)


def request(text: str = "a question", **fields: object) -> ChatRequest:
    return ChatRequest((ChatMessage("user", text),), **fields)  # type: ignore[arg-type]


async def ask(provider: OpenAIChatProvider, chat_request: ChatRequest | None = None) -> Outcome:
    outcome = Outcome()
    started = time.monotonic()
    try:
        async with aclosing(provider.stream(chat_request or request())) as events:
            async for event in events:
                outcome.events.append(event)
    except ProviderError as error:
        outcome.error = error
    outcome.seconds = time.monotonic() - started
    return outcome


async def ask_model(server: ProviderServer, model: str, deadlines: Deadlines = PATIENT) -> Outcome:
    return await ask(OpenAIChatProvider(endpoint(server, model), deadlines))


# What goes well -----------------------------------------------------------------------------------------------------


async def test_stream_gives_text_usage_and_model(provider_server: ProviderServer) -> None:
    outcome = await ask(OpenAIChatProvider(endpoint(provider_server, "paced-500")), request("[[seed=3]] [[length=30]]"))
    assert outcome.text == "".join(text_of(3, 30))
    assert outcome.finished == Finished("stop", Usage(2, 30), "paced-500-2026")
    assert len(outcome.events) == 31


async def test_request_is_what_the_protocol_wants(provider_server: ProviderServer) -> None:
    messages = (ChatMessage("system", "be brief"), ChatMessage("user", "naïve \ud83d 日本"))
    parameters = {"temperature": 0.5, "max_tokens": 9, "stream": 0, "model": "other"}
    await ask(OpenAIChatProvider(endpoint(provider_server, "fast")), ChatRequest(messages, parameters))
    received = provider_server.requests[0]
    assert received.path == "/v1/chat/completions"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": "fast",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "naïve ? 日本"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 9,
    }


async def test_environment_and_missing_key_send_no_credentials(
    provider_server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "from-the-environment")
    outcome = await ask(OpenAIChatProvider(Endpoint(provider_server.base_url, "", "fast")))
    assert outcome.finished.finish_reason == "stop"
    headers = provider_server.requests[0].headers
    assert "authorization" not in headers
    assert "from-the-environment" not in "".join(headers.values())


@pytest.mark.parametrize("slash", ["", "/"])
async def test_base_url_is_used_as_given(provider_server: ProviderServer, slash: str) -> None:
    await ask(OpenAIChatProvider(Endpoint(provider_server.base_url + slash, KEY, "fast")))
    assert provider_server.requests[0].path == "/v1/chat/completions"


async def test_connection_is_reused_and_a_warm_client_is_quick(provider_server: ProviderServer) -> None:
    provider = OpenAIChatProvider(endpoint(provider_server, "fast"))
    delays = []
    for number in range(8):
        started = time.monotonic()
        await ask(provider)
        delays.append(provider_server.answers[number].received_at - started)
    assert len({received.connection for received in provider_server.answers}) == 1
    assert min(delays[1:]) < 0.2


async def test_long_conversation_does_not_delay_the_request(provider_server: ProviderServer) -> None:
    provider = OpenAIChatProvider(endpoint(provider_server, "fast"))
    await ask(provider)
    messages = tuple(ChatMessage("user", f"message {number}") for number in range(2000))
    started = time.monotonic()
    await ask(provider, ChatRequest(messages))
    assert provider_server.answers[1].received_at - started < 2


async def test_list_models_gives_names(provider_server: ProviderServer) -> None:
    provider_server.models = ["one", "two"]
    assert await OpenAIChatProvider(endpoint(provider_server, "")).list_models() == ["one", "two"]


async def test_list_models_reports_what_is_wrong(provider_server: ProviderServer) -> None:
    wrong = Endpoint(provider_server.base_url + "/nowhere", KEY, "")
    with pytest.raises(ProviderError) as raised:
        await OpenAIChatProvider(wrong).list_models()
    assert raised.value.code == "model_not_found"
    with pytest.raises(ProviderError) as raised:
        await OpenAIChatProvider(Endpoint(f"http://127.0.0.1:{free_port()}/v1", KEY, "")).list_models()
    assert raised.value.code == "unreachable"


# Continue -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefill", "roles", "extra"),
    [
        ("", ["user", "assistant", "user"], {}),
        ("assistant", ["user", "assistant"], {}),
        (
            "continue_final_message",
            ["user", "assistant"],
            {"continue_final_message": True, "add_generation_prompt": False},
        ),
    ],
)
async def test_partial_is_continued(
    provider_server: ProviderServer, prefill: Prefill, roles: list[str], extra: dict[str, bool]
) -> None:
    whole = "".join(text_of(5, 20))
    provider = OpenAIChatProvider(endpoint(provider_server, "fast", prefill))
    outcome = await ask(provider, request("[[seed=5]] [[length=20]]", partial=whole[:31]))
    assert whole[:31] + outcome.text == whole
    body = provider_server.requests[0].body
    assert [message["role"] for message in body["messages"]] == roles
    assert body["messages"][1]["content"] == whole[:31]
    assert {name: body[name] for name in body if name in ("continue_final_message", "add_generation_prompt")} == extra


# No answer: C1 to C7, C20, C21 --------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_refused_connection_is_retried_and_reported() -> None:
    outcome = await ask(OpenAIChatProvider(Endpoint(f"http://127.0.0.1:{free_port()}/v1", KEY, "m"), PATIENT))
    assert (outcome.failure.code, outcome.failure.permanent, outcome.events) == ("unreachable", False, [])
    assert 0.5 < outcome.seconds < PATIENT.connect_seconds


async def test_unknown_host_is_reported() -> None:
    outcome = await ask(OpenAIChatProvider(Endpoint("http://no-such-host.invalid/v1", KEY, "m"), PATIENT))
    assert outcome.failure.code in ("unreachable", "connect_timeout")


async def test_tls_error_is_reported() -> None:
    async def speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak_plainly, "127.0.0.1", 0)
    async with server:
        address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        outcome = await ask(OpenAIChatProvider(Endpoint(address, KEY, "m"), Deadlines(connect_seconds=0.5)))
    assert outcome.failure.code == "unreachable"


async def test_service_that_accepts_nothing_meets_the_connect_deadline() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        deadlines = Deadlines(connect_seconds=0.3, first_token_seconds=5)
        outcome = await ask(OpenAIChatProvider(Endpoint(f"http://127.0.0.1:{port}/v1", KEY, "m"), deadlines))
        for filler in fillers:
            filler.close()
    assert outcome.failure.code == "connect_timeout"
    assert 0.3 <= outcome.seconds < 1


@pytest.mark.parametrize(
    "address",
    ["ftp://localhost/v1", "file:///etc/passwd", "localhost:8000", "http://", "", "http://[::1"],
)
async def test_unusable_address_is_refused(address: str) -> None:
    outcome = await ask(OpenAIChatProvider(Endpoint(address, KEY, "m"), SHORT))
    assert (outcome.failure.code, outcome.failure.permanent) == ("bad_address", True)


async def test_unusable_key_is_refused_and_not_shown(provider_server: ProviderServer) -> None:
    outcome = await ask(OpenAIChatProvider(Endpoint(provider_server.base_url, KEY + "\u2026\n", "fast")))
    assert outcome.failure.code == "unauthorized"
    assert provider_server.requests == []
    assert KEY not in repr(endpoint(provider_server, "fast"))


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("401", "unauthorized"),
        ("402", "out_of_credit"),
        ("403", "forbidden"),
        ("404", "model_not_found"),
        ("400", "bad_request"),
        ("400-context", "context_too_long"),
        ("429-credit", "out_of_credit"),
        ("html", "not_a_stream"),
        ("text", "not_a_stream"),
        ("json-other", "not_a_stream"),
        ("json-broken", "not_a_stream"),
        ("json-endless", "not_a_stream"),
        ("redirect", "redirected"),
    ],
)
async def test_permanent_refusal_is_not_retried(provider_server: ProviderServer, model: str, code: str) -> None:
    outcome = await ask_model(provider_server, model)
    assert (outcome.failure.code, outcome.failure.permanent, outcome.failure.interrupted) == (code, True, False)
    assert outcome.events == []
    assert len(provider_server.answers) == 1


@pytest.mark.parametrize("model", ["500-htmlx1", "502x1", "503x2", "529x1"])
async def test_server_errors_are_retried(provider_server: ProviderServer, model: str) -> None:
    outcome = await ask_model(provider_server, model)
    assert outcome.finished.finish_reason == "stop"
    assert len(provider_server.answers) == int(model[-1]) + 1


@pytest.mark.parametrize(("model", "code"), [("500", "server_error"), ("529", "overloaded")])
async def test_retries_come_to_an_end(provider_server: ProviderServer, model: str, code: str) -> None:
    outcome = await ask_model(provider_server, model)
    assert (outcome.failure.code, outcome.failure.permanent) == (code, False)
    assert len(provider_server.answers) == 3


async def test_short_retry_after_is_waited_for_and_announced(provider_server: ProviderServer) -> None:
    outcome = await ask_model(provider_server, "429-1.2x1")
    assert outcome.events[0] == Notice("The model's service is busy; trying again in 2 seconds.", 1.2)
    assert outcome.finished.finish_reason == "stop"
    first, second = provider_server.answers
    assert second.received_at - first.received_at >= 1.2


async def test_long_retry_after_fails_at_once_with_the_time(provider_server: ProviderServer) -> None:
    outcome = await ask_model(provider_server, "429-3600")
    assert (outcome.failure.code, outcome.failure.retry_after_seconds) == ("rate_limited", 3600)
    assert "60 minutes" in outcome.failure.message
    assert outcome.seconds < 1
    assert len(provider_server.answers) == 1


@pytest.mark.parametrize("model", ["silence", "noheaders", "keepalive"])
async def test_no_first_token_meets_the_deadline(provider_server: ProviderServer, model: str) -> None:
    outcome = await ask_model(provider_server, model, SHORT)
    assert (outcome.failure.code, outcome.failure.interrupted) == ("first_token_timeout", False)
    assert 0.4 <= outcome.seconds < 1
    assert len(provider_server.answers) == 1
    provider_server.answers[0].wait_closed()


async def test_include_usage_is_given_up_where_it_is_rejected(provider_server: ProviderServer) -> None:
    outcomes = [await ask_model(provider_server, "no-include-usage") for _ in range(2)]
    assert [outcome.text for outcome in outcomes] == ["before after"] * 2
    asked = ["stream_options" in received.body for received in provider_server.answers]
    assert asked == [True, False, False]


async def test_redirect_to_another_server_is_not_followed(provider_server: ProviderServer) -> None:
    with ProviderServer() as other:
        outcome = await ask_model(provider_server, f"redirect-{other.port}")
        assert outcome.failure.code == "redirected"
        assert other.requests == []


# A broken answer: C8 to C10, C12 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("stall-3", "idle_timeout"),
        ("keepalive-3", "idle_timeout"),
        ("cut-3", "cut"),
        ("fin-3", "cut"),
        ("eof-3", "ended_early"),
        ("done-3", "ended_early"),
        ("error-event", "stream_error"),
        ("error-text", "stream_error"),
        ("error-named", "stream_error"),
        ("error-reason", "stream_error"),
    ],
)
async def test_break_in_mid_answer_keeps_the_partial(provider_server: ProviderServer, model: str, code: str) -> None:
    outcome = await ask(OpenAIChatProvider(endpoint(provider_server, model), SHORT), request("[[seed=1]]"))
    assert (outcome.failure.code, outcome.failure.interrupted) == (code, True)
    assert outcome.text == "".join(text_of(1, 3))
    assert len(provider_server.answers) == 1
    assert outcome.seconds < 1.5


async def test_total_deadline_ends_an_endless_answer(provider_server: ProviderServer) -> None:
    deadlines = Deadlines(total_seconds=0.5)
    provider = OpenAIChatProvider(endpoint(provider_server, "paced-50"), deadlines)
    outcome = await ask(provider, request("[[length=1000]]"))
    assert (outcome.failure.code, outcome.failure.interrupted) == ("total_timeout", True)
    assert 0.5 <= outcome.seconds < 1


async def test_time_the_caller_takes_is_not_idle_time(provider_server: ProviderServer) -> None:
    provider = OpenAIChatProvider(endpoint(provider_server, "paced-20"), Deadlines(idle_seconds=0.2))
    texts = []
    async with aclosing(provider.stream(request("[[length=4]] [[seed=2]]"))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                texts.append(event.text)
            if len(texts) == 1:
                await asyncio.sleep(0.3)
    assert "".join(texts) == "".join(text_of(2, 4))


async def test_error_before_the_first_delta_is_not_interrupted(provider_server: ProviderServer) -> None:
    outcome = await ask_model(provider_server, "json-error")
    assert (outcome.failure.code, outcome.failure.interrupted) == ("stream_error", False)


# Unusual answers: C11, C13 to C15, C19 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("finish-length", "length"),
        ("finish-filter", "content_filter"),
        ("finish-tools", "tool_calls"),
        ("finish-strange", "other"),
    ],
)
async def test_finish_reason_is_ours(provider_server: ProviderServer, model: str, reason: str) -> None:
    outcome = await ask_model(provider_server, model)
    assert (outcome.finished.finish_reason, outcome.finished.usage) == (reason, Usage(2, 3))


@pytest.mark.parametrize(
    "model",
    [
        *("bad-json", "no-choices", "odd-deltas", "list-content", "json-answer", "usage-twice", "refusal"),
        *("no-blank-lines", "many-lines", "reasoning", "reasoning-both", "unended", "done-open"),
    ],
)
async def test_unusual_shape_loses_no_text(provider_server: ProviderServer, model: str) -> None:
    outcome = await ask_model(provider_server, model)
    assert outcome.text == "before after"
    assert outcome.finished.finish_reason == "stop"


@pytest.mark.parametrize(
    ("model", "text"),
    [("split-bytes", "naïve 😀 日本"), ("surrogates", "a😀b\ufffdcd"), ("think-tag", "before `<think>` after")],
)
async def test_text_is_whole_and_storable(provider_server: ProviderServer, model: str, text: str) -> None:
    outcome = await ask_model(provider_server, model)
    assert outcome.text == text
    assert outcome.text.encode()


@pytest.mark.parametrize(
    ("model", "text", "reasoning"),
    [
        ("reasoning", "before after", "hm"),
        ("reasoning-both", "before after", "hm"),
        ("reasoning-only", "", "hm"),
        ("list-content", "before after", "hm"),
        ("json-answer", "before after", "hm"),
        ("think-tag", "before `<think>` after", "\nhm <b>\n"),
        ("think-open", "", "hm</thi"),
    ],
)
async def test_reasoning_is_apart(provider_server: ProviderServer, model: str, text: str, reasoning: str) -> None:
    outcome = await ask_model(provider_server, model)
    assert (outcome.text, outcome.reasoning, outcome.finished.finish_reason) == (text, reasoning, "stop")


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("usage-twice", Usage(2, 2)),
        ("usage-negative", None),
        ("usage-huge", None),
        ("usage-junk", None),
        ("usage-reasoning", Usage(5, 9, 4)),
        ("json-answer", Usage(3, 2)),
    ],
)
async def test_usage_is_plausible_or_absent(provider_server: ProviderServer, model: str, usage: Usage | None) -> None:
    assert (await ask_model(provider_server, model)).finished.usage == usage


async def test_huge_line_ends_with_length_and_closes(provider_server: ProviderServer) -> None:
    outcome = await ask_model(provider_server, "huge-line")
    assert (outcome.text, outcome.finished.finish_reason) == ("before after", "length")
    assert MAX_LINE_BYTES == 1_000_000
    provider_server.answers[0].wait_closed()


async def test_endless_output_ends_with_length_and_closes(provider_server: ProviderServer) -> None:
    provider = OpenAIChatProvider(endpoint(provider_server, "endless"), PATIENT, max_output_characters=50_003)
    outcome = await ask(provider)
    assert (len(outcome.text), outcome.finished.finish_reason) == (50_003, "length")
    provider_server.answers[0].wait_closed()


async def test_complete_answer_does_not_wait_for_the_connection_to_end(provider_server: ProviderServer) -> None:
    outcome = await ask_model(provider_server, "linger", SHORT)
    assert outcome.finished == Finished("stop", None, "linger-2026")
    assert outcome.seconds < 1
    provider_server.answers[0].wait_closed()


async def test_burst_leaves_the_loop_responsive(provider_server: ProviderServer) -> None:
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    provider = OpenAIChatProvider(endpoint(provider_server, "burst-10000"))
    await ask(OpenAIChatProvider(endpoint(provider_server, "fast")))
    watcher = asyncio.create_task(watch())
    outcome = await ask(provider)
    watcher.cancel()
    assert outcome.text == "".join(text_of(1, 10_000))
    assert turns >= 10  # counted, not timed: the machine may be busy with other things


# Stop: C22 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["noheaders", "silence", "stall-3", "paced-50", "keepalive-3"])
async def test_cancelling_closes_the_socket_at_once(provider_server: ProviderServer, model: str) -> None:
    task = asyncio.create_task(ask_model(provider_server, model))
    (received,) = await asyncio.to_thread(provider_server.wait_answers, 1)
    await asyncio.sleep(0.05)
    cancelled_at = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - cancelled_at < 2
    assert await asyncio.to_thread(received.wait_closed) - cancelled_at < 2


async def test_cancelling_while_waiting_for_a_retry_stops(provider_server: ProviderServer) -> None:
    task = asyncio.create_task(ask_model(provider_server, "429-5"))
    await asyncio.to_thread(provider_server.wait_answers, 1)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(provider_server.answers) == 1


async def test_closing_the_generator_closes_the_socket(provider_server: ProviderServer) -> None:
    events = OpenAIChatProvider(endpoint(provider_server, "paced-50")).stream(request())
    assert isinstance(await anext(events), TextDelta)
    closed_at = time.monotonic()
    await events.aclose()
    await events.aclose()
    received = provider_server.answers[0]
    assert await asyncio.to_thread(received.wait_closed) - closed_at < 2


async def test_closing_after_the_end_changes_nothing(provider_server: ProviderServer) -> None:
    events = OpenAIChatProvider(endpoint(provider_server, "fast")).stream(request())
    collected = [event async for event in events]
    await events.aclose()
    assert isinstance(collected[-1], Finished)


async def test_closed_clients_are_made_anew(provider_server: ProviderServer) -> None:
    await ask_model(provider_server, "fast")
    received = provider_server.answers[0]
    await close_clients()
    await asyncio.to_thread(received.wait_closed)
    assert (await ask_model(provider_server, "fast")).finished.finish_reason == "stop"


async def test_closing_clients_ends_running_answers(provider_server: ProviderServer) -> None:
    task = asyncio.create_task(ask_model(provider_server, "stall-3"))
    await asyncio.to_thread(provider_server.wait_answers, 1)
    await asyncio.sleep(0.1)
    await close_clients()
    outcome = await asyncio.wait_for(task, 2)
    assert (outcome.failure.code, outcome.failure.interrupted) == ("cut", True)


async def test_connection_closed_by_an_idle_server_is_replaced() -> None:
    with ProviderServer() as server:
        await ask_model(server, "fast")
        port = server.port
    with ProviderServer(port=port) as server:
        assert (await ask_model(server, "fast")).finished.finish_reason == "stop"


async def test_sockets_are_read_without_detours(
    provider_server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = []
    connect = AsyncioBackend.connect_tcp

    async def noting(self: AsyncioBackend, host: str, *args: Any, **fields: Any) -> Any:
        connected.append(host)
        return await connect(self, host, *args, **fields)

    monkeypatch.setattr(AsyncioBackend, "connect_tcp", noting)
    await ask_model(provider_server, "fast")
    assert connected == ["127.0.0.1"]


async def test_many_streams_at_once_all_finish(provider_server: ProviderServer) -> None:
    provider = OpenAIChatProvider(endpoint(provider_server, "paced-50"))
    outcomes = await asyncio.gather(*(ask(provider, request(f"[[length=20]] [[seed={n}]]")) for n in range(150)))
    assert [outcome.text for outcome in outcomes] == ["".join(text_of(n, 20)) for n in range(150)]


async def test_nothing_secret_is_logged(provider_server: ProviderServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for model in ("fast", "401", "error-event", "cut-3"):
        await ask(OpenAIChatProvider(endpoint(provider_server, model), SHORT), request("a private question"))
    logged = "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert not any(secret in logged for secret in (KEY, "sk-echoed", "private"))


def test_open_provider_picks_by_address() -> None:
    assert isinstance(open_provider(Endpoint("http://localhost/v1", "", "m")), OpenAIChatProvider)
    assert not isinstance(open_provider(Endpoint("demo:", "", "Demo")), OpenAIChatProvider)


def test_a_process_that_asks_no_service_does_not_load_the_package():
    """It takes a second, and every process and command would spend it."""
    program = "import sys, chatapp.asgi; sys.exit('openai' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
