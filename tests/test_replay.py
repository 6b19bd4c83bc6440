"""The time machine: at each moment what stood there then, by the same renderer; and what happened meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from conversations import audit
from conversations.live.message import MessageRenderer
from conversations.live.state import dom_id
from conversations.models import AuditEntry, Delivery, Generation
from conversations.reading.tracks import Track
from conversations.rendering.markdown import render
from conversations.review import openings
from tests.factories import make_conversation, make_running, make_turn, make_user
from tests.test_document import TEXT

pytestmark = pytest.mark.django_db
QUEUED_MS = 500
SIZE = 10


@pytest.fixture
def generation(user) -> Generation:
    """Ten characters every 100 ms, the first 1 s after it was begun, with a pause of 3 s after the fifth piece."""
    return timed(user, TEXT)


def timed(user, text: str, **fields) -> Generation:
    pieces = [text[start : start + SIZE] for start in range(0, len(text), SIZE)]
    timeline = [
        [1_000 + 100 * number + (3_000 if number >= 5 else 0), len(piece)] for number, piece in enumerate(pieces)
    ]
    asked = timezone.now() - timedelta(hours=1)
    began = asked + timedelta(milliseconds=QUEUED_MS)
    values = {
        "timeline": timeline,
        "created_at": asked,
        "started_at": began,
        "ended_at": began + timedelta(milliseconds=timeline[-1][0] + 20),
        **fields,
    }
    return make_turn(make_conversation(user), answer=text, **values)


def deliver(  # noqa: PLR0917 - as a row reads
    generation, viewer, start: int, to: int, began_ms: int, ended_ms: int, end: str = "finished"
) -> None:
    asked = generation.created_at
    Delivery.objects.create(
        generation=generation,
        viewer=viewer,
        from_character=start,
        to_character=to,
        started_at=asked + timedelta(milliseconds=began_ms),
        ended_at=asked + timedelta(milliseconds=ended_ms),
        end=end,
    )


def events(generation) -> list[tuple[int, str, str]]:
    return [(event.ms, event.kind, event.label) for event in Track(generation).events]


def test_each_moment_shows_what_stood_there(generation, user):
    deliver(generation, user, 0, len(TEXT), 0, 60_000)
    track = Track(generation)
    for number in range(len(TEXT) // SIZE):
        ms = QUEUED_MS + generation.timeline[number][0]
        renderer = MessageRenderer(dom_id(generation.message_id))
        renderer.feed("text", TEXT[: (number + 1) * SIZE], ms)
        frame = track.frame(ms)
        assert frame.html == renderer.body_html()
        assert frame.characters == (number + 1) * SIZE
        assert track.frame(ms - 1).characters == number * SIZE
    whole = render(TEXT, id_prefix=f"{dom_id(generation.message_id)}-")
    assert track.frame(track.length_ms).html == whole


def test_what_was_held_is_shown_after_a_pause_only(user):
    generation = timed(user, "It flows **to the sea, always, and it never stops**.")
    deliver(generation, user, 0, 1_000, 0, 60_000)
    track = Track(generation)
    fifth = QUEUED_MS + 1_400
    assert 'class="tail"' not in track.frame(fifth + 500).html
    shown = track.frame(fifth + 2_000).html
    assert 'class="tail"' in shown
    assert shown.endswith("</p>") or shown.endswith("</p>\n")


def test_a_tail_stands_inside_the_open_elements(user):
    generation = timed(user, "- one\n- two\n- three **or so, but nobody knows, really**\n")
    deliver(generation, user, 0, 1_000, 0, 60_000)
    html = Track(generation).frame(QUEUED_MS + 1_400 + 2_000).html
    assert html.index("<li>") < html.index('class="tail"') < html.rindex("</li>") < html.rindex("</ul>")


def test_reasoning_and_earlier_pieces_are_shown_too(generation, user):
    output = [
        {"kind": "reasoning", "text": "Hm, hm.", "from_ms": 0, "to_ms": 900},
        {"kind": "text", "text": " And on.", "from_ms": 900, "to_ms": 1_200},
    ]
    continued = Generation.objects.create(
        message=generation.message,
        kind="continue",
        status="completed",
        output=output,
        timeline=[[900, 7], [1_200, 8]],
        started_at=timezone.now(),
        ended_at=timezone.now() + timedelta(seconds=2),
    )
    track = Track(continued)
    thinking = track.frame(1_000)
    assert "The end." in thinking.html
    assert "And on" not in thinking.html
    assert thinking.reasoning_label == "Thinking…"
    assert "And on" in track.frame(track.length_ms).html
    assert track.frame(track.length_ms).reasoning_label.startswith("Thought for")


def test_what_is_still_being_written_can_be_looked_at(user):
    running = make_running(make_conversation(user), started_at=timezone.now())
    for seq, text in enumerate(("One. ", "Two.\n\n", "Three")):
        running.deltas.create(seq=seq, kind="text", text=text, at_ms=100 * seq)
    track = Track(running)
    assert "Two" in track.frame(track.length_ms).html
    assert track.frame(track.length_ms).characters == len("One. Two.\n\nThree")


def test_events_tell_of_waits_pauses_viewers_stops_and_takeovers(generation, user, stranger):
    deliver(generation, user, 0, 50, 200, 2_000, "left")
    deliver(generation, stranger, 0, 20, 300, 3_000, "shutdown")
    audit.record(user, "generation.stop", generation_id=generation.pk)
    audit.record(None, "generation.takeover", generation_id=generation.pk, epoch=2)
    audit.record(user, "generation.new", generation_id=generation.pk)
    for number, ms in enumerate((2_500, 2_600)):
        entry = AuditEntry.objects.order_by("pk")[number]
        AuditEntry(
            pk=entry.pk + 100,
            at=generation.created_at + timedelta(milliseconds=ms),
            action=entry.action,
            actor_id=entry.actor_id,
            generation_id=entry.generation_id,
            data=entry.data,
        ).save(force_insert=True)
    found = events(generation)
    assert (0, "edge", "Asked") in found
    assert (500, "edge", "Begun") in found
    assert (1_500, "wait", "First words, after 1.5 s") in found
    assert (1_900, "stall", "Pause of 3.1 s") in found
    assert (200, "delivery", "ada connected") in found
    assert (2_000, "delivery", "ada: the viewer left") in found
    assert (3_000, "delivery", "eve: the server was stopped") in found
    assert (2_500, "stop", "Stop, by ada") in found
    assert (2_600, "takeover", "Taken over by another process (epoch 2)") in found
    assert [ms for ms, *_ in found] == sorted(ms for ms, *_ in found)


def test_what_no_stream_has_sent_stands_apart(generation, user):
    deliver(generation, user, 0, 40, 200, 2_000, "left")
    last = Track(generation).frame(10_000_000)
    assert last.unsent == TEXT[40:]
    assert "The end." not in last.html
    assert not last.unseen
    early = Track(generation).frame(QUEUED_MS + 1_100)
    assert early.unsent == ""


def test_an_answer_without_a_record_of_streams_is_shown_as_such(generation):
    frame = Track(generation).frame(10_000_000)
    assert frame.unseen
    assert frame.unsent == ""
    assert "The end." in frame.html


def test_odd_generations_have_a_course_too(user):
    never = make_turn(make_conversation(user), answer="", status="failed", error_code="not_started")
    assert Track(never).frame(5).characters == 0
    imported = make_turn(make_conversation(user), answer="Imported.")
    assert "Imported." in Track(imported).frame(10**9).html


@pytest.fixture
def staff_client(client, generation):
    """Of somebody who has said why."""
    boss = make_user("boss", is_staff=True, is_superuser=True)
    openings.open_transcripts(boss, [generation.message.conversation_id], reason="A complaint")
    client.force_login(boss)
    return client


def address(generation) -> str:
    return reverse("admin:conversations_generation_replay", args=[generation.pk])


def test_the_page_leads_from_event_to_event(generation, staff_client):
    html = staff_client.get(address(generation), {"at": "1500"}).content.decode()
    assert '<a id="previous" rel="prev" href="?at=500">' in html
    assert '<a id="next" rel="next" href="?at=1900">' in html
    assert "First words, after 1.5 s" in html
    assert "style=" not in html.split('id="replay"')[1]
    change = reverse("admin:conversations_generation_change", args=[generation.pk])
    assert address(generation) in staff_client.get(change).content.decode()


@pytest.mark.parametrize("at", ["", "-1", "x", "9" * 30, "1e3", "²"])
def test_odd_moments_do_no_harm(generation, staff_client, at):
    assert staff_client.get(address(generation), {"at": at}).status_code == 200


def test_a_frame_is_a_fragment(generation, staff_client):
    html = staff_client.get(address(generation), {"at": "1500", "frame": "1"}).content.decode()
    assert "<html" not in html
    assert 'data-characters="10"' in html


def test_looking_is_noted_once_and_not_frame_by_frame(generation, staff_client):
    staff_client.get(address(generation))
    staff_client.get(address(generation), {"at": "1500", "frame": "1"})
    assert AuditEntry.objects.filter(action="generation.replay", generation_id=generation.pk).count() == 1


def test_a_replay_asks_for_a_reason_and_is_shown_then(generation, client):
    client.force_login(make_user("boss", is_staff=True, is_superuser=True))
    masked = client.get(address(generation)).content.decode()
    assert "Rivers" not in masked
    assert f'name="generation" value="{generation.pk}"' in masked
    where = reverse("admin:conversations_conversation_open", args=[generation.message.conversation_id])
    response = client.post(where, {"reason": "A complaint", "generation": str(generation.pk)})
    assert response.url == address(generation)
    assert 'data-characters="10"' in client.get(response.url, {"at": "1500", "frame": "1"}).content.decode()


def test_who_may_not_read_conversations_sees_the_track_and_no_word(generation, client):
    half = make_user("half", is_staff=True)
    half.user_permissions.add(Permission.objects.get(codename="view_generation"))
    client.force_login(half)
    html = client.get(address(generation)).content.decode()
    assert "Only reviewers may read conversations" in html
    assert "First words" in html
    assert "Rivers" not in html
    assert str(generation.message.conversation) not in html
    assert client.get(address(generation), {"frame": "1"}).status_code == 403


def test_the_replay_is_for_staff_with_leave(generation, client, user):
    client.force_login(user)
    assert client.get(address(generation)).status_code == 302
    client.force_login(make_user("none", is_staff=True))
    assert client.get(address(generation)).status_code == 403
