"""Exports in three formats, and our own format back in: everything comes back as it was."""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from datetime import UTC, datetime
from decimal import Decimal

import html5lib
import pytest
from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient
from django.urls import reverse

from conversations import turns
from conversations.models import Attachment, Conversation, Feedback, Generation, Job, Message, Tag
from conversations.process import jobs
from conversations.transfer.archives import as_text
from conversations.transfer.documents import document_of, tree_of
from conversations.transfer.names import Names, file_name
from tests.factories import make_conversation, make_model, make_running, make_turn, picture

pytestmark = pytest.mark.django_db

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> \u202e \U0001f98a ‘’ \\u0000"


@pytest.fixture(autouse=True)
def _model(db):
    make_model()


def rich_conversation(owner) -> Conversation:
    """A conversation with everything in it: versions, reasoning, continuations, failures, opinions, settings."""
    conversation = make_conversation(
        owner,
        title=f"All of it {HOSTILE}"[:200],
        title_source="user",
        system_prompt="Be brief.\n\nVery.",
        parameters={"temperature": 0.5, "max_tokens": 100},
        pinned=True,
        archived=True,
        created_at=datetime(2024, 2, 3, 4, 5, 6, 789012, UTC),
    )
    conversation.tags.set([Tag.objects.create(owner=owner, name=name) for name in ("work", "Ärger 🦊")])
    generation = make_turn(conversation, f"Why {HOSTILE}?", "**Half**", status="stopped", finish_reason="")
    moment = datetime(2024, 2, 3, 4, 5, 7, 1, UTC)
    Generation.objects.filter(pk=generation.pk).update(
        timeline=[[5, 3], [90, 5]],
        input_tokens=12,
        output_tokens=7,
        cost=Decimal("0.00012340"),
        started_at=moment,
        ended_at=moment,
        time_to_first_token_ms=5,
        instruction="shorter",
        omitted_messages=3,
        takeovers=1,
    )
    parts = [
        {"kind": "reasoning", "text": "Hm, `x`\n\nindeed.", "from_ms": 0, "to_ms": 10},
        {"kind": "text", "text": f" and more.\n\n```py\nprint('{HOSTILE}')\n```", "from_ms": 10, "to_ms": 20},
    ]
    Generation.objects.create(message=generation.message, kind="continue", status="completed", output=parts)
    version = Message.objects.create(conversation=conversation, parent=generation.message.parent, role="assistant")
    failed = {"status": "failed", "error_code": "cut", "error_message": "The connection was cut.", "model_name": "m-1"}
    Generation.objects.create(message=version, **failed)
    Feedback.objects.create(message=generation.message, owner=owner, value=-1, comment="No: " + HOSTILE)
    make_turn(conversation, "Then?", "Then that.")
    return conversation


def make_import(user, content: bytes, name: str = "conversations.json") -> Job:
    job = turns.start_import(user, ContentFile(content, name))
    jobs.run(job.pk)
    job.refresh_from_db()
    return job


def outcome(job: Job) -> list[tuple[str, str]]:
    return [(result.status, result.detail) for result in job.results.all()]


def test_json_comes_back_exactly(user, stranger):
    conversation = rich_conversation(user)
    exported = as_text(conversation, "json", whole=True)
    job = make_import(stranger, exported.encode())
    assert (job.status, outcome(job)) == ("completed", [("imported", "")])
    brought = stranger.conversations.get()
    assert brought.pk != conversation.pk
    assert document_of(brought) == document_of(conversation) == json.loads(exported)["conversations"][0]
    assert brought.messages.count() == conversation.messages.count() == 5


def test_json_says_what_it_is_and_nothing_about_this_installation(user):
    conversation = rich_conversation(user)
    model = conversation.model
    model.base_url, model.api_key_variable = "http://secret.internal:1234/v1", "SECRET_API_KEY"
    model.save()
    exported = as_text(conversation, "json", whole=True)
    document = json.loads(exported)
    assert list(document)[:2] == ["format", "version"]
    assert (document["format"], document["version"]) == ("stillwater-conversations", 1)
    assert "secret.internal" not in exported
    assert "SECRET_API_KEY" not in exported
    assert {message["parent"] for message in document["conversations"][0]["messages"]} == {None, 1, 2, 3}


def test_an_answer_being_written_is_exported_as_far_as_it_is(user, stranger):
    conversation = make_conversation(user)
    generation = make_running(conversation)
    generation.deltas.create(seq=0, kind="text", text="So far", at_ms=1)
    make_import(stranger, as_text(conversation, "json", whole=True).encode())
    brought = Generation.objects.get(message__conversation__owner=stranger)
    assert brought.status == "interrupted"
    assert brought.output[0]["text"] == "So far"


def test_the_branch_that_is_shown_or_the_whole_tree(user):
    conversation = rich_conversation(user)
    for form in ("json", "markdown", "html"):
        branch, whole = (as_text(conversation, form, whole=whole) for whole in (False, True))
        assert len(branch) < len(whole)
    assert len(json.loads(as_text(conversation, "json", whole=False))["conversations"][0]["messages"]) == 4
    assert "version 2 of 2, after message 1" in as_text(conversation, "markdown", whole=True)


def test_markdown_is_readable(user):
    conversation = make_conversation(user, title='A "title": with\nlines')
    make_turn(conversation, "Why?", "# Because\n\n- of that")
    text = as_text(conversation, "markdown", whole=False)
    head, body = re.fullmatch(r"---\n(.*?)\n---\n\n(.*)", text, re.DOTALL).groups()
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    assert json.loads(fields["title"]) == 'A "title": with lines'
    assert json.loads(fields["models"]) == ["Demo"]
    assert body == '# A "title": with lines\n\n## You\n\nWhy?\n\n## Demo\n\n# Because\n\n- of that\n'


def test_html_is_one_file_that_runs_and_asks_nothing(user, settings):
    settings.IMAGE_HOSTS = ["img.example"]
    conversation = rich_conversation(user)
    make_turn(conversation, HOSTILE, f"![a lake](https://img.example/lake.png) {HOSTILE} [x](javascript:alert(1))")
    page = as_text(conversation, "html", whole=True)
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    names = {element.tag for element in tree.iter() if isinstance(element.tag, str)}
    assert not names & {"script", "img", "link", "iframe", "form", "object", "base"}
    policy = next(meta for meta in tree.iter("meta") if meta.get("http-equiv"))
    assert policy.get("content").startswith("default-src 'none'; style-src 'sha256-")
    style = next(tree.iter("style")).text
    assert ".prose" in style
    assert "url(" not in style
    assert "@import" not in style
    for element in tree.iter():
        assert not any(name.startswith("on") for name in element.attrib)
        assert not element.get("href", "").startswith("javascript")
    assert "a lake" in page
    assert "<strong>Half</strong>" in page


def test_the_style_of_an_exported_page_is_what_its_policy_allows(user):
    import base64
    import hashlib

    page = as_text(rich_conversation(user), "html", whole=False)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Lakes", "Lakes.md"),
        ("../../etc/passwd", "etc passwd.md"),
        ('a"b\r\nX-Evil: 1', "a b X-Evil 1.md"),
        ("", "Conversation.md"),
        ("...", "Conversation.md"),
        ("con", "_con.md"),
        ("gpj.\u202eexe", "gpj. exe.md"),
        ("x" * 300, f"{'x' * 80}.md"),
        ("\ud800 half", "half.md"),
        ("水", "水.md"),
    ],
)
def test_file_names_are_safe(title, name):
    assert file_name(title, "md").replace("?", "").strip() == name


def test_names_in_an_archive_are_unique():
    names = Names()
    assert [names.unique(name) for name in ("a.md", "A.md", "a.md", "a (2).md")] == [
        "a.md",
        "A (2).md",
        "a (3).md",
        "a (2) (2).md",
    ]


@pytest.mark.parametrize(
    ("form", "kind"),
    [("markdown", "text/markdown"), ("json", "application/json"), ("html", "text/html")],
)
def test_a_download_has_a_safe_name(user, client, form, kind):
    client.force_login(user)
    conversation = make_conversation(user, title='水 "quoted"\r\nX-Evil: yes')
    make_turn(conversation)
    response = client.get(reverse("conversations:export", args=[conversation.pk]), {"format": form})
    assert response.status_code == 200
    assert response["Content-Type"].startswith(kind)
    assert response["Content-Disposition"].startswith("attachment; filename*=utf-8''%E6%B0%B4")
    assert "X-Evil" not in response


def test_the_choice_of_formats(user, client):
    client.force_login(user)
    conversation = make_conversation(user)
    address = reverse("conversations:export", args=[conversation.pk])
    assert "Markdown" in client.get(address).content.decode()
    response = client.get(address, {"format": "docx"})
    assert response.status_code == 422
    assert "Choose Markdown, JSON or HTML." in response.content.decode()


def test_what_is_not_ones_own_cannot_be_exported(user, stranger, client):
    conversation = make_conversation(user)
    job = turns.start_export(user, form="json")
    jobs.run(job.pk)
    client.force_login(stranger)
    for name, pk in (("export", conversation.pk), ("print", conversation.pk), ("job", job.pk), ("job_file", job.pk)):
        assert client.get(reverse(f"conversations:{name}", args=[pk])).status_code == 404
    assert client.post(reverse("conversations:discard_job", args=[job.pk])).status_code == 404


def stored(job: Job) -> bytes:
    with job.file.open("rb") as file:
        return file.read()


def contents(job: Job) -> dict[str, bytes]:
    job.refresh_from_db()
    assert job.status == "completed", job.error_message
    with zipfile.ZipFile(io.BytesIO(stored(job))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("form", ["json", "markdown", "html"])
def test_all_conversations_in_one_zip(user, stranger, form):
    rich_conversation(user)
    for title in ("Same", "Same", "Temporary"):
        make_turn(make_conversation(user, title=title, temporary=title == "Temporary"))
    make_turn(make_conversation(stranger, title="Somebody else's"))
    job = turns.start_export(user, form=form)
    jobs.run(job.pk)
    files = contents(job)
    if form == "json":
        documents = json.loads(files["conversations.json"])["conversations"]
        assert len(documents) == 3
        assert make_import(stranger, stored(job), "all.zip").results.filter(status="imported").count() == 3
    else:
        assert len(files) == 3
        assert len([name for name in files if re.search(r"Same( \(2\))?\.", name)]) == 2
    assert not any(b"Somebody else" in content for content in files.values())
    assert (job.done, job.total) == (3, 3)


@pytest.mark.django_db(transaction=True)
async def test_a_ready_export_can_be_downloaded():
    from tests.factories import make_user

    def prepare():
        user = make_user("ada")
        make_turn(make_conversation(user))
        job = turns.start_export(user, form="markdown")
        jobs.run(job.pk)
        return user, job

    user, job = await sync_to_async(prepare)()
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.get(reverse("conversations:job_file", args=[job.pk]))
    content = b"".join([chunk async for chunk in response.streaming_content])
    assert response["Content-Length"] == str(len(content))
    assert response["Content-Disposition"].endswith('markdown.zip"')
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


def test_files_of_exports_are_deleted_after_a_day(user, client):
    from datetime import timedelta

    client.force_login(user)
    job = turns.start_export(user, form="json")
    jobs.run(job.pk)
    job.refresh_from_db()
    path, storage = job.file.name, job.file.storage
    jobs.expire()
    assert storage.exists(path)
    Job.objects.update(ended_at=job.ended_at - timedelta(days=1, minutes=1))
    jobs.expire()
    assert not storage.exists(path)
    assert "deleted after a day" in client.get(reverse("conversations:job", args=[job.pk])).content.decode()
    assert client.get(reverse("conversations:job_file", args=[job.pk])).status_code == 404
    Job.objects.update(ended_at=job.ended_at - timedelta(days=31))
    jobs.expire()
    assert not Job.objects.exists()


def test_only_so_many_jobs_at_once(user, client):
    client.force_login(user)
    for _ in range(3):
        assert client.post(reverse("conversations:export_all"), {"format": "json"}).status_code == 302
    response = client.post(reverse("conversations:export_all"), {"format": "json"})
    assert response.status_code == 409
    assert "still at work" in response.content.decode()
    assert Job.objects.count() == 3


def test_the_print_page_holds_all_messages(user, client):
    client.force_login(user)
    conversation = make_conversation(user)
    for number in range(60):
        make_turn(conversation, f"Question {number}.", f"Answer **{number}**.")
    html = client.get(reverse("conversations:print", args=[conversation.pk])).content.decode()
    assert html.count("<article") == 120
    assert "Answer <strong>0</strong>." in html


@pytest.mark.parametrize("count", [1, 3])
def test_printing_takes_as_many_queries_for_many_messages(user, client, django_assert_max_num_queries, count):
    client.force_login(user)
    conversation = make_conversation(user)
    for _ in range(count):
        make_turn(conversation)
    address = reverse("conversations:print", args=[conversation.pk])
    client.get(address)
    with django_assert_max_num_queries(8):
        client.get(address)


@pytest.mark.parametrize("count", [1, 3])
def test_exporting_takes_as_many_queries_for_many_messages(user, django_assert_max_num_queries, count):
    conversation = make_conversation(user)
    for _ in range(count):
        make_turn(conversation)
    conversation = Conversation.objects.get(pk=conversation.pk)
    with django_assert_max_num_queries(10):
        assert len(tree_of(conversation)) == 2 * count
        as_text(conversation, "json", whole=True)


def test_an_unknown_job_is_not_there(user, client):
    client.force_login(user)
    assert client.get(reverse("conversations:import", args=[uuid.uuid4()])).status_code == 404


def conversation_with_files(owner) -> Conversation:
    conversation = make_conversation(owner, title="With files")
    question = make_turn(conversation, "What is this?").message.parent
    for name, data in [("sun.png", picture()), ("sun.png", picture(size=(9, 9))), ("notes.md", b"# Notes\n\nSome.")]:
        attachment = turns.upload_file(owner, SimpleUploadedFile(name, data))
        Attachment.objects.filter(pk=attachment.pk).update(message=question)
    return conversation


def files_of(owner) -> list[tuple[str, str, int, str, bytes]]:
    rows = Attachment.objects.filter(message__conversation__owner=owner)
    return [(row.name, row.content_type, row.tokens, row.text, row.file.read() if row.file else b"") for row in rows]


@pytest.mark.parametrize("everything", [False, True])
def test_files_come_back_from_an_export_of_all(user, stranger, everything):
    conversation_with_files(user)
    job = turns.start_download(user) if everything else turns.start_export(user, form="json")
    jobs.run(job.pk)
    job.refresh_from_db()
    with job.file.open("rb") as file:
        brought = make_import(stranger, file.read(), "export.zip")
    assert [row.status for row in brought.results.all()] == ["imported"]
    assert [row.detail for row in brought.results.all()] == [""]
    assert files_of(stranger) == files_of(user)
    assert len(files_of(stranger)) == 3


@pytest.mark.django_db(transaction=True)
async def test_files_come_back_from_an_export_of_one_conversation(user, stranger):
    conversation = await sync_to_async(conversation_with_files)(user)
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.get(reverse("conversations:export", args=[conversation.pk]), {"format": "json"})
    assert response["Content-Disposition"].endswith('With files.zip"')
    content = b"".join([piece async for piece in response.streaming_content])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["conversations.json", "files/sun.png", "files/sun (2).png"]
    await sync_to_async(make_import)(stranger, content, "export.zip")
    assert await sync_to_async(files_of)(stranger) == await sync_to_async(files_of)(user)


def archived(document: dict, **members: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("conversations.json", json.dumps(document))
        for name, data in members.items():
            archive.writestr(name, data)
    return written.getvalue()


def with_file(**fields: str) -> dict:
    row = {"id": 1, "parent": None, "role": "user", "text": "Look", "attachments": [{"name": "a.png"} | fields]}
    return {"title": "Look", "messages": [row]}


@pytest.mark.parametrize(
    ("document", "members"),
    [
        (with_file(kind="image"), {}),
        (with_file(kind="image", file="gone"), {}),
        (with_file(kind="image", file="../../etc/passwd"), {}),
        (with_file(kind="image", file="conversations.json\0"), {}),
        (with_file(kind="image", file="a"), {"a": b"\x89PNG\r\n\x1a\nnot one"}),
        (with_file(kind="image", file="a"), {"a": b"x" * 2_000}),
        (with_file(kind="text", text="\x01"), {}),
    ],
)
def test_a_file_that_could_not_be_sent_is_left_out_of_an_import(user, settings, document, members):
    settings.ATTACHMENT_BYTES = 1_000
    job = make_import(user, archived(document, **members), "export.zip")
    assert [(row.status, row.detail) for row in job.results.all()] == [("imported", "1 file is not part of it.")]
    assert files_of(user) == []


def test_files_of_an_import_have_no_more_bytes_in_all_than_an_archive_may(user, settings):
    data = picture(size=(600, 600))
    document = with_file(kind="image", file="a")
    document["messages"][0]["attachments"] *= 9
    settings.IMPORT_UNPACKED_BYTES = 4 * len(data)
    job = make_import(user, archived(document, a=data), "export.zip")
    assert len(files_of(user)) == 4
    assert [row.detail for row in job.results.all()] == ["5 files are not part of it."]
