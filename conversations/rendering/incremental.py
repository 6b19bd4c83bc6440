from __future__ import annotations

from dataclasses import dataclass

from conversations.rendering.markdown import render


@dataclass(frozen=True, slots=True)
class Fragment:
    target: str
    html: str


class IncrementalRenderer:
    def __init__(self, *, id_prefix=""):
        self.settled = []
        self._rest = ""
        self.characters = 0

    def feed(self, text):
        self.characters += len(text)
        self._rest += text
        while "\n\n" in self._rest:
            block, self._rest = self._rest.split("\n\n", 1)
            if block.strip():
                self.settled.append(Fragment("", render(block)))

    def finish(self):
        if self._rest.strip():
            self.settled.append(Fragment("", render(self._rest)))
        self._rest = ""

    @property
    def tail(self):
        return Fragment("", render(self._rest))

    def snapshot(self):
        return "".join(f.html for f in self.settled)
