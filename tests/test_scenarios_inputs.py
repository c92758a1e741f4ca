"""What goes into the scenarios: refused when unsourced or out of bounds, recomputed when derived."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ess_analysis.errors import DataError
from ess_analysis.load import load
from ess_analysis.scenarios import inputs as reading
from ess_analysis.scenarios.inputs import Inputs, read_inputs, read_observed
from ess_analysis.scenarios.settings import find, freeze, read_frozen, settings

RAW = Path(__file__).parents[1] / "data" / "raw"


@pytest.fixture(scope="module")
def tables():  # type: ignore[no-untyped-def]
    return load(RAW)


@pytest.fixture(scope="module")
def inputs(tables) -> Inputs:  # type: ignore[no-untyped-def]
    return read_inputs(RAW, tables)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the data that a test may spoil."""
    return Path(shutil.copytree(RAW, tmp_path / "raw"))


def spoil(data: Path, old: str, new: str, name: str = "inputs.toml") -> None:
    path = data / "scenarios" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_each_input_says_its_value_bounds_status_source_author_and_date(inputs: Inputs) -> None:
    for one in inputs:
        assert one.low <= one.central <= one.high
        assert one.sources and one.why and one.author and isinstance(one.date, dt.date)
        assert one.panel in reading.PANEL_LABELS and one.status in reading.STATUS_LABELS


def test_decisions_and_assumptions_are_two_panels_that_share_nothing(inputs: Inputs) -> None:
    decisions, assumptions = ({one.id for one in inputs.panel(name)} for name in ("decision", "assumption"))
    assert not decisions & assumptions
    assert {"tau", "g", "e1", "e2", "e3"} <= decisions
    assert {"H", "V1", "lam", "alpha", "r0"} <= assumptions


@pytest.mark.parametrize(
    ("name", "expected"),
    [("E0", 110_000), ("TL", 73_000), ("I0", 31_000), ("a", 25_663 / 3), ("c", 15_500), ("r0", 1.5),
     ("m", 16 / 3),     ("n_bil", 8), ("n_gt", 6), ("D0", 4), ("C0", 15), ("NC", 85)],
)  # fmt: skip
def test_what_the_note_gives_is_recomputed_from_its_tables(
    inputs: Inputs, name: str, expected: float
) -> None:
    assert inputs[name].recomputed
    assert inputs[name].central == pytest.approx(expected, abs=1e-9)


def test_nothing_has_changed_in_the_source_today(inputs: Inputs) -> None:
    assert inputs.remarks == ()


def test_a_changed_source_changes_the_derived_input_and_it_is_said(tables) -> None:  # type: ignore
    funding = tables.funding.copy()
    hem = funding["amount_eur"].eq(15_000) & funding["stage"].eq("awarded")
    assert hem.sum() == 1
    funding.loc[hem, "amount_eur"] = 30_000.0
    changed = read_inputs(RAW, replace(tables, funding=funding))
    assert changed["a"].central == pytest.approx((25_663 + 15_000) / 3)
    assert len(changed.remarks) == 1
    assert "La source a changé" in changed.remarks[0] and "Subvention moyenne" in changed.remarks[0]


def test_a_derived_input_that_the_tables_no_longer_give_is_refused(tables) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="ne permet plus"):
        read_inputs(RAW, replace(tables, funding=tables.funding.iloc[:0]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('sources = ["B-20"]', "sources = []", "aucune source"),
        ('sources = ["B-20"]', 'sources = ["B-99"]', "source introuvable"),
        ('sources = ["B-20"]', 'sources = "B-20"', "aucune source"),
        ("central = 1\n", 'central = "un"\n', "n’est pas un nombre"),
        ("central = 1\n", "central = nan\n", "n’est pas un nombre"),
        ("central = 1\n", "central = 2\n", "sort de ses bornes"),
        ('panel = "decision"', 'panel = "choix"', "« panel » inconnu"),
        ('status = "assumption"', 'status = "sûr"', "« status » inconnu"),
        ('status = "assumption"', 'status = "derived"', "mais comment"),
        ('author = "équipe ess_analysis"', 'author = ""', "« author » manque"),
        ("date = 2026-11-23", 'date = "hier"', "la date manque"),
        ('id = "tau"', 'id = "tau2"', "manque une entrée"),
        ('id = "tau"', 'id = "g"', "deux fois"),
        ('label = "Part du transfert', 'libelle = "Part du transfert', "champ inconnu"),
        ('recomputed = "envelope"', 'recomputed = "envelopp"', "calcul inconnu"),
        ("[[input]]", "[[input", "n’est pas lisible"),
    ],
)
def test_a_wrong_input_is_refused_in_french(
    tables, data: Path, old: str, new: str, message: str  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    spoil(data, old, new)
    with pytest.raises(DataError, match=message) as refused:
        read_inputs(data, tables)
    assert "inputs.toml" in str(refused.value) and "À faire" in str(refused.value)


def test_a_missing_file_of_inputs_is_said(tables, data: Path) -> None:  # type: ignore[no-untyped-def]
    (data / "scenarios" / "inputs.toml").unlink()
    with pytest.raises(DataError, match="introuvable"):
        read_inputs(data, tables)


# --- What a user sets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("tau=0.5", 0.5), ("tau=0,5", 0.5), ("tau=50%", 0.5), ("τ=50 %", 0.5), ("tau = 1", 1.0)],
)
def test_numbers_are_read_as_french_people_and_programmers_write_them(
    inputs: Inputs, text: str, expected: float
) -> None:
    assert settings(inputs, [text])["tau"] == expected


def test_amounts_negative_shares_and_choices_are_read(inputs: Inputs) -> None:
    values = settings(inputs, ["a=9 000 €", "g=−2 %", "reading=pour deux ans"])
    assert (values["a"], values["g"], values["reading"]) == (9000, -0.02, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nu=1", "Entrée inconnue"),
        ("tau=1.2", "hors bornes"),
        ("tau=-0.1", "hors bornes"),
        ("tau=beaucoup", "un nombre est attendu"),
        ("tau=nan", "un nombre est attendu"),
        ("tau=inf", "un nombre est attendu"),
        ("tau=", "Réglage illisible"),
        ("tau", "Réglage illisible"),
        ("H=0", "hors bornes"),
        ("g=-100%", "hors bornes"),
        ("reading=3", "choix inconnu"),
        ("E0=50000", "ne se règle pas"),
    ],
)
def test_a_wrong_setting_is_refused_in_french(inputs: Inputs, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        settings(inputs, [text])
    assert "À faire" in str(refused.value)


def test_a_truth_value_is_not_a_number(inputs: Inputs) -> None:
    with pytest.raises(DataError, match="un nombre est attendu"):
        settings(inputs, {"tau": True})


def test_a_misspelt_name_is_helped(inputs: Inputs) -> None:
    with pytest.raises(DataError, match="n_conv"):
        find(inputs, "nconv")


def test_values_are_said_as_people_read_them(inputs: Inputs) -> None:
    assert inputs["tau"].said(0.575) == "57,5\u00a0%"
    assert inputs["a"].said(8554.33) == "8\u202f554\u00a0€ par projet"
    assert inputs["reading"].said(4) == "pour quatre ans"
    assert inputs["V1"].said(1.1) == "1,10"
    assert inputs["r0"].bounds == "de 1 à 3\u00a0projets par an"


# --- Frozen scenarios -----------------------------------------------------------------------------


def test_a_frozen_scenario_is_replayed_the_same(inputs: Inputs, tmp_path: Path) -> None:
    title = 'Moitié pour Lille, « équipe » renforcée "à voir" \\ fin'
    path = freeze(
        inputs, {"tau": 0.5, "H": 200}, tmp_path, author="A. Élue", title=title, today=dt.date(2027, 1, 2)
    )
    again = read_frozen(path, inputs)
    assert again.changes == {"tau": 0.5, "H": 200.0}
    assert (again.title, again.author, again.date) == (title, "A. Élue", dt.date(2027, 1, 2))
    assert again.remarks == ()
    assert path.name.startswith("2027-01-02-moitie-pour-lille")


def test_a_frozen_scenario_names_its_modified_settings_and_the_status_of_the_others(
    inputs: Inputs, tmp_path: Path
) -> None:
    text = freeze(inputs, {"tau": 0.5}, tmp_path, author="x", title="y").read_text(encoding="utf-8")
    assert text.count('status = "modified"') == 1
    assert 'status = "derived"' in text and 'status = "assumption"' in text
    assert inputs.note_sha256 in text


def test_a_scenario_frozen_on_another_note_or_other_inputs_says_what_moved(
    inputs: Inputs, tmp_path: Path
) -> None:
    path = freeze(inputs, {"tau": 0.5}, tmp_path, author="x", title="y")
    text = path.read_text(encoding="utf-8").replace(inputs.note_sha256, "0" * 64)
    path.write_text(text.replace("value = 140.0", "value = 150.0"), encoding="utf-8")
    remarks = read_frozen(path, inputs).remarks
    assert "n’est plus celle" in remarks[0]
    assert "Temps de l’équipe" in remarks[1] and len(remarks) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value = 0.5", "value = 5.0", "hors bornes"),
        ("value = 0.5", 'value = "moitié"', "un nombre est attendu"),
        ('input = "tau"', 'input = "taux"', "Entrée inconnue"),
        ("title =", "titre =", "n’est pas un scénario figé"),
        ("[[setting]]", "[[setting", "n’est pas lisible"),
    ],
)
def test_a_spoilt_frozen_scenario_is_refused(
    inputs: Inputs, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = freeze(inputs, {"tau": 0.5}, tmp_path, author="x", title="y")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_frozen(path, inputs)


def test_a_frozen_scenario_needs_a_title_and_an_author(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="titre et un auteur"):
        freeze(inputs, {"tau": 0.5}, tmp_path, author=" ", title="y")


# --- Observed values --------------------------------------------------------------------------------

OBSERVED = (
    '[[observed]]\ninput = "r0"\nyear = 2016\nvalue = 2\nsource = "bilan"\nauthor = "x"\ndate = 2027-01-01\n'
)


def test_no_value_is_observed_yet(inputs: Inputs) -> None:
    assert read_observed(inputs).empty


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"r0"', '"zz"', "entrée inconnue"),
        ("2016", "2012", "hors période"),
        ("value = 2", 'value = "deux"', "n’est pas un nombre"),
        ('"bilan"', '""', "« source » manque"),
        ("date = 2027-01-01", "", "la date manque"),
    ],
)
def test_a_wrong_observed_value_is_refused(
    tables, data: Path, old: str, new: str, message: str  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    (data / "scenarios" / "observed.toml").write_text(OBSERVED.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_observed(read_inputs(data, tables))
