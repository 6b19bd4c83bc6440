"""The palette's search: whose conversations, which, how many; and the pages behind it."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from conversations.views.palette import OPTIONS
from tests.factories import make_conversation, make_model, make_turn

HTMX = {"HX-Request": "true"}
PALETTE = reverse("conversations:palette")


@pytest.fixture
def owner_client(client, user):
    make_model()
    client.force_login(user)
    return client


def found(client, query: str) -> str:
    response = client.get(PALETTE, {"q": query}, headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def test_it_finds_words_of_titles_in_any_order_and_case(owner_client, user):
    wanted = make_conversation(user, title="How glaciers MOVE <b>")
    make_conversation(user, title="Something else")
    options = found(owner_client, " move  Glac ")
    assert options.count('role="option"') == 1
    assert f"/c/{wanted.pk}/" in options
    assert "MOVE &lt;b&gt;" in options
    assert "<html" not in options


def test_it_finds_nothing_of_others_and_nothing_deleted(owner_client, user, stranger):
    make_conversation(stranger, title="glacier of a stranger")
    make_conversation(user, title="glacier deleted", deleted_at=timezone.now())
    assert "option" not in found(owner_client, "glacier")


@pytest.mark.parametrize("query", ["%", "_", "\\", " ", "x" * 5000, "' OR 1=1 --"])
def test_any_query_is_text(owner_client, user, query):
    make_conversation(user, title="plain")
    options = found(owner_client, query)
    assert ("plain" in options) is (query == " ")  # which is nothing


def test_an_empty_query_gives_the_newest_and_no_more_than_fit(owner_client, user):
    for number in range(OPTIONS + 2):
        make_conversation(user, title=f"Number {number}.")
    options = found(owner_client, "")
    assert options.count('role="option"') == OPTIONS
    assert f"Number {OPTIONS + 1}." in options
    assert "Number 0." not in options


def test_the_number_of_queries_does_not_grow(owner_client, user):
    counts = []
    for more in (1, 2):
        for _ in range(more):
            make_conversation(user, title="glacier")
        with CaptureQueriesContext(connection) as queries:
            found(owner_client, "glacier")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 3


def test_without_a_script_it_is_a_page(owner_client, user):
    make_conversation(user, title="A glacier")
    page = owner_client.get(PALETTE, {"q": "glacier"}).content.decode()
    assert '<form class="find"' in page
    assert "A glacier" in page
    assert "No conversation has “xyz &lt;” in its title." in owner_client.get(PALETTE, {"q": "xyz <"}).content.decode()


def test_the_pages_need_a_sign_in(client, db):
    for name in ("palette", "shortcuts"):
        assert client.get(reverse(f"conversations:{name}")).url.startswith("/accounts/login/")


def test_each_single_key_is_in_the_list_of_shortcuts(owner_client, user):
    conversation = make_conversation(user)
    make_turn(conversation)
    page = owner_client.get(reverse("conversations:conversation", args=[conversation.pk])).content.decode()
    listed = owner_client.get(reverse("conversations:shortcuts")).content.decode()
    keys = {piece.split('"')[0] for piece in page.split('data-shortcut="')[1:]}
    assert keys == {"n", "c", "r", "e"}
    for key in keys:
        assert f"<kbd>{key.upper()}</kbd>" in listed


def test_each_command_that_is_a_button_of_a_form_or_a_link_has_a_name(owner_client, user):
    conversation = make_conversation(user)
    make_turn(conversation, status="stopped")
    page = owner_client.get(reverse("conversations:conversation", args=[conversation.pk])).content.decode()
    names = {piece.split('"')[0] for piece in page.split('data-command="')[1:]}
    assert names >= {
        "New conversation",
        "Stop the answer",
        "Regenerate the last answer",
        "Continue the last answer",
        "Copy the last answer",
        "Edit the last question",
        "Rename this conversation",
        "Delete this conversation",
        "Dark theme",
        "Keyboard shortcuts",
        "Sign out",
    }
