"""What the demo model says: markdown put together from the words of the question and a random generator.

`compose` picks by what was asked: a greeting, code, a table, mathematics, steps, a list, or prose. The same question
and generator give the same text. The contents are plausible small talk about the topic, not knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random

from conversations.providers import demo_texts as texts

_WORD = re.compile(r"[^\W\d_][\w'\u2019-]+")
_GREETING = re.compile(r"^\W*(hi|hello|hey|good (morning|evening|day)|thanks|thank you|hallo|servus|moin)\b", re.I)
_KINDS = (
    (
        "code",
        re.compile(r"\b(code|function|script|program|python|javascript|sql|bash|rust|class|regex|bug|api)\b", re.I),
    ),
    ("table", re.compile(r"\b(table|compare|comparison|versus|vs|difference|differences|pros)\b", re.I)),
    ("math", re.compile(r"\b(math|equation|formula|integral|proof|prove|derivative|sum|probability|solve)\b", re.I)),
    ("steps", re.compile(r"\b(how (do|to|can)|steps|guide|plan|install|set up|recipe)\b", re.I)),
    ("list", re.compile(r"\b(list|ideas|examples|name|which|tips|suggest)\b", re.I)),
)
_TITLE_WORDS = 5
_SHORT_GREETING = 60
_HEADED = 0.4  # share of paragraphs under a heading of their own


def topic(question: str) -> str:
    """The words of the question that carry it, at most three; "your question" if there are none."""
    words = [word for word in _WORD.findall(question) if word.lower() not in texts.STOP_WORDS]
    return " ".join(words[:3]) or "your question"


def title(question: str) -> str:
    """A title of a few words, made of the question's own."""
    words = [word for word in _WORD.findall(question) if word.lower() not in texts.STOP_WORDS][:_TITLE_WORDS]
    return " ".join(word[:1].upper() + word[1:] for word in words)[:60] or "A new conversation"


def kind(question: str) -> str:
    if _GREETING.search(question) and len(question) < _SHORT_GREETING:
        return "greeting"
    return next((name for name, pattern in _KINDS if pattern.search(question)), "prose")


def compose(question: str, random: Random) -> Iterator[str]:
    """The parts of an answer without end, each ending in an empty line; a usual answer is `usual_parts` of them."""
    about = topic(question)
    asked = kind(question)
    if asked == "greeting":
        yield random.choice(texts.GREETINGS)
    else:
        yield random.choice(texts.OPENINGS).format(topic=about)
    first = _PARTS.get(asked)
    if first:
        yield first(about, random)
    while True:
        makers = list(_PARTS.values()) + [_prose] * 3
        random.shuffle(makers)
        for maker in makers:
            yield maker(about, random)


def usual_parts(question: str, random: Random) -> int:
    """How many parts of `compose` make a usual answer to this question."""
    return 1 if kind(question) == "greeting" else random.randint(4, 6)


def reasoning(question: str, random: Random) -> Iterator[str]:
    """Sentences of thinking, without end."""
    about = topic(question)
    while True:
        yield from (
            sentence.format(topic=about) + " " for sentence in random.sample(texts.THOUGHTS, len(texts.THOUGHTS))
        )


def _heading(random: Random) -> str:
    return f"## {random.choice(texts.HEADINGS)}\n\n"


def _prose(about: str, random: Random) -> str:
    sentences = [sentence.format(topic=about) for sentence in random.sample(texts.SENTENCES, random.randint(3, 5))]
    paragraph = " ".join(sentences) + "\n\n"
    return _heading(random) + paragraph if random.random() < _HEADED else paragraph


def _code(about: str, random: Random) -> str:
    language, code, remark = random.choice(texts.CODE)
    name = re.sub(r"\W+", "_", about.lower()).strip("_") or "answer"
    return f"### An example in {language}\n\n{code.replace('TOPIC', name)}\n{remark}\n\n"


def _table(about: str, random: Random) -> str:
    rows = random.sample(texts.TABLE_ROWS, random.randint(3, 5))
    lines = ["| Aspect | First option | Second option | Weight |", "|:--|:--|:--|--:|"]
    lines += [f"| {aspect} | {one} | {two} | {random.randint(1, 9)} |" for aspect, one, two in rows]
    return f"### {about[:1].upper()}{about[1:]} at a glance\n\n" + "\n".join(lines) + "\n\n"


def _math(about: str, random: Random) -> str:
    return random.choice(texts.MATH).replace("TOPIC", about) + "\n\n"


def _steps(about: str, random: Random) -> str:
    steps = random.sample(texts.STEPS, random.randint(3, 5))
    lines = []
    for number, (step, details) in enumerate(steps, 1):
        lines.append(f"{number}. **{step}**")
        lines += [f"   - {detail.format(topic=about)}" for detail in details]
    return _heading(random) + "\n".join(lines) + "\n\n"


def _list(about: str, random: Random) -> str:
    items = [f"- {item.format(topic=about)}" for item in random.sample(texts.ITEMS, random.randint(3, 6))]
    return _heading(random) + "\n".join(items) + "\n\n"


def _quote(about: str, random: Random) -> str:
    return random.choice(texts.QUOTES).format(topic=about) + "\n\n"


_PARTS: dict[str, Callable[[str, Random], str]] = {
    "code": _code,
    "table": _table,
    "math": _math,
    "steps": _steps,
    "list": _list,
    "quote": _quote,
}
