"""The demo model's stock of phrases: data only; `{topic}` is filled in by demo_scripts."""

# ruff: noqa: E501, RUF001, SIM905 - phrases stand in one line and use typographic characters

from __future__ import annotations

STOP_WORDS = frozenset(
    "a about all an and any are as at be but by can could did do does for from get give had has have he hello help her "
    "here hey hi him his how i if in into is it its just let like make me more most much my no not now of on or our "
    "out over please say see she should show so some something tell than that the their them then there these they "
    "thing think this those to too up us very want was we were what when where which who why will with would write "
    "you your explain describe reason compare list between".split()
)

GREETINGS = (
    "Hello! I am the demo model of Stillwater. Ask me something, for example for *code*, a *table* or some *mathematics*.\n\n",
    "Hi there, good to see you. What would you like to talk about?\n\n",
    "Hello! I make things up, but I do it **politely** and at the pace of a real model. What shall it be?\n\n",
)

OPENINGS = (
    "Let us look at **{topic}** step by step. The short version: it is simpler than it seems, once the parts have names.\n\n",
    "**{topic}** is a good question, and there is more than one honest answer to it. Here is the one that I would give a friend.\n\n",
    "There are a few things worth knowing about *{topic}*. I will begin with what matters most and leave the details for the end.\n\n",
    "When people ask about **{topic}**, they usually mean one of two things. I will take the practical meaning first.\n\n",
)

SENTENCES = (
    "The first thing to notice about {topic} is that its parts can be looked at one at a time.",
    "Most of the trouble comes from doing two things at once, and then not knowing which of them failed.",
    "A small experiment, written down, is worth more than a long discussion – and it is cheaper, too.",
    "If you change only one thing, change the one that you can *measure*.",
    "There is a [well-known essay](https://www.example.org/essays/simple) that makes the same point with better jokes.",
    "With {topic}, as with bread, time does most of the work; you only have to stay out of its way.",
    "In practice the difference is a few per cent, which may be everything or nothing to you.",
    "It helps to say aloud what the result should be *before* looking at it.",
    "Some will call this naïve; in a café in Zürich they called it “pragmatic”. 🙂",
    "The name in the configuration is `{topic}`, and it is read once, when the program starts.",
    "None of this is new: the same advice stands in manuals that are fifty years old.",
    "What remains is a matter of taste, and taste can be learnt.",
)

HEADINGS = (
    "Where to begin",
    "What matters most",
    "The details",
    "A closer look",
    "What can go wrong",
    "In short",
    "Why it works",
    "Beyond the basics",
)

ITEMS = (
    "**Keep it small.** A first version of {topic} fits on one page.",
    "**Name things** after what they are, not after what they are made of.",
    "Look at it from the *outside*: who uses {topic}, and when?",
    "Write down the numbers: today, in a week, in a month.",
    "Use `git bisect` when you do not know since when it fails.",
    "Ask somebody who has not seen {topic} before.\n  - They notice what you have got used to.\n  - They ask the question that you forgot.",
    "Throw away ~~half~~ a third of it, and see who complains.",
    "Read the [manual](https://docs.example.org/guide?page=2), at least its first chapter.",
)

STEPS = (
    ("Write down the goal", ["One sentence, without *and*.", "What would show that {topic} is done?"]),
    ("Collect what you have", ["Notes, numbers, old attempts.", "Ask who did {topic} last time."]),
    ("Make the smallest version", ["Leave out everything that can wait.", "Use it yourself for a day."]),
    ("Measure", ["Before and after, with the same ruler.", "Keep the raw numbers in `measurements.csv`."]),
    ("Show it to somebody", ["Watch, and say nothing."]),
    ("Tidy up", ["Delete what was only a try.", "Write three lines on what you learnt."]),
)

TABLE_ROWS = (
    ("Cost", "low at first", "low later"),
    ("Speed", "fast for small inputs", "steady"),
    ("Learning", "an afternoon", "about a week"),
    ("Room to grow", "`limited`", "**ample**"),
    ("Failure", "loud and early", "rare, but quiet"),
    ("Company", "large community", "a few experts"),
    ("Upkeep", "~2 h a month", "~30 min a month"),
)

QUOTES = (
    "> Simplicity is a great virtue, but it requires hard work to achieve it.\n>\n> — often said about {topic}, and about everything else",
    "> **Note:** what holds for {topic} in the small need not hold in the large.\n>\n> > Quoted twice, it holds even less.",
)

MATH = (
    "Put as a formula, with $n$ for the size of TOPIC:\n\n$$\nT(n) = \\sum_{k=1}^{n} \\frac{1}{k} \\approx \\ln n + \\gamma\n$$\n\nFor $n = 1000$ that is about $7.49$, so the cost grows very slowly.",
    "The solutions of $ax^2 + bx + c = 0$ are\n\n$$\nx_{1,2} = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}\n$$\n\nand they are real exactly when $b^2 \\ge 4ac$.",
    "By Bayes’ rule, what we know about TOPIC after an observation $E$ is\n\n$$\nP(H \\mid E) = \\frac{P(E \\mid H)\\, P(H)}{P(E)}\n$$\n\nWith $P(H) = 0.01$ and $P(E \\mid H) = 0.9$ the result is still smaller than one would guess.",
    "The area under the bell curve is finite, which is not obvious at all:\n\n$$\n\\int_{-\\infty}^{\\infty} e^{-x^2}\\, dx = \\sqrt{\\pi}\n$$\n",
)

CODE = (
    (
        "Python",
        '```python\nfrom collections import Counter\n\n\ndef TOPIC(words: list[str], most: int = 3) -> list[tuple[str, int]]:\n    """The most frequent words, the most frequent first."""\n    return Counter(word.lower() for word in words).most_common(most)\n\n\nprint(TOPIC("to be or not to be".split()))  # [(\'to\', 2), (\'be\', 2), (\'or\', 1)]\n```\n',
        "`Counter` does the counting; `most_common` sorts only as far as needed.",
    ),
    (
        "JavaScript",
        '```js\nexport async function TOPIC(url, { signal } = {}) {\n  const response = await fetch(url, { signal });\n  if (!response.ok) throw new Error(`HTTP ${response.status}`);\n  for await (const piece of response.body) {\n    console.log(piece.length, "bytes < expected && still going");\n  }\n}\n```\n',
        "Pass an `AbortController`’s signal, and the request ends when you say so.",
    ),
    (
        "SQL",
        "```sql\nSELECT author, count(*) AS books\nFROM TOPIC\nWHERE published_on >= DATE '2020-01-01'\nGROUP BY author\nHAVING count(*) > 2\nORDER BY books DESC;\n```\n",
        "An index on `published_on` keeps it fast when the table grows.",
    ),
    (
        "Bash",
        '```bash\nset -euo pipefail\nfor file in TOPIC/*.log; do\n  printf \'%s\\t%s\\n\' "$(wc -l < "$file")" "$file"\ndone | sort -rn | head -5\n```\n',
        "The quotes matter: file names may contain spaces.",
    ),
    (
        "Rust",
        "```rust\nfn TOPIC(values: &[f64]) -> Option<f64> {\n    if values.is_empty() {\n        return None;\n    }\n    Some(values.iter().sum::<f64>() / values.len() as f64)\n}\n```\n",
        "An empty slice gives `None` instead of a division by zero.",
    ),
    (
        "HTML",
        '```html\n<figure class="TOPIC">\n  <img src="/still-water.jpg" alt="A lake in the morning">\n  <figcaption>Still water &amp; deep thoughts</figcaption>\n</figure>\n```\n',
        "Shown as text, of course: what a model writes is never run.",
    ),
)

THOUGHTS = (
    "The question is about {topic}.",
    "Let me think about what is really being asked here.",
    "There are at least two readings, and the practical one is more likely.",
    "I should check the simple case first.",
    "If that holds, the general case follows with a little care.",
    "An example would make this clearer than a definition.",
    "I must not forget to say what can go wrong.",
    "So the answer begins with the most important point and ends with the details.",
)
