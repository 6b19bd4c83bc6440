"""Every setting, read from the environment (and from `.env`), documented in `.env.example`.

A value that cannot be used raises `environs.EnvError`, which `manage.py` turns into one line that names it.
There is one settings module: what differs between a laptop and a deployment differs in the environment.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from csp.constants import NONCE, NONE, SELF
from environs import Env, validate

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(os.environ.get("ENV_FILE", str(BASE_DIR / ".env")), recurse=False)


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
    "channels",
    "csp",
    "django_htmx",
    "allauth",
    "allauth.account",
    "chatapp.accounts",
    "conversations",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "chatapp.urls"
ASGI_APPLICATION = "chatapp.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
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
        "timeout": 20,  # seconds: a writer waits its turn, also behind many
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;",
    }
    # Several threads take part in a test: an in-memory database would be a different one for each.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

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
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# --- Security --------------------------------------------------------------------------------------------------------

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- Static files ----------------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}

# --- Language and time -----------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
TIME_ZONE: str = env.str("TIME_ZONE", "UTC")
USE_TZ = True

# --- Models and their providers --------------------------------------------------------------------------------------

OPENAI_API_KEY: str = env.str("OPENAI_API_KEY", "")  # rows name the variable; its value is read when it is needed
OPENAI_BASE_URL: str = env.str("OPENAI_BASE_URL", "", validate=validate.Regexp(r"^$|^https?://"))
OPENAI_MODEL: str = env.str("OPENAI_MODEL", "")
OLLAMA_URL: str = env.str("OLLAMA_URL", "http://127.0.0.1:11434/v1", validate=validate.Regexp(r"^$|^https?://"))
CONNECT_SECONDS: float = env.float("CONNECT_SECONDS", 10, validate=validate.Range(min=0.1))
FIRST_TOKEN_SECONDS: float = env.float("FIRST_TOKEN_SECONDS", 60, validate=validate.Range(min=0.1))
IDLE_SECONDS: float = env.float("IDLE_SECONDS", 30, validate=validate.Range(min=0.1))
TOTAL_SECONDS: float = env.float("TOTAL_SECONDS", 600, validate=validate.Range(min=0.1))

# --- Streams ---------------------------------------------------------------------------------------------------------

MESSAGE_CHARACTERS: int = env.int("MESSAGE_CHARACTERS", 100_000, validate=validate.Range(min=1))
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
FRAME_SECONDS: float = env.float("FRAME_SECONDS", 0.045, validate=validate.Range(min=0.01, max=2))
LEASE_SECONDS: float = env.float("LEASE_SECONDS", 12, validate=validate.Range(min=1, max=15))
STREAM_SECONDS: float = env.float("STREAM_SECONDS", 300, validate=validate.Range(min=1))
HEARTBEAT_SECONDS: float = env.float("HEARTBEAT_SECONDS", 15, validate=validate.Range(min=0.1))
POLL_SECONDS: float = env.float("POLL_SECONDS", 2, validate=validate.Range(min=0.1))

# --- Logs ------------------------------------------------------------------------------------------------------------

LOG_LEVEL: str = env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"]))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "conversations": {"level": LOG_LEVEL},
        "chatapp": {"level": LOG_LEVEL},
        "django.request": {"level": "ERROR"},  # a 404 or a refused form is no news
    },
}
