"""Ends the reading of a request as soon as its files are larger than any that are accepted.

Django limits the fields of a form, not its files: without this whoever can reach the server could fill its disk.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler


class LimitedUploads(FileUploadHandler):
    """Passes files on to the next handler until they are too large together; the request is then answered with 400."""

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self._room: int = settings.UPLOAD_BYTES

    def handle_raw_input(self, input_data: Any, META: Any, content_length: int, *_: Any, **__: Any) -> None:  # noqa: ARG002 - Django's interface
        """Refuse at once what says itself that it is too large."""
        if content_length > self._room + settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig("These files are too large together.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:  # noqa: ARG002 - as above
        """Count, and pass on."""
        self._room -= len(raw_data)
        if self._room < 0:
            raise RequestDataTooBig("These files are too large together.")
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the next handler."""
