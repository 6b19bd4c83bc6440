"""Processes of a cluster that are killed, frozen and restarted while tabs read: no word is lost, none comes twice."""

from __future__ import annotations

import contextlib
import itertools
import re
import signal
import socket
import statistics
import time
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
import redis

from tests.cluster.processes import Cluster, WorkerProcess
from tests.cluster.tab import Tab, counted, question
from tests.provider_server import ProviderServer
from tests.server import Client, Server, finished, stream_url, visible_text

THREE_STREAMS = """
from chatapp.accounts.models import User
from conversations.models import Plan
from django.contrib.auth.models import Group
group = Group.objects.create(name="few")
User.objects.get().groups.add(group)
Plan.objects.create(name="few", streams=3).groups.add(group)
"""


@pytest.fixture(autouse=True)
def _whole_again(cluster: Cluster, provider: ProviderServer):
    """Whatever a test has broken works for the next one."""
    yield
    provider.reset()
    if cluster.redis.process.poll() is not None:
        cluster.redis.start()
    for process in (*cluster.webs, *cluster.workers):
        if process.process.poll() is not None:
            process.start()


def writer_of(cluster: Cluster, tab: Tab) -> WorkerProcess:
    """The worker that writes: the one living process whose report says that something runs."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        rows = cluster.database.execute("SELECT name FROM conversations_worker WHERE running > 0")
        pids = {int(name.split(":")[1]) for (name,) in rows}
        writing = [worker for worker in cluster.workers if worker.process.pid in pids]
        if len(writing) == 1:
            return writing[0]
        time.sleep(0.1)
    raise AssertionError("no worker reports that it writes")


def key(tab: Tab) -> str:
    """The id of the generation that a tab watches."""
    return re.search(r"/generations/([0-9a-f-]+)/", tab.url)[1]


def generation(cluster: Cluster, tab: Tab) -> tuple:
    columns = "status, epoch, takeovers, output"
    return cluster.database.execute(f"SELECT {columns} FROM conversations_generation WHERE id = '{key(tab)}'")[0]


def stored_text(cluster: Cluster, tab: Tab) -> str:
    return "".join(part["text"] for part in generation(cluster, tab)[3]).strip()


def test_any_web_process_serves_any_answer(cluster, client, ask):
    tabs = [ask(60, servers=[web]) for web in cluster.webs]
    for tab in tabs:
        assert tab.finish() == counted(60) == stored_text(cluster, tab)
        assert generation(cluster, tab)[:3] == ("completed", 1, 0)


def test_a_task_that_is_delivered_again_does_nothing(cluster, client, ask):
    tab = ask(80)
    tab.wait_for_words(5)
    code = f"from conversations.tasks import generate\nfor _ in range(3): generate.delay('{key(tab)}')"
    cluster.webs[0].manage("shell", "--no-imports", "-c", code)
    assert tab.finish() == counted(80)
    assert generation(cluster, tab)[:3] == ("completed", 1, 0)


@pytest.mark.parametrize("bus", ["there", "away"])
def test_stop_works_from_any_process_also_without_the_bus(cluster, client, ask, bus):
    tab = ask(4000)
    tab.wait_for_words(10)
    if bus == "away":
        cluster.redis.stop()
    asked = time.monotonic()
    with httpx2.Client(base_url=cluster.webs[1].url, cookies=client.http.cookies, timeout=10) as other:
        response = other.post(f"{tab.path}stop/", data={"csrfmiddlewaretoken": client.token})
    assert response.status_code in {204, 302}
    tab.finish(10)
    assert time.monotonic() - asked < 6
    assert generation(cluster, tab)[0] == "stopped"


def test_a_killed_worker_is_taken_over(cluster, client, ask):
    tab = ask(450)
    victim = writer_of(cluster, tab)
    tab.wait_for_words(20)
    victim.kill()
    assert tab.finish(90) == counted(450) == stored_text(cluster, tab)
    assert generation(cluster, tab)[:3] == ("completed", 2, 1)
    assert tab.longest_pause() < 20


def test_a_killed_worker_whose_model_cannot_go_on_leaves_a_partial_to_continue(cluster, client, ask):
    cluster.database.execute("UPDATE conversations_chatmodel SET prefill = ''")
    try:
        tab = ask(1500)
        victim = writer_of(cluster, tab)
        tab.wait_for_words(20)
        victim.kill()
        text = tab.finish(60)
        assert text == stored_text(cluster, tab)
        assert generation(cluster, tab)[0] == "interrupted"
        page = client.http.get(tab.path).text
        assert "/continue/" in page
    finally:
        cluster.database.execute("UPDATE conversations_chatmodel SET prefill = 'continue_final_message'")


def test_a_worker_that_is_told_to_end_hands_over(cluster, client, ask):
    tabs = [ask(250) for _ in range(10)]
    for tab in tabs:
        tab.wait_for_words(5)
    asked = time.time()
    took = cluster.workers[0].terminate()
    assert took < 5, took
    for tab in tabs:
        assert tab.finish(90) == counted(250) == stored_text(cluster, tab)
    assert {generation(cluster, tab)[2] for tab in tabs} <= {0, 1}
    taken = seconds_to_takeovers(cluster, asked)
    assert len(taken) == sum(generation(cluster, tab)[2] for tab in tabs) > 0
    pauses = [pause_in_writing(cluster, tab) for tab in tabs]
    assert max(taken) < 1, (taken, pauses)  # told, not found: the upkeep looks every 2 s
    assert max(pauses) < 2, (taken, pauses)  # the next writer asks the provider anew


def seconds_to_takeovers(cluster: Cluster, asked: float) -> list[float]:
    """How long after a moment other writers took answers over, by what they have noted themselves."""
    query = "SELECT extract(epoch FROM at) FROM conversations_auditentry WHERE action = 'generation.takeover'"
    return sorted(float(at) - asked for (at,) in cluster.database.execute(query) if at > asked)


def pause_in_writing(cluster: Cluster, tab: Tab) -> float:
    """The longest time between two commits of an answer, in seconds."""
    query = f"SELECT timeline FROM conversations_generation WHERE id = '{key(tab)}'"
    moments = [ms for ms, _ in cluster.database.execute(query)[0][0]]
    return max(later - earlier for earlier, later in itertools.pairwise(moments)) / 1000


def test_slow_titles_hold_up_no_answer_and_no_end(cluster, client, ask, provider):
    provider.title_seconds = 30
    for _ in range(20):  # more than the workers have threads
        client.ask(question(1))
    until = time.monotonic() + 20
    while len(provider.titles) < 16:
        assert time.monotonic() < until, f"only {len(provider.titles)} titles were asked for"
        time.sleep(0.1)
    tabs = [ask(5) for _ in range(4)]
    assert {tab.finish(30) for tab in tabs} == {counted(5)}
    waited = [seconds_queued(cluster, tab) for tab in tabs]
    assert statistics.median(waited) < 2, waited  # after that the upkeep begins what no task has begun
    took = cluster.workers[0].terminate()
    assert took < 5, took


def seconds_queued(cluster: Cluster, tab: Tab) -> float:
    query = f"SELECT extract(epoch FROM started_at - created_at) FROM conversations_generation WHERE id = '{key(tab)}'"
    return float(cluster.database.execute(query)[0][0])


def test_a_worker_that_was_frozen_cannot_write(cluster, client, ask):
    tab = ask(450)
    victim = writer_of(cluster, tab)
    tab.wait_for_words(20)
    victim.signal(signal.SIGSTOP)
    seen = tab.words()
    try:
        tab.wait_for_words(seen + 50, 30)  # the other one goes on
    finally:
        victim.signal(signal.SIGCONT)
    assert tab.finish(90) == counted(450) == stored_text(cluster, tab)
    assert generation(cluster, tab)[:3] == ("completed", 2, 1)


@pytest.mark.parametrize("fault", ["restart", "flush", "freeze"])
def test_redis_may_do_what_it_likes(cluster, client, ask, fault):
    tab = ask(300)
    tab.wait_for_words(20)
    if fault == "restart":
        cluster.redis.stop()
    elif fault == "flush":
        redis.Redis.from_url(cluster.redis.url).flushall()
    else:
        cluster.redis.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    late = ask(40)  # the request does not wait for a broker that is away
    assert time.monotonic() - started < 5
    time.sleep(3)
    if fault == "restart":
        cluster.redis.start()
    elif fault == "freeze":
        cluster.redis.process.send_signal(signal.SIGCONT)
    assert tab.finish(60) == counted(300) == stored_text(cluster, tab)
    assert late.finish(60) == counted(40)
    fresh = ask(20)
    assert fresh.finish(30) == counted(20)


def test_a_database_that_is_away_makes_text_wait(cluster, client, ask):
    database = cluster.database
    tab = ask(300)
    tab.wait_for_words(20)
    database.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false", database._server)
    query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'"
    database.execute(query, database._server)
    try:
        answer = httpx2.get(f"{cluster.webs[0].url}/readyz", timeout=20)
        assert answer.status_code == 503
        assert "database" in answer.json()["missing"]
        assert httpx2.get(f"{cluster.webs[0].url}/healthz").status_code == 200
        time.sleep(3)
    finally:
        database.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true", database._server)
    assert tab.finish(60) == counted(300) == stored_text(cluster, tab)


def test_a_page_that_waits_for_the_database_holds_up_no_stream(cluster, client, ask):
    tab = ask(200)
    tab.wait_for_words(10)
    with psycopg.connect(cluster.database.url) as connection:
        connection.execute("LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE")
        before = tab.words()
        with pytest.raises(httpx2.TimeoutException):
            client.http.get("/", timeout=2)
        assert tab.words() > before + 20
    assert tab.finish() == counted(200)
    assert tab.longest_pause() < 2


def test_readyz_names_what_is_missing(cluster, client):
    assert httpx2.get(f"{cluster.webs[0].url}/readyz").json()["missing"] == {}
    cluster.redis.stop()
    answer = httpx2.get(f"{cluster.webs[0].url}/readyz", timeout=20)
    assert answer.status_code == 503
    assert set(answer.json()["missing"]) == set(answer.json()["mend"]) == {"bus", "broker"}
    assert httpx2.get(f"{cluster.webs[0].url}/healthz").status_code == 200


def test_a_broker_that_never_answers_does_not_keep_a_process_from_ending(cluster, client, ask):
    cluster.redis.process.send_signal(signal.SIGSTOP)
    try:
        late = [ask(5) for _ in range(4)]  # each would be sent for seconds
        assert cluster.webs[0].terminate() < 7
        assert cluster.workers[0].terminate() < 7
    finally:
        cluster.redis.process.send_signal(signal.SIGCONT)
    cluster.webs[0].start()
    for tab in late:
        assert tab.finish(60) == counted(5)


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_tabs_resume_at_another_web_process(cluster, client, ask, how):
    tabs = [ask(200, servers=[cluster.webs[1], cluster.webs[0]]) for _ in range(6)]
    for tab in tabs:
        tab.wait_for_words(5)
    asked = time.time()
    took = getattr(cluster.webs[1], how)()
    assert how == "kill" or took < 5, took
    for tab in tabs:
        assert tab.finish(60) == counted(200) == stored_text(cluster, tab)
        assert tab.connections >= 2
    resumed = [seconds_to_resume(cluster, tab, asked) for tab in tabs]
    pauses = [tab.longest_pause() for tab in tabs]
    assert max(resumed) < 1.5, (resumed, pauses)  # of which a browser waits half a second
    assert max(pauses) < 3, (resumed, pauses)


def seconds_to_resume(cluster: Cluster, tab: Tab, asked: float) -> float:
    """How long after a moment a web process began to send the rest of an answer, by what it has noted itself."""
    query = f"SELECT extract(epoch FROM started_at) FROM conversations_delivery WHERE generation_id = '{key(tab)}'"
    until = time.monotonic() + 5  # it is noted a moment after the end
    while not (later := [float(at) for (at,) in cluster.database.execute(query) if at > asked]):
        assert time.monotonic() < until, "nobody has noted the rest"
        time.sleep(0.05)
    return min(later) - asked


def test_a_rolling_restart_loses_nothing(cluster, client, ask):
    tabs = [ask(450, speed=20) for _ in range(20)]
    for tab in tabs:
        tab.wait_for_words(3, 60)
    for process in (*cluster.workers, *cluster.webs):
        assert process.terminate() < 15  # two seconds on an idle machine; without an end of its own it would be killed
        process.start()
    for tab in tabs:
        assert tab.finish(120) == counted(450) == stored_text(cluster, tab)
        assert generation(cluster, tab)[0] == "completed"


def test_idle_viewers_hold_no_connection(cluster, client):
    response = client.ask("Nothing yet [[scenario=silence]]")
    address = urlsplit(cluster.webs[0].url)
    cookies = "; ".join(f"{name}={value}" for name, value in client.http.cookies.items())
    request = (
        f"GET {stream_url(response.text)} HTTP/1.1\r\nHost: {address.netloc}\r\nCookie: {cookies}\r\n\r\n".encode()
    )
    sockets = []
    try:
        for _ in range(500):
            sockets.append(socket.create_connection((address.hostname, address.port), timeout=30))
            sockets[-1].sendall(request)
        for one in sockets:
            assert one.recv(1000).startswith(b"HTTP/1.1 200")
        time.sleep(3)
        query = "SELECT count(*), count(*) FILTER (WHERE state <> 'idle') FROM pg_stat_activity WHERE datname = '{}'"
        total, _ = cluster.database.execute(query.format(cluster.database.name), cluster.database._server)[0]
        assert total <= 4 * 8  # four processes, each with a few that its threads have in common
    finally:
        for one in sockets:
            one.close()
        client.post(f"{response.url.path}stop/")


def test_open_streams_are_counted_over_all_web_processes(cluster, client, ask):
    cluster.webs[0].manage("shell", "--no-imports", "-c", THREE_STREAMS)
    pages = [client.ask(question(4000)) for _ in range(4)]
    streams = [stream_url(page.text) for page in pages]
    try:
        with contextlib.ExitStack() as stack:
            for web, url in zip((cluster.webs[0], cluster.webs[1], cluster.webs[1]), streams, strict=False):
                stack.enter_context(open_stream(web, client, url))
            time.sleep(1)
            for web in cluster.webs:
                with open_stream(web, client, streams[3]) as refused:
                    assert "You have many answers open" in read_until(refused, "hx-partial")
        time.sleep(1)
        with open_stream(cluster.webs[0], client, streams[3]) as entered:
            assert "You have many answers open" not in read_until(entered, "w1")
    finally:
        cluster.database.execute("DELETE FROM conversations_plan_groups")
        for page in pages:
            client.post(f"{page.url.path}stop/")


def open_stream(web: Server, client: Client, url: str):
    """A connection of its own to a stream."""
    return httpx2.stream("GET", f"{web.url}{url}", headers={"Cookie": client.cookies}, timeout=20)


def read_until(response: httpx2.Response, words: str) -> str:
    text = ""
    for piece in response.iter_text():
        text += piece
        if words in text:
            break
    return text


def test_beat_has_a_worker_sweep(cluster, tmp_path):
    beat = WorkerProcess(tmp_path, cluster.webs[0].environment | {"DATA_DIR": str(tmp_path)}, "beat")
    beat.start()
    try:
        until = time.monotonic() + 40
        while not any("tasks.sweep" in re.sub(r"(?s)^.*ready\.", "", w.log.read_text()) for w in cluster.workers):
            assert time.monotonic() < until, beat.log.read_text()
            time.sleep(0.2)
    finally:
        assert beat.terminate() < 10


def test_without_workers_an_answer_ends_with_a_sentence(cluster, client):
    for worker in cluster.workers:
        worker.kill()
    response = client.ask(question(10))
    page = finished(client, response.url.path, 60)
    assert "No process was free to answer in time" in visible_text(page)
    missing = httpx2.get(f"{cluster.webs[0].url}/readyz").json()["missing"]
    assert set(missing) <= {"workers"}
