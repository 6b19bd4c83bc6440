"""Says whether a package with a known weakness is installed here: by our own list, and by pip-audit where it can ask.

Exits with 1 on a finding. Without a network only our own list counts, which is said; no step of it takes longer than
`SECONDS`. What merely installs (`TOOLS`) comes with Python and is imported by nothing of the site.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

KNOWN_BAD = Path(__file__).with_name("known-bad.txt")
SECONDS = 120
TOOLS = {"pip", "setuptools"}


def listed(lines: list[str]) -> list[str]:
    """Return a sentence for each line whose versions are installed."""
    found = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        package, versions, *advisories = line.split()
        try:
            installed = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
        if SpecifierSet(versions).contains(installed, prereleases=True):
            found.append(f"{package} {installed} is {versions}: {' '.join(advisories)}")
    return found


def asked() -> list[str] | None:
    """Return what pip-audit finds; None when it cannot be had or cannot ask."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            venv.create(folder, with_pip=True)
            python = str(Path(folder) / "bin" / "python")
            install = [
                python,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--retries",
                "1",
                "--timeout",
                "10",
                "pip-audit>=2.9,<3",
            ]
            subprocess.run(install, check=True, capture_output=True, timeout=SECONDS)
            audit = [python, "-m", "pip_audit", "--path", sysconfig.get_path("purelib"), "--format", "json"]
            run = subprocess.run([*audit, "--timeout", "10"], check=False, capture_output=True, timeout=SECONDS)
            report = json.loads(run.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            return None
    return [
        f"{package['name']} {package['version']}: {weakness['id']}"
        for package in report["dependencies"]
        if package["name"] not in TOOLS
        for weakness in package.get("vulns", [])
    ]


def main() -> int:
    found = listed(KNOWN_BAD.read_text(encoding="utf-8").splitlines())
    more = asked()
    if more is None:
        print("pip-audit could not ask its service; only .ci/known-bad.txt counts.")
    for sentence in [*found, *(more or [])]:
        print(sentence)
    return 1 if found or more else 0


if __name__ == "__main__":
    sys.exit(main())
