"""Signing in by a one-time link, and the choice of theme."""

from __future__ import annotations

from allauth.account.utils import perform_login
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from chatapp.accounts.context_processors import THEMES
from chatapp.accounts.owner import user_of_link

ONE_YEAR_SECONDS = 31_536_000


@require_GET
@never_cache
@login_not_required
def sign_in(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Sign in whoever follows a valid one-time link and show the chat."""
    user = user_of_link(uid, token)
    if user is None:
        if not request.user.is_authenticated:
            messages.error(
                request, gettext("This sign-in link has been used or is too old. Start Stillwater again for a new one.")
            )
        return redirect("conversations:home")
    response: HttpResponse = perform_login(request, user)  # which asks for the second factor, if there is one
    return response


@require_POST
@login_not_required
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme, or that the list is hidden, in a cookie: the first HTML already has it."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = "/"
    response = redirect(target)
    name, choices = ("list", ("hidden",)) if "list" in request.POST else ("theme", THEMES)
    choice = request.POST.get(name, "")
    if choice in choices:
        response.set_cookie(name, choice, max_age=ONE_YEAR_SECONDS, samesite="Lax", secure=request.is_secure())
    else:
        response.delete_cookie(name, samesite="Lax")
    return response
