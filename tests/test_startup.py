"""What is instant: held by what is imported, not by a clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_project import READ_A, READ_B, environment, ess, places, write_project

# Whatever takes more than a few hundredths of a second to import.
HEAVY = {
    "numpy", "pandas", "pyarrow", "matplotlib", "openpyxl", "papermill", "nbconvert", "nbclient", "nbformat",
    "jupyter_client", "IPython", "zmq", "tornado", "asyncio", "jinja2", "lxml", "nh3", "duckdb", "scipy",
    "dask", "distributed", "watchfiles", "http", "tqdm", "jsonschema", "frictionless", "multiprocessing",
}  # fmt: skip


def imported(words: list[str], folder: Path, **more: str) -> tuple[set[str], str]:
    """The heavy modules that a command has imported, and what it printed."""
    code = (
        "import sys\nfrom ess_analysis import cli\n"
        f"try: cli.main({words!r})\n"
        "except SystemExit: pass\n"
        f"print('IMPORTED', *sorted({{n.partition('.')[0] for n in sys.modules}} & {HEAVY!r}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env={**environment(), **more}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told, _, names = ended.stdout.rpartition("IMPORTED")
    return set(names.split()), told


@pytest.mark.parametrize("words", [["--help"], [], ["report", "--help"], ["check", "--help"]])
def test_help_imports_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    heavy, told = imported(words, tmp_path)
    assert "usage : ess" in told
    assert heavy == set()


def test_a_batch_with_nothing_to_do_imports_nothing_heavy(tmp_path: Path) -> None:
    project = write_project(tmp_path / "projet", {"of_a": [READ_A], "of_b": [READ_B]})
    assert ess(project).returncode == 0
    heavy, told = imported(["report", *folders(project)], project)
    assert told.startswith("0 rapport rendu, 2 inchangés")
    assert heavy == set()
    heavy, told = imported(["report", *folders(project), "--dry-run"], project)
    assert told == "0 rapport à rendre, 2 à jour.\n"
    assert heavy == set()


def folders(project: Path) -> list[str]:
    return [word for name, path in places(project).items() for word in (f"--{name}", str(path))]


def test_check_on_unchanged_data_imports_nothing_heavy_and_says_the_same(tmp_path: Path) -> None:
    data = copied_data(tmp_path)
    words = ["check", "--data", str(data)]
    first, told = imported(words, tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "pandas" in first
    again, same = imported(words, tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert again == set()
    assert same == told
    assert "constat" in told


def test_check_reads_again_when_anything_changed_and_never_trusts_a_broken_cache(tmp_path: Path) -> None:
    data = copied_data(tmp_path)
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ["check", "--data", str(data), "--format", "json"]
    _, told = imported(words, tmp_path, **cache)
    [kept] = (tmp_path / "cache" / "ess_analysis").iterdir()
    for spoilt in ("", "{", "[]", '{"key": 1}'):
        kept.write_text(spoilt)
        heavy, again = imported(words, tmp_path, **cache)
        assert again == told
        assert "pandas" in heavy
    sheet = next(data.rglob("mel_communes.csv.toml"))
    sheet.write_text(sheet.read_text() + "\n# autre\n")
    heavy, _ = imported(words, tmp_path, **cache)
    assert "pandas" in heavy
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_check_works_where_nothing_can_be_kept(tmp_path: Path) -> None:
    data = copied_data(tmp_path)
    (tmp_path / "file").write_text("a file where the folder should be")
    heavy, told = imported(
        ["check", "--data", str(data)], tmp_path, XDG_CACHE_HOME=str(tmp_path / "file" / "cache")
    )
    assert "pandas" in heavy
    assert "constat" in told


def copied_data(tmp_path: Path) -> Path:
    import shutil

    from tests.small_project import ROOT

    return Path(shutil.copytree(ROOT / "data" / "raw", tmp_path / "raw"))
