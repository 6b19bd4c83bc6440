"""A browser's view of one message, without a browser: a tree that the partials of a stream change as htmx would."""

from __future__ import annotations

from xml.etree import ElementTree

import html5lib

BLOCKS = {
    "p",
    "li",
    "div",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "tr",
    "blockquote",
    "figure",
    "hr",
    "td",
    "th",
    "br",
}


def parse(html: str) -> ElementTree.Element:
    """The children of a `div` as an HTML5 parser makes them."""
    root = ElementTree.Element("div")
    fragment = html5lib.parseFragment(html, container="div", treebuilder="etree", namespaceHTMLElements=False)
    root.text, root.tail = fragment.text, None
    root.extend(fragment)
    return root


def shown_text(element: ElementTree.Element) -> str:
    """What a reader sees, white space folded."""
    pieces: list[str] = []

    def walk(node: ElementTree.Element) -> None:
        if node.tag in BLOCKS:
            pieces.append(" ")
        pieces.append(node.text or "")
        for child in node:
            walk(child)
            pieces.append(child.tail or "")
        if node.tag in BLOCKS:
            pieces.append(" ")

    walk(element)
    return " ".join("".join(pieces).split())


class Viewer:
    """Starts from a page, then takes the data of messages."""

    def __init__(self, page: str = "") -> None:
        self.root = parse(page)
        self.last_event_id = ""
        self.closed = False
        self.messages = 0

    def find(self, element_id: str) -> ElementTree.Element | None:
        return next((node for node in self.root.iter() if node.get("id") == element_id), None)

    def parent_of(self, element: ElementTree.Element) -> ElementTree.Element | None:
        return next((node for node in self.root.iter() if element in list(node)), None)

    def take(self, message: str) -> None:
        """Take one message of an event stream, as it stands between two blank lines."""
        data, event = [], ""
        for line in message.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name == "event":
                event = value
            elif name == "id":
                self.last_event_id = value
        if event:
            self.closed = self.closed or event == "done"
        elif data:
            self.messages += 1
            for partial in parse("\n".join(data)):
                if partial.tag == "hx-partial":
                    self.swap(partial.get("hx-target").removeprefix("#"), partial.get("hx-swap"), partial)

    def swap(self, target_id: str, style: str, content: ElementTree.Element) -> None:
        target = self.find(target_id)
        if target is None:
            return
        if style == "innerHTML":
            target[:] = list(content)
            target.text = content.text
        elif style == "beforeend":
            _append(target, content)
        elif style in {"outerHTML", "delete"}:
            _replace(self.parent_of(target), target, list(content) if style == "outerHTML" else [])
        else:
            raise AssertionError(f"no such swap: {style}")

    def text(self, *suffixes: str) -> str:
        """What is shown in the elements whose ids end so."""
        return " ".join(
            " ".join(shown_text(node) for node in self.root.iter() if (node.get("id") or "").endswith(suffix))
            for suffix in suffixes
        ).strip()

    def answer(self) -> str:
        """The answer as shown: settled and open."""
        return self.text("-body", "-tail")


def _append(target: ElementTree.Element, content: ElementTree.Element) -> None:
    if content.text:
        if len(target):
            target[-1].tail = (target[-1].tail or "") + content.text
        else:
            target.text = (target.text or "") + content.text
    target.extend(list(content))


def _replace(parent: ElementTree.Element, old: ElementTree.Element, new: list[ElementTree.Element]) -> None:
    place = list(parent).index(old)
    parent.remove(old)
    for offset, element in enumerate(new):
        parent.insert(place + offset, element)
