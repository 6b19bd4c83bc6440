"""The tests that `docs/faults.md` names are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = {
    path.relative_to(ROOT / "tests").with_suffix("").as_posix(): re.findall(r"def test_(\w+)", path.read_text())
    for path in (ROOT / "tests").rglob("test_*.py")
}
NAME = re.compile(r"(?:(?P<file>[a-z/]*test_\w+)(?:: |$))?(?P<test>…?[a-z0-9_]+…?)?", re.ASCII)


def is_there(file: str | None, test: str | None) -> bool:
    """Whether a file, which may be named without its folder, has a test; `…` in its name stands for anything."""
    files = [path for path in TESTS if file is None or path == file or path.endswith(f"/{file}")]
    pattern = re.compile((test or "…").replace("…", r"\w*"))
    return any(pattern.fullmatch(name) for path in files for name in TESTS[path])


def named() -> list[re.Match[str]]:
    """What stands between backquotes in the tables, and is the name of a file of tests, of a test, or of both."""
    rows = [line for line in (ROOT / "docs/faults.md").read_text().splitlines() if line.startswith("| ")]
    found = (NAME.fullmatch(span) for row in rows for span in re.findall(r"`([^`]+)`", row.split("|")[3]))
    return [match for match in found if match and (match["file"] or match["test"].count("_") > 1)]


def test_every_test_that_the_faults_name_exists():
    assert len(named()) > 100
    assert [match[0] for match in named() if not is_there(match["file"], match["test"])] == []


def test_a_test_that_is_not_there_is_missed():
    assert not is_there("test_docs", "nothing_of_this_name")
    assert not is_there("test_of_no_such_file", None)
    assert is_there("test_docs", "a_test_that…")


def test_the_map_of_the_code_is_complete():
    app = ROOT / "conversations"
    rooms = {f"{path.parent.name}/" for path in app.glob("*/__init__.py")} | {path.name for path in app.glob("*.py")}
    described = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs/code.md").read_text(), re.MULTILINE)
    assert sorted(described) == sorted(rooms - {"__init__.py"})
