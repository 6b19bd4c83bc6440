"""Third-party scripts are the published ones, byte for byte."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

VENDOR = Path(__file__).resolve().parent.parent / "static" / "vendor"
README = (VENDOR / "README.md").read_text(encoding="utf-8")
SCRIPTS = sorted(path.name for path in VENDOR.glob("*.js"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_vendor_script_has_the_pinned_hashes(name: str) -> None:
    content = (VENDOR / name).read_bytes()
    sha384 = base64.b64encode(hashlib.sha384(content).digest()).decode("ascii")
    assert re.findall(rf"\| `{name}` \|.*`([0-9a-f]{{64}})` \|", README) == [hashlib.sha256(content).hexdigest()]
    assert re.findall(rf"- `{name}`: `sha384-(\S+)`", README) == [sha384]


def test_vendor_readme_lists_the_scripts_that_are_there() -> None:
    assert (
        sorted(re.findall(r"^\| `(\S+\.js)` \|", README, re.MULTILINE))
        == SCRIPTS
        == [
            "htmx.min.js",
            "hx-csp.min.js",
            "hx-sse.min.js",
        ]
    )
