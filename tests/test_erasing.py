"""Leaving: what an account has can be taken along whole, and then nothing of it stays."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
import zipfile
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chatapp.accounts.models import User
from conversations import audit, runner, turns
from conversations.keeping import erasing, sessions
from conversations.live import deliveries
from conversations.models import (
    ActiveUser,
    Attachment,
    AuditEntry,
    Conversation,
    Delivery,
    Delta,
    Draft,
    Feedback,
    Generation,
    Job,
    JobResult,
    LegalHold,
    Message,
    Meter,
    Preset,
    QueuedMessage,
    Reservation,
    StoredFile,
    Tag,
)
from conversations.process import engine, jobs
from conversations.review import flags, openings
from conversations.search import index_conversation
from conversations.threads import reader
from tests.factories import make_conversation, make_model, make_running, make_turn, make_user

pytestmark = pytest.mark.django_db

WORD = "planted4711"
ADDRESS = "/account/delete/"


@pytest.fixture(autouse=True)
def _model(db):
    make_model()


def plant(user) -> None:
    """Put the word into every table that holds something of a user."""
    conversation = make_conversation(user, title=WORD, system_prompt=WORD, parameters={WORD: 1}, origin=WORD)
    answer = make_turn(conversation, WORD, WORD, model_name=WORD, error_message=WORD)
    make_running(conversation).deltas.create(seq=0, kind="text", text=WORD, at_ms=0)
    index_conversation(conversation)
    conversation.tags.add(Tag.objects.create(owner=user, name=WORD))
    Preset.objects.create(owner=user, name=WORD, system_prompt=WORD)
    Draft.objects.create(owner=user, conversation=conversation, text=WORD)
    QueuedMessage.objects.create(conversation=conversation, text=WORD)
    Feedback.objects.create(message=answer.message, owner=user, value=1, comment=WORD)
    flag = flags.raise_flag(answer.message, source="rule", reason="a rule")
    flags.add_note(flag, WORD, by=user)
    openings.open_transcripts(user, [conversation.pk], reason=WORD)
    for message in (answer.message, None):
        row = Attachment(
            owner=user, message=message, name=f"{WORD}.txt", content_type="text/plain", kind="text", size=1
        )
        row.text = WORD
        row.file.save("x", ContentFile(WORD.encode()), save=False)
        row.save()
    turns.share(conversation, follows=False, named=True)
    job = turns.start_export(user, form="markdown")
    jobs.run(job.pk)
    JobResult.objects.create(job=job, number=1, status="failed", title=WORD, detail=WORD, conversation=conversation)
    EmailAddress.objects.create(user=user, email=f"{WORD}@example.org")
    content_type = ContentType.objects.get_for_model(user)
    about = {"content_type": content_type, "object_id": str(user.pk), "object_repr": WORD, "change_message": WORD}
    LogEntry.objects.create(user=make_user("admin"), action_flag=2, **about)
    LogEntry.objects.create(user=user, action_flag=2, **{**about, "object_id": "0"})
    delivery = deliveries.begin(answer.pk, user.pk, 0)
    delivery.end = "left"
    deliveries.store([delivery])
    ActiveUser.objects.create(user=user, starts_at=timezone.now())
    SocialAccount.objects.create(user=user, provider="sso", uid=WORD, extra_data={"userinfo": {"nickname": WORD}})
    Authenticator.objects.create(user=user, type="totp", data={"secret": f"secret {WORD}"})


def found_in_database() -> set[str]:
    """The tables in which the word is, those of the search and of everybody else's work too."""
    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
            for column in columns:
                name = connection.ops.quote_name(column)
                query = f"SELECT count(*) FROM {connection.ops.quote_name(table)} WHERE CAST({name} AS text) LIKE %s"
                cursor.execute(query, [f"%{WORD}%"])
                if cursor.fetchone()[0]:
                    found.add(table)
    return found


def test_nothing_of_a_deleted_account_stays(client):
    user = make_user(WORD, email=f"{WORD}@example.org", first_name=WORD)
    plant(user)
    client.force_login(user)
    elsewhere = Client()
    elsewhere.force_login(user)
    planted = found_in_database()
    for model in ("conversation", "message", "generation", "delta", "tag", "preset", "draft", "queuedmessage"):
        assert f"conversations_{model}" in planted
    for model in ("feedback", "attachment", "share", "jobresult", "flagnote", "opening"):
        assert f"conversations_{model}" in planted
    assert StoredFile.objects.exists()
    response = client.post(ADDRESS, {"confirmation": "a long password"})
    assert "Your account is deleted" in response.content.decode()
    assert elsewhere.get("/").status_code == 302
    assert not Session.objects.exists()
    job = Job.objects.get(kind="erasure")
    jobs.run(job.pk)
    assert found_in_database() == set()
    assert not StoredFile.objects.exists()
    assert not ActiveUser.objects.exists()
    assert not get_user_model().objects.filter(pk=user.pk).exists()
    assert AuditEntry.objects.filter(action="account.erased", data__user_id=user.pk).exists()
    assert not Delivery.objects.exists()


def test_sessions_are_looked_through_while_others_may_write(client, monkeypatch):
    """There may be many of them, and each has to be read."""
    user = make_user("ada")
    client.force_login(user)
    locked = []
    real = Session.get_decoded

    def get_decoded(session):
        locked.append(len(connection.savepoint_ids))  # beside the test's own transaction
        return real(session)

    monkeypatch.setattr(Session, "get_decoded", get_decoded)
    job = turns.delete_account(user, confirmation="a long password")
    assert not Session.objects.exists()
    client.force_login(make_user("eve"))
    jobs.run(job.pk)
    assert Session.objects.count() == 1
    assert locked == [0, 0]


def test_files_go_with_an_account_that_is_deleted_in_the_admin(user, client):
    client.force_login(get_user_model().objects.create_superuser("boss", "", "a long password"))
    make_turn(make_conversation(user))
    made = turns.start_export(user, form="json")
    jobs.run(made.pk)
    turns.start_import(user, ContentFile(b"[]", "export"))
    assert StoredFile.objects.count() == 2
    client.post(reverse("admin:accounts_user_delete", args=[user.pk]), {"post": "yes"})
    assert not get_user_model().objects.filter(pk=user.pk).exists()
    assert not StoredFile.objects.exists()


def test_expired_sessions_go_and_others_stay(client, user, monkeypatch):
    client.force_login(user)
    past = timezone.now() - timedelta(hours=1)
    Session.objects.bulk_create(Session(session_key=str(n), session_data="", expire_date=past) for n in range(7))
    monkeypatch.setattr(sessions, "PIECE", 3)
    monkeypatch.setattr(sessions, "MOST_SECONDS", -1)  # each call does one piece
    assert [sessions.clear_expired() for _ in range(4)] == [False, False, False, True]
    assert client.get("/").status_code == 200
    assert Session.objects.count() == 1


async def test_the_upkeep_clears_expired_sessions(process, monkeypatch):
    monkeypatch.setattr(sessions, "_cleared_at", -sessions.CLEAR_SECONDS)
    past = timezone.now() - timedelta(hours=1)
    await reader.call(lambda: Session.objects.create(session_key="x", session_data="", expire_date=past))
    await engine.run_left()
    assert not await reader.call(Session.objects.exists)


def test_a_hold_that_is_placed_meanwhile_keeps_the_rest(user):
    first, second = (make_conversation(user) for _ in range(2))
    job = Job.objects.create(owner=user, kind="erasure")

    def progress(done: int, _total: int | None) -> None:
        if done == 1:
            LegalHold.objects.create(user=user, reason="A case")

    with pytest.raises(erasing.Held):
        erasing.erase_account(job, progress)
    assert Conversation.objects.filter(pk__in=[first.pk, second.pk]).count() == 1


def test_every_table_with_an_owner_is_planted():
    """A table that is added later belongs into `plant`."""
    user_model = get_user_model()
    known = {"tag", "preset", "draft", "conversation", "feedback", "attachment", "job", "auditentry", "searchentry"}
    known |= {"delivery", "legalhold"}  # the first has no words; of what is held nothing is erased
    known |= {"flag", "flagnote", "opening"}
    known |= {"activeuser"}  # no words, but who was here when
    owned = {
        model._meta.model_name
        for model in apps.get_app_config("conversations").get_models()
        if any(field.related_model is user_model for field in model._meta.get_fields() if field.many_to_one)
    }
    assert owned <= known | {"usage", "quota", "spending"}, "plant the word there, too"


def test_deleting_stops_running_answers_and_closes_everything_at_once(user, client):
    client.force_login(user)
    conversation = make_conversation(user)
    generation = make_running(conversation)
    share = turns.share(conversation, follows=True, named=False)
    client.post(ADDRESS, {"confirmation": "a long password"})
    generation.refresh_from_db()
    assert generation.stop_requested_at is not None
    assert Client().get(reverse("conversations:shared", args=[share.token])).status_code == 404
    assert not client.login(username="ada", password="a long password")


async def test_an_account_that_is_deleted_in_mid_answer_leaves_no_row(process, settings):
    """The erasure runs beside the writer of the answer, in the same process."""
    settings.LIMIT_TOKENS_PER_DAY = 1_000_000  # so that there is something to settle

    def begin() -> tuple[User, uuid.UUID]:
        user = make_user(WORD, email=f"{WORD}@example.org")
        text = f"{WORD} [[speed=100]] [[length=4000]]"
        return user, turns.start(user, text=text, model=make_model(), request_key=uuid.uuid4()).generation.pk

    user, generation_id = await reader.call(begin)
    async with asyncio.timeout(90):
        while await Delta.objects.filter(generation=generation_id).acount() < 3:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
        await reader.call(lambda: turns.delete_account(user, confirmation="a long password"))
        while await User.objects.filter(pk=user.pk).aexists() or runner.running():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)  # what settles an answer behind its end has its chance to write
    assert await reader.call(found_in_database) == set()
    tables = (Conversation, Message, Generation, Delta, Delivery, ActiveUser, Meter, Reservation)
    assert {table.__name__: await table.objects.acount() for table in tables} == {t.__name__: 0 for t in tables}


def test_an_erasure_that_died_goes_on(user, monkeypatch):
    for _ in range(3):
        make_turn(make_conversation(user))
    job = turns.delete_account(user, confirmation="a long password")
    Job.objects.update(claims=9)  # it is never given up
    jobs.run(job.pk)
    assert not get_user_model().objects.filter(pk=user.pk).exists()


@pytest.mark.parametrize("confirmation", ["", "wrong", "ada"])
def test_a_wrong_password_deletes_nothing(user, client, confirmation):
    client.force_login(user)
    response = client.post(ADDRESS, {"confirmation": confirmation})
    assert response.status_code == 422
    assert "This is not your password." in response.content.decode()
    user.refresh_from_db()
    assert user.is_active
    assert client.get("/").status_code == 200


def test_the_password_cannot_be_guessed_without_limit(user, stranger, client):
    cache.clear()
    client.force_login(user)
    answers = [client.post(ADDRESS, {"confirmation": f"wrong {number}"}) for number in range(7)]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429] * 2
    assert answers[-1]["Retry-After"] == "60"
    assert "These were too many attempts. Wait a minute and try again." in answers[-1].content.decode()
    # Not with the right one either, nor by the form that changes it; others are not held up.
    assert client.post(ADDRESS, {"confirmation": "a long password"}).status_code == 429
    assert client.post("/accounts/password/change/", {"oldpassword": "wrong"}).status_code == 429
    entries = AuditEntry.objects.filter(action="account.delete_failed")
    assert [(entry.actor_id, entry.data) for entry in entries] == [(user.pk, {"network": "127.0.0.1"})] * 5
    assert "wrong" not in str(list(AuditEntry.objects.values()))
    client.force_login(stranger)
    assert client.post(ADDRESS, {"confirmation": "wrong"}).status_code == 422
    cache.clear()


def test_an_account_without_password_is_deleted_by_its_name(user, client):
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    assert "Type your user name, ada" in client.get(ADDRESS).content.decode()
    assert client.post(ADDRESS, {"confirmation": "eve"}).status_code == 422
    assert client.post(ADDRESS, {"confirmation": "ada"}).status_code == 200
    user.refresh_from_db()
    assert not user.is_active


def test_the_last_administrator_stays(user, client):
    user.is_superuser = user.is_staff = True
    user.save()
    client.force_login(user)
    response = client.post(ADDRESS, {"confirmation": "a long password"})
    assert response.status_code == 409
    assert "You are the only administrator here" in response.content.decode()
    make_user("grace", is_superuser=True)
    assert client.post(ADDRESS, {"confirmation": "a long password"}).status_code == 200


def everything_about(user, client) -> dict[str, str]:
    """The files of what is downloaded as everything about a user."""
    client.force_login(user)
    client.post(reverse("conversations:download_everything"))
    job = Job.objects.filter(kind="export").latest("pk")
    jobs.run(job.pk)
    job.refresh_from_db()
    with job.file.open("rb") as file, zipfile.ZipFile(io.BytesIO(file.read())) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_everything_about_me_is_everything(client, stranger):
    user = make_user("ada", email=f"{WORD}@example.org")
    plant(user)
    make_turn(make_conversation(user, temporary=True, title="A temporary one"))
    make_turn(make_conversation(stranger, title="Somebody else's"))
    audit.record(stranger, "somebody.else")
    files = everything_about(user, client)
    assert set(files) >= {
        "README.txt",
        "account.json",
        "conversations.json",
        "drafts.json",
        "feedback.json",
        "audit.json",
    }
    for name in (
        "account",
        "conversations",
        "drafts",
        "queued",
        "presets",
        "tags",
        "feedback",
        "shares",
        "attachments",
    ):
        assert WORD in files[f"{name}.json"], name
        json.loads(files[f"{name}.json"])
    assert files[f"attachments/{WORD}.txt"] == WORD
    assert files[f"attachments/{WORD} (2).txt"] == WORD
    assert "conversation.share" in files["audit.json"]
    assert '"end": "left"' in files["deliveries.json"]
    assert "A temporary one" in files["conversations.json"]
    assert not any("Somebody else" in content or "somebody.else" in content for content in files.values())
    assert not any(user.password in content for content in files.values())
    assert not any(f"secret {WORD}" in content for content in files.values())
    signs_in = json.loads(files["sign_in.json"])
    assert [(row["provider"], row["uid"], row["extra_data"]) for row in signs_in["accounts"]] == [
        ("sso", WORD, {"userinfo": {"nickname": WORD}})
    ]
    assert [(row["type"], row["last_used_at"]) for row in signs_in["second_factors"]] == [("totp", None)]


def test_everything_about_me_has_results_and_what_is_set_for_the_next_conversation(user, client, stranger):
    client.force_login(user)
    client.post(reverse("conversations:new_settings"), {"system_prompt": f"Say {WORD}."})
    others = Client()
    others.force_login(stranger)
    others.post(reverse("conversations:new_settings"), {"system_prompt": "Somebody else's."})
    job = turns.start_import(user, ContentFile(json.dumps([{"title": WORD, "mapping": 5}]).encode(), "export"))
    jobs.run(job.pk)
    files = everything_about(user, client)
    result = json.loads(files["jobs.json"])[-1]["results"][0]
    assert (result["title"], result["status"], result["detail"]) == (WORD, "failed", "Its messages are missing.")
    kept = [row["next_conversation"] for row in json.loads(files["sessions.json"])]
    assert {"system_prompt": f"Say {WORD}.", "parameters": {}, "model": None} in kept
    assert "Somebody else" not in files["sessions.json"]
    for session in Session.objects.all():
        assert session.session_key not in files["sessions.json"]
        assert session.get_decoded()["_auth_user_hash"] not in files["sessions.json"]


def test_the_readme_of_everything_names_each_file(user, client):
    files = everything_about(user, client)
    assert [name for name in files if name.endswith(".json") and name not in files["README.txt"]] == []


# Where the rows of each table that names a user are in what is downloaded; "" with the reason why they are not.
DOWNLOADED = {
    "account.EmailAddress.user": "account.json",
    "admin.LogEntry.user": "administration.json",
    "conversations.ActiveUser.user": "active.json",
    "conversations.Attachment.owner": "attachments.json",
    "conversations.AuditEntry.actor": "audit.json",
    "conversations.Conversation.owner": "conversations.json",
    "conversations.Delivery.viewer": "deliveries.json",
    "conversations.Draft.owner": "drafts.json",
    "conversations.Feedback.owner": "feedback.json",
    "conversations.Flag.assigned_to": "",  # about conversations of others; what somebody did is in audit.json
    "conversations.FlagNote.author": "",  # as above, and it may quote them
    "conversations.Job.owner": "jobs.json",
    "conversations.LegalHold.placed_by": "",  # about others
    "conversations.LegalHold.user": "",  # a matter of the law, of which it may forbid to tell
    "conversations.Opening.reader": "",  # about conversations of others
    "conversations.Preset.owner": "presets.json",
    "conversations.SearchEntry.owner": "",  # the words of the conversations once more
    "conversations.Tag.owner": "tags.json",
    "accounts.User_groups.user": "account.json",
    "accounts.User_user_permissions.user": "",  # what somebody may do here, beside their groups
    "mfa.Authenticator.user": "sign_in.json",
    "socialaccount.SocialAccount.user": "sign_in.json",
}


def test_every_table_that_names_a_user_is_thought_of_in_the_download(client):
    """A table that is added later belongs into the download, or here with the reason why not."""
    fields = User._meta.get_fields(include_hidden=True)
    related = [field for field in fields if field.auto_created and field.is_relation]
    names = {f"{field.related_model._meta.label}.{field.field.name}" for field in related}
    assert names == set(DOWNLOADED)
    user = make_user("ada", email=f"{WORD}@example.org")
    user.groups.add(Group.objects.create(name=WORD))
    plant(user)
    files = everything_about(user, client)
    empty = [name for name in set(DOWNLOADED.values()) - {""} if not json.loads(files[name])]
    assert empty == []
    account = json.loads(files["account.json"])
    assert (account["addresses"][0]["email"], account["groups"]) == (f"{WORD}@example.org", [WORD])


def test_the_page_of_ones_data_opens(user, client):
    client.force_login(user)
    html = client.get(reverse("conversations:data")).content.decode()
    for words in (
        "Import conversations",
        "Export all conversations",
        "Download everything about me",
        "Delete my account",
    ):
        assert words in html
    assert reverse("conversations:data") in client.get("/").content.decode()
