"""What the terminal prints of a table."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd

from ess_analysis import terminal

FRAME = pd.DataFrame(
    {
        "funder": pd.array(["=cmd()", None], dtype="str"),
        "year": pd.array([2013, None], dtype="Int64"),
        "amount_eur": [1576.666666, float("nan")],
        "share": [1.0, float("nan")],
        "count": [3, 0],
    }
)


def test_json_is_a_list_of_records_with_null_for_what_is_missing() -> None:
    first, second = json.loads(terminal.rendered(FRAME, "json"))
    assert first == {"funder": "=cmd()", "year": 2013, "amount_eur": 1576.67, "share": 1.0, "count": 3}
    assert second == {"funder": None, "year": None, "amount_eur": None, "share": None, "count": 0}


def test_csv_neutralises_what_a_spreadsheet_would_run() -> None:
    rows = list(csv.DictReader(io.StringIO(terminal.rendered(FRAME, "csv"))))
    assert rows[0]["funder"] == "'=cmd()"
    assert rows[1]["amount_eur"] == ""


def test_the_table_speaks_french() -> None:
    text = terminal.rendered(FRAME, "table")
    assert "Financeur" in text and "Montant" in text
    assert "1\u00a0576,67\u00a0€" in text and "100,0\u00a0%" in text
    assert "2013" in text


def test_a_long_text_is_wrapped_and_nothing_of_it_is_lost() -> None:
    words = [f"mot{i}" for i in range(60)]
    text = terminal.rendered(pd.DataFrame({"message": [" ".join(words)], "gap": [1.0]}), "table")
    assert all(word in text for word in words)
    assert max(len(line) for line in text.splitlines()) <= 125


def test_a_table_without_rows_says_so() -> None:
    assert terminal.rendered(FRAME.iloc[:0], "table") == "Aucune ligne."
    assert json.loads(terminal.rendered(FRAME.iloc[:0], "json")) == []


def test_the_frame_shown_is_left_untouched() -> None:
    before = FRAME.copy()
    for how in terminal.FORMATS:
        terminal.rendered(FRAME, how)
    pd.testing.assert_frame_equal(FRAME, before)


def test_findings_are_paragraphs_with_their_place_and_then_their_number() -> None:
    frame = pd.DataFrame(
        {
            "code": ["COLUMN-TOTAL", "YEAR-SILENT"],
            "severity": ["alert", "info"],
            "message": ["Il manque 5 €.", "Aucun montant daté de 2011."],
            "source": ["f.xlsx", "f.xlsx"],
            "sheet": ["Annexe 2", ""],
            "cell": ["F17", None],
        }
    )
    before = frame.copy()
    lines = terminal.findings(frame).replace("\u00a0", " ").splitlines()
    assert lines[:2] == ["ALERTE · Annexe 2, F17 · COLUMN-TOTAL", "  Il manque 5 €."]
    assert lines[2] == "INFORMATION · f.xlsx · YEAR-SILENT"
    assert lines[-1] == "Aucun constat bloquant, 1 alerte et 1 information."
    assert terminal.findings(frame.iloc[:0]) == "Aucun constat bloquant, aucune alerte et aucune information."
    pd.testing.assert_frame_equal(frame, before)
