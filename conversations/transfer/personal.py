"""Everything that is stored about a user, as one zip: for whoever wants to know, or to leave."""

from __future__ import annotations

import json
import uuid
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.admin.models import LogEntry
from django.utils.translation import gettext

from chatapp.accounts.models import User
from chatapp.accounts.sessions import sessions_of
from conversations.models import ActiveUser, Attachment, AuditEntry, Delivery, Feedback, Job, QueuedMessage, Share
from conversations.review import openings
from conversations.transfer.archives import add_documents, add_file
from conversations.transfer.documents import moment
from conversations.transfer.importing import Progress
from conversations.transfer.names import Names, file_name

Row = dict[str, Any]

_BEGINNING = "beginning"  # where a session has what was set for the next conversation: see `views.beginnings`


def write_everything(job: Job, file: IO[bytes], progress: Progress) -> None:
    """Write a zip with all that is stored about the job's owner."""
    user = job.owner
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _readme())
        for name, rows in _tables(user).items():
            archive.writestr(f"{name}.json", json.dumps(rows, ensure_ascii=False, indent=1).encode("utf-8", "replace"))
        names = _add_files(archive, user)
        add_documents(archive, job, progress, lambda row: names.get(row.pk) if row.file else None)


def _readme() -> str:
    return gettext(
        "This is everything that this site stores about you.\n\n"
        "account.json: who you are here. Your password is stored as a hash only, which is left out.\n"
        "conversations.json: all conversations with all versions; it can be imported again.\n"
        "attachments.json and the folder attachments: the files you have sent.\n"
        "drafts.json, queued.json: what you have typed and not yet sent.\n"
        "presets.json, tags.json, feedback.json, shares.json, jobs.json: what their names say.\n"
        "audit.json: what was noted about what you did, without any content.\n"
    ) + "".join(
        (
            gettext("deliveries.json: when your browsers were sent the answers, while these were written.\n"),
            gettext("sign_in.json: your accounts elsewhere by which you sign in, and your second factors.\n"),
            gettext("active.json: the hours in which answers for you ended.\n"),
            gettext(
                "sessions.json: where you are signed in, and what you have set there for your next conversation.\n"
            ),
            gettext("read_by_administrators.json: when administrators opened conversations of yours, and why.\n"),
            gettext("administration.json: what you have changed in the administration of this site.\n"),
        )
    )


def _tables(user: User) -> dict[str, Any]:
    return {
        "account": _account(user),
        "sign_in": _sign_in(user),
        **_written(user),
        **_noted(user),
    }


def _written(user: User) -> dict[str, Any]:
    """What the user has made here, beside conversations."""
    return {
        "drafts": [
            {"conversation": _id(row.conversation_id), "text": row.text, "updated_at": moment(row.updated_at)}
            for row in user.drafts.all()
        ],
        "queued": [
            {"conversation": _id(row.conversation_id), "text": row.text, "created_at": moment(row.created_at)}
            for row in QueuedMessage.objects.filter(conversation__owner=user)
        ],
        "presets": [
            {"name": row.name, "system_prompt": row.system_prompt, "parameters": row.parameters}
            for row in user.presets.all()
        ],
        "tags": [row.name for row in user.tags.all()],
        "feedback": [
            {"message": _id(row.message_id), "value": row.value, "comment": row.comment, "at": moment(row.created_at)}
            for row in Feedback.objects.filter(owner=user)
        ],
        "shares": [_share(row) for row in Share.objects.filter(conversation__owner=user)],
        "attachments": [_attachment(row) for row in user.attachments.defer("text")],
    }


def _noted(user: User) -> dict[str, Any]:
    """What this site has noted about the user."""
    return {
        "jobs": [_job(row) for row in user.jobs.prefetch_related("results")],
        "sessions": list(_sessions(user)),
        "deliveries": [_delivery(row) for row in Delivery.objects.filter(viewer=user).iterator()],
        "active": [moment(row.starts_at) for row in ActiveUser.objects.filter(user=user)],
        "audit": [_audit(row) for row in AuditEntry.objects.filter(actor=user).order_by("pk").iterator()],
        "read_by_administrators": [
            {"conversation": _id(row.conversation_id), "at": moment(row.opened_at), "reason": row.reason}
            for row in openings.told_about(user)
        ],
        "administration": [
            {"at": moment(row.action_time), "what": row.object_repr, "change": row.get_change_message()}
            for row in LogEntry.objects.filter(user_id=user.pk)
        ],
    }


def _account(user: User) -> Row:
    return {
        "username": user.username,
        "email": user.email,
        "addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "first_name": user.first_name,
        "last_name": user.last_name,
        "language": user.language,
        "default_model": user.default_model.label if user.default_model else None,
        "default_preset": user.default_preset.name if user.default_preset else None,
        "groups": [group.name for group in user.groups.order_by("name")],
        "date_joined": moment(user.date_joined),
        "last_login": moment(user.last_login),
        "is_staff": user.is_staff,
        "is_superuser": user.is_superuser,
        "has_password": user.has_usable_password(),
    }


def _sign_in(user: User) -> Row:
    """What allauth keeps: of a second factor not its secret, by which whoever finds the file could sign in."""
    return {
        "accounts": [
            {
                "provider": row.provider,
                "uid": row.uid,
                "extra_data": row.extra_data,
                "date_joined": moment(row.date_joined),
                "last_login": moment(row.last_login),
            }
            for row in SocialAccount.objects.filter(user=user).order_by("pk")
        ],
        "second_factors": [
            {"type": row.type, "created_at": moment(row.created_at), "last_used_at": moment(row.last_used_at)}
            for row in Authenticator.objects.filter(user=user).order_by("pk")
        ],
    }


def _job(row: Job) -> Row:
    return {
        "kind": row.kind,
        "status": row.status,
        "created_at": moment(row.created_at),
        "ended_at": moment(row.ended_at),
        "error": row.error_message,
        "results": [
            {
                "number": result.number,
                "status": result.status,
                "title": result.title,
                "detail": result.detail,
                "conversation": _id(result.conversation_id),
            }
            for result in row.results.all()
        ],
    }


def _sessions(user: User) -> Iterator[Row]:
    """What sessions hold of the user's own; not what signs them in."""
    for session in sessions_of(user):
        kept = session.get_decoded()
        yield {"expires_at": moment(session.expire_date), "next_conversation": kept.get(_BEGINNING)}


def _share(row: Share) -> Row:
    return {
        "title": row.title,
        "conversation": _id(row.conversation_id),
        "follows": row.follows,
        "named": row.named,
        "created_at": moment(row.created_at),
        "revoked_at": moment(row.revoked_at),
    }


def _attachment(row: Attachment) -> Row:
    return {
        "id": str(row.pk),
        "name": row.name,
        "content_type": row.content_type,
        "size": row.size,
        "message": _id(row.message_id),
        "created_at": moment(row.created_at),
    }


def _delivery(row: Delivery) -> Row:
    return {
        "generation": str(row.generation_id),
        "from_character": row.from_character,
        "to_character": row.to_character,
        "started_at": moment(row.started_at),
        "ended_at": moment(row.ended_at),
        "end": row.end,
        "connections": row.connections,
    }


def _audit(row: AuditEntry) -> Row:
    return {
        "at": moment(row.at),
        "action": row.action,
        "conversation": _id(row.conversation_id),
        "generation": _id(row.generation_id),
        "data": row.data,
    }


def _id(value: Any) -> str | None:
    return str(value) if value is not None else None


def _add_files(archive: zipfile.ZipFile, user: User) -> dict[uuid.UUID, str]:
    """Add all files; return the name of each in the archive."""
    names, places = Names(), {}
    for row in user.attachments.iterator(chunk_size=20):
        stem, _dot, extension = row.name.rpartition(".")
        name = names.unique(file_name(stem or row.name, extension[:10] or "bin", fallback="file"))
        places[row.pk] = f"attachments/{name}"
        if row.file:
            add_file(archive, places[row.pk], row)
        else:
            archive.writestr(places[row.pk], row.text)
    return places
