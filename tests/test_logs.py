"""What log lines carry, and what never gets into them."""

from __future__ import annotations

import json
import logging
import re
import sys

import pytest

from chatapp import logs
from tests.provider_exchange import SECRET_ECHO
from tests.provider_fixtures import provider_server, provider_server_process
from tests.server import Client, Server, finished

__all__ = ["provider_server", "provider_server_process"]

KEY = "planted-key-9f8e7d6c5b4a"
PASSWORD = "planted password 31337"
TEXT = "plantedmessagewords"


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("conversations.test", logging.WARNING, __file__, 1, message, arguments, info)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_a_json_line_carries_the_ids_that_it_is_about():
    with logs.about(request_id="r1", generation_id="g1"):
        line = json.loads(logs.JsonFormatter().format(record("It is %s", "so")))
    assert {name: line[name] for name in line if name != "time"} == {
        "level": "WARNING",
        "logger": "conversations.test",
        "message": "It is so",
        "request_id": "r1",
        "generation_id": "g1",
    }
    assert "request_id" not in json.loads(logs.JsonFormatter().format(record("Later")))


def test_a_json_line_is_one_line_whatever_is_logged():
    text = logs.JsonFormatter().format(record("two\nlines\u2028 \x00 %s", '"quoted"'))
    assert "\n" not in text
    assert json.loads(text)["message"].startswith("two\nlines")


def test_a_json_line_tells_the_places_of_an_exception_and_not_its_words():
    text = logs.JsonFormatter().format(record("Failed", error=raised(ValueError(TEXT))))
    assert "builtins.ValueError" in text
    assert "test_logs.py" in text
    assert TEXT not in text


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {KEY}",
        f"{{'authorization': 'Bearer {KEY}'}}",
        f"headers=[(b'Authorization', b'Bearer {KEY}')]",
        f"Cookie: sessionid={KEY}; csrftoken={KEY}",
        f"password={KEY}&next=/",
        f'{{"api_key": "{KEY}"}}',
        f"x-api-key: {KEY}",
        f"sk-{KEY}",
        f"postgresql://user:{KEY}@host/name",
        f"redis://:{KEY}@host:6379/0",
    ],
)
def test_secrets_are_known_by_where_they_stand(line):
    assert KEY not in logs.scrub(line)


def test_secrets_of_the_environment_are_known_anywhere(monkeypatch):
    monkeypatch.setenv("SOME_SERVICE_API_KEY", KEY)
    logs._secrets.cache_clear()
    try:
        assert logs.scrub(f"the service said that {KEY} is wrong") == "the service said that [secret] is wrong"
        assert KEY not in logs.PlainFormatter().format(record("no", error=raised(ValueError(KEY))))
    finally:
        logs._secrets.cache_clear()


def test_words_that_are_no_secrets_stay():
    line = "Generation 0190 was begun elsewhere; taken over with epoch 2: GET /c/ cookie banner"
    assert logs.scrub(line) == line


@pytest.mark.parametrize("form", ["json", "plain"])
def test_nothing_planted_reaches_the_logs_of_a_real_server(form, tmp_path, provider_server):
    """Everything that knows a secret is made to fail, with the most talkative logs there are."""
    server = Server(
        tmp_path,
        OPENAI_BASE_URL=provider_server.base_url,
        OPENAI_MODEL="fast",
        OPENAI_API_KEY=KEY,
        LOG_FORMAT=form,
        LOG_LEVEL="DEBUG",
        FIRST_TOKEN_SECONDS="1",
    )
    server.prepare()
    server.start()
    try:
        client = Client(server)
        cookie = client.http.cookies["sessionid"]
        for scenario in ("fast", "401", "500", "500-html", "error-text", "cut-3", "silence", "html"):
            finished(client, client.ask(f"{TEXT} [[scenario={scenario}]]").url.path, 30)
        sign_in = "/accounts/login/"
        client.post("/accounts/password/change/", oldpassword=PASSWORD, password1=PASSWORD, password2=PASSWORD + "x")
        client.http.get(f"/conversations/search/?q={TEXT}")
        client.http.post("/c/", content=b"\xff\xfe", headers={"Content-Type": "multipart/form-data; boundary=x"})
        client.http.get(f"/c/{'0' * 8}-0000-7000-8000-{'0' * 12}/", headers={"Authorization": f"Bearer {KEY}"})
        client.http.get("/", headers={"Host": "evil.example"})
        client.post(sign_in, login="ada", password=PASSWORD)
        client.close()
    finally:
        server.close()
    text = server.log.read_text()
    assert "500" in text or "server_error" in text
    for planted in (KEY, PASSWORD, TEXT, SECRET_ECHO, cookie, client.token):
        assert planted not in text, planted
    if form == "json":
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        asked = [line for line in lines if line["message"] == "A generation was asked for"]
        failed = [line for line in lines if "server_error" in line["message"]]
        assert {"request_id", "generation_id", "conversation_id"} <= set(asked[0])
        assert failed
        assert failed[0]["generation_id"] in {line["generation_id"] for line in asked}
        others = [line for line in text.splitlines() if not line.startswith("{") and re.match(r"^\d{4}-", line)]
        assert others == []


def test_a_bad_format_stops_the_start_with_a_sentence(tmp_path):
    import subprocess

    server = Server(tmp_path, LOG_FORMAT="xml")
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, env=server.environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "LOG_FORMAT" in done.stderr
