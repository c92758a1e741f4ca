"""The note's arguments weighed: what needs no weight, what weights decide, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ess_analysis.errors import DataError
from ess_analysis.load import load
from ess_analysis.scenarios import criteria as weighing
from ess_analysis.scenarios.criteria import Criteria, Draws, read_criteria
from ess_analysis.scenarios.inputs import Inputs, read_inputs

RAW = Path(__file__).parents[1] / "data" / "raw"


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return read_inputs(RAW)


@pytest.fixture(scope="module")
def criteria(inputs: Inputs) -> Criteria:
    return read_criteria(inputs)


@pytest.fixture(scope="module")
def drawn(criteria: Criteria) -> Draws:
    return weighing.draw(criteria)


def test_seven_criteria_are_scored_for_three_scenarios_with_their_quotes(criteria: Criteria) -> None:
    assert len(criteria.ids) == 7 and len(criteria.scores) == 21
    silent = criteria.scores[criteria.scores["basis"] == "silent"]
    assert silent[["criterion", "option"]].to_numpy().tolist() == [["DIF", "S1"]]
    assert (criteria.scores["statements"].map(len).gt(0) == criteria.scores["basis"].ne("silent")).all()


def test_without_weights_s2_dominates_s3_and_nothing_decides_between_s1_and_s2(criteria: Criteria) -> None:
    assert weighing.dominance(criteria).to_numpy().tolist() == [["S2", "S3"]]
    assert "il faut peser" in weighing.dominance_told(criteria)


def test_equal_weights_put_s1_first(criteria: Criteria) -> None:
    table = weighing.ranking(criteria)
    assert table["option"].tolist() == ["S1", "S2", "S3"]
    assert table["score"].tolist() == pytest.approx([5 / 7, 4 / 7, -3 / 7])


def test_equal_scores_share_a_rank(criteria: Criteria) -> None:
    table = weighing.ranking(criteria, {"RH": 1, "VIS": 2, "ACC": 0}).set_index("option")
    assert table.loc["S1", "rank"] == 1
    tie = weighing.ranking(criteria, {"RH": 20, **{name: 80 / 6 for name in criteria.ids if name != "RH"}})
    assert tie.set_index("option").loc[["S1", "S2"], "rank"].tolist() == [1, 1]


def test_switching_weights_are_those_of_the_design(criteria: Criteria) -> None:
    table = weighing.switching_weights(criteria)
    pair = table[(table["option"] == "S1") & (table["other"] == "S2")].set_index("criterion")
    assert pair["weight"].to_dict() == pytest.approx({"RH": 0.20, "DIF": 0.25})
    assert pair["first_above"].tolist() == ["S2", "S2"]


def test_at_a_switching_weight_the_two_options_tie(criteria: Criteria) -> None:
    for row in weighing.switching_weights(criteria).to_dict("records"):
        rest = (1 - row["weight"]) / 6
        given = {name: row["weight"] if name == row["criterion"] else rest for name in criteria.ids}
        scores = weighing.ranking(criteria, given).set_index("option")["score"]
        assert scores[row["option"]] == pytest.approx(scores[row["other"]])


def test_shares_of_draws_are_those_of_the_design_and_add_up(criteria: Criteria, drawn: Draws) -> None:
    table = weighing.acceptability(criteria, drawn)
    first = table[table["rank"] == 1].set_index("option")["share"]
    assert first.to_dict() == pytest.approx({"S1": 0.59, "S2": 0.39, "S3": 0.02}, abs=0.015)
    assert table.groupby("option")["share"].sum().tolist() == pytest.approx([1, 1, 1])
    assert table.groupby("rank")["share"].sum().tolist() == pytest.approx([1, 1, 1])


def test_drawn_weights_sum_to_one_and_scores_stay_in_their_intervals(
    criteria: Criteria, drawn: Draws
) -> None:
    assert drawn.weights.sum(axis=1) == pytest.approx(1)
    assert (drawn.scores >= criteria.matrix("low")).all() and (drawn.scores <= criteria.matrix("high")).all()
    assert np.array_equal(weighing.draw(criteria).scores, drawn.scores)


def test_leaving_one_criterion_out_shows_what_the_first_place_hangs_on(
    criteria: Criteria, inputs: Inputs, drawn: Draws
) -> None:
    table = weighing.leave_out(criteria, inputs, drawn)
    one = table[table["kind"] == "criterion"].set_index("left_out")
    assert len(one) == 7
    for name in ("Visibilité", "Acculturation", "Continuité"):
        assert one.loc[name, "first"] == "S1 = S2", "a tie at central scores"
        assert one.loc[name, "first_in_draws"] == "S2"
    assert one.loc["Charge de l’équipe", "first"] == "S1"


def test_leaving_the_paragraph_of_s1_out_puts_s2_first(
    criteria: Criteria, inputs: Inputs, drawn: Draws
) -> None:
    table = weighing.leave_out(criteria, inputs, drawn)
    paragraphs = table[table["kind"] == "paragraph"].set_index("left_out")
    assert paragraphs.loc["S1, ligne 62", "first"] == "S2"
    assert (paragraphs.drop("S1, ligne 62")["first"] == "S1").all()


def test_the_methods_of_the_field_agree_on_the_order(criteria: Criteria) -> None:
    table = weighing.other_methods(criteria)
    assert len(table) == 3
    assert (table[["S1", "S2", "S3"]].to_numpy() == [1, 2, 3]).all()


def test_no_ranking_without_what_it_rests_on(criteria: Criteria) -> None:
    for given in (None, {"RH": 5, "VIS": 1}):
        told = weighing.ranking_told(criteria, given)
        assert "repose sur 21 cotations" in told and "différenciation en S1" in told
        assert "D’autres poids donnent un autre ordre" in told
    assert "probabilité" not in weighing.acceptability_told(criteria)
    assert "part des tirages" in weighing.acceptability_told(criteria)


@pytest.mark.parametrize(
    ("given", "message"),
    [({"RH": 0, "VIS": 0}, "somme des poids est nulle"), ({}, "somme des poids est nulle"),
     ({"RH": -1, "VIS": 2}, "positif ou nul"), ({"RH": float("nan")}, "positif ou nul"),
     ({"XX": 1}, "Critère inconnu")],
)  # fmt: skip
def test_weights_that_mean_nothing_are_refused(
    criteria: Criteria, given: dict[str, float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        weighing.weights(criteria, given)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('statements = ["S1-15"]', "statements = []", "sans énoncé"),
        ('statements = ["S1-15"]', 'statements = ["S9-99"]', "énoncé introuvable"),
        ('statements = ["S1-15"]', 'statements = ["S1-13"]', "nourrit deux critères"),
        ('statements = ["S1-15"]', "", "« statements » manque"),
        ('basis = "silent"', 'basis = "stated"', "sans énoncé"),
        ('basis = "stated"', 'basis = "sûr"', "fondement inconnu"),
        ("central = 1", "central = 3", "hors de −2…\\+2"),
        ("central = 1", 'central = "un"', "trois nombres"),
        ('option = "S1"', 'option = "S4"', "une note par option"),
        ("author =", "auteur =", "ni signé ni daté"),
    ],
)
def test_a_wrong_score_is_refused_in_french(tmp_path: Path, old: str, new: str, message: str) -> None:
    data = Path(shutil.copytree(RAW, tmp_path / "raw"))
    path = data / "scenarios" / "criteria.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_criteria(read_inputs(data, load(RAW)))
