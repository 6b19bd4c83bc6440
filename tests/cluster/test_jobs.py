"""Slow work in workers that are killed: another one goes on where they were, and nothing is done twice."""

from __future__ import annotations

import io
import json
import re
import time
import uuid
import zipfile

import httpx2
import pytest

from conversations.transfer.documents import FORMAT, VERSION
from tests.cluster.processes import Cluster, WorkerProcess
from tests.cluster.tab import counted, question
from tests.server import Client
from tests.viewer import Viewer

CONVERSATIONS = 500
PATIENCE_SECONDS = 90
JOBS = "SELECT status, done, total FROM conversations_job WHERE id = '{}'"


@pytest.fixture(autouse=True)
def _both_workers(cluster: Cluster):
    yield
    for worker in cluster.workers:
        if worker.process.poll() is not None:
            worker.start()


def document(name: str) -> bytes:
    """Conversations in our own format, each with a question and an answer."""
    output = [{"kind": "text", "text": "An answer. " * 20, "from_ms": 0, "to_ms": 9}]
    answer = {"kind": "new", "status": "completed", "finish_reason": "stop", "output": output}
    messages = [
        {"id": 1, "parent": None, "role": "user", "text": "A question?", "generations": []},
        {"id": 2, "parent": 1, "role": "assistant", "text": "", "generations": [answer]},
    ]
    rows = [
        {"id": f"{name}-{number:06}", "title": f"{name} {number}", "messages": messages, "active_leaf": 2}
        for number in range(CONVERSATIONS)
    ]
    return json.dumps({"format": FORMAT, "version": VERSION, "conversations": rows}).encode()


def job_of(page: httpx2.Response) -> str:
    assert page.status_code == 200, page.text
    return re.search(r"/(?:imports|exports)/([0-9a-f-]+)/", str(page.url))[1]


def left_in_the_middle(cluster: Cluster, job: str) -> int:
    """Kill the one worker there is in the middle of a job, and start the other one; return how far the job had come."""

    def row() -> tuple:
        return cluster.database.execute(JOBS.format(job))[0]

    until = time.monotonic() + PATIENCE_SECONDS
    while not row()[1]:
        assert time.monotonic() < until, row()
        time.sleep(0.02)
    cluster.workers[0].kill()
    status, done, total = row()
    assert status == "running"
    assert 0 < done < total
    cluster.workers[1].start()
    return done


def ended(cluster: Cluster, client: Client, page: httpx2.Response, seconds: float = PATIENCE_SECONDS) -> list[int]:
    """Wait for the end of a job; return how far its page said that it was, again and again."""
    told, until = [], time.monotonic() + seconds
    while 'data-status="completed"' not in (text := client.http.get(str(page.url)).text):
        assert 'data-status="failed"' not in text
        assert time.monotonic() < until, text
        told += [int(number) for number in re.findall(r"(\d+) of \d+ conversations", text)]
        time.sleep(0.2)
    return told


def test_an_import_whose_worker_is_killed_is_finished_by_another_one_once(cluster, client):
    name = uuid.uuid4().hex
    cluster.workers[1].kill()
    fields = {"csrfmiddlewaretoken": client.token}
    page = client.http.post("/imports/", data=fields, files={"file": ("ours.json", document(name))}, timeout=60)
    left = left_in_the_middle(cluster, job_of(page))
    told = ended(cluster, client, page)
    assert told == sorted(told)
    assert told[0] >= left  # what was done is not done again
    query = f"SELECT count(*), count(DISTINCT title) FROM conversations_conversation WHERE title LIKE '{name} %'"
    assert cluster.database.execute(query) == [(CONVERSATIONS, CONVERSATIONS)]
    query = f"SELECT status, count(*) FROM conversations_jobresult WHERE job_id = '{job_of(page)}' GROUP BY status"
    assert cluster.database.execute(query) == [("imported", CONVERSATIONS)]


def test_an_export_whose_worker_is_killed_is_made_by_another_one_once(cluster, client):
    total = cluster.database.execute("SELECT count(*) FROM conversations_conversation")[0][0]
    assert total >= CONVERSATIONS  # those of the import
    cluster.workers[1].kill()
    page = client.post("/account/data/export/", format="json")
    left_in_the_middle(cluster, job_of(page))
    ended(cluster, client, page)
    archive = zipfile.ZipFile(io.BytesIO(client.http.get(f"/exports/{job_of(page)}/file/").content))
    assert archive.testzip() is None
    exported = json.loads(archive.read("conversations.json"))["conversations"]
    assert len({row["title"] for row in exported}) == len(exported) == total
    assert cluster.database.execute(f"SELECT count(*) FROM conversations_job WHERE id = '{job_of(page)}'") == [(1,)]


def test_a_message_that_waits_goes_out_when_the_worker_before_it_was_killed(cluster, client, ask):
    tab = ask(600)
    tab.wait_for_words(5)
    client.ask(question(30), f"{tab.path}send/")
    writer_of(cluster).kill()
    assert tab.finish(90) == counted(600)
    until = time.monotonic() + PATIENCE_SECONDS
    while (page := client.http.get(tab.path).text).count('class="message assistant"') < 2 or "hx-sse:connect" in page:
        assert time.monotonic() < until, page
        time.sleep(0.2)
    assert Viewer(page).answer() == f"{counted(600)} {counted(30)}"
    time.sleep(3)  # the upkeep of all has looked again
    assert client.http.get(tab.path).text.count('class="message user"') == 2


def writer_of(cluster: Cluster) -> WorkerProcess:
    """The first worker that reports that it writes something; they report every five seconds."""
    query = "SELECT running FROM conversations_worker WHERE name LIKE '%:{}:%'"
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        for worker in cluster.workers:
            if sum(running for (running,) in cluster.database.execute(query.format(worker.process.pid))):
                return worker
        time.sleep(0.1)
    raise AssertionError("No worker reports that it writes.")
