"""A browser's view of one message, without a browser: a tree that the partials of a stream change as htmx would."""

from __future__ import annotations

import re
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


PARTIAL = re.compile(r'<hx-partial hx-target="([^"]*)"(?: hx-swap="([^"]*)")?>(.*?)</hx-partial>', re.DOTALL)


def parse(html: str) -> ElementTree.Element:
    """The children of a `div` as an HTML5 parser makes them; rows of tables too, as in the `template` htmx uses."""
    root = ElementTree.Element("div")
    container = "tbody" if html.startswith("<tr") else "table" if html.startswith("<tbody") else "div"
    fragment = html5lib.parseFragment(html, container=container, treebuilder="etree", namespaceHTMLElements=False)
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


def html_of(element: ElementTree.Element) -> str:
    """The element as text, for comparing."""
    return ElementTree.tostring(element, encoding="unicode")


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
            for selector, swap, html in PARTIAL.findall("\n".join(data)):
                self.swap(selector, swap or "beforeend", parse(html))

    def select(self, selector: str) -> ElementTree.Element:
        """The element that a selector such as `#id>:last-child>:nth-child(2)` finds."""
        first, *steps = selector.removeprefix("#").split(">")
        element = self.find(first)
        assert element is not None, f"nothing has the id {first}"
        for step in steps:
            element = element[-1 if step == ":last-child" else int(step.removeprefix(":nth-child(")[:-1]) - 1]
        return element

    def swap(self, selector: str, style: str, content: ElementTree.Element) -> None:
        target = self.select(selector)
        if style == "innerHTML":
            target[:] = list(content)
            target.text = content.text
        elif style == "beforeend":
            _append(target, content)
        elif style in {"outerHTML", "delete"}:
            _replace(self.parent_of(target), target, list(content) if style == "outerHTML" else [])
        elif style == "afterend":
            _replace(self.parent_of(target), target, [target, *content])
        elif style == "afterbegin":
            target[:0] = list(content)
        else:
            raise AssertionError(f"no such swap: {style}")

    def text(self, *suffixes: str) -> str:
        """What is shown in the elements whose ids end so."""
        return " ".join(
            " ".join(shown_text(node) for node in self.root.iter() if (node.get("id") or "").endswith(suffix))
            for suffix in suffixes
        ).strip()

    def answer(self) -> str:
        """The answer as shown."""
        return self.text("-body")


def _append(target: ElementTree.Element, content: ElementTree.Element) -> None:
    if content.text:
        if len(target):
            target[-1].tail = (target[-1].tail or "") + content.text
        else:
            target.text = (target.text or "") + content.text
    target.extend(list(content))


def _replace(parent: ElementTree.Element, old: ElementTree.Element, new: list[ElementTree.Element]) -> None:
    place = list(parent).index(old)
    text, old.tail = old.tail, None  # an element of this tree carries the text behind it
    parent.remove(old)
    for offset, element in enumerate(new):
        parent.insert(place + offset, element)
    last = parent[place + len(new) - 1] if place + len(new) else None
    if text and last is not None:
        last.tail = (last.tail or "") + text
    elif text:
        parent.text = (parent.text or "") + text
