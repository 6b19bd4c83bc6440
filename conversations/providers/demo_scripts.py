"""What the demo model says: markdown put together from the words of the question and a random generator.

`compose` picks by what was asked: a greeting, code, a table, mathematics, steps, a list, or prose. The same question
and generator give the same text. The contents are plausible small talk about the topic, not knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

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
_PAIR = re.compile(r"([\w+#.]+) (?:and|vs\.?|versus|or|with|to|from) ([\w+#]+)", re.I)
_TITLE_WORDS = 5
_SHORT_GREETING = 60
_HEADED = 0.4  # share of paragraphs under a heading of their own


def topic(question: str) -> str:
    """The words of the question that carry it, at most three; "your question" if there are none."""
    words = [word for word in _WORD.findall(question) if word.lower() not in texts.STOP_WORDS]
    return " ".join(words[:3]) or "your question"


def title(question: str) -> str:
    """A title of a few words, made of those of the first paragraph."""
    first = question.partition("\n\n")[0]
    words = [word for word in _WORD.findall(first) if word.lower() not in texts.STOP_WORDS][:_TITLE_WORDS]
    return " ".join(_upper(word) for word in words)[:60] or "A friendly hello"


def kind(question: str) -> str:
    if _GREETING.search(question) and len(question) < _SHORT_GREETING:
        return "greeting"
    return next((name for name, pattern in _KINDS if pattern.search(question)), "prose")


class Subject(NamedTuple):
    """What an answer is about: the question as asked, and its topic for use in sentences."""

    question: str
    topic: str


def compose(question: str, random: Random) -> Iterator[str]:
    """The parts of an answer without end, each ending in an empty line; a usual answer is `usual_parts` of them."""
    subject = Subject(question, topic(question))
    asked = kind(question)
    opening = random.choice(texts.GREETINGS if asked == "greeting" else texts.OPENINGS)
    yield opening.format(topic=subject.topic)
    if asked in _PARTS:
        yield _PARTS[asked](subject, random)
    while True:
        makers = list(_PARTS.values()) + [_prose] * 3
        random.shuffle(makers)
        for maker in makers:
            yield maker(subject, random)


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


def _prose(subject: Subject, random: Random) -> str:
    sentences = random.sample(texts.SENTENCES, random.randint(3, 5))
    paragraph = " ".join(sentence.format(topic=subject.topic) for sentence in sentences) + "\n\n"
    return _heading(random) + paragraph if random.random() < _HEADED else paragraph


def _code(subject: Subject, random: Random) -> str:
    """An example in the language that the question names, if it is one of ours."""
    words = {word.lower() for word in _WORD.findall(subject.question)}
    known = [example for example in texts.CODE if example[0].lower() in words]
    language, code, remark = random.choice(known or texts.CODE)
    name = re.sub(r"\W+", "_", subject.topic.lower()).strip("_") or "answer"
    return f"### An example in {language}\n\n{code.replace('TOPIC', name)}\n{remark}\n\n"


def _table(subject: Subject, random: Random) -> str:
    """A comparison of the two things that the question names, if it names two."""
    pair = _PAIR.search(subject.question)
    one, two = (pair[1], pair[2]) if pair else ("First option", "Second option")
    rows = random.sample(texts.TABLE_ROWS, random.randint(3, 5))
    lines = [f"| Aspect | {_upper(one)} | {_upper(two)} | Weight |", "|:--|:--|:--|--:|"]
    lines += [f"| {aspect} | {left} | {right} | {random.randint(1, 9)} |" for aspect, left, right in rows]
    return f"### {_upper(subject.topic)} at a glance\n\n" + "\n".join(lines) + "\n\n"


def _math(subject: Subject, random: Random) -> str:
    return random.choice(texts.MATH).replace("TOPIC", subject.topic) + "\n\n"


def _steps(subject: Subject, random: Random) -> str:
    lines = []
    for number, (step, details) in enumerate(random.sample(texts.STEPS, random.randint(3, 5)), 1):
        lines.append(f"{number}. **{step}**")
        lines += [f"   - {detail.format(topic=subject.topic)}" for detail in details]
    return _heading(random) + "\n".join(lines) + "\n\n"


def _list(subject: Subject, random: Random) -> str:
    items = [f"- {item.format(topic=subject.topic)}" for item in random.sample(texts.ITEMS, random.randint(3, 6))]
    return _heading(random) + "\n".join(items) + "\n\n"


def _quote(subject: Subject, random: Random) -> str:
    return random.choice(texts.QUOTES).format(topic=subject.topic) + "\n\n"


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]


_PARTS: dict[str, Callable[[Subject, Random], str]] = {
    "code": _code,
    "table": _table,
    "math": _math,
    "steps": _steps,
    "list": _list,
    "quote": _quote,
}
