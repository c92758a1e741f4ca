"""The rooms of the library and which may look into which."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ess_analysis"

# From the ground up: a room imports only from rooms above it in this list.
ORDER = [
    "errors",
    "writing",
    "french",
    "schema",
    "workbooks",
    "terminal",
    "delimited",
    "sheet_facts",
    "grids",
    "sources",
    "territories",
    "identifiers",
    "ahead",
    "totals",
    "load",
    "open_data",
    "exports",
    "template",
    "checks",
    "breakdowns",
    "traces",
    "processed",
    "diff",
    "display",
    "sentences",
    "tables",
    "figures",
    "plots",
    "about",
    "answers",
    "scenarios",
    "reports",
    "cli",
]
MAY_IMPORT_ALL = {"reports", "cli", "__init__"}
ORDERED_INSIDE = ["load", "checks"]  # packages whose docstring lists their modules, from the ground up
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = sorted(PACKAGE.rglob("*.py"))


def rooms_imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = (
                [f"{module}.{alias.name}" for alias in node.names] if module == "ess_analysis" else [module]
            )
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("ess_analysis.")}
    return found


def test_every_room_has_its_place_in_the_order() -> None:
    rooms = {room_of(path) for path in MODULES} - {"__init__"}
    assert rooms == set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_above_it(path: Path) -> None:
    room = room_of(path)
    if room in MAY_IMPORT_ALL:
        return
    below = {name for name in rooms_imported(path) if name != room and ORDER.index(name) >= ORDER.index(room)}
    assert below == set()


@pytest.mark.parametrize("package", ORDERED_INSIDE)
def test_inside_a_package_a_module_imports_only_from_those_listed_above_it(package: str) -> None:
    folder, home = PACKAGE / package, f"ess_analysis.{package}"
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    listed = re.findall(r"^    ([a-z_]+) {2}", said, re.MULTILINE)
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(listed)
    for at, module in enumerate(listed):
        tree = ast.parse((folder / f"{module}.py").read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        own = {alias.name for node in imports if node.module == home for alias in node.names}
        modules = [node.module or "" for node in imports]
        own |= {name.split(".")[2] for name in modules if name.startswith(f"{home}.")}
        assert own <= set(listed[:at]), module


def test_no_room_is_without_a_subject() -> None:
    assert {path.stem for path in MODULES} & FORBIDDEN_NAMES == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_public_function_and_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if tree.body:
        assert ast.get_docstring(tree), "the module has no docstring"
    silent = [
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_nothing_in_the_product_needs_what_stands_beside_it() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "ess_analysis", "notebooks", "data", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    tracked = [ROOT / line for line in listed.stdout.splitlines()]
    texts = [p for p in tracked if p.suffix in {".py", ".ipynb", ".toml", ".j2", ".js", ""} and p.is_file()]
    assert texts
    offenders = [p.name for p in texts if "../shared" in p.read_text(encoding="utf-8")]
    assert offenders == []
