"""The one character that no text in the database may have: PostgreSQL raises at it, whatever it is compared with.

Bodies are left to the forms, which refuse it with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

NUL = "\0"


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, within that of languages: no address and no cookie with a NUL comes as far as a query.

    A cookie may have one although no header may: Django reads `\\000` within quotes as one.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if NUL in request.path_info or _is_in_query(request) or any(NUL in it for it in request.COOKIES.values()):
            raise BadRequest("There is a NUL in the address or in a cookie")
        return get_response(request)

    return middleware


def _is_in_query(request: HttpRequest) -> bool:
    return any(NUL in text for name, values in request.GET.lists() for text in (name, *values))
