"""What safe HTML is, as an HTML5 parser sees it."""

from __future__ import annotations

import re

from tests.viewer import parse


def assert_safe(html: str) -> None:
    """No live element or attribute that a model could have chosen, as an HTML5 parser sees it."""
    for node in parse(html).iter():
        assert node.tag not in {"script", "style", "iframe", "img", "form", "svg", "object", "base", "meta", "template"}
        for name, value in node.attrib.items():
            assert not name.startswith(("on", "hx-", "data-")), (name, html)
            assert name not in {"style", "srcdoc", "action", "formaction", "name"}, (name, html)
            if name == "id":
                assert re.fullmatch(r"(p-)?(h\d+|fn(ref)?-[\w-]+|tail)", value), (value, html)
            if name == "href":
                assert re.match(r"https?://|mailto:|#p-fn", value, re.IGNORECASE), (value, html)
    assert "<hx-" not in html.lower()
    assert "<template" not in html.lower()
