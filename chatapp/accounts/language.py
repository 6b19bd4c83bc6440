"""The language of a user: chosen on one device it holds on all of them."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.translation import activate
from django.views.i18n import set_language

from chatapp.accounts.models import User

GetResponse = Callable[[HttpRequest], HttpResponse]


def language_of(user: object) -> str:
    """Return the language that a user has chosen, "" when there is none that we have."""
    chosen = user.language if isinstance(user, User) else ""
    return chosen if chosen in dict(settings.LANGUAGES) else ""


def follow_user(get_response: GetResponse) -> GetResponse:
    """Middleware, after that of sessions: pages are in the user's language, and the cookie follows it.

    The cookie serves what knows no user: pages before the sign-in, and the next visit of somebody signed out.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        chosen = language_of(request.user if request.user.is_authenticated else None)
        if chosen:
            activate(chosen)
            request.LANGUAGE_CODE = chosen
        response = get_response(request)
        chosen = language_of(request.user if request.user.is_authenticated else None)  # may have just signed in
        if chosen and chosen != request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME):
            keep(response, chosen)
        return response

    return middleware


def keep(response: HttpResponse, language: str) -> None:
    """Put the language into the cookie that Django's own middleware reads."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        samesite=settings.LANGUAGE_COOKIE_SAMESITE,  # type: ignore[arg-type] # "Lax", as the settings say
        secure=settings.LANGUAGE_COOKIE_SECURE,
    )


@login_not_required
def choose(request: HttpRequest) -> HttpResponse:
    """Change the language as Django does it, and remember it for whoever is signed in."""
    response = set_language(request)
    chosen = response.cookies.get(settings.LANGUAGE_COOKIE_NAME)
    if chosen is not None and isinstance(request.user, User):
        request.user.language = chosen.value
        request.user.save(update_fields=["language"])
    return response
