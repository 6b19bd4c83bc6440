"""What a user can do with all that is theirs: take it along, bring it, and leave."""

from __future__ import annotations

from django.core.files import File
from django.db import transaction
from django.utils import timezone
from django.utils.translation import get_language, gettext

from chatapp.accounts.addresses import client_network
from chatapp.accounts.models import User
from conversations import audit, dispatch
from conversations.keeping import sessions
from conversations.models import Generation, Job, Share
from conversations.turns.base import TurnRefused

MOST_JOBS = 3


class TooManyJobs(TurnRefused):
    """As many as may wait are waiting."""

    def __init__(self) -> None:
        super().__init__(gettext("Some imports or exports are still at work. Wait until one has ended."))


class LastAdmin(TurnRefused):
    """Nobody could run this installation any more."""

    def __init__(self) -> None:
        super().__init__(
            gettext("You are the only administrator here: make somebody else one before you delete your account.")
        )


class NotConfirmed(TurnRefused):
    """Whoever asks has not shown that they are the owner of the account."""


def start_import(user: User, file: File[bytes]) -> Job:
    """Have the conversations in a file imported. Raises `TooManyJobs`."""
    job = Job(owner=user, kind=Job.Kind.IMPORT, parameters=_language())
    _refuse_too_many(user)
    job.file.save("import", file, save=False)
    return _start(job)


def start_export(user: User, *, form: str) -> Job:
    """Have a zip made with all conversations, as `json`, `markdown` or `html`. Raises `TooManyJobs`."""
    _refuse_too_many(user)
    return _start(Job(owner=user, kind=Job.Kind.EXPORT, parameters=_language() | {"format": form}))


def start_download(user: User) -> Job:
    """Have a zip made with everything that is stored about a user. Raises `TooManyJobs`."""
    _refuse_too_many(user)
    parameters = _language() | {"everything": True, "temporary": True}
    return _start(Job(owner=user, kind=Job.Kind.EXPORT, parameters=parameters))


def delete_account(user: User, *, confirmation: str) -> Job:
    """Close an account at once, and have all that is in it erased.

    `confirmation` is the password, or the user name of an account without one. Raises `NotConfirmed` and `LastAdmin`.
    How often somebody may try is for the caller to limit.
    """
    _confirm(user, confirmation)
    with transaction.atomic():
        admins = User.objects.select_for_update().filter(is_superuser=True, is_active=True)
        if user.is_superuser and not any(admin.pk != user.pk for admin in admins):
            raise LastAdmin
        active = Generation.objects.filter(message__conversation__owner=user).active()
        running = list(active.values_list("pk", flat=True))
        Generation.request_stop(active)
        Share.objects.filter(conversation__owner=user, revoked_at=None).update(revoked_at=timezone.now())
        user.conversations.update(deleted_at=timezone.now())
        user.set_unusable_password()
        user.is_active = False
        user.save(update_fields=["is_active", "password"])
        audit.record(user, "account.delete", user_id=user.pk)
        transaction.on_commit(lambda: dispatch.hint_stop(running))
        job = _start(Job(owner=user, kind=Job.Kind.ERASURE))
    sessions.end_all_of(user)  # an account that is closed has none that work: nobody has to wait for it
    return job


def _confirm(user: User, confirmation: str) -> None:
    if user.has_usable_password():
        good, sentence = user.check_password(confirmation), gettext("This is not your password.")
    else:
        good, sentence = confirmation == user.get_username(), gettext("This is not your user name.")
    if not good:
        audit.record(user, "account.delete_failed", network=client_network.get())
        raise NotConfirmed(sentence)


def discard(job: Job) -> None:
    """Forget an import or export, with its file; what it has imported stays."""
    with transaction.atomic():
        if job.file:
            job.file.delete(save=False)
        audit.record(job.owner, f"{job.kind}.discard", job=str(job.pk))
        job.delete()


def _refuse_too_many(user: User) -> None:
    if user.jobs.unfinished().count() >= MOST_JOBS:
        raise TooManyJobs


def _start(job: Job) -> Job:
    with transaction.atomic():
        job.save(force_insert=True)
        audit.record(job.owner, f"{job.kind}.start", job=str(job.pk))
        transaction.on_commit(lambda: dispatch.start_job(job.pk))
    return job


def _language() -> dict[str, object]:
    return {"language": get_language() or "en"}
