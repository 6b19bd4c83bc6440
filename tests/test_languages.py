"""The language of a page, and the catalogues that translations come from."""

from __future__ import annotations

import ast
import re
from datetime import date
from pathlib import Path

import polib
import pytest
from django.conf import settings as django_settings
from django.contrib.admin import site
from django.contrib.admin.utils import label_for_field
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise

from conversations.consumers import GONE, _gone, _language
from conversations.forms import SendForm, first_error
from conversations.live.message import MessageRenderer, changes, thought_label
from conversations.providers.errors import FAILURES
from conversations.reading import transcript
from conversations.reading.library import day_label
from tests.factories import make_conversation, make_model, make_turn

ROOT = Path(__file__).resolve().parent.parent
CATALOGUES = sorted((ROOT / "locale").glob("*/LC_MESSAGES/django.po"))
MARKS = {"gettext", "gettext_lazy", "gettext_noop"}
PLACEHOLDERS = re.compile(r"%\(\w+\)[sd]|\{\w+\}|<[^>]+>|[\"<>]")
ids = [path.parent.parent.name for path in CATALOGUES]

GERMAN = {
    "Skip to content": "Zum Inhalt",
    "New conversation": "Neues Gespräch",
    "Regenerate": "Neu schreiben",
    "Write a message first.": "Schreib zuerst etwas.",
    "Thought for %(seconds)d s": "%(seconds)d s nachgedacht",
    "This message is too long: at most %(limit)s characters. Shorten or split it.": "Höchstens %(limit)s Zeichen.",
    FAILURES["cut"][0]: "Die Verbindung brach ab.",
    GONE: "Diese Antwort ist weg.",
}


@pytest.fixture
def german(settings, tmp_path):
    """A small catalogue, so that these tests do not depend on the wording of the real one."""
    catalogue = polib.POFile()
    catalogue.metadata = {"Content-Type": "text/plain; charset=utf-8", "Plural-Forms": "nplurals=2; plural=(n != 1);"}
    catalogue.extend(polib.POEntry(msgid=english, msgstr=text) for english, text in GERMAN.items())
    (tmp_path / "de" / "LC_MESSAGES").mkdir(parents=True)
    catalogue.save_as_mofile(str(tmp_path / "de" / "LC_MESSAGES" / "django.mo"))
    settings.LOCALE_PATHS = [tmp_path]


@pytest.fixture
def german_client(client, user, german):
    make_model()
    client.force_login(user)
    client.cookies["django_language"] = "de"
    return client


def marked_in_code(path: Path) -> set[str]:
    """Return the sentences that a module marks for translation."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    marks = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id in MARKS]
    return {mark.value for mark in marks if isinstance(mark, ast.Constant)}


def marked_in_template(path: Path) -> set[str]:
    """Return the sentences that a template translates, except those of blocks."""
    return set(re.findall(r'(?:\{% translate |_\()"((?:[^"\\]|\\.)+)"', path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", CATALOGUES, ids=ids)
def test_catalogue_has_every_marked_sentence(path):
    modules = [*(ROOT / "conversations").rglob("*.py"), *(ROOT / "chatapp").rglob("*.py")]
    marked = {sentence for module in modules for sentence in marked_in_code(module)}
    marked |= {text for template in (ROOT / "templates").rglob("*.html") for text in marked_in_template(template)}
    known = {entry.msgid for entry in polib.pofile(str(path)) if not entry.obsolete}
    assert sorted(marked - known) == []  # `make messages` collects them
    assert {sentence for sentence, _ in FAILURES.values()} <= known


def called(call: ast.Call) -> str:
    """Return the name of what a call calls: its last part, all of what makes a base or shows a message."""
    name = ast.unparse(call.func)
    return name if name.startswith(("super()", "messages.")) else name.rpartition(".")[2]


def refusing_classes(trees: list[ast.Module]) -> dict[str, ast.ClassDef]:
    """Return the classes of errors whose text is for users, with all that derive from them."""
    classes = {node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    found = {"TurnRefused", "LimitExceeded", "Unacceptable", "NotImported"}
    assert found <= classes.keys()
    while (
        more := {
            name
            for name, row in classes.items()
            if found & {base.id for base in row.bases if isinstance(base, ast.Name)}
        }
        - found
    ):
        found |= more
    return {name: classes[name] for name in found}


def calls_in(tree: ast.AST, *names: str) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) in names]


def test_what_users_are_told_is_marked_for_translation():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "conversations").rglob("*.py")]
    classes = refusing_classes(trees)
    shown = [f"messages.{level}" for level in ("success", "info", "warning", "error")]
    telling = [*classes, *shown, "ValidationError", "add_error", "JsonResponse"]
    calls = [call for tree in trees for call in calls_in(tree, *telling)]
    calls += [call for row in classes.values() for call in calls_in(row, "super().__init__")]
    said = [argument for call in calls for argument in (*call.args, *(keyword.value for keyword in call.keywords))]
    assert len(said) > 50
    assert [ast.unparse(argument) for argument in said if is_sentence(argument)] == []


def is_sentence(node: ast.expr) -> bool:
    """Whether an argument is words in a language, as they stand in the code."""
    if isinstance(node, ast.BinOp):
        return is_sentence(node.left)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    )


@pytest.mark.parametrize("path", CATALOGUES, ids=ids)
def test_catalogue_is_compiled(path):
    def entries(catalogue) -> dict[tuple[str, str], tuple[str, dict[int, str]]]:
        return {(entry.msgctxt or "", entry.msgid): (entry.msgstr, entry.msgstr_plural) for entry in catalogue}

    written, compiled = polib.pofile(str(path)), polib.mofile(str(path.with_suffix(".mo")))
    assert entries(compiled) == entries(written.translated_entries())
    assert compiled.metadata["Plural-Forms"] == written.metadata["Plural-Forms"]


@pytest.mark.parametrize("path", CATALOGUES, ids=ids)
def test_translations_keep_placeholders_and_markup(path):
    """Templates do not escape translations: a quotation mark could end an attribute, a tag could be anything."""
    for entry in polib.pofile(str(path)).translated_entries():
        forms = entry.msgstr_plural or {0: entry.msgstr}
        for number, text in forms.items():  # the first of several forms is said of one thing
            source = (entry.msgid_plural if number or len(forms) == 1 else entry.msgid) or entry.msgid
            assert sorted(PLACEHOLDERS.findall(text)) == sorted(PLACEHOLDERS.findall(source)), source


def test_each_language_has_a_catalogue():
    locales = {translation.to_locale(code) for code, _ in django_settings.LANGUAGES} - {"en"}
    assert locales == set(ids)


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [("de-AT,de;q=0.9", "de"), ("zh-CN", "zh-hans"), ("fr", "en"), ("", "en"), ("x" * 600, "en"), ("../..", "en")],
)
def test_a_page_is_in_the_language_of_the_browser(client, db, accepted, lang):
    page = client.get(reverse("account_login"), headers={"Accept-Language": accepted}).content.decode()
    assert f'<html lang="{lang}" dir="ltr"' in page
    assert f'<option value="{lang}" lang="{lang}" selected>' in page


def test_the_language_can_be_chosen_before_signing_in(client, db):
    response = client.post(reverse("set_language"), {"language": "de", "next": "/accounts/login/?next=/"})
    assert response.url == "/accounts/login/?next=/"
    assert '<html lang="de"' in client.get(response.url, headers={"Accept-Language": "en"}).content.decode()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_choice_of_language_redirects_only_within_the_site(client, db, target):
    assert client.post(reverse("set_language"), {"language": "de", "next": target}).url == "/"


def test_an_unknown_language_is_not_kept(client, db):
    client.post(reverse("set_language"), {"language": "<script>", "next": "/"})
    assert "django_language" not in client.cookies


def test_pages_and_fragments_are_in_the_chosen_language(german_client, user):
    conversation = make_conversation(user, title="")
    make_turn(conversation)
    page = german_client.get(reverse("conversations:conversation", args=[conversation.pk])).content.decode()
    assert "Zum Inhalt" in page
    assert "Neues Gespräch · Stillwater" in page
    send = reverse("conversations:send", args=[conversation.pk])
    refused = german_client.post(send, {"text": ""}, headers={"HX-Request": "true"})
    assert "Schreib zuerst etwas." in refused.content.decode()


def test_stored_sentences_are_translated_where_they_are_shown(german, user):
    conversation = make_conversation(user)
    make_turn(conversation, status="interrupted", error_message=FAILURES["cut"][0])
    make_turn(conversation, status="failed", error_message="A sentence that no catalogue has.")
    make_turn(conversation, status="failed", error_message="")
    with translation.override("de"):
        notices = [view.notice for view in transcript.thread(conversation) if view.role == "assistant"]
    assert notices == ["Die Verbindung brach ab.", "A sentence that no catalogue has.", ""]


def test_the_last_message_of_a_stream_is_in_the_language_of_its_viewer(german, user):
    message = make_turn(make_conversation(user)).message
    assert 'title="Neu schreiben"' in transcript.footer_html(message.pk, "", "de")
    assert 'title="Regenerate"' in transcript.footer_html(message.pk, "", "en")


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({"cookie": "django_language=de", "accept-language": "zh-CN"}, "de"),
        ({"cookie": "django_language=xx", "accept-language": "zh-CN"}, "zh-hans"),
        ({}, "en"),
    ],
)
def test_a_stream_has_the_language_of_its_page(headers, language):
    assert _language(headers) == language


def test_a_stream_that_is_gone_says_so_in_the_language_of_its_viewer(german):
    with translation.override("de"):
        assert _gone() == '<p class="notice error" role="alert">Diese Antwort ist weg.</p>'


def test_viewers_of_one_answer_read_its_label_each_in_their_language(german):
    renderer = MessageRenderer("m1")
    renderer.feed("reasoning", "Hm. ", 0)
    renderer.feed("reasoning", "Yes.", 3000)
    renderer.feed("text", "So.", 3100)
    with translation.override("de"):
        assert changes(renderer.operations)[-1].html == renderer.reasoning_label == "3 s nachgedacht"
    with translation.override("en"):
        assert changes(renderer.operations)[-1].html == renderer.reasoning_label == "Thought for 3 s"


@pytest.mark.parametrize(
    ("milliseconds", "label"), [(0, "1 s"), (59_400, "59 s"), (60_000, "1 min 0 s"), (150_000, "2 min 30 s")]
)
def test_a_label_tells_minutes_and_seconds(milliseconds, label):
    assert thought_label(milliseconds) == f"Thought for {label}"


def test_numbers_and_dates_are_written_as_the_language_does(german, db, settings):
    form = SendForm({"text": "x" * (settings.MESSAGE_CHARACTERS + 1)})
    with translation.override("de"):
        assert first_error(form) == "Höchstens 100.000 Zeichen."
        assert day_label(date(2020, 3, 1)) == "März 2020"
    with translation.override("zh-hans"):
        assert day_label(date(2020, 3, 1)) == "2020年3月"
    assert day_label(date(2020, 3, 1)) == "March 2020"


OURS = [admin for model, admin in site._registry.items() if model.__module__.startswith("conversations.")]


def lazily(text: object) -> bool:
    """Whether a text is looked up when it is shown; there is nothing to look up in none."""
    return isinstance(text, Promise) or not text


@pytest.mark.parametrize("admin", OURS, ids=lambda admin: admin.model.__name__)
def test_the_admin_names_everything_in_the_language_of_the_page(admin):
    options = admin.model._meta
    plain = [name for name in ("verbose_name", "verbose_name_plural") if not lazily(getattr(options, name))]
    for field in (*options.fields, *options.many_to_many):
        if field.name == "id":
            continue
        texts = (field.verbose_name, field.help_text, *(label for _, label in field.choices or ()))
        plain += [f"{field.name}: {text}" for text in texts if not lazily(text)]
    for title, shown in admin.fieldsets or ():
        plain += [text for text in (title, shown.get("description")) if not lazily(text)]
    form = admin.form.declared_fields
    plain += [text for field in form.values() for text in (field.label, field.help_text) if not lazily(text)]
    plain += [name for name in _own_columns(admin) if not lazily(name)]
    plain += [
        str(description)
        for function, name, description in admin._get_base_actions()
        if name != "delete_selected" and not lazily(description)
    ]
    assert plain == []


def _own_columns(admin) -> list[object]:
    """What stands above columns, and beside values, that are no fields."""
    fields = {field.name for field in admin.model._meta.fields} | {"__str__"}
    names = [name for name in (*admin.list_display, *admin.readonly_fields) if name not in fields]
    return [label_for_field(name, admin.model, admin) for name in names]
