"""What each route of the site answers: a row for each method, with the status for each who may come.

`-` is the front page. The things that a route names belong to the owner; requests carry no fields. Of a stream this is
what Django says; `chatapp.asgi` serves it (`tests/test_serving.py`).
"""

from __future__ import annotations

# route, method: anonymous, foreign user, owner, staff
SITE = r"""
sign-in/<str:uid>/<str:token>/                                      GET  302 302 302 302
theme/                                                              POST 302 302 302 302
i18n/setlang/                                                       GET  302 302 302 302
i18n/setlang/                                                       POST 302 302 302 302
manifest.webmanifest                                                GET  200 200 200 200
sw.js                                                               GET  200 200 200 200
offline/                                                            GET  200 200 200 200
"""

ACCOUNTS = r"""
accounts/login/                                                     GET  200 302 302 302
accounts/login/                                                     POST 200 302 302 302
accounts/logout/                                                    GET  302 200 200 200
accounts/logout/                                                    POST 302 302 302 302
accounts/inactive/                                                  GET  200 200 200 200
accounts/signup/                                                    GET  200 302 302 302
accounts/signup/                                                    POST 200 302 302 302
accounts/reauthenticate/                                            GET  302 200 200 200
accounts/reauthenticate/                                            POST 302 200 200 200
accounts/email/                                                     GET  302 200 200 200
accounts/email/                                                     POST 302 302 302 302
accounts/confirm-email/                                             GET  200 200 200 200
accounts/password/change/                                           GET  302 200 200 200
accounts/password/change/                                           POST 302 200 200 200
accounts/password/set/                                              GET  302 302 302 302
accounts/password/set/                                              POST 302 302 302 302
accounts/password/reset/                                            GET  200 200 200 200
accounts/password/reset/                                            POST 200 200 200 200
accounts/login/code/confirm/                                        GET  302 302 302 302
accounts/login/code/confirm/                                        POST 302 302 302 302
accounts/^confirm-email/(?P<key>[-:\w]+)/$                          GET  200 200 200 200
accounts/^confirm-email/(?P<key>[-:\w]+)/$                          POST 404 404 404 404
accounts/password/reset/key/done/                                   GET  200 200 200 200
accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$ GET  200 200 200 200
accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$ POST 200 200 200 200
accounts/password/reset/done/                                       GET  200 200 200 200
accounts/2fa/                                                       GET  302 200 200 200
accounts/2fa/authenticate/                                          GET  302 302 302 302
accounts/2fa/authenticate/                                          POST 302 302 302 302
accounts/2fa/reauthenticate/                                        GET  302 302 302 302
accounts/2fa/reauthenticate/                                        POST 302 302 302 302
accounts/2fa/totp/activate/                                         GET  302 302 302 302
accounts/2fa/totp/activate/                                         POST 302 302 302 302
accounts/2fa/totp/deactivate/                                       GET  302 404 404 404
accounts/2fa/totp/deactivate/                                       POST 302 404 404 404
accounts/2fa/recovery-codes/                                        GET  302 404 404 404
accounts/2fa/recovery-codes/generate/                               GET  302 302 302 302
accounts/2fa/recovery-codes/generate/                               POST 302 302 302 302
accounts/2fa/recovery-codes/download/                               GET  302 404 404 404
accounts/2fa/recovery-codes/download/                               POST 302 404 404 404
accounts/oidc/<str:provider_id>/login/                              GET  200 200 200 200
accounts/oidc/<str:provider_id>/login/                              POST 401 401 401 401
accounts/oidc/<str:provider_id>/login/callback/                     GET  401 401 401 401
accounts/3rdparty/login/cancelled/                                  GET  200 200 200 200
accounts/3rdparty/login/error/                                      GET  302 401 401 401
accounts/3rdparty/signup/                                           GET  302 302 302 302
accounts/3rdparty/signup/                                           POST 302 302 302 302
accounts/3rdparty/                                                  GET  302 200 200 200
accounts/3rdparty/                                                  POST 302 200 200 200
"""

CONVERSATIONS = r"""
-                                                                   GET  302 200 200 200
c/                                                                  GET  302 302 302 302
c/                                                                  POST 302 422 422 422
c/<uuid:conversation_id>/                                           GET  302 404 200 404
c/<uuid:conversation_id>/send/                                      POST 302 404 422 404
c/<uuid:conversation_id>/stop/                                      POST 302 404 302 404
c/<uuid:conversation_id>/title/                                     GET  302 404 200 404
messages/<uuid:message_id>/edit/                                    GET  302 404 200 404
messages/<uuid:message_id>/edit/                                    POST 302 404 422 404
messages/<uuid:message_id>/regenerate/                              POST 302 404 409 404
messages/<uuid:message_id>/continue/                                POST 302 404 409 404
messages/<uuid:message_id>/activate/                                POST 302 404 302 404
messages/<uuid:message_id>/raw/                                     GET  302 404 200 404
limits/                                                             GET  302 200 200 200
conversations/                                                      GET  302 200 200 200
conversations/bulk/                                                 POST 302 302 302 302
conversations/delete-all/                                           POST 302 302 302 302
conversations/undo/                                                 POST 302 302 302 302
conversations/list/                                                 GET  302 302 302 302
conversations/search/                                               GET  302 302 302 302
conversations/state/                                                GET  302 200 200 200
c/<uuid:conversation_id>/options/                                   GET  302 404 200 404
c/<uuid:conversation_id>/row/                                       GET  302 404 302 404
c/<uuid:conversation_id>/rename/                                    POST 302 404 422 404
c/<uuid:conversation_id>/pin/                                       POST 302 404 302 404
c/<uuid:conversation_id>/archive/                                   POST 302 404 302 404
c/<uuid:conversation_id>/tags/                                      POST 302 404 422 404
c/<uuid:conversation_id>/delete/                                    POST 302 404 302 404
c/<uuid:conversation_id>/keep/                                      POST 302 404 302 404
c/<uuid:conversation_id>/presence/                                  POST 302 404 204 404
c/<uuid:conversation_id>/share/                                     GET  302 404 200 404
c/<uuid:conversation_id>/share/                                     POST 302 404 302 404
c/<uuid:conversation_id>/export/                                    GET  302 404 200 404
c/<uuid:conversation_id>/print/                                     GET  302 404 200 404
shares/                                                             GET  302 200 200 200
shares/<uuid:share_id>/revoke/                                      POST 302 404 302 404
s/<str:token>/                                                      GET  200 200 200 200
s/<str:token>/                                                      HEAD 200 200 200 200
s/<str:token>/files/<uuid:attachment_id>/                           GET  200 200 200 200
s/<str:token>/files/<uuid:attachment_id>/                           HEAD 200 200 200 200
account/data/                                                       GET  302 200 200 200
account/data/export/                                                POST 302 422 422 422
account/data/everything/                                            POST 302 302 302 302
account/delete/                                                     GET  302 200 200 200
account/delete/                                                     POST 302 422 422 422
imports/                                                            POST 302 422 422 422
imports/<uuid:job_id>/                                              GET  302 404 200 404
exports/<uuid:job_id>/                                              GET  302 404 200 404
exports/<uuid:job_id>/file/                                         GET  302 404 200 404
jobs/<uuid:job_id>/discard/                                         POST 302 404 302 404
attachments/                                                        POST 302 422 422 422
c/<uuid:conversation_id>/attachments/                               POST 302 404 422 404
attachments/<uuid:attachment_id>/                                   GET  302 404 200 404
attachments/<uuid:attachment_id>/remove/                            POST 302 404 404 404
c/new/settings/                                                     GET  302 200 200 200
c/new/settings/                                                     POST 302 302 302 302
c/new/settings/preset/                                              POST 302 422 422 422
c/<uuid:conversation_id>/settings/                                  GET  302 404 200 404
c/<uuid:conversation_id>/settings/                                  POST 302 404 302 404
c/<uuid:conversation_id>/settings/preset/                           POST 302 404 422 404
c/<uuid:conversation_id>/window/                                    GET  302 404 200 404
settings/                                                           GET  302 200 200 200
settings/                                                           POST 302 302 302 302
presets/<uuid:preset_id>/rename/                                    POST 302 404 422 404
presets/<uuid:preset_id>/delete/                                    POST 302 404 302 404
deployment/                                                         GET  302 302 302 200
deployment/                                                         POST 302 302 302 405
palette/                                                            GET  302 200 200 200
shortcuts/                                                          GET  302 200 200 200
generations/<uuid:generation_id>/stream                             GET  302 501 501 501
c/<uuid:conversation_id>/fresh/                                     GET  302 404 200 404
messages/<uuid:message_id>/                                         GET  302 404 302 404
generations/<uuid:generation_id>/progress                           GET  302 404 200 404
messages/<uuid:message_id>/again/                                   GET  302 404 200 404
messages/<uuid:message_id>/versions/                                GET  302 404 200 404
messages/<uuid:message_id>/fork/                                    POST 302 404 302 404
messages/<uuid:message_id>/undo/                                    POST 302 404 422 404
messages/<uuid:message_id>/feedback/                                POST 302 404 302 404
c/<uuid:conversation_id>/queue/                                     POST 302 404 302 404
c/<uuid:conversation_id>/queue/<uuid:queued_id>/send/               POST 302 404 409 404
c/<uuid:conversation_id>/queue/<uuid:queued_id>/edit/               POST 302 404 302 404
c/<uuid:conversation_id>/queue/<uuid:queued_id>/remove/             POST 302 404 302 404
c/<uuid:conversation_id>/draft/                                     POST 302 404 204 404
generations/<uuid:generation_id>/painted                            POST 302 404 400 404
draft/                                                              POST 302 204 204 204
"""


def _table(text: str) -> dict[str, dict[str, tuple[int, ...]]]:
    table: dict[str, dict[str, tuple[int, ...]]] = {}
    for line in text.strip().splitlines():
        pattern, method, *statuses = line.split()
        table.setdefault(pattern.removeprefix("-"), {})[method] = tuple(map(int, statuses))
    return table


ROUTES = _table(SITE) | _table(ACCOUNTS) | _table(CONVERSATIONS)

# What staff get in the admin, for a row that is there (a conversation) or is not: of each model its pages, else the
# page. Nobody else gets anything but the sign-in.
ADMIN = {
    "admin/": {"GET": 200},
    "admin/login/": {"GET": 302},
    "admin/logout/": {"GET": 405},
    "admin/password_change/": {"GET": 200},
    "admin/password_change/done/": {"GET": 200},
    "admin/autocomplete/": {"GET": 403},
    "admin/jsi18n/": {"GET": 200},
    "admin/r/<path:content_type_id>/<path:object_id>/": {"GET": 403},
    "auth/group": {"list": 200, "add": 200, "history": 302, "delete": 302, "change": 302, "other": 302},
    "account/emailaddress": {"list": 200, "add": 200, "history": 302, "delete": 302, "change": 302, "other": 302},
    "admin/accounts/user/<id>/password/": {"GET": 404},
    "accounts/user": {"list": 200, "add": 200, "history": 302, "delete": 302, "change": 302, "other": 302},
    "socialaccount/socialaccount": {
        "list": 200,
        "add": 403,
        "history": 302,
        "delete": 302,
        "change": 302,
        "other": 302,
    },
    "mfa/authenticator": {"list": 200, "add": 403, "history": 302, "delete": 302, "change": 302, "other": 302},
    "conversations/chatmodel": {"list": 200, "add": 200, "history": 302, "delete": 302, "change": 302, "other": 302},
    "conversations/preset": {"list": 200, "add": 200, "history": 302, "delete": 302, "change": 302, "other": 302},
    "conversations/feedback": {"list": 200, "add": 403, "history": 403, "delete": 403, "change": 302, "other": 302},
    "conversations/plan": {"list": 200, "add": 200, "history": 302, "delete": 302, "change": 302, "other": 302},
    "conversations/breaker": {"list": 200, "add": 403, "history": 302, "delete": 302, "change": 302, "other": 302},
    "conversations/auditentry": {
        "export": 200,
        "list": 200,
        "add": 403,
        "history": 403,
        "delete": 403,
        "change": 302,
        "other": 302,
    },
    "conversations/conversation": {
        "export": 405,
        "list": 200,
        "add": 403,
        "history": 403,
        "delete": 403,
        "change": 200,
        "other": 302,
    },
    "conversations/message": {"list": 200, "add": 403, "history": 403, "delete": 403, "change": 302, "other": 302},
    "conversations/generation": {"list": 200, "add": 403, "history": 403, "delete": 403, "change": 302, "other": 302},
    "admin/operations/": {"GET": 200},
    "conversations/hourlyfigures": {
        "list": 200,
        "add": 403,
        "history": 403,
        "delete": 403,
        "change": 302,
        "other": 302,
    },
    "admin/conversations/generation/<uuid:generation_id>/replay/": {"GET": 200},
    "admin/conversations/filterrule/<int:pk>/try/": {"GET": 404},
    "conversations/filterrule": {"list": 200, "add": 200, "history": 302, "delete": 302, "change": 302, "other": 302},
    "admin/conversations/flag/<uuid:pk>/step/": {"GET": 405},
    "conversations/flag": {"list": 200, "add": 403, "history": 403, "delete": 403, "change": 404, "other": 302},
    "conversations/retentionrule": {
        "list": 200,
        "add": 200,
        "history": 302,
        "delete": 302,
        "change": 302,
        "other": 302,
    },
    "conversations/legalhold": {"list": 200, "add": 200, "history": 302, "delete": 302, "change": 302, "other": 302},
    "admin/conversations/conversation/<uuid:pk>/open/": {"GET": 405},
    "admin/conversations/conversation/<uuid:pk>/flag/": {"GET": 405},
    "admin/conversations/conversation/<uuid:pk>/stop/": {"GET": 405},
    "admin/(?P<url>.*)$": {"GET": 404},
}
