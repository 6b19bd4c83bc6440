"""Where links may lead, and how a page says so."""

from __future__ import annotations

from urllib.parse import urlsplit

from markdown_it.common.utils import escapeHtml

REL = "noopener noreferrer nofollow ugc"


def safe_link(url: str) -> bool:
    """Allow absolute links with a safe scheme: a relative one would lead into our own pages.

    Without a host in its place none is safe: browsers find one behind it (`https:///host`), which nobody is told.
    """
    scheme, _, _rest = url.strip().lower().partition(":")
    return scheme == "mailto" or (scheme in {"http", "https"} and bool(host_of(url.strip())))


def host_of(url: str) -> str:
    """Return the host of an address; nothing when it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def host_note(url: str, words: str) -> str:
    """Return HTML that says where a link leads, unless its own words do."""
    host = host_of(url)
    return f'<span class="host">{escapeHtml(host)}</span>' if host and _host_in(words) != host else ""


def _host_in(words: str) -> str:
    """Return the host that a reader takes words for: that of an address which is all that they are, and is plain."""
    plain = words.strip().lower()
    if not plain or "@" in plain or " " in plain:
        return ""
    return host_of(plain if "://" in plain else f"//{plain}")
