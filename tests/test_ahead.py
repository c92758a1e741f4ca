"""Data read once for all the reports of a batch: the same tables, the same findings, the same pages."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest

from ess_analysis import ahead
from ess_analysis.checks import checked
from ess_analysis.load import Tables, load
from ess_analysis.reports import forks, plan, reading, running
from ess_analysis.reports.batch import Task
from tests.small_project import ROOT

ANY = "*"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the embedded data, read ahead."""
    folder = tmp_path / "raw"
    shutil.copytree(ROOT / "data" / "raw", folder)
    monkeypatch.setattr(ahead, "_known", None)
    reading.read_ahead(str(folder), {ANY}, any_file=ANY)
    yield folder


def assert_same(one: Tables, other: Tables) -> None:
    for field in fields(Tables):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, pd.DataFrame):
            pd.testing.assert_frame_equal(left, right)
        else:
            assert left == right


def test_tables_and_findings_read_ahead_are_those_that_reading_gives(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = load(data)
    found = checked(known)
    assert found.parts is ahead._known.checked.parts  # type: ignore[union-attr]  # what was known served
    monkeypatch.setattr(ahead, "_known", None)
    assert_same(known, load(data))
    again = checked(load(data))
    pd.testing.assert_frame_equal(found.findings, again.findings)
    assert list(found.parts) == list(again.parts)


def test_a_file_that_changes_comes_or_goes_is_read_again(data: Path) -> None:
    assert ahead.tables_of(data) is not None
    kept = (data / "mel_2011-2014" / "readings.toml").read_bytes()
    (data / "mel_2011-2014" / "readings.toml").write_bytes(kept + b"\n")
    assert ahead.tables_of(data) is None
    reading.read_ahead(str(data), {ANY}, any_file=ANY)
    assert ahead.tables_of(data) is not None
    (data / "nouveau.csv").write_text("a;b\n1;2\n")
    assert ahead.tables_of(data) is None
    (data / "nouveau.csv").unlink()
    assert ahead.tables_of(data.parent / "autre") is None


def test_tables_changed_by_a_report_are_checked_again_and_change_for_it_alone(data: Path) -> None:
    changed = load(data)
    changed.stated_totals.loc[0, "amount_eur"] += 1000
    found = checked(changed).findings
    assert len(found) > len(checked(load(data)).findings)
    assert ahead.checked_of(replace(load(data), remarks=None)) is None
    changed = load(data)
    (changed.readings or {}).clear()
    assert load(data).readings


def test_reading_what_is_known_opens_the_files_that_reading_opened(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "_known", None)
    names = {"mel_2011-2014/readings.toml", "mel_2011-2014/corrections.toml"}
    reading.read_ahead(str(data), names, any_file=ANY)
    opened: list[str] = []
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: opened.append(self.name) or real(self, *a, **k))
    load(data)
    assert sorted(opened) == ["corrections.toml", "readings.toml"]


def test_a_heavy_folder_is_left_to_each_report(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_known", None)
    monkeypatch.setattr(reading, "MEGABYTES", 0)
    reading.read_ahead(str(data), {ANY}, any_file=ANY)
    assert ahead.tables_of(data) is None


# --- In the process that reports are forked from ------------------------------------------------------

needs_fork = pytest.mark.skipif(not forks.can_fork(), reason="ce système ne duplique pas de processus")


@needs_fork
def test_a_page_is_the_same_byte_for_byte_whether_the_data_were_read_ahead_or_not() -> None:
    data = ROOT / "data" / "raw"
    notebook = ROOT / "notebooks" / "rapport_annuel.ipynb"
    report = plan.Report("rapport_annuel", notebook, {"year": 2013}, "x.html")
    task = Task(report, data, library="essai", digests=plan.DataFiles(data).digests)
    pages = []
    for ahead_of in (None, data):
        forks.stop()
        forks.start(ahead_of, made_of=str(ahead_of))
        pages.append(running.run(task))
    alone, served = pages
    assert (alone.error, served.error) == ("", "")
    assert alone.html == served.html
    assert alone.reads in (served.reads, (plan.EVERY_FILE,))


@needs_fork
def test_data_that_end_the_preloaded_process_leave_the_next_one_to_do_without(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "piège.toml")  # whoever reads it waits for ever
    forks.stop()
    forks.start(tmp_path, made_of="essai")
    first = forks.zygote()
    born: list[forks.Child] = []
    request = {"argv": ["x", "--version"], "cwd": str(tmp_path), "env": dict(os.environ)}
    asking = threading.Thread(target=lambda: born.append(forks.fork(**request)))
    asking.start()
    asking.join(3)
    assert asking.is_alive(), "the data are being read"
    os.kill(first._process.pid, signal.SIGKILL)
    asking.join(30)
    assert born and born[0].wait(30) == 0
    assert forks.zygote() is not first
    forks.stop()
    forks.start()


@needs_fork
def test_another_library_starts_another_process() -> None:
    forks.start(made_of="one")
    first = forks.zygote()
    forks.start(made_of="one")
    assert forks.zygote() is first
    forks.start(made_of="other")
    assert forks.zygote() is not first
    assert not first.alive or first._process.wait(10) is not None
