"""The Django project."""

from chatapp.celery import app

__all__ = ["app"]
