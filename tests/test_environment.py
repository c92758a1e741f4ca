"""The three lists of what the project stands on say the same thing."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def bounds(lines: list[str]) -> dict[str, str]:
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): str(r.specifier) for r in requirements}


def conda_lines() -> tuple[list[str], list[str]]:
    plain = [item for item in ENVIRONMENT["dependencies"] if isinstance(item, str)]
    pip = next(item["pip"] for item in ENVIRONMENT["dependencies"] if isinstance(item, dict))
    return plain, pip


def locked() -> dict[str, list[tuple[str, str]]]:
    pins: dict[str, list[tuple[str, str]]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", LOCK, re.MULTILINE):
        pins.setdefault(canonicalize_name(name), []).append((version, name))
    return pins


def test_conda_users_get_the_dependencies_of_the_project_with_the_same_bounds() -> None:
    plain, pip = conda_lines()
    offered = bounds([line for line in plain + pip if not line.startswith("-e")])
    assert offered.pop("python") == str(Requirement("python" + PROJECT["requires-python"]).specifier)
    offered.pop("pip")
    test_extra = bounds(PROJECT["optional-dependencies"]["test"])
    wanted = bounds(PROJECT["dependencies"])
    assert offered == wanted | {"pytest": test_extra["pytest"]}
    assert "-e .[test]" in pip


def test_every_dependency_is_bounded_on_both_sides() -> None:
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + [line for name, part in extras.items() for line in part]
    unbounded = [line for line in lines if "<" not in line or ">=" not in line]
    assert unbounded == []


def test_the_lock_pins_every_dependency_within_its_bounds() -> None:
    pins = locked()
    for line in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        requirement = Requirement(line)
        versions = pins[canonicalize_name(requirement.name)]
        assert any(requirement.specifier.contains(version) for version, _ in versions), line


def test_every_pin_of_the_lock_has_a_hash_and_no_address() -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCK.strip())
    assert len(entries) > 100
    assert [entry.split("\\")[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in LOCK
    assert "index-url" not in LOCK


def test_continuous_integration_runs_what_the_readme_names() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    commands = [line for line in script.splitlines() if line.startswith(("make", "./"))]
    assert commands[-1] == "make test"
    for command in commands:
        assert command.removeprefix("./") in readme, command
