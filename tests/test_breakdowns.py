"""Amounts by any set of columns: the parts make the whole, nothing is counted twice, nothing disappears."""

from __future__ import annotations

import csv
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_analysis import breakdowns, schema
from ess_analysis.breakdowns import breakdown
from ess_analysis.errors import DataError
from ess_analysis.load import Tables, load

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def note() -> Tables:
    return load(ROOT / "data" / "raw")


def made(
    funding: list[dict[str, Any]],
    *,
    records: list[dict[str, Any]] | None = None,
    places: list[dict[str, Any]] | None = None,
    totals: list[dict[str, Any]] | None = None,
    readings: dict[str, Any] | None = None,
) -> Tables:
    """Tables of these rows; an amount is awarded in cash unless it says otherwise."""
    usual = {"stage": "awarded", "kind": "cash", "record_id": "T/1"}
    lines = [{"funding_id": f"T!F{row}", **usual, **line} for row, line in enumerate(funding, start=5)]
    given_rows = {"funding": lines, "records": records, "places": places, "stated_totals": totals}
    frames = {
        name: schema.conform(pd.DataFrame(given_rows[name]), name)
        if given_rows.get(name)
        else schema.empty(name)
        for name in schema.TABLES
    }
    return Tables(**frames, readings=readings or {})


def amounts(result: pd.DataFrame, *by: str) -> dict[Any, float]:
    keys = result[list(by)].itertuples(index=False, name=None)
    return {key if len(by) > 1 else key[0]: amount for key, amount in zip(keys, result["amount_eur"])}  # noqa: B905


# --- The note ------------------------------------------------------------------------------------


def test_the_plan_of_2013_is_the_one_of_the_note(note: Tables) -> None:
    found = amounts(breakdown(note, ["axis", "funder"], year=2013, stage="planned"), "axis", "funder")
    expected = {
        "Animation Territoriale": (23500, 18500),
        "Recherche, développement, innovation": (21172, 31173),
        "Accompagnement et expertise de projets": (9850, 13350),
        "Promotion et communication": (5305, 17695),
        "non détaillé": (13173, 16173),
    }
    assert found == {
        (axis, funder): amount
        for axis, both in expected.items()
        for funder, amount in zip(("Lille Métropole", "Ville de Lille"), both, strict=True)
    }


@pytest.mark.samples
def test_the_plan_of_2013_is_the_one_that_another_reader_found(note: Tables) -> None:
    path = ROOT.parent / "shared" / "note" / "expected_axis_by_funder_2013.csv"
    if not path.is_file():
        pytest.skip("the note's expected figures are not beside the project")
    rows = {row["axis"]: row for row in csv.DictReader(path.open(encoding="utf-8"))}
    found = amounts(breakdown(note, ["axis", "funder"], year=2013, stage="planned"), "axis", "funder")
    for (axis, funder), amount in found.items():
        name = "(not itemised: stated minus rows)" if axis == "non détaillé" else axis
        assert amount == float(rows[name]["lille_metropole" if "Métropole" in funder else "ville_de_lille"])


@pytest.mark.samples
def test_who_carries_out_each_axis_is_what_another_reader_found(note: Tables) -> None:
    path = ROOT.parent / "shared" / "note" / "expected_axis_by_funder_2013.csv"
    if not path.is_file():
        pytest.skip("the note's expected figures are not beside the project")
    rows = {row["axis"]: row for row in csv.DictReader(path.open(encoding="utf-8"))}
    axes = note.records.set_index("record_id")["axis"]
    lines = note.delivery.assign(axis=note.delivery["record_id"].map(axes))
    found = lines.groupby(["axis", "operator"])["amount_eur"].sum()
    columns = {"Ville de Lille": "done_by_ville_de_lille", "Opérateur externe": "done_by_external_operator"}
    for (axis, operator), amount in found.items():
        assert amount == float(rows[axis][columns[operator]])
    totals = note.records.dropna(subset=["row_total_eur"]).groupby("axis")["row_total_eur"].sum()
    assert (
        totals.to_dict() == {axis: float(rows[axis]["total"]) for axis in totals.index} and len(totals) == 4
    )


def test_a_gap_stays_a_row_of_its_own_when_only_the_funder_is_asked(note: Tables) -> None:
    found = amounts(breakdown(note, "funder", stage="planned"), "funder")
    assert found == {
        "Lille Métropole": 59827,
        "Ville de Lille": 80718,
        "Lille Métropole, non détaillé": 13173,
        "Ville de Lille, non détaillé": 16173,
    }


def test_what_was_awarded_by_year_keeps_what_is_undated(note: Tables) -> None:
    found = amounts(breakdown(note, "year", stage="awarded"), "year")
    assert found == {2012: 73000, 2013: 73000, "non daté": 25663}


def test_lille_received_85_per_cent_of_what_was_awarded(note: Tables) -> None:
    lille = breakdown(note, "recipient", stage="awarded").set_index("recipient").loc["Ville de Lille"]
    assert lille["amount_eur"] == 146000
    assert round(lille["share"], 4) == 0.8505


SHARED = ["Territoire lillois", "Territoire tourquennois", "Territoire roubaisien"]


def test_three_territories_share_an_award_equally_and_to_the_cent(note: Tables) -> None:
    found = amounts(breakdown(note, "territory", stage="awarded"), "territory")
    assert [found[name] for name in SHARED] == [1576.67, 1576.67, 1576.66]
    assert math.isclose(sum(found.values()), 171663)


def test_three_territories_share_an_award_by_population(note: Tables) -> None:
    found = amounts(breakdown(note, "territory", stage="awarded", apportion="population"), "territory")
    assert round(sum(found[name] for name in SHARED), 2) == 4730
    assert found["Territoire lillois"] > found["Territoire roubaisien"] > found["Territoire tourquennois"]


def test_an_award_to_three_territories_can_be_shown_whole(note: Tables) -> None:
    found = amounts(breakdown(note, "territory", stage="awarded", apportion="whole"), "territory")
    assert found["Territoires lillois, tourquennois, roubaisien"] == 4730
    assert math.isclose(sum(found.values()), 171663)


def test_sixteen_places_named_are_fifteen_communes(note: Tables) -> None:
    result = breakdown(note, "commune", stage="awarded")
    assert len(result) == 15
    assert round(result["amount_eur"].sum(), 2) == 171663
    assert "Lomme" not in set(result["commune"])


def test_a_commune_is_counted_only_in_the_territory_that_a_reading_gives_it(note: Tables) -> None:
    found = amounts(
        breakdown(note, ["territory", "commune"], territory=SHARED, stage="awarded"), "territory", "commune"
    )
    assert set(found) == {
        ("Territoire lillois", "Lille"),
        ("Territoire lillois", "Loos"),
        ("Territoire tourquennois", "Tourcoing"),
        ("Territoire roubaisien", "Roubaix"),
    }
    assert round(sum(found.values()), 2) == 4730


def test_an_undated_award_can_be_spread_over_the_period_of_its_annex(note: Tables) -> None:
    found = amounts(breakdown(note, "year", stage="awarded", undated="spread"), "year")
    assert found == {2012: 73000 + 12831.5, 2013: 73000 + 12831.5}
    envelope = amounts(breakdown(note, "year", stage="allocated", undated="spread"), "year")
    assert envelope["non daté"] == 120000


def test_a_year_of_the_period_without_any_amount_is_an_empty_table(note: Tables) -> None:
    result = breakdown(note, ["axis", "funder"], year=2011)
    assert result.empty
    assert list(result.columns) == ["axis", "funder", "amount_eur", "count", "share"]


# --- The three rules -----------------------------------------------------------------------------


def test_different_stages_are_refused_and_the_words_to_use_are_said(note: Tables) -> None:
    with pytest.raises(DataError) as refused:
        breakdown(note, "funder")
    for word in ("allocated", "planned", "awarded", "--stage", "--by stage"):
        assert word in str(refused.value)


def test_different_kinds_are_refused() -> None:
    tables = made([{"amount_eur": 10.0}, {"amount_eur": 5.0, "kind": "loan"}])
    with pytest.raises(DataError, match="formes différentes"):
        breakdown(tables, "funder")
    assert amounts(breakdown(tables, "kind"), "kind") == {"cash": 10, "loan": 5}


def test_stages_named_together_are_added(note: Tables) -> None:
    found = amounts(breakdown(note, "funder", stage=["planned", "awarded"], gaps=False), "funder")
    assert found == {"Lille Métropole": 171663, "Ville de Lille": 80718}  # the plan of the award is not added


def test_each_stage_is_told_for_itself_when_it_is_asked(note: Tables) -> None:
    by_stage = breakdown(note, "stage")
    assert amounts(by_stage, "stage") == {
        "allocated": 182000,
        "planned": 140545,
        "planned, non détaillé": 29346,
        "awarded": 171663,
    }
    alone = by_stage[by_stage["stage"].str.startswith("planned")]
    assert math.isclose(alone["share"].sum(), 1)  # stages are not added, so a share is taken in its own


@pytest.mark.parametrize("stage", ["allocated", "planned", "awarded"])
def test_asking_for_one_stage_or_reading_its_row_gives_the_same(note: Tables, stage: str) -> None:
    alone = breakdown(note, "funder", stage=stage)
    told = breakdown(note, ["stage", "funder"])
    kept = told[told["stage"].eq(stage)].drop(columns="stage").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.astype({"funder": "object"}), kept.astype({"funder": "object"}))


def test_a_line_spent_replaces_the_line_it_details_even_through_another() -> None:
    tables = made(
        [
            {"funding_id": "E", "amount_eur": 110.0, "stage": "allocated"},
            {"funding_id": "A", "amount_eur": 73.0, "stage": "awarded", "part_of": "E"},
            {"funding_id": "P", "amount_eur": 59.0, "stage": "planned", "part_of": "A"},
        ]
    )
    total = {  # stages asked → what is counted
        ("allocated", "awarded", "planned"): 73,
        ("allocated", "planned"): 59,
        ("awarded", "planned"): 73,
        ("allocated",): 110,
    }
    for stages, expected in total.items():
        assert breakdown(tables, "kind", stage=list(stages))["amount_eur"].tolist() == [expected]


def test_at_the_same_stage_the_details_are_kept_with_what_they_leave() -> None:
    tables = made(
        [
            {"funding_id": "L", "amount_eur": 100.0, "funder": "MEL"},
            {"funding_id": "D1", "amount_eur": 60.0, "funder": "MEL", "axis": "A", "part_of": "L"},
            {"funding_id": "D2", "amount_eur": 30.0, "funder": "MEL", "axis": "B", "part_of": "L"},
            {"funding_id": "O", "amount_eur": 7.0, "funder": "MEL"},
        ]
    )
    result = breakdown(tables, "axis", trace=True)
    assert amounts(result, "axis") == {"A": 60, "B": 30, "non ventilé": 7, "non détaillé": 10}
    assert result["total_ids"].tolist() == [(), (), (), ("L",)]
    assert breakdown(tables, "funder")["amount_eur"].sum() == 107


def test_lines_that_detail_each_other_in_a_loop_are_refused() -> None:
    tables = made(
        [{"funding_id": "A", "amount_eur": 1.0, "part_of": "B"}, {"funding_id": "B", "part_of": "A"}]
    )
    with pytest.raises(DataError, match="en boucle"):
        breakdown(tables, "funder")


def test_a_missing_key_keeps_its_row() -> None:
    tables = made([{"amount_eur": 10.0, "axis": "A", "year": 2013}, {"amount_eur": 5.0}])
    assert amounts(breakdown(tables, "axis"), "axis") == {"A": 10, "non ventilé": 5}
    assert amounts(breakdown(tables, "year"), "year") == {2013: 10, "non daté": 5}
    assert amounts(breakdown(tables, "territory"), "territory") == {"non renseigné": 15}
    assert amounts(breakdown(tables, "axis", year="non daté"), "axis") == {"non ventilé": 5}


def test_an_amount_that_is_not_written_is_missing_and_not_zero() -> None:
    result = breakdown(made([{"axis": "A"}, {"axis": "B", "amount_eur": 0.0}]), "axis")
    assert result["amount_eur"].isna().tolist() == [True, False]
    assert result["count"].tolist() == [0, 1]


def test_a_place_that_is_no_known_commune_keeps_its_part() -> None:
    names = [("Hem", "Hem"), ("Gondrecourt", None)]
    places = [{"record_id": "T/1", "written_as": said, "commune": commune} for said, commune in names]
    found = amounts(breakdown(made([{"amount_eur": 100.0}], places=places), "commune"), "commune")
    assert found == {"Hem": 50, "non renseigné": 50}


def stated(total_id: str, amount: float, **about: Any) -> dict[str, Any]:
    return {"total_id": total_id, "table_id": "T", "measure": "funding", "amount_eur": amount, **about}


def test_a_total_and_the_totals_it_holds_do_not_miss_the_same_euro_twice() -> None:
    tables = made(
        [{"amount_eur": 60.0, "funder": "A"}, {"amount_eur": 30.0, "funder": "B"}],
        records=[{"record_id": "T/1", "table_id": "T"}],
        totals=[stated("T!F9", 70.0, funder="A"), stated("T!G9", 110.0)],
    )
    found = amounts(breakdown(tables, "funder"), "funder")
    assert found == {"A": 60, "B": 30, "A, non détaillé": 10, "non détaillé": 10}


def test_lines_beyond_their_stated_total_show_as_a_negative_gap() -> None:
    tables = made(
        [{"amount_eur": 60.0, "axis": "X"}],
        records=[{"record_id": "T/1", "table_id": "T"}],
        totals=[stated("T!F9", 50.0)],
    )
    assert amounts(breakdown(tables, "axis"), "axis") == {"X": 60, "non détaillé": -10}


# --- The words asked -----------------------------------------------------------------------------


def test_an_unknown_column_or_value_says_what_exists(note: Tables) -> None:
    with pytest.raises(DataError, match="legal_status"):
        breakdown(note, "couleur")
    with pytest.raises(DataError, match="Territoire est"):
        breakdown(note, "funder", stage="awarded", territory="Atlantide")
    with pytest.raises(DataError, match="2012, 2013"):
        breakdown(note, "funder", year=1999)
    with pytest.raises(DataError, match="equal, population, whole"):
        breakdown(note, "territory", apportion="au hasard")


def test_a_value_of_the_data_that_nothing_matches_gives_an_empty_table(note: Tables) -> None:
    assert breakdown(note, "funder", stage="planned", territory="Territoire est").empty
    assert breakdown(note, "funder", stage="paid").empty


def test_a_value_written_with_decomposed_accents_is_the_same(note: Tables) -> None:
    asked = "Lille Me\u0301tropole"
    assert breakdown(note, "year", stage="awarded", funder=asked)["amount_eur"].sum() == 171663


def test_a_frame_of_funding_rows_stands_for_the_tables_but_knows_no_place(note: Tables) -> None:
    result = breakdown(note.funding, by=["funder"], stage="awarded")
    assert amounts(result, "funder") == {"Lille Métropole": 171663}
    with pytest.raises(DataError, match="financements"):
        breakdown(note.funding, by=["territory"], stage="awarded")


def test_an_empty_table_gives_an_empty_breakdown() -> None:
    result = breakdown(made([]), list(breakdowns.KEYS), trace=True)
    assert result.empty
    assert list(result.columns[: len(breakdowns.KEYS) + 3]) == [
        *breakdowns.KEYS,
        "amount_eur",
        "count",
        "share",
    ]


def test_the_tables_asked_are_left_untouched(note: Tables) -> None:
    before = {name: getattr(note, name).copy(deep=True) for name in schema.TABLES}
    breakdown(note, ["territory", "commune", "strand"], stage="awarded", undated="spread", trace=True)
    for name, frame in before.items():
        pd.testing.assert_frame_equal(getattr(note, name), frame)


# --- The parts make the whole --------------------------------------------------------------------


@pytest.mark.parametrize("key", breakdowns.KEYS)
@pytest.mark.parametrize("stage", ["allocated", "planned", "awarded"])
def test_the_parts_make_the_whole_whatever_the_column(note: Tables, key: str, stage: str) -> None:
    whole = {"allocated": 182000, "planned": 169891 - 0, "awarded": 171663}[stage]
    result = breakdown(note, key, stage=stage)
    assert round(result["amount_eur"].sum(), 2) == whole
    assert math.isclose(result["share"].sum(), 1)
    assert not result.duplicated(key).any()


CENTS = st.integers(min_value=-(10**9), max_value=10**9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["A", "B", None]), CENTS), min_size=1, max_size=40))
def test_sums_equal_exact_decimal_arithmetic(rows: list[tuple[str | None, int]]) -> None:
    tables = made([{"axis": axis, "amount_eur": cents / 100} for axis, cents in rows])
    for label, amount in amounts(breakdown(tables, "axis"), "axis").items():
        exact = sum(Decimal(cents) / 100 for axis, cents in rows if (axis or "non ventilé") == label)
        assert Decimal(str(amount)) == exact


@settings(max_examples=60, deadline=None)
@given(CENTS, st.integers(min_value=1, max_value=17))
def test_a_shared_amount_loses_no_cent(cents: int, towns: int) -> None:
    places = [{"record_id": "T/1", "written_as": f"V{n}", "commune": f"V{n}"} for n in range(towns)]
    result = breakdown(made([{"amount_eur": cents / 100}], places=places), "commune")
    parts = [round(amount * 100) for amount in result["amount_eur"]]
    assert sum(parts) == cents
    assert max(parts) - min(parts) <= 1


def test_amounts_below_the_cent_are_added_before_they_are_rounded() -> None:
    tables = made([{"amount_eur": 0.004} for _ in range(1000)])
    assert breakdown(tables, "funder")["amount_eur"].tolist() == [4.0]


def test_an_amount_below_the_cent_is_shared_whole() -> None:
    places = [{"record_id": "T/1", "written_as": name, "commune": name} for name in ("A", "B", "C")]
    result = breakdown(made([{"amount_eur": 10.004}] * 1000, places=places), "commune")
    assert round(result["amount_eur"].sum(), 2) == 10004


def test_the_lines_followed_add_up_to_their_row(note: Tables) -> None:
    result = breakdown(note, ["territory", "commune"], stage="awarded", trace=True)
    for row in result.to_dict(orient="records"):
        assert round(sum(row["parts_eur"]) + sum(row["rests_eur"]), 2) == row["amount_eur"]
        assert len(row["funding_ids"]) == row["count"]


def test_what_totals_hold_beyond_their_lines_can_be_computed_once_for_all(note: Tables) -> None:
    once = breakdowns.every_line(note)
    for key in ("funder", "axis"):
        expected = breakdown(note, key, stage="planned")
        pd.testing.assert_frame_equal(breakdown(note, key, stage="planned", gaps=once), expected)
