"""Settings: a value that cannot be used ends the start with one line that names it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys

import pytest

from tests.process import ROOT
from tests.server import free_port


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("FRAME_SECONDS", "0"),
        ("LEASE_SECONDS", "60"),
        ("OPENAI_BASE_URL", "localhost:8080"),
        ("LOG_LEVEL", "LOUD"),
        ("HTTPS", "perhaps"),
        ("DATABASE_URL", "sqlite"),
        ("GENERATION_BACKEND", "threads"),
        ("REDIS_URL", "localhost:6379"),
        ("DATABASE_CONNECTIONS", "1"),
    ],
)
def test_a_bad_value_is_named_in_one_line(name, value):
    result = manage("check", **{name: value})
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert name in result.stderr


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OLLAMA_URL"])
def test_an_address_with_a_password_is_refused_without_telling_it(name):
    result = manage("check", **{name: "https://somebody:hunter2hunter2@models.example/v1"})
    assert result.returncode == 1
    assert f'"{name}" invalid' in result.stderr
    assert "leave them out, and give the key that the service wants as OPENAI_API_KEY" in result.stderr
    assert not re.search("somebody|hunter2|models.example", result.stdout + result.stderr)


def test_debug_on_a_public_host_is_refused():
    result = manage("check", DEBUG="true", ALLOWED_HOSTS="chat.example.org")
    assert result.returncode == 1
    assert "Unset DEBUG" in result.stderr


@pytest.mark.parametrize("key", ["changeme", "short", "django-insecure-0123456789012345678901234567890123456789"])
def test_a_default_secret_key_is_refused(key):
    result = manage("check", SECRET_KEY=key)
    assert result.returncode == 1
    assert "SECRET_KEY" in result.stderr


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "Workers cannot share an SQLite database."),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "Workers need BROKER_URL."),
        (
            {"DATABASE_URL": "postgresql://127.0.0.1:1/x", "BROKER_URL": "redis://127.0.0.1:1/0"},
            "Workers need BUS_URL.",
        ),
    ],
)
def test_workers_without_what_they_share_are_refused(environment, sentence):
    result = manage("check", GENERATION_BACKEND="celery", **environment)
    assert result.returncode == 1
    assert sentence in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("manage.py", "serve"),
        ("-m", "uvicorn", "chatapp.asgi:application", "--port=0"),
        ("-m", "celery", "-A", "chatapp", "worker"),
        ("-m", "celery", "-A", "chatapp", "beat"),
    ],
    ids=" ".join,
)
def test_no_process_starts_with_what_the_checks_refuse(command, tmp_path):
    wrong = {"SECRET_KEY": "changeme", "DEBUG": "true", "ALLOWED_HOSTS": "chat.example.org"}
    split = {"GENERATION_BACKEND": "celery", "BROKER_URL": "redis://127.0.0.1:1/0"}
    result = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **wrong, **split, "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    for sentence in ("Unset DEBUG", "SECRET_KEY is too short", "Workers cannot share an SQLite database."):
        assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_the_secret_key_is_made_once_and_private(tmp_path):
    for _ in range(2):
        result = manage(
            "shell",
            "--no-imports",
            "-c",
            "from django.conf import settings; print(settings.SECRET_KEY)",
            DATA_DIR=str(tmp_path),
        )
        assert result.stdout.strip() == (tmp_path / "secret_key").read_text()
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert len((tmp_path / "secret_key").read_text()) >= 50


def test_deployment_checks_are_clean(tmp_path):
    result = manage(
        "check",
        "--deploy",
        "--fail-level",
        "WARNING",
        HTTPS="true",
        ALLOWED_HOSTS="chat.example.org",
        DATA_DIR=str(tmp_path),
    )
    assert result.returncode == 0, result.stderr


def test_a_taken_port_is_said_in_one_line(tmp_path):
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        result = manage("serve", PORT=str(port), DATA_DIR=str(tmp_path))
    assert result.returncode == 1
    assert (
        result.stderr.strip()
        == f"CommandError: 127.0.0.1:{port} is taken by another program. Set PORT (or HOST) and try again."
    )


def test_every_setting_is_in_the_example():
    source = (ROOT / "chatapp" / "settings.py").read_text()
    example = (ROOT / ".env.example").read_text()
    import re

    names = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
    assert {name for name in names if f"#{name}=" not in example} == {"DEBUG"}
