"""Which models there are: seeded from the environment, edited by admins, listed by real services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conversations.asking import catalogue
from conversations.models import ChatModel
from tests.provider_server import ProviderServer
from tests.server import free_port


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        server.models = ["small-chat", "text-embedding-3", "large-chat"]
        yield server


@pytest.fixture
def environment(settings, provider, db):
    settings.OPENAI_BASE_URL = provider.base_url
    settings.OPENAI_API_KEY = "sk-test"
    return settings


def names() -> list[str]:
    return [model.model_name for model in catalogue.available_models()]


def test_without_a_service_there_is_the_demo(db):
    catalogue.seed()
    assert names() == ["demo"]


def test_models_of_a_service_are_added_in_its_order_and_hide_the_demo(environment):
    catalogue.seed()
    assert names() == ["small-chat", "large-chat"]
    assert set(ChatModel.objects.exclude(base_url="demo:").values_list("api_key_variable", flat=True)) == {
        "OPENAI_API_KEY"
    }


def test_the_default_model_of_the_environment_comes_first(environment):
    environment.OPENAI_MODEL = "large-chat"
    catalogue.seed()
    assert names() == ["large-chat", "small-chat"]


def test_what_an_admin_has_changed_stays(environment):
    catalogue.seed()
    ChatModel.objects.filter(model_name="small-chat").update(label="Ours", enabled=False)
    catalogue.seed()
    assert names() == ["large-chat"]
    assert ChatModel.objects.get(model_name="small-chat").label == "Ours"


def test_a_local_ollama_is_found_by_itself(settings, provider, db):
    settings.OLLAMA_URL = provider.base_url
    catalogue.seed()
    assert names() == ["small-chat", "large-chat"]
    assert set(ChatModel.objects.exclude(base_url="demo:").values_list("api_key_variable", flat=True)) == {""}


def test_a_service_that_is_away_is_said_and_stops_nothing(settings, db):
    settings.OPENAI_BASE_URL = f"http://127.0.0.1:{free_port()}/v1"
    assert any("no models listed" in line for line in catalogue.seed())
    assert names() == ["demo"]


def test_a_service_that_lists_nothing_can_be_named(settings, db):
    settings.OPENAI_BASE_URL = f"http://127.0.0.1:{free_port()}/v1"
    settings.OPENAI_MODEL = "by-name"
    catalogue.seed()
    assert names() == ["by-name"]


def test_a_model_that_is_listed_twice_is_one(environment, provider, monkeypatch):
    long = "x" * 200
    monkeypatch.setattr(provider, "models", ["small-chat", "large-chat", "small-chat", f"{long}1", f"{long}2"])
    for _ in range(2):  # each start asks again
        assert f"4 models at {provider.base_url}" in catalogue.seed()
        assert names() == ["small-chat", "large-chat", long]


def test_a_model_whose_name_cannot_be_stored_is_left_out(environment, provider, monkeypatch):
    monkeypatch.setattr(provider, "models", ["nul\0", "half\ud83d", "small-chat"])
    catalogue.seed()
    assert names() == ["small-chat"]
