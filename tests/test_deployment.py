"""The files of the deployment: complete, and refusing to start without secrets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from conversations.serving import bodies
from tests.process import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text()
SECRETS = {"SECRET_KEY": "k" * 50, "POSTGRES_PASSWORD": "p" * 20}
# What a file `.env` beside the compose file cannot change: the topology says it.
FIXED = {"DATABASE_URL", "REDIS_URL", "GENERATION_BACKEND", "HTTPS", "ALLOWED_HOSTS"}
OF_THE_IMAGE = {"HOST", "PORT", "DATA_DIR"}
OF_WORKERS = {"METRICS_PORT"}


def test_the_topology_is_complete():
    services = yaml.safe_load(COMPOSE)["services"]
    watching = {name for name, service in services.items() if service.get("profiles") == ["monitoring"]}
    assert watching == {"prometheus", "grafana"}
    assert set(services) - watching == {"proxy", "web", "worker", "beat", "postgres", "redis"}
    public = {name for name, service in services.items() if not _is_local(service.get("ports", []))}
    assert public == {"proxy"}
    for name in ("web", "worker", "postgres", "redis"):
        assert "healthcheck" in services[name]
    for name in ("web", "worker", "beat"):
        assert services[name]["read_only"] is True
        assert services[name]["environment"]["GENERATION_BACKEND"] == "celery"
        assert services[name]["cap_drop"] == ["ALL"]


def _is_local(ports: list[str]) -> bool:
    return all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_have_no_default():
    for name in SECRETS:
        uses = re.findall(r"\$\{" + name + r"([^}]*)\}", COMPOSE)
        assert uses
        assert all(use.startswith(":?") for use in uses)


def test_the_proxy_does_not_buffer_streams():
    assert "flush_interval -1" in (ROOT / "deploy" / "Caddyfile").read_text()


def test_the_proxy_takes_the_longest_bodies_that_the_application_takes():
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text()
    sizes = {name: int(size) * 10**6 for name, size in re.findall(r"\{\$(\w+_BODY):(\d+)MB\}", caddyfile)}
    assert bodies.import_bytes() <= sizes["IMPORT_BODY"] < bodies.import_bytes() + 5_000_000
    assert bodies.message_bytes() <= sizes["MESSAGE_BODY"] < bodies.message_bytes() + 5_000_000


def test_the_image_is_not_run_by_root_and_holds_no_secret():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER stillwater" in lines
    assert not any(line.startswith(("ENV SECRET", "ARG SECRET")) for line in lines)
    assert "data" not in (ROOT / ".dockerignore").read_text().replace("!", "").split()


def _settings() -> set[str]:
    """The variables of `.env.example`."""
    return set(re.findall(r"(?m)^#([A-Z_]+)=", (ROOT / ".env.example").read_text()))


def test_every_variable_of_compose_is_a_setting():
    assert set(yaml.safe_load(COMPOSE)["services"]["web"]["environment"]) - _settings() == set()


def test_postgresql_gives_up_a_client_as_soon_as_a_client_gives_up_postgresql():
    options = yaml.safe_load(COMPOSE)["services"]["postgres"]["command"][1:]
    told = dict(option.removeprefix("-c").split("=") for option in options)
    settings = (ROOT / "chatapp" / "settings.py").read_text()
    for name in ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"):
        ours = re.search(rf'"{name}": ([0-9_]+)', settings)[1].replace("_", "")
        assert told.get(f"tcp_{name}", told.get(name)) == ours


def _compose() -> list[str]:
    """Return the command that reads compose files here: Docker's plugin, or its predecessor, which needs no engine."""
    docker, older = shutil.which("docker"), shutil.which("docker-compose")
    if docker and not subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        return [docker, "compose"]
    if older:
        return [older]
    if os.environ.get("CI"):
        pytest.fail("CI needs docker compose or docker-compose: .ci/run installs it")
    pytest.skip("docker compose is not installed; the file was read as YAML")


def _config(directory: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Have the compose file read with these variables in the `.env` beside it, and no others."""
    (directory / "beside.env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return subprocess.run(
        [*_compose(), "--env-file", str(directory / "beside.env"), "config", *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("missing", ["", *SECRETS])
def test_docker_compose_accepts_the_file_only_with_its_secrets(missing, tmp_path):
    given = {name: value for name, value in SECRETS.items() if name != missing}
    result = _config(tmp_path, "--quiet", **given)
    assert (result.returncode == 0) is (missing == "")
    assert missing in result.stderr


def test_every_setting_beside_the_compose_file_reaches_the_processes(tmp_path):
    given = {name: f"value-of-{name}" for name in _settings()} | SECRETS
    services = yaml.safe_load(_config(tmp_path, **given).stdout)["services"]
    for name in ("web", "worker", "beat"):
        reached = {key for key, value in given.items() if services[name]["environment"].get(key) == value}
        assert set(given) - reached == FIXED | OF_THE_IMAGE | OF_WORKERS | {"POSTGRES_PASSWORD"}, name
    assert services["worker"]["environment"]["METRICS_PORT"].isdigit()
    assert set(services["proxy"]["environment"]) == {"SITE_HOST", "IMPORT_BODY", "MESSAGE_BODY"}


def test_what_is_not_set_is_not_handed_on_as_empty(tmp_path):
    web = yaml.safe_load(_config(tmp_path, **SECRETS).stdout)["services"]["web"]["environment"]
    assert {name for name, value in web.items() if value == ""} == {"OLLAMA_URL"}  # there is none in its container
    assert web["TRUSTED_PROXIES"] == "1"
