"""What the scenarios give: tidy records, ranges, what blocks, switching values, sensitivities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ess_analysis import cli
from ess_analysis.errors import DataError
from ess_analysis.scenarios import exploration
from ess_analysis.scenarios.equations import INDICATORS, OPTIONS, YEARS, simulate
from ess_analysis.scenarios.inputs import Inputs, read_inputs
from ess_analysis.scenarios.settings import settings

RAW = Path(__file__).parents[1] / "data" / "raw"


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return read_inputs(RAW)


def test_a_scenario_is_one_more_column_of_a_tidy_table(inputs: Inputs) -> None:
    records = exploration.scenarios(inputs)
    assert list(records.columns) == ["option", "year", "indicator", "value", "unit"]
    assert len(records) == len(OPTIONS) * len(YEARS) * len(INDICATORS)
    assert not records.duplicated(["option", "year", "indicator"]).any()
    assert records["unit"].ne("").all()
    wide = records.pivot(index=["year", "indicator"], columns="option", values="value")
    assert wide.loc[(2020, "N_sum"), "S1"] == pytest.approx(14.669, abs=1e-3)


def test_records_with_draws_hold_the_range_of_nine_draws_in_ten(inputs: Inputs) -> None:
    records = exploration.scenarios(inputs, draws=400)
    assert (records["low"] <= records["high"]).all()
    values = exploration.drawn(inputs, draws=400)
    ends = simulate(values)["N_sum"][1, -1]
    row = records[(records["option"] == "S1") & (records["year"] == 2020) & (records["indicator"] == "N_sum")]
    inside = (ends >= row["low"].item()) & (ends <= row["high"].item())
    assert inside.mean() == pytest.approx(0.9, abs=0.01)


def test_the_same_seed_gives_the_same_ranges_and_another_seed_others(inputs: Inputs) -> None:
    one, two, other = (exploration.scenarios(inputs, draws=50, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one["low"].equals(other["low"])


def test_draws_cover_each_slice_of_each_assumption_once_and_stay_in_bounds(inputs: Inputs) -> None:
    unit = exploration.hypercube(inputs, 100)
    assert (np.sort((unit * 100).astype(int), axis=0) == np.arange(100)[:, None]).all()
    values = exploration.drawn(inputs, draws=100)
    for one in exploration.drawable(inputs):
        assert values[one.id].min() >= one.low and values[one.id].max() <= one.high
        assert len(set(values[one.id])) == 100


def test_a_decision_and_a_set_assumption_are_not_drawn(inputs: Inputs) -> None:
    values = exploration.drawn(inputs, {"tau": 0.5, "H": 200}, draws=10)
    assert values["tau"] == 0.5 and values["H"] == 200
    assert np.size(values["r0"]) == 10


def test_no_draw_at_all_is_refused(inputs: Inputs) -> None:
    with pytest.raises(DataError, match="doit être positif"):
        exploration.hypercube(inputs, -3)


def test_what_blocks_is_said_each_year_and_its_shares_add_up_to_one(inputs: Inputs) -> None:
    blocks = exploration.what_blocks(simulate(inputs.central()), exploration.spread(inputs, draws=200))
    assert len(blocks) == len(OPTIONS) * len(YEARS)
    assert blocks[["projects", "staff", "money"]].sum(axis=1).to_numpy() == pytest.approx(1.0)
    s3 = blocks[blocks["option"] == "S3"]["block"].tolist()
    assert s3 == ["staff", "staff", "projects", "projects", "projects", "projects"]


def test_an_envelope_smaller_than_the_transfer_to_lille_is_impossible_and_says_why(inputs: Inputs) -> None:
    (sentence,) = exploration.impossibilities(simulate(settings(inputs, {"reading": 4})))
    assert "S0, S1, S2 et S3" in sentence and "58\u202f500\u00a0€" in sentence and "chaque année" in sentence


def test_a_budget_that_melts_away_is_impossible_from_the_year_it_is_gone(inputs: Inputs) -> None:
    (sentence,) = exploration.impossibilities(simulate(inputs.central() | {"g": -1.0}))
    assert "en 2016, 2017, 2018, 2019 et 2020, le budget est nul" in sentence


def test_a_staff_without_a_single_day_is_impossible_and_says_why(inputs: Inputs) -> None:
    (sentence,) = exploration.impossibilities(simulate(inputs.central() | {"H": 0.0}))
    assert "S0, S1, S2 et S3 : chaque année, l’équipe n’a aucun jour" in sentence


def test_an_unknown_scenario_is_refused_in_french(inputs: Inputs) -> None:
    for ask in (exploration.tornado, exploration.sobol):
        with pytest.raises(DataError, match="Scénario inconnu"):
            ask(inputs, option="S4")
    with pytest.raises(DataError, match="Scénario inconnu"):
        exploration.split(inputs, {"tau": 0.5}, option="S4")


def test_a_choice_is_said_by_its_words_where_it_changes_the_order(inputs: Inputs) -> None:
    found = exploration.switching(inputs, "reading", indicators=["N_sum"])
    assert exploration.switching_told(inputs, "reading", found, 1)[0] == (
        "Avec « pour deux ans », S2 soutiendrait plus de projets que S1."
    )
    assert exploration.switching_told(inputs, "reading", found, 4)[0] == (
        "Avec « annuelle », S1 soutiendrait plus de projets que S2."
    )


@pytest.mark.parametrize("name", ["a", "c", "NC", "E0", "m", "H", "NT"])
def test_no_switching_value_divides_by_zero(inputs: Inputs, name: str) -> None:
    found = exploration.switching(inputs, name)
    assert np.isfinite(found["value"]).all()
    assert found["inside"].is_monotonic_decreasing, "plausible values come first"


def test_nothing_is_impossible_at_the_central_settings(inputs: Inputs) -> None:
    assert exploration.impossibilities(simulate(inputs.central())) == []


def test_staff_feasibility_compares_work_and_capacity(inputs: Inputs) -> None:
    def told(changes: dict[str, float]) -> pd.DataFrame:
        values = settings(inputs, changes)
        many = exploration.spread(inputs, changes, draws=300)
        return exploration.feasibility(simulate(values), many, values["H"]).set_index("option")

    table = told({})
    assert table.loc["S3", "load"] == pytest.approx(140.17 / 140, abs=1e-3)
    assert (table["load"] == table["days"] / 140).all()
    assert table["holds"].between(0, 1).all()
    assert table.loc["S0", "holds"] > table.loc["S3", "holds"]
    assert told({"H": 220}).loc["S1", "holds"] == 1


# --- Switching values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "option", "other", "indicator", "expected", "inside"),
    [("V2", "S1", "S2", "N_sum", 1.15, True), ("n_conv", "S1", "S2", "W_mean", 5.1, True),
     ("h_bil", "S1", "S3", "W_mean", 2.7, False)],
)  # fmt: skip
def test_switching_values_are_those_of_the_design(
    inputs: Inputs, name: str, option: str, other: str, indicator: str, expected: float, inside: bool
) -> None:
    found = exploration.switching(inputs, name, indicators=[indicator])
    pair = found[(found["option"] == option) & (found["other"] == other)]
    assert pair["value"].item() == pytest.approx(expected, abs=0.05)
    assert pair["inside"].item() is inside


def test_options_are_equal_at_a_switch_and_change_places_around_it(inputs: Inputs) -> None:
    for name in ("V2", "tau", "r0", "n_conv", "e1"):
        for row in exploration.switching(inputs, name).to_dict("records"):
            at, above, below = (
                simulate(inputs.central() | {name: row["value"] + step})[row["indicator"]][:, -1, 0]
                for step in (0, 1e-4, -1e-4)
            )
            first, second = OPTIONS.index(row["option"]), OPTIONS.index(row["other"])
            assert at[first] == pytest.approx(at[second], rel=1e-9)
            better = -1 if row["indicator"] == "W_mean" else 1
            ahead = OPTIONS.index(row["ahead"])
            behind = second if ahead == first else first
            assert better * (above[ahead] - above[behind]) > 0
            assert better * (below[ahead] - below[behind]) <= 1e-9


def test_an_input_that_moves_all_options_together_has_no_switch_and_it_is_said(inputs: Inputs) -> None:
    found = exploration.switching(inputs, "lam", indicators=["N_sum"])
    same = exploration.switching(inputs, "m", indicators=["N_sum"])
    assert same.empty
    assert list(same.columns) == list(found.columns)
    assert "ne change l’ordre" in exploration.switching_told(inputs, "m", same, 5.33)[0]


def test_a_switch_depends_on_the_other_settings(inputs: Inputs) -> None:
    def first(changes: dict[str, float]) -> float:
        found = exploration.switching(inputs, "V2", changes, indicators=["N_sum"])
        return float(found[(found["option"] == "S1") & (found["other"] == "S2")]["value"].item())

    assert first({"V1": 1.3}) > first({}) > first({"V1": 1.0})


# --- Sensitivities and shares -------------------------------------------------------------------------


def test_the_tornado_is_widest_first_and_holds_every_input_that_moves(inputs: Inputs) -> None:
    table = exploration.tornado(inputs, option="S1")
    assert table["swing"].is_monotonic_decreasing
    assert set(table["input"]) == {one.id for one in inputs if not one.fixed}
    row = table[table["input"] == "V1"]
    expected = simulate(settings(inputs, {"V1": 1.4}))["N_sum"][1, -1, 0]
    assert row["at_high"].item() == pytest.approx(expected)
    assert table.loc[table["input"] == "V3", "swing"].item() == 0


def test_sobol_shares_find_who_matters_and_who_does_not(inputs: Inputs) -> None:
    table = exploration.sobol(inputs, option="S1").set_index("input")
    assert table["total"].idxmax() in {"r0", "a"}
    assert table.loc["V2", "total"] == pytest.approx(0, abs=1e-9)
    assert table["first"].sum() <= 1.1


def test_sobol_of_a_gap_that_never_moves_is_zero(inputs: Inputs) -> None:
    table = exploration.sobol(inputs, indicator="B", option="S1", other="S0")
    assert (table[["first", "total"]] == 0).all(axis=None)


def test_a_change_is_shared_exactly_between_decisions_and_assumptions(inputs: Inputs) -> None:
    changes = {"tau": 0.4, "e1": 0.6, "r0": 2.5, "H": 90}
    for option in OPTIONS:
        part = exploration.split(inputs, changes, option=option)
        assert part.decisions + part.assumptions == pytest.approx(part.change)
    s0 = exploration.split(inputs, changes, option="S0")
    assert s0.decisions == s0.interaction == 0


def test_decisions_alone_leave_nothing_to_assumptions(inputs: Inputs) -> None:
    part = exploration.split(inputs, {"tau": 0.4})
    assert (part.assumptions, part.interaction) == (0, 0)
    assert part.decisions == part.change > 0
    assert exploration.split(inputs, {}).change == 0


# --- The command -----------------------------------------------------------------------------------------


def test_the_command_prints_records_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        cli.main(["scenarios", "--set", "tau=0,5", "--draws", "20", "--format", "json", "--data", str(RAW)])
        == 0
    )
    records = json.loads(capsys.readouterr().out)
    assert list(records[0]) == ["option", "year", "indicator", "value", "unit", "low", "high"]
    transferred = {r["option"]: r["value"] for r in records if r["indicator"] == "L" and r["year"] == 2015}
    assert transferred == {"S0": 73000, "S1": 36500, "S2": 36500, "S3": 36500}


def test_the_command_prints_a_summary_and_what_it_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scenarios", "--data", str(RAW)]) == 0
    shown = capsys.readouterr()
    assert "14,7" in shown.out and "Ce qui bloque" in shown.out
    assert (
        "La note ne donne aucun chiffre" in shown.err
        and "S0 est une référence que nous ajoutons" in shown.err
    )


def test_the_command_says_switching_values_in_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scenarios", "--switch", "n_conv", "--data", str(RAW)]) == 0
    assert "Au-dessus de 5,1\u00a0conventions, S1 demanderait moins de temps" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong", [["--set", "zz=1"], ["--set", "tau=9"], ["--switch", "zz"], ["--draws", "-1"]]
)
def test_the_command_refuses_in_french_with_code_2(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["scenarios", *wrong, "--format", "json", "--data", str(RAW)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "À faire" in shown.err
