"""Which models there are: rows that admins edit, seeded from the environment and from a local Ollama."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Max

from conversations.asking.context import deadlines
from conversations.models import ChatModel
from conversations.providers import close_clients, load, open_provider
from conversations.providers.base import Endpoint, ProviderError

logger = logging.getLogger(__name__)

LISTING_SECONDS = 2.0
OPENAI_URL = "https://api.openai.com/v1"
# What OpenAI lists beside models that chat; other services list what they chat with.
_NOT_FOR_CHAT = re.compile(
    r"embed|whisper|tts|dall-e|image|moderation|realtime|audio|transcribe|davinci|babbage|sora|instruct|search|codex"
)
# What families of models are known to read at once, in tokens, and whether they see images; the first match counts.
# Only where a row is made: admins correct it there, and what is not known here has the default of the settings.
_KNOWN: tuple[tuple[re.Pattern[str], int, bool], ...] = (
    (re.compile(r"(^|/)gpt-4\.1"), 1_047_576, True),
    (re.compile(r"(^|/)gpt-5"), 400_000, True),
    (re.compile(r"(^|/)(gpt-4o|chatgpt-4o|gpt-4-turbo)"), 128_000, True),
    (re.compile(r"(^|/)o[134](-|$)"), 200_000, True),
    (re.compile(r"(^|/)gpt-4"), 8_192, False),
    (re.compile(r"(^|/)gpt-3\.5"), 16_385, False),
    (re.compile(r"(^|/)claude"), 200_000, True),
    (re.compile(r"(^|/)gemini"), 1_048_576, True),
)
# Models that one runs at home say in their name that they see; their window is set where they run.
_SEES = re.compile(r"llava|vision|-vl\b|vl:|gemma3|gemma-3|minicpm-v|moondream|pixtral", re.IGNORECASE)


def known_abilities(model_name: str) -> tuple[int | None, bool]:
    """Return a model's window in tokens, None when it is not known, and whether it sees images, by its name."""
    for pattern, window, sees in _KNOWN:
        if pattern.search(model_name):
            return window, sees
    return None, bool(_SEES.search(model_name))


@dataclass(frozen=True, slots=True)
class Service:
    """A place that serves models, as the environment names it."""

    base_url: str
    api_key_variable: str
    api_key: str
    prefill: str = ""


def available_models() -> list[ChatModel]:
    """Return the models that can be chosen: the demo only when there is no other."""
    models = list(ChatModel.objects.filter(enabled=True))
    return [model for model in models if not model.is_demo] or models


def services() -> list[Service]:
    """Return the services that the environment names, and the place where Ollama would be."""
    found = []
    if settings.OPENAI_API_KEY or settings.OPENAI_BASE_URL:
        variable = "OPENAI_API_KEY" if settings.OPENAI_API_KEY else ""
        found.append(Service(settings.OPENAI_BASE_URL or OPENAI_URL, variable, settings.OPENAI_API_KEY))
    if settings.OLLAMA_URL and settings.OLLAMA_URL != settings.OPENAI_BASE_URL:
        found.append(Service(settings.OLLAMA_URL, "", ""))
    return found


async def listed(service: Service) -> list[str]:
    """Return the names of the models that a service lists; none when it cannot be reached."""
    endpoint = Endpoint(base_url=service.base_url, api_key=service.api_key, model_name="")
    await load()  # not in the time that the service has
    try:
        async with asyncio.timeout(LISTING_SECONDS):
            names = await open_provider(endpoint, deadlines()).list_models()
    except (ProviderError, TimeoutError):
        return []
    finally:
        await close_clients()  # this event loop ends with the listing
    # A NUL or half a character pair, which JSON can hold and databases cannot, is not printable.
    return [name for name in names if name.isprintable() and not _NOT_FOR_CHAT.search(name)]


def seed() -> list[str]:
    """Add rows for what the environment names, and change none that are there. Return a line for each service asked."""
    lines = []
    ChatModel.objects.get_or_create(
        base_url="demo:",
        model_name="demo",
        defaults={
            "label": "Demo",
            "prefill": ChatModel.Prefill.ASSISTANT,
            "position": 1_000_000,
            "sees_images": True,  # it takes them as calmly as everything else
        },
    )
    for service in services():
        names = asyncio.run(listed(service))
        wanted = settings.OPENAI_MODEL if service.base_url != settings.OLLAMA_URL else ""
        names = list(dict.fromkeys([wanted, *names] if wanted else names))  # some services list a model twice
        _add(service, names)
        if names:
            lines.append(f"{len(names)} models at {service.base_url}")
        elif service.base_url != settings.OLLAMA_URL:
            lines.append(
                f"no models listed at {service.base_url}: set OPENAI_MODEL, or start the service and try again"
            )
    return lines


def _add(service: Service, names: Iterable[str]) -> None:
    known = set(ChatModel.objects.filter(base_url=service.base_url).values_list("model_name", flat=True))
    position = ChatModel.objects.exclude(base_url="demo:").aggregate(last=Max("position"))["last"] or 0
    fresh = [name for name in dict.fromkeys(name[:200] for name in names) if name not in known]
    ChatModel.objects.bulk_create(
        [
            ChatModel(
                label=name,
                base_url=service.base_url,
                model_name=name,
                api_key_variable=service.api_key_variable,
                prefill=service.prefill,
                position=position + number,
                context_window=known_abilities(name)[0],
                sees_images=known_abilities(name)[1],
            )
            for number, name in enumerate(fresh, start=1)
        ],
        ignore_conflicts=True,  # another process may have asked at the same time
    )
