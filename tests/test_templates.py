"""What holds in every template: no inline code, a nonce for htmx, and forms that work without it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
TAG = re.compile(r"<([a-z][\w-]*)((?:\{[%{].*?[%}]\}|[^>])*)>", re.DOTALL)
ids = [str(path.relative_to(ROOT)) for path in TEMPLATES]


def _tags(path: Path) -> list[tuple[str, str]]:
    return TAG.findall(re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8")))


def _attribute(attributes: str, name: str) -> str | None:
    found = re.search(rf'[\s}}]{name}="((?:\{{[%{{].*?[%}}]\}}|[^"])*)"', attributes)
    return found[1] if found else None


@pytest.mark.parametrize("path", TEMPLATES, ids=ids)
def test_template_holds_no_inline_code(path: Path) -> None:
    for name, attributes in _tags(path):
        assert not re.search(r"\s(style|on\w+|hx-on\S*)=", attributes), (name, attributes)
        if name == "script":
            assert _attribute(attributes, "src") and _attribute(attributes, "nonce") == "{{ csp_nonce }}"
        assert name != "style"


@pytest.mark.parametrize("path", TEMPLATES, ids=ids)
def test_template_stamps_each_htmx_element_with_the_nonce(path: Path) -> None:
    for name, attributes in _tags(path):
        if name != "hx-partial" and re.search(r"\shx-(?!ignore)", attributes):
            assert _attribute(attributes, "hx-nonce") == "{{ csp_nonce }}", (name, attributes)


@pytest.mark.parametrize("path", TEMPLATES, ids=ids)
def test_template_uses_htmx_only_on_forms_and_links_that_work_without_it(path: Path) -> None:
    for name, attributes in _tags(path):
        if _attribute(attributes, "hx-post") is not None:
            assert (name, _attribute(attributes, "method")) == ("form", "post")
            assert _attribute(attributes, "action") == _attribute(attributes, "hx-post")
        if _attribute(attributes, "hx-get") is not None:
            assert name == "a" or (name, _attribute(attributes, "method")) == ("form", "get")
            assert _attribute(attributes, "href" if name == "a" else "action")


@pytest.mark.parametrize("path", TEMPLATES, ids=ids)
def test_template_names_each_button_that_is_only_an_icon(path: Path) -> None:
    for name, attributes in _tags(path):
        if name in {"a", "button"} and re.search(r'class="(icon-button|round)\b', attributes):
            assert _attribute(attributes, "aria-label"), (name, attributes)
            assert _attribute(attributes, "title"), (name, attributes)


def test_icons_in_use_are_the_icons_that_exist() -> None:
    sources = [path.read_text(encoding="utf-8") for path in [*TEMPLATES, ROOT / "static" / "js" / "stillwater.js"]]
    used = {icon for source in sources for icon in re.findall(r"#i-([a-z]+)", source)}
    used |= {"alert", "info"}  # chosen by a condition in _footer.html
    defined = re.findall(r'<symbol id="i-([a-z]+)"', (ROOT / "templates" / "_icons.html").read_text(encoding="utf-8"))
    assert sorted(used) == sorted(defined)
