"""Each euro counted once, at whatever depth the note writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ess_analysis import schema
from ess_analysis.breakdowns import breakdown, consolidated
from ess_analysis.load import Tables, load

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def note() -> Tables:
    return load(ROOT / "data" / "raw")


def by_funder_and_year(result: pd.DataFrame) -> dict[tuple[Any, Any], float]:
    return {(row["funder"], row["year"]): row["amount_eur"] for row in result.to_dict(orient="records")}


def test_the_effort_of_the_metropole_in_2013_is_118_000_euros(note: Tables) -> None:
    found = by_funder_and_year(consolidated(note))
    assert found["Lille Métropole", 2013] == 73000 + 17000 + 28000
    assert found["Lille Métropole", 2012] == 73000 + 17000
    assert found["Lille Métropole", "non daté"] == 25663 + 10000


def test_the_city_adds_what_the_metropole_does_not_pay(note: Tables) -> None:
    assert by_funder_and_year(consolidated(note))["Ville de Lille", 2013] == 80718
    with_gap = by_funder_and_year(consolidated(note, gaps=True))
    assert with_gap["Ville de Lille, non détaillé", 2013] == 16173
    assert ("Lille Métropole, non détaillé", 2013) not in with_gap  # the award holds it already


def test_the_envelope_of_the_call_is_not_added_to_its_awards(note: Tables) -> None:
    result = consolidated(note, "stage")
    assert dict(zip(result["stage"], result["amount_eur"], strict=True)) == {
        "allocated": 182000 - 110000,
        "planned": 80718,
        "awarded": 171663,
    }


def test_asking_for_one_year_or_reading_its_row_gives_the_same(note: Tables) -> None:
    alone = consolidated(note, "funder", year=2013)
    rows = consolidated(note)
    kept = rows[rows["year"].eq(2013)]
    assert alone["amount_eur"].tolist() == kept["amount_eur"].tolist()


def test_the_whole_is_the_same_whatever_the_columns(note: Tables) -> None:
    wholes = {
        key: round(consolidated(note, key)["amount_eur"].sum(), 2)
        for key in ("funder", "year", "axis", "territory", "commune", "stage", "recipient")
    }
    assert set(wholes.values()) == {90000 + 118000 + 35663 + 80718}


def test_a_loan_is_not_added_to_money_given() -> None:
    lines = [{"kind": "cash", "amount_eur": 10.0}, {"kind": "loan", "amount_eur": 90.0}]
    rows = [{"funding_id": str(n), "stage": "awarded", **line} for n, line in enumerate(lines)]
    tables = Tables(
        **{name: schema.empty(name) for name in schema.TABLES if name != "funding"},
        funding=schema.conform(pd.DataFrame(rows), "funding"),
    )
    assert consolidated(tables, "stage")["amount_eur"].tolist() == [10]


def test_nothing_counted_gives_an_empty_table() -> None:
    tables = Tables(**{name: schema.empty(name) for name in schema.TABLES})
    assert consolidated(tables).empty


def test_the_tables_are_left_untouched(note: Tables) -> None:
    before = note.funding.copy(deep=True)
    consolidated(note, ["territory", "year"], trace=True)
    pd.testing.assert_frame_equal(note.funding, before)


def test_the_three_tables_added_blindly_would_count_money_again(note: Tables) -> None:
    blind = breakdown(note, "kind", stage=list(schema.STAGES), gaps=False)["amount_eur"].sum()
    assert blind == consolidated(note, "kind")["amount_eur"].sum()
    assert blind < note.funding["amount_eur"].sum()
