"""What the note says and does not say, the log of assumptions, and what a commune can read of itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ess_analysis.load import Tables, load
from ess_analysis.scenarios import evidence, exploration
from ess_analysis.scenarios.inputs import Inputs, read_inputs

RAW = Path(__file__).parents[1] / "data" / "raw"


@pytest.fixture(scope="module")
def tables() -> Tables:
    return load(RAW)


@pytest.fixture(scope="module")
def inputs(tables: Tables) -> Inputs:
    return read_inputs(RAW, tables)


def test_each_statement_stands_once_in_the_matrix_and_silences_are_written(inputs: Inputs) -> None:
    table = evidence.matrix(inputs)
    text = " ".join(table[["S1", "S2", "S3"]].to_numpy().ravel())
    about = inputs.statements[inputs.statements["subject"] != ""]
    assert sorted(re.findall(r"\((S\d-\d\d)\)", text)) == sorted(about["id"])
    silences = table.set_index("Sujet").eq(evidence.SILENCE)
    assert silences.loc["Différenciation", "S1"] and silences.loc["Visibilité", "S2"]
    assert silences.loc["Temps/agenda", "S3"]


def test_a_drawback_of_stopping_written_under_s1_is_filed_under_s3(inputs: Inputs) -> None:
    table = evidence.matrix(inputs).set_index("Sujet")
    assert "− « mettre fin à l'APT" in table.loc["Continuité", "S3"]
    assert "S3-02" in table.loc["Charge RH", "S1"]


def test_statements_are_counted_as_the_note_deals_them_out(inputs: Inputs) -> None:
    assert evidence.counts(inputs).set_index("option")["statements"].to_dict() == {
        "S1": 17,
        "S2": 14,
        "S3": 12,
    }


# --- The log ----------------------------------------------------------------------------------------------


def test_the_log_holds_every_assumption_with_computed_weight_and_quality(inputs: Inputs) -> None:
    table = evidence.log(inputs, shares=evidence.weights_of_assumptions(inputs, size=64))
    assert set(table["input"]) == {one.id for one in inputs.panel("assumption")}
    assert table["share"].is_monotonic_decreasing
    heavy = table.set_index("input")
    assert heavy.loc[["r0", "V2", "V3"], "impact"].eq("strong").all()
    assert heavy.loc["reading", "impact"] == "strong", "it can stop everything"
    assert heavy.loc["a", "quality"] == "measured" and heavy.loc["V1", "quality"] == "signed"
    assert heavy.loc["NT", "quality"] == "supposed"
    assert heavy["verdict"].eq("untested").all()


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([2], "confirmed"), ([2, 3], "confirmed"), ([2, 3.5], "refuted"), ([0], "refuted")],
)
def test_observed_values_confirm_or_refute(
    tables: Tables, tmp_path: Path, values: list[float], verdict: str
) -> None:
    data = Path(shutil.copytree(RAW, tmp_path / "raw"))
    text = "".join(
        f'[[observed]]\ninput = "r0"\nyear = {2015 + n}\nvalue = {value}\nsource = "bilan"\nauthor = "x"\n'
        "date = 2027-01-01\n"
        for n, value in enumerate(values)
    )
    (data / "scenarios" / "observed.toml").write_text(text, encoding="utf-8")
    table = evidence.log(read_inputs(data, tables), shares={}).set_index("input")
    assert table.loc["r0", "verdict"] == verdict
    assert table.drop("r0")["verdict"].eq("untested").all()
    warned = [text for text in exploration.warnings(read_inputs(data, tables)) if "Réfutée" in text]
    assert bool(warned) == (verdict == "refuted"), "a refuted assumption is told with the results"


# --- What a lever loses ------------------------------------------------------------------------------------


def test_what_lille_may_lose_adds_up_to_the_transfer_with_its_unexplained_part(tables: Tables) -> None:
    actions = evidence.actions_at_stake(tables)
    assert len(actions) == 12
    assert actions["amount_eur"].sum() == pytest.approx(73_000)
    assert actions.iloc[-1]["amount_eur"] == pytest.approx(13_173)
    assert "non détaillé" in actions.iloc[-1]["title"]


def test_the_loss_is_said_without_choosing_for_the_metropole(tables: Tables) -> None:
    actions = evidence.actions_at_stake(tables)
    assert "aucune action" in evidence.loss(1, 73_000, actions)
    half = evidence.loss(0.5, 73_000, actions)
    assert "36\u202f500\u00a0€" in half and "La note ne dit pas lesquelles" in half
    assert "73\u202f000\u00a0€" in evidence.loss(0, 73_000, actions)


# --- And my commune? --------------------------------------------------------------------------


def test_the_95_communes_are_there_and_15_are_named_in_annex_1(tables: Tables, inputs: Inputs) -> None:
    table = evidence.communes(tables, inputs)
    assert len(table) == 95 and table["member"].sum() == 85
    assert table["projects"].map(len).gt(0).sum() == 15
    projects = table.set_index("name")["projects"].map(len)
    assert projects["Lille"] == 2 and projects["Hem"] == 1 and projects["Marcq-en-Barœul"] == 0


def test_no_commune_is_told_an_amount(tables: Tables, inputs: Inputs) -> None:
    for commune in evidence.communes(tables, inputs).to_dict("records"):
        text = " ".join(evidence.told(commune))
        assert commune["name"] in text
        assert "€" not in text


def test_a_commune_that_joined_later_is_told_so(tables: Tables, inputs: Inputs) -> None:
    table = evidence.communes(tables, inputs).set_index("name", drop=False)
    assert "n’était pas membre" in evidence.told(table.loc["Annœullin"].to_dict())[0]


def test_each_opening_quotes_the_statement_that_says_it(inputs: Inputs) -> None:
    table = evidence.openings(inputs)
    assert set(table["option"]) == {"S1", "S2", "S3"}
    assert (table["quote"] != table["statement"]).all(), "every statement is found in annex 3"
    assert table["statement"].str[:2].eq(table["option"]).all()
