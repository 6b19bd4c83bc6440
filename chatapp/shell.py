"""The site as an application: manifest, service worker, offline page; and the page for our own mistakes.

Nothing here needs a sign-in or the database, so that all of it works when little else does.
"""

from __future__ import annotations

import hashlib
import json
import sys

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles.storage import staticfiles_storage
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import activate, get_language, get_language_bidi, get_language_from_request, gettext
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET

from chatapp.accounts.context_processors import chosen_theme

PAPER = {"light": "#fcfcfa", "dark": "#141817"}  # --paper of the stylesheet: what surrounds the page
SERVER_ERROR, UNAVAILABLE, NO_ROOM = 500, 503, 507
RETRY_SECONDS = 10
OFFLINE_FILES = ("css/stillwater.css", "js/palette.js", "favicon.svg")


@require_GET
@login_not_required
@cache_control(private=True, max_age=3600)
def manifest(request: HttpRequest) -> JsonResponse:
    """Tell browsers how to install the site."""
    home = reverse("conversations:home")
    icons = [_icon(size, purpose) for purpose in ("any", "maskable") for size in (192, 512)]
    content = {
        "id": home,
        "name": "Stillwater",
        "short_name": "Stillwater",
        "description": gettext("A streaming AI chat whose page stays still."),
        "lang": get_language(),
        "dir": "rtl" if get_language_bidi() else "ltr",
        "start_url": home,
        "scope": home,
        "display": "standalone",
        "background_color": PAPER.get(chosen_theme(request), PAPER["light"]),
        "theme_color": PAPER.get(chosen_theme(request), PAPER["light"]),
        "categories": ["productivity", "utilities"],
        "icons": icons,
        "shortcuts": [{"name": gettext("New conversation"), "url": home, "icons": [icons[0]]}],
    }
    return JsonResponse(content, content_type="application/manifest+json")


def _icon(size: int, purpose: str) -> dict[str, str]:
    name = f"icons/{'maskable' if purpose == 'maskable' else 'icon'}-{size}.png"
    return {"src": static(name), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}


@require_GET
@login_not_required
@never_cache
def service_worker(request: HttpRequest) -> HttpResponse:
    """Give the service worker. Its text changes with every deployment, language and theme: then browsers renew it."""
    page = _offline_html(request)
    released = getattr(staticfiles_storage, "manifest_hash", "")
    version = hashlib.sha256(f"{released}{page}".encode()).hexdigest()[:12]
    context = {
        "version": json.dumps(version),
        "offline": json.dumps(reverse("offline")),
        "static": json.dumps(settings.STATIC_URL),
        "files": json.dumps([static(name) for name in OFFLINE_FILES]),
    }
    script = render_to_string("service_worker.js", context)
    return HttpResponse(script, content_type="text/javascript; charset=utf-8", headers={"Service-Worker-Allowed": "/"})


@require_GET
@login_not_required
@never_cache
def offline(request: HttpRequest) -> HttpResponse:
    """Give the page that the service worker shows when no other can be had. It is the same for everybody."""
    return HttpResponse(_offline_html(request))


def _offline_html(request: HttpRequest) -> str:
    return render_to_string("offline.html", {"theme": chosen_theme(request)})


def server_error(request: HttpRequest) -> HttpResponse:
    """Say that something went wrong, in the reader's language and theme; the database may be what is broken.

    507 when it has no room, 503 when it is away, locked or read-only: both pass, and it is worth trying again.
    """
    activate(get_language_from_request(request))
    error = sys.exc_info()[1]
    away = isinstance(error, (OperationalError, InterfaceError))
    status = SERVER_ERROR if not away else NO_ROOM if "full" in str(error).lower() else UNAVAILABLE
    context = {"theme": chosen_theme(request), "status": status, "away": away}
    headers = {"Retry-After": str(RETRY_SECONDS)} if away else {}
    return HttpResponse(render_to_string("500.html", context), status=status, headers=headers)
