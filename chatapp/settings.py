"""Every setting, read from the environment (and from `.env`), documented in `.env.example`.

A value that cannot be used raises `environs.EnvError`, which `manage.py` turns into one line that names it.
There is one settings module: what differs between a laptop and a deployment differs in the environment.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from pathlib import Path
from typing import Any

from csp.constants import NONCE, NONE, SELF
from environs import Env, EnvError, ValidationError, validate

from conversations.measuring import pacing

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(os.environ.get("ENV_FILE", str(BASE_DIR / ".env")), recurse=False)

_LONGEST = 1_000_000  # seconds, of what is waited for: a time beyond all calendars would stop whatever reckons with it


def local_secret_key(path: Path) -> str:
    """Return the key kept in `path`, making it at the first start, readable by its owner alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(50))
    return path.read_text(encoding="ascii").strip()


def _networks(names: list[str]) -> None:
    for name in names:
        try:
            ipaddress.ip_network(name, strict=False)
        except ValueError as error:
            raise ValidationError(f"“{name}” is no network") from error


def _service(address: str) -> None:
    if not re.match(r"https?://|$", address):
        raise ValidationError("It begins with http:// or https://")
    if re.match(r"https?://[^/?#]*@", address):
        raise ValidationError(
            "It has a user or a password in it, and addresses are kept in the database, for staff to read:"
            " leave them out, and give the key that the service wants as OPENAI_API_KEY"
        )


# --- Where it runs ---------------------------------------------------------------------------------------------------

DATA_DIR: Path = env.path("DATA_DIR", BASE_DIR / "data")
HOST: str = env.str("HOST", "127.0.0.1", validate=validate.Length(min=1))
PORT: int = env.int("PORT", 8000, validate=validate.Range(min=1, max=65535))
DEBUG: bool = env.bool("DEBUG", False)
SECRET_KEY: str = env.str("SECRET_KEY", "") or local_secret_key(DATA_DIR / "secret_key")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
HTTPS: bool = env.bool("HTTPS", False)  # the site is reached through a proxy that speaks TLS

# --- Applications ----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "daphne",  # first, so that `runserver` speaks ASGI
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",  # numbers in groups of digits
    "channels",
    "csp",
    "django_htmx",
    "allauth",
    "allauth.account",
    # Always there, so that their rows go with an account; what they show is decided by MFA and OIDC_ISSUER.
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "chatapp.accounts",
    "conversations",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "chatapp.accounts.addresses.address_middleware",
    "chatapp.logs.ids_middleware",
    "conversations.measuring.tracing.trace_middleware",
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "chatapp.policy.spare_admin",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "chatapp.characters.refuse_nul",  # before whatever asks the database; the session does so when it is read
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "chatapp.accounts.language.follow_user",
    "allauth.account.middleware.AccountMiddleware",
    "chatapp.accounts.sign_in.DemandSignIn",
    "chatapp.accounts.second_factor.DemandSecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "chatapp.urls"
ASGI_APPLICATION = "chatapp.asgi.application"
WSGI_APPLICATION = "chatapp.wsgi.application"  # which says that there is none

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "chatapp.accounts.context_processors.page",
            ],
        },
    }
]

# --- Database --------------------------------------------------------------------------------------------------------

DATABASES: dict[str, Any] = {
    "default": env.dj_db_url("DATABASE_URL", f"sqlite:///{DATA_DIR / 'db.sqlite3'}"),
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Deferred transactions fail with "locked" as soon as two writers meet; immediate ones wait their turn.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,  # seconds: a writer waits its turn, but none keeps a page or the end of the process for long
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;",
    }
    # Several threads take part in a test: an in-memory database would be a different one for each.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
DATABASE_CONNECTIONS: int = env.int("DATABASE_CONNECTIONS", 20, validate=validate.Range(min=8, max=1000))
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # One pool a process: a request holds a connection only while it runs, and no stream holds one.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # a connection that died in the pool is replaced, not handed out
    DATABASES["default"]["OPTIONS"] = {
        # A machine or a way to it that is gone sends nothing, not even an end: the kernel gives a connection up after
        # about 10 seconds without an acknowledgement, both while a query is on its way (tcp_user_timeout, in ms) and
        # while its answer is awaited (keepalives, in seconds). The journal and the upkeep then try again by another.
        # This is no limit for a query, nor for a server or proxy that is frozen while its kernel acknowledges: that is
        # waited for until it goes on or is killed. A new connection would wait as well.
        # A query in DATABASE_URL may say otherwise: `?tcp_user_timeout=30000`.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        **DATABASES["default"].get("OPTIONS", {}),
        "pool": {"min_size": 1, "max_size": DATABASE_CONNECTIONS, "timeout": 5},
        "connect_timeout": 3,  # seconds
        "application_name": "stillwater",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Processes -------------------------------------------------------------------------------------------------------

GENERATION_BACKEND: str = env.str("GENERATION_BACKEND", "embedded", validate=validate.OneOf(["embedded", "celery"]))
_REDIS = validate.Regexp(r"^$|^(rediss?|unix)://")
REDIS_URL: str = env.str("REDIS_URL", "", validate=_REDIS)
BUS_URL: str = env.str("BUS_URL", REDIS_URL, validate=_REDIS)
BROKER_URL: str = env.str("BROKER_URL", REDIS_URL, validate=_REDIS)
WORKER_GENERATIONS: int = env.int("WORKER_GENERATIONS", 300, validate=validate.Range(min=1))
QUEUED_SECONDS: float = env.float("QUEUED_SECONDS", 120, validate=validate.Range(min=1, max=_LONGEST))

# After this long without progress an import or export counts as abandoned, and another process goes on with it.
JOB_LEASE_SECONDS: float = env.float("JOB_LEASE_SECONDS", 60, validate=validate.Range(min=1, max=_LONGEST))

# Counts of failed sign-ins, for all processes: with them in each process alone, more processes would mean more guesses.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "stillwater_cache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

# --- Accounts --------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
SIGNUP_OPEN: bool = env.bool("SIGNUP_OPEN", True)
ACCOUNT_ADAPTER = "chatapp.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
# A second factor: nobody has one; whoever wants to; staff must; all must. See docs/sign-in.md.
MFA: str = env.str("MFA", "off", validate=validate.OneOf(["off", "optional", "staff", "all"]))
MFA_ADAPTER = "chatapp.accounts.second_factor.MfaAdapter"
MFA_TOTP_ISSUER = "Stillwater"
MFA_TOTP_TOLERANCE = 1  # a clock may be half a minute off
MFA_ALLOW_UNVERIFIED_EMAIL = True  # no address is verified here
# Sign-in through an OpenID Connect provider, when there is one.
_OVER_TLS = validate.Regexp(r"^$|^https://|^http://(127\.0\.0\.1|localhost|\[::1\])(:|/|$)")
OIDC_ISSUER: str = env.str("OIDC_ISSUER", "", validate=_OVER_TLS)
OIDC_CLIENT_ID: str = env.str("OIDC_CLIENT_ID", "", validate=validate.Length(min=1 if OIDC_ISSUER else 0))
OIDC_CLIENT_SECRET: str = env.str("OIDC_CLIENT_SECRET", "")
OIDC_NAME: str = env.str("OIDC_NAME", "OpenID Connect", validate=validate.Length(min=1, max=60))
OIDC_SIGNUP: bool = env.bool("OIDC_SIGNUP", True)
SOCIALACCOUNT_ADAPTER = "chatapp.accounts.adapter.SocialAdapter"
SOCIALACCOUNT_REAUTHENTICATION_REQUIRED = True
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {
    "openid_connect": {
        "provider_class": "chatapp.accounts.openid.OpenIdProvider",
        "APPS": [
            {
                "provider_id": "sso",
                "name": OIDC_NAME,
                "client_id": OIDC_CLIENT_ID,
                "secret": OIDC_CLIENT_SECRET,
                "settings": {"server_url": OIDC_ISSUER, "oauth_pkce_enabled": True},
            }
        ]
        if OIDC_ISSUER
        else [],
    }
}
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# --- Security --------------------------------------------------------------------------------------------------------

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# How many proxies stand in front, each adding to X-Forwarded-For: sign-in limits count by the address behind them.
ALLAUTH_TRUSTED_PROXY_COUNT: int = env.int("TRUSTED_PROXIES", 0, validate=validate.Range(min=0, max=9))
# Images in answers are shown from these hosts only; others are links, so that no stranger learns who reads what.
IMAGE_HOSTS: list[str] = env.list("IMAGE_HOSTS", [])
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:", *(f"https://{host}" for host in IMAGE_HOSTS)],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        # Strings become HTML, scripts or their addresses only through the policy of hx-csp, with which htmx reads what
        # this site has answered, and through ours, which knows one address: the service worker's (js/palette.js).
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["htmx", "stillwater"],
    }
}

# --- Static files ----------------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "conversations.files.storage.DatabaseStorage"},  # uploads, and what exports make
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}

# --- Files -----------------------------------------------------------------------------------------------------------

IMPORT_BYTES: int = env.int("IMPORT_BYTES", 100_000_000, validate=validate.Range(min=1_000))
IMPORT_UNPACKED_BYTES: int = env.int("IMPORT_UNPACKED_BYTES", 1_000_000_000, validate=validate.Range(min=1_000))
IMPORT_CONVERSATION_BYTES: int = env.int("IMPORT_CONVERSATION_BYTES", 50_000_000, validate=validate.Range(min=1_000))

# --- Language and time -----------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("zh-hans", "简体中文")]  # each by its own name, in any language
LOCALE_PATHS = [BASE_DIR / "locale"]  # made by `make messages`
LANGUAGE_COOKIE_AGE = 31_536_000  # a year, in seconds
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE: str = env.str("TIME_ZONE", "UTC")
USE_TZ = True
# USE_THOUSAND_SEPARATOR stays off: templates would group the digits of ids too.

# --- Models and their providers --------------------------------------------------------------------------------------

OPENAI_API_KEY: str = env.str("OPENAI_API_KEY", "")  # rows name the variable; its value is read when it is needed
OPENAI_BASE_URL: str = env.str("OPENAI_BASE_URL", "", validate=_service)
OPENAI_MODEL: str = env.str("OPENAI_MODEL", "")
OLLAMA_URL: str = env.str("OLLAMA_URL", "http://127.0.0.1:11434/v1", validate=_service)
# What a model is taken to read and write at once, in tokens, as long as its row does not say; at least as much as the
# smallest of today's models have, and a service that has less says so, whereupon less is sent.
DEFAULT_CONTEXT_WINDOW: int = env.int("DEFAULT_CONTEXT_WINDOW", 32_768, validate=validate.Range(min=512, max=10**9))
CURRENCY: str = env.str("CURRENCY", "USD", validate=validate.Length(min=1, max=5))  # of the prices of models
CONNECT_SECONDS: float = env.float("CONNECT_SECONDS", 10, validate=validate.Range(min=0.1, max=_LONGEST))
FIRST_TOKEN_SECONDS: float = env.float("FIRST_TOKEN_SECONDS", 60, validate=validate.Range(min=0.1, max=_LONGEST))
IDLE_SECONDS: float = env.float("IDLE_SECONDS", 30, validate=validate.Range(min=0.1, max=_LONGEST))
TOTAL_SECONDS: float = env.float("TOTAL_SECONDS", 600, validate=validate.Range(min=0.1, max=_LONGEST))

# --- Limits ----------------------------------------------------------------------------------------------------------

# What users may use whose groups have no plan; 0 is no limit. Plans are edited in the admin.
_LIMIT = validate.Range(min=0, max=2**63 - 1)  # what a plan can hold
LIMIT_REQUESTS_PER_MINUTE: int = env.int("LIMIT_REQUESTS_PER_MINUTE", 120, validate=_LIMIT)
LIMIT_TOKENS_PER_MINUTE: int = env.int("LIMIT_TOKENS_PER_MINUTE", 0, validate=_LIMIT)
LIMIT_TOKENS_PER_DAY: int = env.int("LIMIT_TOKENS_PER_DAY", 0, validate=_LIMIT)
LIMIT_TOKENS_PER_MONTH: int = env.int("LIMIT_TOKENS_PER_MONTH", 0, validate=_LIMIT)
LIMIT_GENERATIONS: int = env.int("LIMIT_GENERATIONS", 20, validate=_LIMIT)
LIMIT_STREAMS: int = env.int("LIMIT_STREAMS", 50, validate=_LIMIT)
ADDRESS_REQUESTS_PER_MINUTE: int = env.int("ADDRESS_REQUESTS_PER_MINUTE", 0, validate=_LIMIT)
ADDRESS_TOKENS_PER_DAY: int = env.int("ADDRESS_TOKENS_PER_DAY", 0, validate=_LIMIT)
ADDRESS_GENERATIONS: int = env.int("ADDRESS_GENERATIONS", 0, validate=_LIMIT)
ADDRESS_STREAMS: int = env.int("ADDRESS_STREAMS", 0, validate=_LIMIT)
RESERVED_OUTPUT_TOKENS: int = env.int("RESERVED_OUTPUT_TOKENS", 1_000, validate=validate.Range(min=1, max=10**9))
# What the machine can carry: beyond, new work is refused, and what runs keeps its pace.
MAX_ACTIVE_GENERATIONS: int = env.int("MAX_ACTIVE_GENERATIONS", 0, validate=_LIMIT)
MAX_QUEUE_SECONDS: float = env.float("MAX_QUEUE_SECONDS", 30, validate=validate.Range(min=1))
MAX_LAG_SECONDS: float = env.float("MAX_LAG_SECONDS", 1, validate=validate.Range(min=0.05))
# A service that fails so often in a row, before its first word, is not asked for a while.
BREAKER_FAILURES: int = env.int("BREAKER_FAILURES", 5, validate=validate.Range(min=1))
BREAKER_SECONDS: float = env.float("BREAKER_SECONDS", 30, validate=validate.Range(min=0.1, max=_LONGEST))

# --- Review ----------------------------------------------------------------------------------------------------------

REVIEW_ACCESS_MINUTES: int = env.int("REVIEW_ACCESS_MINUTES", 60, validate=validate.Range(min=1, max=1_440))
REVIEW_SHOWN_TO_USER: bool = env.bool("REVIEW_SHOWN_TO_USER", True)
REVIEW_DUE_HOURS: int = env.int("REVIEW_DUE_HOURS", 72, validate=validate.Range(min=1, max=87_600))

# --- Streams ---------------------------------------------------------------------------------------------------------

# The head of a request, and each further piece of its body, must come within this time.
REQUEST_SECONDS: float = env.float("REQUEST_SECONDS", 60, validate=validate.Range(min=0.5))
MESSAGE_CHARACTERS: int = env.int("MESSAGE_CHARACTERS", 100_000, validate=validate.Range(min=1))
# --- Attachments -----------------------------------------------------------------------------------------------------

ATTACHMENT_BYTES: int = env.int("ATTACHMENT_BYTES", 5_000_000, validate=validate.Range(min=1, max=50_000_000))
ATTACHMENT_TOKENS: int = env.int("ATTACHMENT_TOKENS", 50_000, validate=validate.Range(min=1, max=5_000_000))
ATTACHMENTS_PER_MESSAGE: int = env.int("ATTACHMENTS_PER_MESSAGE", 10, validate=validate.Range(min=0, max=100))
# All files of one request together; what is beyond ends the reading of it (see `conversations.files.uploads`).
UPLOAD_BYTES: int = env.int("UPLOAD_BYTES", 100_000_000, validate=validate.Range(min=1))
FILE_UPLOAD_HANDLERS = [
    "conversations.files.uploads.LimitedUploads",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FILES = 100
FRAME_SECONDS: float = env.float("FRAME_SECONDS", 0.045, validate=validate.Range(min=0.01, max=2))
# After a pause of this length the stream shows also what could still change its meaning, such as half a word.
STALL_SECONDS: float = env.float("STALL_SECONDS", 1.0, validate=validate.Range(min=0.05, max=60))
LEASE_SECONDS: float = env.float("LEASE_SECONDS", 12, validate=validate.Range(min=1, max=15))
STREAM_SECONDS: float = env.float("STREAM_SECONDS", 300, validate=validate.Range(min=1))
HEARTBEAT_SECONDS: float = env.float("HEARTBEAT_SECONDS", 15, validate=validate.Range(min=0.1))
POLL_SECONDS: float = env.float("POLL_SECONDS", 2, validate=validate.Range(min=0.1, max=_LONGEST))

# Experiments with the pace (see `conversations.measuring.pacing`): each user is in one of these arms, for good.
try:
    PACING_ARMS: tuple[pacing.Arm, ...] = pacing.parse(env.str("PACING_ARMS", ""))
except ValueError as error:
    raise EnvError(f'Environment variable "PACING_ARMS" invalid: {error}') from error

# --- Measuring -------------------------------------------------------------------------------------------------------

METRICS: bool = env.bool("METRICS", True)
METRICS_TOKEN: str = env.str("METRICS_TOKEN", "", validate=validate.Regexp(r"^$|^[A-Za-z0-9._~+/-]{16,}$"))
METRICS_NETWORKS: list[str] = env.list("METRICS_NETWORKS", ["127.0.0.0/8", "::1/128"], validate=_networks)
METRICS_PORT: int = env.int("METRICS_PORT", 0, validate=validate.Range(min=0, max=65535))  # of workers; 0: none

# --- Logs ------------------------------------------------------------------------------------------------------------

LOG_LEVEL: str = env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"]))
LOG_FORMAT: str = env.str("LOG_FORMAT", "plain", validate=validate.OneOf(["plain", "json"]))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "chatapp.logs.PlainFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "chatapp.logs.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "conversations": {"level": LOG_LEVEL},
        "chatapp": {"level": LOG_LEVEL},
        "django.request": {"level": "ERROR"},  # a 404 or a refused form is no news
    },
}
