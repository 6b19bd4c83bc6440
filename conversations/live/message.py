"""The HTML of one assistant message while its parts arrive.

A message holds reasoning, which is shown apart and collapsed, and text. Both grow through renderers of their own, whose
settled fragments are put into one list of operations: an operation once in the list never changes, so that "the first n
operations" names a state that every process agrees on, whatever pieces the parts came in.
"""

from __future__ import annotations

from dataclasses import dataclass

from conversations.rendering.incremental import Fragment, IncrementalRenderer


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of the page that is final: put `html` into the element with id `target` by the htmx swap `swap`."""

    target: str
    html: str
    swap: str = "beforeend"


def thought_label(milliseconds: int) -> str:
    """Say how long the model thought."""
    seconds = max(1, round(milliseconds / 1000))
    return f"Thought for {seconds} s" if seconds < 60 else f"Thought for {seconds // 60} min {seconds % 60} s"  # noqa: PLR2004


class MessageRenderer:
    """Feed it parts in order; read `operations` and `tails`, or the HTML of a first page.

    `dom_id` is the id of the message's element; the ids of its inner elements begin with it.
    """

    def __init__(self, dom_id: str) -> None:
        self.dom_id = dom_id
        self.prefix = f"{dom_id}-"
        self.operations: list[Operation] = []
        self.characters = 0
        self.text: list[str] = []
        self._text = IncrementalRenderer(id_prefix=self.prefix)
        self._text_settled = 0
        self._reasoning: IncrementalRenderer | None = None
        self._reasoning_settled = 0
        self._reasoning_parts = 0
        self._reasoning_ms = 0
        self._last_ms = 0
        self._reasoning_before: list[str] = []

    def feed(self, kind: str, text: str, at_ms: int) -> None:
        """Take the next piece of a part; `at_ms` is its age since the generation began."""
        self.characters += len(text)
        if kind == "reasoning":
            self._feed_reasoning(text)
            self._reasoning_ms += max(0, at_ms - self._last_ms)
        else:
            self._end_reasoning()
            self.text.append(text)
            self._text.feed(text)
            self._collect_text()
        self._last_ms = at_ms

    def begin_generation(self) -> None:
        """Say that what follows belongs to another generation of the same message, whose clock starts at zero."""
        self._end_reasoning()
        self._last_ms = 0

    def finish(self) -> None:
        """Settle everything: the message has ended."""
        self._end_reasoning()
        self._text.finish()
        self._collect_text()

    def tails(self) -> dict[str, str]:
        """Return the open rest of the text, and of the reasoning while there is one, by the element that shows it."""
        tails = {f"{self.prefix}tail": self._text.tail.html}
        if self._reasoning is not None:
            tails[f"{self.prefix}rtail"] = self._reasoning.tail.html
        return tails

    def body_html(self) -> str:
        """Return the settled HTML of the text."""
        return self._text.snapshot()

    def reasoning_html(self) -> str:
        """Return the settled HTML of the reasoning."""
        current = self._reasoning.snapshot() if self._reasoning is not None else ""
        return "".join(self._reasoning_before) + current

    @property
    def has_reasoning(self) -> bool:
        """Whether the model has thought aloud."""
        return self._reasoning_parts > 0

    @property
    def reasoning_label(self) -> str:
        """What the summary of the reasoning says now."""
        return "Thinking…" if self._reasoning is not None else thought_label(self._reasoning_ms)

    def _feed_reasoning(self, text: str) -> None:
        if self._reasoning is None:
            self._reasoning_parts += 1
            self._reasoning = IncrementalRenderer(id_prefix=f"{self.prefix}r{self._reasoning_parts}-")
            self._reasoning_settled = 0
        self._reasoning.feed(text)
        self._collect_reasoning(self._reasoning)

    def _end_reasoning(self) -> None:
        if self._reasoning is None:
            return
        self._reasoning.finish()
        self._collect_reasoning(self._reasoning)
        self._reasoning_before.append(self._reasoning.snapshot())
        self._reasoning = None
        self.operations.append(Operation(f"{self.prefix}rtail", "", "innerHTML"))
        self.operations.append(Operation(f"{self.prefix}thought", thought_label(self._reasoning_ms), "innerHTML"))

    def _collect_text(self) -> None:
        fresh = self._text.settled[self._text_settled :]
        self._text_settled += len(fresh)
        self.operations += (self._operation(fragment, "body") for fragment in fresh)

    def _collect_reasoning(self, renderer: IncrementalRenderer) -> None:
        fresh = renderer.settled[self._reasoning_settled :]
        self._reasoning_settled += len(fresh)
        self.operations += (self._operation(fragment, "rbody") for fragment in fresh)

    def _operation(self, fragment: Fragment, body: str) -> Operation:
        return Operation(fragment.target or f"{self.prefix}{body}", fragment.html)
