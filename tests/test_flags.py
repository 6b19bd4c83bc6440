"""Flags: who raises them, which steps they take, and that each step is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from conversations import turns
from conversations.models import AuditEntry, Flag, FlagNote
from conversations.review import flags
from tests.factories import make_conversation, make_turn, make_user


@pytest.fixture
def message(user):
    return make_turn(make_conversation(user)).message


@pytest.fixture
def flag(message):
    return flags.raise_flag(message, source=Flag.Source.RULE, reason="a rule")


def states(message) -> list[tuple[str, str]]:
    return list(message.flags.order_by("pk").values_list("source", "state"))


def test_a_bad_opinion_raises_a_flag_once_there_is_a_word_to_it(user, message):
    turns.give_feedback(user, message, value=-1)
    assert states(message) == []
    turns.give_feedback(user, message, value=-1, comment="It is wrong")
    turns.give_feedback(user, message, value=-1, comment="It is very wrong")
    assert states(message) == [("feedback", "open")]


@pytest.mark.parametrize("after", ["good", "without a word", "withdrawn"])
def test_a_flag_of_an_opinion_goes_with_it(user, message, after):
    turns.give_feedback(user, message, value=-1, comment="It is wrong")
    if after == "withdrawn":
        turns.withdraw_feedback(user, message)
    else:
        turns.give_feedback(user, message, value=1 if after == "good" else -1, comment="")
    assert states(message) == [("feedback", "dismissed")]


def test_a_flag_of_an_opinion_that_is_in_review_stays_there(user, message):
    turns.give_feedback(user, message, value=-1, comment="It is wrong")
    flags.move(Flag.objects.get(), Flag.State.IN_REVIEW, by=make_user("reviewer"))
    turns.withdraw_feedback(user, message)
    assert states(message) == [("feedback", "in_review")]


def test_a_flag_is_raised_once_for_a_reason_until_it_is_closed(user, message, flag):
    assert flags.raise_flag(message, source=Flag.Source.RULE, reason="a rule") == flag
    assert flags.raise_flag(message, source=Flag.Source.RULE, reason="another") != flag
    flags.move(flag, Flag.State.RESOLVED, by=user)
    assert flags.raise_flag(message, source=Flag.Source.RULE, reason="a rule") != flag
    assert Flag.objects.count() == 3


def test_each_step_is_in_the_audit_trail_without_a_word(user, flag):
    other = make_user("other")
    flags.move(flag, Flag.State.IN_REVIEW, by=user)
    flags.assign(flag, other, by=user)
    flags.add_note(flag, "The secret word", by=other)
    flags.move(flag, Flag.State.RESOLVED, by=other)
    rows = AuditEntry.objects.filter(action__startswith="flag.").order_by("pk")
    assert [(row.action, row.actor) for row in rows] == [
        ("flag.raised", None),
        ("flag.state", user),
        ("flag.assigned", user),
        ("flag.note", other),
        ("flag.state", other),
    ]
    assert {row.data["flag"] for row in rows} == {str(flag.pk)}
    assert "secret" not in str([row.data for row in rows])
    assert FlagNote.objects.get().text == "The secret word"


def test_a_step_of_whoever_is_late_changes_nothing(user, flag):
    flags.move(flag, Flag.State.RESOLVED, by=user)
    for late in (Flag.State.IN_REVIEW, Flag.State.DISMISSED, Flag.State.RESOLVED):
        with pytest.raises(flags.FlagMoved):
            flags.move(flag, late, by=user)
    with pytest.raises(flags.FlagMoved):
        flags.assign(flag, user, by=user)
    flag.refresh_from_db()
    assert (flag.state, flag.assigned_to) == ("resolved", None)
    assert AuditEntry.objects.filter(action="flag.state").count() == 1


def test_a_flag_is_taken_only_from_whom_it_was_seen_with(user, flag):
    first, second = make_user("first"), make_user("second")
    seen = Flag.objects.get(pk=flag.pk)
    flags.move(flag, Flag.State.IN_REVIEW, by=first)
    with pytest.raises(flags.FlagMoved):
        flags.move(seen, Flag.State.IN_REVIEW, by=second)
    with pytest.raises(flags.FlagMoved):
        flags.assign(seen, second, by=user)
    assert Flag.objects.get().assigned_to == first
    flags.move(Flag.objects.get(), Flag.State.IN_REVIEW, by=second)  # who sees that it is somebody's may take it over
    assert Flag.objects.get().assigned_to == second


def test_taking_assigns_and_giving_back_does_the_opposite(user, flag):
    flags.move(flag, Flag.State.IN_REVIEW, by=user)
    flag.refresh_from_db()
    assert flag.assigned_to == user
    flags.move(flag, Flag.State.OPEN, by=user)
    flag.refresh_from_db()
    assert flag.assigned_to is None


def test_a_flag_is_overdue_after_its_time(settings, message, flag):
    assert flag.due_at - flag.raised_at > timedelta(hours=settings.REVIEW_DUE_HOURS - 1)
    assert not flag.is_overdue
    Flag.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert list(Flag.objects.overdue()) == [flag]
    flags.move(flag, Flag.State.DISMISSED, by=message.conversation.owner)
    assert list(Flag.objects.overdue()) == []
