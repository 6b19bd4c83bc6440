"""Refuses to be served by WSGI, where answers would be refused one by one and streams never begin."""

from django.core.exceptions import ImproperlyConfigured

raise ImproperlyConfigured(
    "Stillwater must be served by an ASGI server: `make run`, or chatapp.asgi:application with daphne or uvicorn."
)
