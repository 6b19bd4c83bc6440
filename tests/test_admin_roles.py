"""Who may do what in the admin: reviewers read, operators stop, owners both; nobody else anything."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations import search
from conversations.models import AuditEntry, ChatModel, Flag, Generation, Opening
from conversations.review import flags, openings
from conversations.serving.sessions import access
from conversations.turns import OutOfService
from conversations.turns.base import refuse_out_of_service
from tests.factories import make_conversation, make_model, make_running, make_turn, make_user
from tests.reviewers import make_staff, open_transcript, page, signed_in, text

OPERATIONS = "/admin/operations/"


@pytest.fixture
def conversation(user):
    row = make_conversation(user, title="A secret title")
    make_turn(row, "A secret question", "A secret answer")
    search.index_conversation(row)
    return row


@pytest.fixture
def operator(db):
    return signed_in(make_staff("operator", "operator"))


@pytest.fixture
def reviewer(db):
    return signed_in(make_staff("reviewer", "reviewer"))


def cookie(client) -> str:
    return f"sessionid={client.cookies['sessionid'].value}"


def test_the_roles_are_groups_made_by_a_migration(operator):
    assert set(Group.objects.values_list("name", flat=True)) >= {"reviewer", "operator", "owner"}


def test_operators_see_counts_and_states_but_no_word(operator, conversation):
    flag = flags.raise_flag(conversation.active_leaf, source="rule", reason="a rule")
    for url in (
        "/admin/",
        OPERATIONS,
        page("conversation_changelist"),
        page("conversation_change", conversation.pk),
        page("generation_changelist"),
        page("flag_changelist"),
        page("flag_change", flag.pk),
    ):
        html = text(operator, url)
        assert "secret" not in html, url
        assert 'name="reason"' not in html, url
    assert "open" in text(operator, page("flag_changelist"))


@pytest.mark.parametrize("name", ["message", "feedback"])
def test_operators_do_not_come_to_what_people_said(operator, name):
    assert operator.get(page(f"{name}_changelist")).status_code == 403


def test_operators_cannot_open_flag_review_or_export(operator, conversation):
    flag = flags.raise_flag(conversation.active_leaf, source="rule", reason="a rule")
    for url, sent in (
        (page("conversation_open", conversation.pk), {"reason": "I am curious"}),
        (page("conversation_flag", conversation.pk), {"message": str(conversation.active_leaf_id), "reason": "other"}),
        (page("flag_step", flag.pk), {"state": "resolved"}),
        (page("conversation_export"), {"ids": str(conversation.pk), "form": "csv", "reason": "I am curious"}),
    ):
        assert operator.post(url, sent).status_code == 403, url
    chosen = {"action": "export", "_selected_action": [str(conversation.pk)]}
    assert b"A secret" not in operator.post(page("conversation_changelist"), chosen, follow=True).content
    assert Opening.objects.count() == 0
    assert Flag.objects.get().state == "open"


def test_operators_do_not_find_conversations_by_words(operator, conversation):
    html = text(operator, page("conversation_changelist"), q="secret")
    assert page("conversation_change", conversation.pk) not in html
    assert AuditEntry.objects.filter(action="transcripts.searched").count() == 0


@pytest.mark.parametrize("role", ["", "reviewer", "operator", "owner"])
def test_pages_are_open_to_their_roles_alone(conversation, role):
    client = signed_in(make_staff("somebody", role))
    allowed = {
        page("conversation_changelist"): {"reviewer", "operator", "owner"},
        page("flag_changelist"): {"reviewer", "operator", "owner"},
        page("message_changelist"): {"reviewer", "owner"},
        page("chatmodel_add"): {"owner"},
        page("plan_add"): {"owner"},
        reverse("admin:accounts_user_changelist"): {"owner"},
        OPERATIONS: {"operator", "owner"},
    }
    for url, roles in allowed.items():
        assert (client.get(url).status_code == 200) == (role in roles), url


def test_users_and_visitors_are_kept_out(client, user, conversation):
    for visitor in (client, signed_in(user)):
        for url in (OPERATIONS, page("conversation_changelist"), page("conversation_change", conversation.pk)):
            assert visitor.get(url).status_code == 302
        assert visitor.post(page("conversation_open", conversation.pk), {"reason": "My own"}).status_code == 302
    assert Opening.objects.count() == 0


def test_forms_of_other_sites_do_nothing(conversation):
    """F12, here too: no step without the page's token."""
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(make_staff("reviewer", "reviewer", "operator"))
    for url in (page("conversation_open", conversation.pk), page("conversation_stop", conversation.pk), OPERATIONS):
        assert client.post(url, {"reason": "A good reason", "everything": "on"}).status_code == 403
    assert Opening.objects.count() == 0


def running(owner, model) -> Generation:
    return make_running(make_conversation(owner, model=model))


def stopped() -> set:
    return set(Generation.objects.exclude(stop_requested_at=None).values_list("pk", flat=True))


def test_operators_stop_a_user_a_model_and_everything(operator, user, stranger):
    one, two = make_model(), make_model("http://127.0.0.1:9/v1", "two")
    first, second, third = running(user, one), running(stranger, two), running(stranger, one)
    operator.post(OPERATIONS, {})
    operator.post(OPERATIONS, {"user": "nobody"})
    assert stopped() == set()
    operator.post(OPERATIONS, {"user": "ada"})
    assert stopped() == {first.pk}
    operator.post(OPERATIONS, {"model": str(two.pk)})
    assert stopped() == {first.pk, second.pk}
    answer = operator.post(OPERATIONS, {"everything": "on"}, follow=True).content.decode()
    assert stopped() == {first.pk, second.pk, third.pk}
    assert "told to stop" in answer
    actors = AuditEntry.objects.filter(action="generation.stop").values_list("actor__username", "generation_id")
    assert {("operator", first.pk), ("operator", second.pk), ("operator", third.pk)} <= set(actors)


def test_what_waits_in_the_queue_ends_at_once(operator, user):
    waiting = make_turn(make_conversation(user), answer="", status="queued", finish_reason="")
    operator.post(OPERATIONS, {"everything": "on"})
    waiting.refresh_from_db()
    assert waiting.status == "stopped"


def test_the_page_of_operations_makes_the_same_queries_however_much_runs(operator):
    counts = []
    for number in (1, 3):
        for place in range(number):
            running(make_user(f"user{number}{place}"), make_model("http://127.0.0.1:9/v1", f"m{number}{place}"))
        with CaptureQueriesContext(connection) as queries:
            html = text(operator, OPERATIONS)
        counts.append(len(queries))
        assert f"user{number}0" in html
    assert counts[0] == counts[1]


def test_reviewers_stop_only_what_they_read(reviewer, user):
    generation = running(user, make_model())
    row = generation.message.conversation
    assert reviewer.post(page("conversation_stop", row.pk)).status_code == 403
    open_transcript(reviewer, row)
    assert reviewer.post(page("conversation_stop", row.pk)).status_code == 302
    assert stopped() == {generation.pk}
    assert reviewer.post(OPERATIONS, {"everything": "on"}).status_code == 403


def test_a_stream_is_for_its_owner_and_for_reviewers_with_a_reason(reviewer, operator, user, stranger):
    generation = running(user, make_model())
    row = generation.message.conversation

    def watcher(client):
        return access(generation.pk, cookie(client), "")[0]

    owner = signed_in(user)
    assert watcher(owner).footer_template == "conversations/_footer.html"
    assert [watcher(client) for client in (reviewer, operator, signed_in(stranger))] == [None, None, None]
    open_transcript(reviewer, row)
    found = watcher(reviewer)
    assert (found.message_id, found.footer_template) == (generation.message_id, "conversations/_transcript_footer.html")
    assert f"/generations/{generation.pk}/stream" in text(reviewer, page("conversation_change", row.pk))
    Opening.objects.update(expires_at=generation.created_at)
    assert watcher(reviewer) is None
    assert openings.opening_of(make_staff("other", "reviewer"), row.pk) is None


def test_operators_put_a_model_out_of_service_and_change_nothing_else(operator, user):
    model = make_model("http://127.0.0.1:9/v1", "m", label="Big", api_key_variable="A_API_KEY")
    url = page("chatmodel_change", model.pk)
    sent = {"out_of_service_message": "Back at noon.", "base_url": "http://evil/v1", "api_key_variable": "B_API_KEY"}
    assert operator.post(url, sent).status_code == 302
    model.refresh_from_db()
    assert (model.out_of_service_message, model.base_url) == ("Back at noon.", "http://127.0.0.1:9/v1")
    assert model.api_key_variable == "A_API_KEY"
    entry = AuditEntry.objects.get(action="model.service")
    assert (entry.actor.username, entry.data) == ("operator", {"model": str(model.pk), "service": "out"})
    with pytest.raises(OutOfService, match="Back at noon"):
        refuse_out_of_service(make_conversation(user, model=model))
    assert "Big is out of service" in text(operator, "/admin/")


def test_operators_do_not_edit_models_in_the_list(operator):
    model = make_model()
    url = page("chatmodel_changelist")
    assert 'name="form-0-enabled"' not in text(operator, url)
    sent = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(model.pk), "form-0-position": "9"}
    operator.post(url, {**sent, "_save": "Save"})
    assert ChatModel.objects.get().enabled


def test_nothing_completes_titles(db):
    make_turn(make_conversation(make_user("ada"), title="Masked words"))
    operator = signed_in(make_staff("operator", "operator"))
    asked = {"app_label": "conversations", "model_name": "message", "field_name": "conversation", "term": ""}
    assert operator.get("/admin/autocomplete/", asked).status_code == 403


@pytest.mark.parametrize(("query", "status"), [("__isempty=1", 200), ("__gte=M", 400), ("__exact=Masked", 400)])
def test_comments_are_not_guessed_letter_by_letter(db, query, status):
    reviewer = signed_in(make_staff("reviewer", "reviewer"))
    response = reviewer.get(f"{page('feedback_changelist')}?comment{query}")
    assert response.status_code == status


def test_a_hold_is_placed_by_id_and_tells_no_title(db):
    row = make_conversation(make_user("ada"), title="Masked words")
    boss = signed_in(make_user("boss", is_staff=True, is_superuser=True))
    assert "Masked" not in boss.get(page("legalhold_add"), {"conversation": str(row.pk)}).content.decode()
    unknown = {"conversation": "00000000-0000-7000-8000-000000000000", "reason": "A case"}
    assert "no conversation with this id" in boss.post(page("legalhold_add"), unknown).content.decode()
    assert boss.post(page("legalhold_add"), {"conversation": str(row.pk), "reason": "A case"}).status_code == 302
    hold = row.holds.get()
    assert "Masked" not in boss.get(page("legalhold_change", hold.pk)).content.decode()
    assert "Masked" not in boss.get(page("legalhold_changelist")).content.decode()
