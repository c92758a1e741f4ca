"""The points noted while reading the note: those a check finds by itself, those that only a reader sees."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ess_analysis import answers
from ess_analysis.about import about
from ess_analysis.checks import check
from ess_analysis.load import Tables, load

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "data" / "raw" / "mel_2011-2014" / "anomalies.csv"


@pytest.fixture(scope="module")
def points() -> pd.DataFrame:
    return pd.read_csv(LIST, dtype="str", keep_default_na=False)


@pytest.fixture(scope="module")
def note() -> Tables:
    return load(ROOT / "data" / "raw")


def test_each_point_has_its_place_and_its_treatment(points: pd.DataFrame) -> None:
    assert len(points) == 70 and points["id"].is_unique
    assert not points[["lieu", "constat", "traitement"]].eq("").any().any()


def test_the_check_named_beside_a_point_finds_it(points: pd.DataFrame, note: Tables) -> None:
    named = set(points["controle"]) - {""}
    assert len(named) >= 20 and named <= set(check(note)["code"])


def test_every_arithmetic_point_is_found_by_a_check(points: pd.DataFrame) -> None:
    arithmetic = points[points["famille"].eq("arithmétique")]
    assert len(arithmetic) == 11 and arithmetic["controle"].ne("").all()


def test_the_report_on_quality_tells_those_that_no_check_finds(points: pd.DataFrame, note: Tables) -> None:
    silent = points[points["controle"].eq("")]
    remarks = note.remarks
    assert remarks is not None and remarks["remark_id"].tolist() == silent["id"].tolist()
    table = answers.which_remarks(about(note)).json()["items"][0]
    assert [column["label"] for column in table["columns"]] == [
        "Où dans le document",
        "Remarque",
        "Traitement",
    ]
    assert len(table["rows"]) == len(silent) == 44
    assert all(cell for row in table["rows"] for cell in row)


def test_data_without_such_a_list_have_no_remark(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "note"
    folder.mkdir(parents=True)
    for name in ("note_mel_communes.xlsx", "note_mel_communes.xlsx.toml"):
        (folder / name).write_bytes((LIST.parent / name).read_bytes())
    tables = load(tmp_path / "raw")
    assert tables.remarks is not None and tables.remarks.empty
    assert "Aucune remarque" in str(answers.which_remarks(about(tables)).items[0])
