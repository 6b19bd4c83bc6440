"""The URL table of the chat. The stream is served by a consumer (see `chatapp.asgi`); its row here names it."""

from __future__ import annotations

from django.urls import path

from conversations import views

app_name = "conversations"

urlpatterns = [
    path("", views.home, name="home"),
    path("c/", views.start, name="start"),
    path("c/<uuid:conversation_id>/", views.conversation, name="conversation"),
    path("c/<uuid:conversation_id>/send/", views.send, name="send"),
    path("c/<uuid:conversation_id>/stop/", views.stop, name="stop"),
    path("c/<uuid:conversation_id>/rename/", views.rename, name="rename"),
    path("c/<uuid:conversation_id>/delete/", views.delete, name="delete"),
    path("c/<uuid:conversation_id>/title/", views.title, name="title"),
    path("messages/<uuid:message_id>/edit/", views.edit, name="edit"),
    path("messages/<uuid:message_id>/regenerate/", views.regenerate, name="regenerate"),
    path("messages/<uuid:message_id>/continue/", views.continue_, name="continue"),
    path("messages/<uuid:message_id>/activate/", views.activate, name="activate"),
    path("messages/<uuid:message_id>/raw/", views.raw, name="raw"),
    path("generations/<uuid:generation_id>/stream", views.stream, name="stream"),
]
