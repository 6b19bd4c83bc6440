"""Things that filters must find, put together here so that no scanner of secrets finds them in this file."""

from __future__ import annotations

import random
import string

from conversations.filters.base import Rule
from conversations.filters.catalogue import BUILT_IN, detectors
from conversations.filters.redactor import Piece, Redactor

TAIL = "0a1B2c3D4e5F6g7H8i9J" * 3
KEYS = {
    "openai": "sk-" + "proj-" + TAIL,
    "openai old": "sk-" + TAIL,
    "anthropic": "sk-" + "ant-api03-" + TAIL,
    "github": "gh" + "p_" + TAIL[:36],
    "github fine": "github" + "_pat_" + TAIL,
    "gitlab": "gl" + "pat-" + TAIL[:20],
    "slack": "xo" + "xb-123456789012-" + TAIL,
    "slack hook": "hooks.slack.com" + "/services/T00000000/B00000000/" + TAIL[:24],
    "aws": "AK" + "IAIOSFODNN7EXAMPL2",
    "google": "AI" + "zaSy" + TAIL[:33],
    "stripe": "sk_" + "live_" + TAIL[:24],
    "sendgrid": "SG" + "." + TAIL[:22] + "." + TAIL[:43],
    "hugging face": "h" + "f_" + TAIL[:34],
    "npm": "np" + "m_" + TAIL[:36],
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + TAIL[:43],
    "telegram": "123456789" + ":AA" + TAIL[:33],
}
PRIVATE_KEY = (
    "-----BEGIN "
    + "RSA PRIVATE KEY-----\r\nMIIEowIBAAKCAQEA7bq3\r\n"
    + (TAIL + "\r\n") * 12
    + "-----END RSA PRIVATE KEY-----"
)
# Prefix, alphabet and length of tokens as the services make them, at random.
_LETTERS, _HEX = string.ascii_letters, "0123456789abcdef"
_BASE62 = _LETTERS + string.digits
SHAPES = {
    "openai old": ("sk-", _BASE62, 48),
    "sk short": ("sk-", _BASE62 + "_-", 22),
    "github": ("gh" + "p_", _BASE62, 36),
    "github app": ("gh" + "s_", _BASE62, 36),
    "github fine": ("github" + "_pat_", _BASE62, 82),
    "npm": ("np" + "m_", _BASE62, 36),
    "groq": ("gs" + "k_", _BASE62, 52),
    "hugging face": ("h" + "f_", _LETTERS, 34),
    "hugging face, lower case": ("h" + "f_", string.ascii_lowercase, 34),
    "hugging face organisation": ("api" + "_org_", _LETTERS, 34),
    "docker": ("dckr" + "_pat_", _BASE62 + "_-", 27),
    "nvidia": ("nv" + "api-", _BASE62 + "_-", 64),
    "xai": ("xa" + "i-", _BASE62, 80),
    "grafana": ("gl" + "sa_", _BASE62, 32),
    "linear": ("lin" + "_api_", _BASE62, 40),
    "perplexity": ("pp" + "lx-", _BASE62, 48),
    "shopify": ("shp" + "at_", _HEX, 32),
}
CARDS = ("4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "6011000990139424")
IBANS = ("DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "FR14 2004 1010 0505 0001 3M02 606")
PHONES = ("+49 30 1234567", "+1 (212) 555-0123", "(212) 555-0123", "030/1234567", "01.23.45.67.89", "020 7946 0958")
SURVIVORS = (
    "On 2026-11-21 at 10:30:00 and on 21.11.2026, 01/02/2026 10:30 or 1.2.26",
    "ISBN 978-3-16-148410-0, ISBN-10 3-16-148410-0",
    "version 1.2.3-beta.4 at 192.168.100.100, port 8000, error 0x80070057",
    "1763729000000 ms, order 123456789, invoice 2026-0001234, 3.14159265358979",
    "my_very_long_variable_name = another_very_long_name(parameter)",
    "the key to success: perseverance-and-some-luck; password: correct",
    "sk-learn is not scikit-learn; see a@b and user@localhost, @property",
    "sk-learn-something-with-many-words, sk-Learn-Something-Else-Here and an hf_transformers_model_for_language",
    "process.env.npm_package_devDependencies_typescript, gsk_render_node_get_node_type, npm_config_registry",
    "naïve façades in Zürich, 日本語の文章です。 Привет, мир! 😀",
    "-----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY----- are first lines",
    "AB12 is a room, DE99370400440532013000 fails its check, 4111 1111 1111 1112 too",
)


def random_tokens(shape: str, count: int) -> list[str]:
    """Tokens of one of `SHAPES`, the same ones each time."""
    prefix, alphabet, length = SHAPES[shape]
    chosen = random.Random(shape)
    return [prefix + "".join(chosen.choices(alphabet, k=length)) for _ in range(count)]


def everything(action="redact") -> list[Rule]:
    """A rule for everything that the filters know."""
    return [
        Rule(number, action, detector, label)
        for number, kind in enumerate(BUILT_IN, start=1)
        for detector, label in detectors(kind)
    ]


def filtered(rules: list[Rule], *pieces: str) -> str:
    """What is shown of a text that comes in these pieces."""
    redactor = Redactor(rules)
    return "".join(redactor.feed(piece).text for piece in pieces) + redactor.flush().text


def pieces_of(rules: list[Rule], *pieces: str) -> list[Piece]:
    redactor = Redactor(rules)
    return [*(redactor.feed(piece) for piece in pieces), redactor.flush()]
