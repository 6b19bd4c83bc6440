"""The search: what counts as a word, where it is found, and that the index follows what happens."""

from __future__ import annotations

import asyncio
import random
import uuid
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conversations import turns
from conversations.asking import titles
from conversations.models import Conversation, Generation, Message, SearchEntry
from conversations.reading import library
from conversations.reading.rendered import refresh
from conversations.search import index_conversation, index_messages, index_missed, index_titles
from conversations.search.find import MOST_MESSAGES
from conversations.search.snippets import Piece, marked, snippet
from conversations.search.words import MOST_BYTES, terms, words
from conversations.threads import reader
from tests.factories import make_conversation, make_model, make_turn, make_user


def find(user, query: str, **filters) -> library.search.Results:
    return library.found(user, library.Filters.read({"q": query, **filters}))


def texts(user, query: str) -> list[str]:
    """What is marked in each hit, titles first."""
    return ["".join(p.text for p in place.title) for place in find(user, query).found]


def said(user, question: str, answer: str = "Because.", **fields) -> Conversation:
    conversation = make_conversation(user, **fields)
    make_turn(conversation, question, answer)
    index_conversation(conversation)
    return conversation


# Words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, hello WORLD!", ["hello", "world"]),
        ("Crème brûlée", ["creme", "brulee"]),
        ("STRAẞE Straße", ["strasse"]),
        ("snake_case x86-64 3.14", ["snake", "case", "x86", "64", "3", "14"]),
        ("深度学习", ["深度", "度学", "学习", "习"]),
        ("Python入门", ["python", "入门", "门"]),
        ("ﬁne ＡＢＣ", ["fine", "abc"]),
        ("한국어", ["한국어"]),
        ("", []),
        ("** -- \0 ''", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_decomposed_text_has_the_same_words():
    assert words("Cre\u0301me") == words("Créme") == ["creme"]
    assert words("か\u3099く") == words("がく")


def test_as_many_words_as_an_index_takes():
    many = words(" ".join(uuid.uuid4().hex for _ in range(40_000)))
    assert sum(map(len, many)) <= MOST_BYTES + 64
    assert words("x" * 1_000_000) == ["x" * 64]


def test_terms_of_a_query():
    assert [(term.words, term.prefix) for term in terms("how to bak")] == [
        (("how",), True),
        (("to",), False),
        (("bak",), True),
    ]
    assert [(term.words, term.prefix) for term in terms("学")] == [(("学",), True)]
    assert [(term.words, term.prefix) for term in terms("深度学")] == [(("深度", "度学"), False)]


def test_a_snippet_marks_the_first_places():
    text = "x " * 60 + "The Crème is here.\n\nAnd <b>creme</b> again." + " y" * 200
    pieces = snippet(text, terms("creme"))
    assert pieces[0] == Piece("…")
    assert [piece.text for piece in pieces if piece.marked] == ["Crème", "creme"]
    assert pieces[-1].text.endswith("…")
    assert sum(len(piece.text) for piece in pieces) < 200


def test_a_snippet_of_other_scripts_and_of_nothing():
    assert [p.text for p in snippet("我喜欢深度学习和猫", terms("深度学习")) if p.marked] == ["深度学习"]
    assert snippet("Only words", terms("other")) == [Piece("Only words")]
    assert snippet("", terms("other")) == []
    assert marked("ＡＢＣ Straße", terms("abc strasse")) == [Piece("ＡＢＣ", True), Piece(" "), Piece("Straße", True)]


def test_a_snippet_of_an_answer_has_no_marks_of_markdown(user):
    listed = "### Lakes\n\n- **Lake** `depth` is a *lake's* own, see [the lake](https://lake.example/x).\n\n"
    answer = f"{listed}```py\nlake = 2**3\n```"
    conversation = make_conversation(user, title="x")
    make_turn(conversation, "**lake**", answer)
    index_conversation(conversation)
    said, written = ["".join(piece.text for piece in hit.pieces) for hit in find(user, "lake").found[0].hits]
    assert said == "Lakes Lake depth is a lake's own, see the lake. lake = 2**3 "
    assert written == "**lake**"
    hit = find(user, "lake.example").found[0].hits[0]
    assert "example" in [piece.text for piece in hit.pieces if piece.marked]


@given(st.text(), st.text())
def test_pieces_put_together_are_the_text(text, query):
    assert "".join(piece.text for piece in marked(text, terms(query))).split() == text.split()


# Finding


def test_titles_questions_and_answers_are_found(user):
    conversation = said(user, "Why is the sky blue?", "Rayleigh scattering.", title="Colours of heaven")
    for query in ("sky", "SKY BL", "rayleigh scat", "heaven", "colours of"):
        assert [place.conversation for place in find(user, query).found] == [conversation], query
    for query in ("ky", "sky scattering", "green"):
        assert find(user, query).found == [], query
    hit = find(user, "scat").found[0].hits[0]
    assert (hit.role, [piece.text for piece in hit.pieces if piece.marked]) == ("assistant", ["scattering"])


def test_scripts_without_spaces_are_found_by_any_part(user):
    said(user, "什么是深度学习？", "それは機械学習の一部です。", title="中文对话")
    for query in ("深度", "度学习", "学", "機械学習", "对话", "習"):
        assert len(find(user, query).found) == 1, query
    for query in ("学深", "猫"):
        assert find(user, query).found == [], query


def test_reasoning_is_not_found(user):
    conversation = make_conversation(user)
    generation = make_turn(conversation)
    generation.output.insert(0, {"kind": "reasoning", "text": "Hiddenword", "from_ms": 0, "to_ms": 1})
    generation.save()
    index_conversation(conversation)
    assert find(user, "hiddenword").found == []


def test_nothing_of_others_is_found(user, stranger):
    said(stranger, "Secret words", title="Secret title")
    assert find(user, "secret").found == []
    said(user, f"={stranger.pk} secret")
    assert len(find(user, "secret").found) == 1
    assert find(user, f"={stranger.pk}").found[0].conversation.owner == user


HOSTILE = [
    '"', '""', '"unbalanced', "*", "a*", "-a", "+a", "a AND", "OR", "NOT a", "NEAR(a b, 5)", "a NEAR b", "col:a", "^a",
    "(", ")", "{a b}:c", "'", "''; DROP TABLE x; --", "\\", "a\\", ":*", "a:*", "a & b", "a | b", "!a", "<->",
    "a <2> b", "\0", "a\0b", "%", "_", "=1", "\ud800", "é" * 5_000, "a " * 5_000, "x" * 10_000, "\n\t",
    "🤖", "\u202e", "𝒳",
]  # fmt: skip


def test_no_query_is_an_error(user):
    said(user, "a b c words and more", title="Nothing special")
    for query in HOSTILE:
        find(user, query)
        library.found(user, library.Filters(query=query))
    client = Client()
    client.force_login(user)
    for query in HOSTILE:
        sent = {"q": query.encode("utf-8", "surrogatepass").decode("utf-8", "replace")}
        for name in ("manage", "search"):
            response = client.get(reverse(f"conversations:{name}"), sent, headers={"HX-Request": "true"})
            assert response.status_code == (400 if "\0" in query else 200), query


@pytest.mark.django_db
def test_random_queries_and_texts_are_no_error():
    user, chance = make_user("ada"), random.Random(5)
    alphabet = "ab \"'*:&|!()<>-\\%_=\0\n深度กขé\u0301\u200b🤖٣"
    for _ in range(60):
        text = "".join(chance.choices(alphabet, k=chance.randrange(40)))
        conversation = make_conversation(user, title=turns.base.storable(text)[:50])
        Message.objects.create(conversation=conversation, role="user", text=turns.base.storable(text))
        index_conversation(conversation)
        for part in (text, text[:5], text[3:9]):
            found = find(user, part).found
            assert not terms(part.replace("\0", "").strip()) or part not in text or isinstance(found, list)


def test_what_is_found_is_escaped_and_marked(user):
    said(user, "An <img src=x onerror=alert(1)> needle <b>here</b>", title="<i>needle</i>")
    client = Client()
    client.force_login(user)
    for name in ("manage", "search"):
        html = client.get(
            reverse(f"conversations:{name}"), {"q": "needle"}, headers={"HX-Request": "true"}
        ).content.decode()
        assert "&lt;i&gt;<mark>needle</mark>&lt;/i&gt;" in html
        assert "&lt;img src=x onerror=alert(1)&gt; <mark>needle</mark> &lt;b&gt;here" in html


def test_newest_come_first_and_pages_go_on(user):
    for number in range(MOST_MESSAGES + 5):
        conversation = make_conversation(user, title=f"Title {number}")
        Message.objects.create(conversation=conversation, role="user", text=f"word {number}")
        index_conversation(conversation)
    first = find(user, "word")
    second = library.found(user, library.Filters(query="word"), first.more)
    numbers = [place.conversation.title for place in (*first.found, *second.found)]
    assert numbers == [f"Title {number}" for number in reversed(range(MOST_MESSAGES + 5))]
    assert second.more is None


def test_search_goes_with_filters(user):
    wanted = said(user, "word", archived=True)
    said(user, "word")
    tag = turns.tag(user, Conversation.objects.filter(pk=wanted.pk), "t")
    assert len(find(user, "word").found) == 2
    assert [place.conversation for place in find(user, "word", tag=str(tag.pk)).found] == [wanted]
    assert [place.conversation for place in find(user, "word", place="archived").found] == [wanted]
    tomorrow = (timezone.localdate() + timedelta(days=1)).isoformat()
    assert find(user, "word", since=tomorrow).found == []


def test_a_search_costs_the_same_queries_whatever_is_found(user):
    counts = []
    for _ in range(2):
        for _ in range(2):
            said(user, "word", "word", title="word")
        with CaptureQueriesContext(connection) as queries:
            find(user, "word")
        counts.append(len(queries))
    assert counts[0] == counts[1] == 4


# Keeping up


def test_a_title_that_comes_from_a_file_is_found(user, ending_process):
    file = turns.upload_file(user, SimpleUploadedFile("zebrareport.txt", b"some words"))
    turns.start(user, text="", model=make_model(), request_key=uuid.uuid4(), attachments=[file.pk])
    index_missed()
    assert texts(user, "zebrareport") == ["zebrareport.txt"]


def test_a_title_that_changes_is_found_by_its_new_words_alone(user):
    conversation = said(user, "x", title="Before")
    turns.rename(conversation, title="After")
    assert find(user, "before").found == []
    assert len(find(user, "after").found) == 1
    Conversation.objects.update(title_source="first_words")
    titles._keep(conversation.pk, "From the model")
    assert find(user, "after").found == []
    assert len(find(user, "from the mod").found) == 1


def test_an_answer_that_was_continued_is_found_by_all_its_words(user):
    conversation = make_conversation(user)
    first = make_turn(conversation, answer="Firsthalf ", status="stopped")
    message = Message.objects.prefetch_related("generations").get(pk=first.message_id)
    refresh([message])
    assert len(find(user, "firsthalf").found) == 1
    output = [{"kind": "text", "text": "secondhalf", "from_ms": 0, "to_ms": 1}]
    second = Generation.objects.create(message=message, kind="continue", status="completed", output=output)
    refresh([Message.objects.prefetch_related("generations").get(pk=message.pk)])
    assert len(find(user, "firsthalf secondhalf").found) == 1
    second.delete()
    refresh([Message.objects.prefetch_related("generations").get(pk=message.pk)])
    assert find(user, "secondhalf").found == []
    assert SearchEntry.objects.filter(message=message).count() == 1


def test_what_is_deleted_is_not_found_and_takes_its_words_along(user):
    conversation = said(user, "word")
    moment = turns.delete(conversation)
    assert find(user, "word").found == []
    turns.undo_delete(user, moment)
    assert len(find(user, "word").found) == 1
    conversation.messages.get(role="assistant").delete()
    assert find(user, "because").found == []
    user.delete()
    assert SearchEntry.objects.count() == 0


def test_what_was_written_in_bulk_is_indexed_by_the_upkeep(user, stranger):
    conversation = make_conversation(user, title="Imported")
    make_turn(conversation, "Bulkquestion", "Bulkanswer")
    make_turn(make_conversation(user, temporary=True), "Bulkquestion")
    make_turn(make_conversation(user), "Running", "", status="in_progress")
    assert index_missed() == 3
    assert index_missed() == 0
    for query in ("bulkquestion", "bulkanswer", "imported", "running"):
        assert len(find(user, query).found) == 1, query


def test_the_same_message_twice_is_one_entry(user):
    message = make_turn(make_conversation(user)).message
    for _ in range(2):
        index_messages([message])
        index_titles([message.conversation_id])
    assert SearchEntry.objects.count() == 2
    index_messages([])


def test_the_migration_fills_the_index(user):
    conversation = make_conversation(user, title="Old title")
    make_turn(conversation, "Oldquestion", "Oldanswer")
    make_turn(make_conversation(user, temporary=True), "Oldquestion")
    migration = import_module("conversations.migrations.0009_search_index")
    with connection.schema_editor() if connection.vendor != "sqlite" else _Editor() as editor:
        migration.fill(apps, editor)
    for query in ("old title", "oldquestion", "oldanswer"):
        assert len(find(user, query).found) == 1, query


class _Editor:
    """What the migration needs of an editor: SQLite's cannot be had within a transaction."""

    connection = connection

    def __enter__(self) -> _Editor:
        return self

    def __exit__(self, *_args: object) -> None:
        pass


async def test_what_is_asked_and_answered_is_found_as_soon_as_it_is_there(process):
    def ask() -> turns.Turn:
        text = "Tell me about zebras [[speed=0]] [[length=20]]"
        return turns.start(make_user("ada"), text=text, model=make_model(), request_key=uuid.uuid4())

    turn = await reader.call(ask)
    user = turn.conversation.owner
    assert len((await reader.call(find, user, "zebra")).found[0].hits) == 1
    async with asyncio.timeout(20):
        while not await SearchEntry.objects.filter(message=turn.answer).aexists():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    await asyncio.sleep(0)
    words_of_answer = (await reader.call(Generation.objects.get)).output[-1]["text"].split()
    word = max((word for word in words_of_answer if word.isalpha()), key=len)
    hits = (await reader.call(find, user, word)).found[0].hits
    assert turn.answer.pk in {hit.message_id for hit in hits}
