"""The audit of dependencies: that our own list finds what is installed, and that nothing on it is."""

from __future__ import annotations

import importlib.util
from importlib import metadata

from tests.process import ROOT

_spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
audit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(audit)


def test_nothing_with_a_known_weakness_is_installed():
    assert audit.listed(audit.KNOWN_BAD.read_text(encoding="utf-8").splitlines()) == []


def test_a_version_on_the_list_is_found():
    version = metadata.version("django")
    lines = [
        "# a comment",
        "",
        f"django <={version} CVE-0000-0000",
        f"django <{version} CVE-1",
        "no-such-package <9 CVE-2",
    ]
    assert audit.listed(lines) == [f"django {version} is <={version}: CVE-0000-0000"]
