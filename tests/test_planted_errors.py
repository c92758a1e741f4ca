"""Errors planted in complete workbooks: a small fixed part of benchmarks/planted_errors.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "planted_errors.py"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("planted_errors", BENCHMARK)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["planted_errors"] = module
    spec.loader.exec_module(module)
    module.REFERENCE_NAMES.update(module.reference_names())
    return module


planted = _loaded()


@pytest.mark.parametrize("seed", range(3))
def test_a_workbook_without_error_raises_no_alarm(tmp_path: Path, seed: int) -> None:
    outcome = planted.judged("clean", seed, planted.prepared(tmp_path))
    assert not outcome.revealed
    assert outcome.heard == []


@pytest.mark.parametrize("kind", list(planted.PLANTERS))
def test_an_error_that_a_redundancy_reveals_is_caught_and_located(tmp_path: Path, kind: str) -> None:
    outcome = planted.judged(kind, 1, planted.prepared(tmp_path))
    if kind in planted.STRUCTURAL:
        assert outcome.revealed and outcome.locatable, outcome.said
    if outcome.revealed:
        assert outcome.caught, outcome.said
    if outcome.locatable:
        assert outcome.located, (outcome.said, outcome.heard)


def test_every_class_of_the_issue_is_planted() -> None:
    assert len(planted.PLANTERS) == 19


@pytest.mark.parametrize("kind", list(planted.PLANTERS))
def test_planting_changes_something(kind: str) -> None:
    draw = Random(f"{kind}/changes")
    for _ in range(20):
        book = planted.clean_book(draw)
        before = (dict(book.cells), list(book.merged), set(book.hidden))
        done = planted.PLANTERS[kind][1](book, draw)
        if done is not None:
            assert (done.book.cells, done.book.merged, done.book.hidden) != before
            return
    pytest.fail("nothing was planted in twenty workbooks")


def test_what_is_revealed_is_worked_out_from_the_cells_alone() -> None:
    source = BENCHMARK.read_text(encoding="utf-8")
    apart = source[source.index("def revealed") : source.index("def save")]
    assert "ess_analysis" not in apart


def test_a_clean_workbook_reveals_nothing() -> None:
    for seed in range(50):
        book = planted.clean_book(Random(seed))
        assert planted.revealed(book, planted.declared_by(book)) == []
