"""What the filters find, and what they leave alone."""

from __future__ import annotations

import pytest

from tests.filters.planted import (
    CARDS,
    IBANS,
    KEYS,
    PHONES,
    PRIVATE_KEY,
    SHAPES,
    SURVIVORS,
    TAIL,
    everything,
    filtered,
    random_tokens,
)

RULES = everything()


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("frame", ["{}", "Use {} now.", 'key="{}"', "`{}`,", "({})", "日本{}語", "{}\n"])
def test_a_key_is_taken_out_of_its_surroundings(key, frame):
    assert filtered(RULES, frame.format(key)) == frame.format("[redacted: secret]")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_random_token_of_a_shape_is_taken_out(shape):
    tokens = random_tokens(shape, 1_000)
    text = "".join(f"{token} and\n" for token in tokens)
    assert filtered(RULES, text) == "[redacted: secret] and\n" * len(tokens)


@pytest.mark.parametrize("length", [40, 400, 40_000])
def test_a_key_is_taken_out_however_long_it_is(length):
    assert filtered(RULES, "a sk-" + "proj-" + "aB3" * length + " z") == "a [redacted: secret] z"


@pytest.mark.parametrize(
    "block",
    [
        PRIVATE_KEY,
        PRIVATE_KEY.replace("\r\n", "\n"),
        PRIVATE_KEY.replace("\r\n", "\\n"),
        PRIVATE_KEY.replace("RSA", "OPENSSH"),
    ],
)
def test_a_private_key_is_taken_out_from_its_first_line_to_its_last(block):
    assert filtered(RULES, f"Here:\n{block}\nThere.") == "Here:\n[redacted: private key]\nThere."


def test_a_private_key_without_an_end_is_taken_out_to_the_end_of_the_answer():
    assert filtered(RULES, "Here: " + PRIVATE_KEY[:200]) == "Here: [redacted: private key]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"api_key = '{TAIL}'", "api_key = '[redacted: secret]'"),
        (f'{{"clientSecret": "{TAIL}"}}', '{"clientSecret": "[redacted: secret]"}'),
        (f"DB_PASSWORD={TAIL[:20]}\n", "DB_PASSWORD=[redacted: secret]\n"),
        (f"Authorization: Bearer {TAIL}.", "Authorization: Bearer [redacted: secret]."),
        ("postgres://ada:hunter22@db.example.org/x", "postgres://[redacted: secret]@db.example.org/x"),
    ],
)
def test_a_random_value_of_a_key_is_taken_out_and_its_name_stays(text, shown):
    assert filtered(RULES, text) == shown


@pytest.mark.parametrize("card", CARDS)
def test_a_card_is_taken_out(card):
    assert filtered(RULES, f"Pay 20 with {card}, or {card} 12.") == (
        "Pay 20 with [redacted: card number], or [redacted: card number] 12."
    )


@pytest.mark.parametrize("iban", IBANS)
def test_an_account_is_taken_out_and_the_words_behind_it_stay(iban):
    assert filtered(RULES, f"To {iban} please, {iban.lower()}.") == "To [redacted: IBAN] please, [redacted: IBAN]."


@pytest.mark.parametrize("phone", PHONES)
def test_a_telephone_number_is_taken_out(phone):
    assert filtered(RULES, f"Call {phone}, or {phone}.") == (
        "Call [redacted: phone number], or [redacted: phone number]."
    )


@pytest.mark.parametrize("address", ["ada@example.org", "Ada.Lovelace+x@mail.example.co.uk", "jürgen@müller.de"])
def test_an_address_is_taken_out(address):
    assert filtered(RULES, f"Write to <{address}>.") == "Write to <[redacted: e-mail]>."


@pytest.mark.parametrize("text", SURVIVORS)
def test_what_only_looks_alike_survives(text):
    assert filtered(RULES, text) == text


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("４１１１ １１１１ １１１１ １１１１", "card number"),  # full width
        ("٤١١١ ١١١١ ١١١١ ١١١١", "card number"),  # Arabic digits
        ("4111\u00a01111\u20111111\u20131111", "card number"),  # other spaces and hyphens
        ("\u0455k-" + "proj-" + TAIL, "secret"),  # a Cyrillic letter
        ("s\u200bk-" + "proj-" + "\u2060".join(TAIL), "secret"),  # characters that nobody sees
        ("g\u00adh" + "p_" + TAIL[:20] + "\ufeff" + TAIL[:16], "secret"),
        ("ada\u200d@\u200cexample.org", "e-mail"),
        ("аda@еxample.org", "e-mail"),
        ("DE89\u00a03704\u20090044\u202f0532\u00a00130\u00a000", "IBAN"),
    ],
)
def test_a_disguise_does_not_help(text, label):
    assert filtered(RULES, f"x {text} y") == f"x [redacted: {label}] y"


def test_invisible_characters_elsewhere_stay_as_they_are():
    text = "a\u200bb 👩\u200d💻 e\u0301 \u200b\u200b\u200b!"
    assert filtered(RULES, *text) == text
