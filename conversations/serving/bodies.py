"""How long the body of a request may be: what its address needs and no more, so that it is refused before it is read.

Views that take files are marked; whoever asks for another address brings a form at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.urls import Resolver404, resolve

View = TypeVar("View", bound=Callable[..., Any])

MARGIN_BYTES = 1_000_000  # what surrounds files and fields on the wire


def form_bytes() -> int:
    """Return what a form without files may have: Django takes no more of its fields."""
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) + MARGIN_BYTES


def message_bytes() -> int:
    """Return what a message may have, with its files."""
    files = min(settings.UPLOAD_BYTES, settings.ATTACHMENTS_PER_MESSAGE * settings.ATTACHMENT_BYTES)
    return form_bytes() + files


def import_bytes() -> int:
    """Return what an import may have."""
    return form_bytes() + int(settings.IMPORT_BYTES)


def takes_files(view: View) -> View:
    """Mark a view that takes the files of a message."""
    view.longest_body = message_bytes  # type: ignore[attr-defined] # for `longest_body`
    return view


def takes_an_import(view: View) -> View:
    """Mark a view that takes a file to import."""
    view.longest_body = import_bytes  # type: ignore[attr-defined] # as above
    return view


def longest_body(path: str) -> int:
    """Return how many bytes the body of a request for `path` may have."""
    try:
        return int(getattr(resolve(path).func, "longest_body", form_bytes)())
    except Resolver404:
        return form_bytes()
