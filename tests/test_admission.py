"""Whether the machine can take more work: the gate, what is refused before Django is asked, and the lag of the loop."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from conversations.limits import admission
from conversations.measuring import lag
from conversations.models import Attachment, Generation, Message
from conversations.serving import refusing
from conversations.threads import reader
from tests.factories import make_conversation, make_running, make_turn, make_user


def forget_sample() -> None:
    """Have the gate of this process look at the database again."""
    time.sleep(1.1 * admission.SAMPLE_SECONDS)


@pytest.mark.django_db(transaction=True)
def test_a_full_machine_refuses_politely_and_keeps_the_text(client, user, ending_process, settings):
    settings.MAX_ACTIVE_GENERATIONS = 1
    client.force_login(user)
    conversation = make_conversation(user)
    make_running(conversation)
    forget_sample()
    response = client.post("/c/", {"text": "My <text>", "request_key": str(uuid.uuid4())})
    assert response.status_code == 503
    assert 5 <= int(response["Retry-After"]) <= 15
    assert "My &lt;text&gt;</textarea>" in response.content.decode()
    response = client.post(f"/c/{conversation.pk}/send/", {"text": "Again"}, headers={"HX-Request": "true"})
    assert response.status_code == 503
    assert "as many answers as it can" in response.content.decode()
    Generation.objects.update(status="completed")
    forget_sample()
    assert client.post("/c/", {"text": "My text"}).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_full_machine_keeps_all_files_and_sends_them_again(client, user, ending_process, settings):
    settings.MAX_ACTIVE_GENERATIONS = 1
    client.force_login(user)
    conversation = make_conversation(user)
    make_running(conversation)
    forget_sample()
    uploads = [SimpleUploadedFile(name, b"words") for name in ("first.txt", "second.txt")]
    uploaded = client.post("/attachments/", {"files": uploads}).json()["files"]
    more = [SimpleUploadedFile(name, b"words") for name in ("third.txt", "fourth.txt")]
    more.append(SimpleUploadedFile("bad.exe", b"MZ\x00\x01"))
    data = {"text": "Mine", "attachment": [row["id"] for row in uploaded], "files": more}
    response = client.post("/c/", data)
    assert response.status_code == 503
    page = response.content.decode()
    assert re.findall(r"<bdi>(.*?)</bdi>", page) == ["first.txt", "second.txt", "third.txt", "fourth.txt"]
    assert "bad.exe" in page  # and why it was not taken
    fields = re.findall(r'name="attachment" value="(.*?)"', page)
    Generation.objects.update(status="completed")
    forget_sample()
    sent = client.post("/c/", {"text": "Mine", "attachment": fields})
    assert sent.status_code == 302
    question = Message.objects.get(text="Mine")
    assert sorted(question.attachments.values_list("name", flat=True)) == [
        "first.txt",
        "fourth.txt",
        "second.txt",
        "third.txt",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_full_machine_keeps_files_where_they_were_sent(client, user, ending_process, settings):
    settings.MAX_ACTIVE_GENERATIONS = 1
    client.force_login(user)
    conversation, foreign = make_conversation(user), make_conversation(make_user("eve"))
    make_running(conversation)
    forget_sample()
    upload = SimpleUploadedFile("mine.txt", b"words")
    assert client.post(f"/c/{conversation.pk}/send/", {"files": upload}).status_code == 503
    assert Attachment.objects.get(unsent_in=conversation).name == "mine.txt"
    upload = SimpleUploadedFile("mine.txt", b"words")
    assert client.post(f"/c/{foreign.pk}/send/", {"files": upload}).status_code == 404
    assert Attachment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_gate_counts_what_it_has_let_in(settings):
    settings.MAX_ACTIVE_GENERATIONS = 3
    gate = admission.Gate()
    for _ in range(3):
        gate.enter()
    with pytest.raises(admission.Full):
        gate.enter()


@pytest.mark.django_db(transaction=True)
def test_an_old_queue_is_full(user):
    make_turn(make_conversation(user), status="queued", created_at=timezone.now() - timedelta(seconds=31))
    with pytest.raises(admission.Full) as full:
        admission.Gate().enter()
    assert full.value.reason == "queue"
    Generation.objects.update(created_at=timezone.now())
    admission.Gate().enter()


async def test_a_late_loop_is_full(settings):
    settings.MAX_LAG_SECONDS = 0.05
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)
    time.sleep(0.6)  # noqa: ASYNC251 - this is the fault
    with pytest.raises(admission.Full) as full:
        admission.Gate().enter()
    assert full.value.reason == "lag"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_htmx_is_refused_before_django_is_asked_and_quickly(transactional_db, settings):
    settings.MAX_ACTIVE_GENERATIONS = 1
    await reader.call(lambda: make_running(make_conversation(make_user("ada"))))
    passed: list[str] = []

    async def django(scope, _receive, _send) -> None:
        passed.append(f"{scope['method']} {scope['path']}")

    async def post(path: str, *headers: tuple[bytes, bytes], method: str = "POST") -> list[dict]:
        sent: list[dict] = []

        async def send(message: dict) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": [(b"hx-request", b"true"), *headers]}
        await refusing.EarlyRefusal(django)(scope, None, send)
        return sent

    await asyncio.to_thread(forget_sample)
    times = []
    for _ in range(20):
        started = time.perf_counter()
        head, body = await post("/c/", (b"accept-language", b"en"))
        times.append(time.perf_counter() - started)
        assert head["status"] == 503
        assert 5 <= int(dict(head["headers"])[b"retry-after"]) <= 15
        assert b"<hx-partial" in body["body"]
        assert b"request_key" not in body["body"]  # its own may be that of a lost answer
    assert sorted(times)[10] < 0.05
    assert passed == []
    await post("/c/", method="GET")
    await post("/theme/")
    await post(f"/c/{uuid.uuid4()}/stop/")  # whoever wants less is always let in
    await post("/no/such/page/")
    await Generation.objects.aupdate(status="completed")
    await asyncio.to_thread(forget_sample)
    await post("/c/")
    assert len(passed) == 5
    await refusing._threads.close()
    await reader.close()


async def test_the_lag_of_the_loop_is_measured():
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0.15)
    assert lag.seconds() < 0.05
    for _ in range(8):
        time.sleep(0.4)  # noqa: ASYNC251 - this is the fault
        await asyncio.sleep(0.001)
    assert lag.seconds() > 0.1
    watching.cancel()
