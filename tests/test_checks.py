"""What the checks find, and what they must not say."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pandas.testing as pdt
import pytest

from ess_analysis import schema
from ess_analysis.checks import CHECKS, check
from ess_analysis.load import load

ROOT = Path(__file__).resolve().parents[1]

SOURCE = "ville/classeur.xlsx"


def tables(**frames: list[dict[str, Any]]) -> Any:
    """A collection from plain rows; a table that is not given is empty."""
    made = {
        name: schema.conform(pd.DataFrame(frames[name]), name) if frames.get(name) else schema.empty(name)
        for name in schema.TABLES
    }
    return SimpleNamespace(**made, sources=(), readings={}, remarks=())


def action_table(
    rows: list[tuple[float | None, ...]], stated: tuple[float, ...] | None = None
) -> dict[str, Any]:
    """Rows (Métropole, Ville, done by the Ville, done by others, total) on two axes, and their TOTAL row."""
    frames: dict[str, Any] = {name: [] for name in schema.TABLES}
    half = (len(rows) + 1) // 2
    for index, (first, second, own, others, total) in enumerate(rows):
        line = 5 + index
        record = f"T/{'Animation' if index < half else 'Recherche'}/{index % half + 1}"
        place = {"source": SOURCE, "sheet": "Actions"}
        shared = {"record_id": record, "title": f"Action {'abcdefghijkl'[index]}"}
        frames["records"].append(
            {
                **place,
                **shared,
                "cell": f"B{line}",
                "table_id": "T",
                "kind": "action",
                "axis": record.split("/")[1],
                "number": record.split("/")[2],
                "row_total_eur": total,
            }
        )
        for column, funder, amount in (("D", "Métropole", first), ("E", "Ville", second)):
            frames["funding"].append(
                {
                    **place,
                    **shared,
                    "funding_id": f"{record}/{funder}",
                    "cell": f"{column}{line}",
                    "funder": funder,
                    "year": 2013,
                    "stage": "planned",
                    "kind": "cash",
                    "amount_eur": amount,
                }
            )
        for column, operator, amount in (("F", "Ville", own), ("G", "Autres", others)):
            frames["delivery"].append(
                {**place, **shared, "cell": f"{column}{line}", "operator": operator, "amount_eur": amount}
            )
    stated = stated or tuple(sum(row[i] or 0 for row in rows) for i in range(5))
    columns = (
        ("D", "funding", "Métropole", None),
        ("E", "funding", "Ville", None),
        ("F", "delivery", None, "Ville"),
        ("G", "delivery", None, "Autres"),
        ("H", "row_total", None, None),
    )
    for (column, measure, funder, operator), amount in zip(columns, stated, strict=True):
        frames["stated_totals"].append(
            {
                "total_id": f"T/{column}",
                "source": SOURCE,
                "sheet": "Actions",
                "cell": f"{column}{5 + len(rows)}",
                "table_id": "T",
                "covers": funder or operator or "TOTAL",
                "measure": measure,
                "funder": funder,
                "operator": operator,
                "amount_eur": amount,
            }
        )
    return frames


EVEN = [
    (10000.0, 5000.0, 10800.0, 4200.0, 15000.0),
    (5000.0, 8500.0, 3500.0, 10000.0, 13500.0),
    (5000.0, None, 5000.0, None, 5000.0),
    (3500.0, 5020.0, 8520.0, None, 8520.0),
]


def found(collection: Any, code: str, severity: str | None = None) -> pd.DataFrame:
    findings = check(collection)
    kept = findings[findings["code"] == code]
    return kept if severity is None else kept[kept["severity"] == severity]


def doubtful(collection: Any) -> list[str]:
    findings = check(collection)
    return findings.loc[findings["severity"] != "info", "code"].tolist()


def test_a_table_that_adds_up_is_said_exact_and_raises_no_doubt() -> None:
    collection = tables(**action_table(EVEN))
    assert doubtful(collection) == []
    exact = found(collection, "COLUMN-TOTAL", "info")
    assert exact["cell"].tolist() == ["D9", "E9", "F9", "G9", "H9"]
    assert (exact["gap"] == 0).all()


def test_a_changed_amount_is_found_down_to_its_cell() -> None:
    frames = action_table(EVEN)
    frames["funding"][3]["amount_eur"] = 8050.0
    collection = tables(**frames)
    row = found(collection, "ROW-BALANCE").iloc[0]
    assert (row["cell"], row["gap"]) == ("E6", 450.0)
    assert "« Action b »" in row["message"] and "E6 est à vérifier" in row["message"]
    column = found(collection, "COLUMN-TOTAL", "alert").iloc[0]
    assert (column["cell"], column["gap"]) == ("E9", -450.0)


def test_an_unbalanced_row_says_which_side_stands_apart() -> None:
    frames = action_table(EVEN)
    frames["records"][2]["row_total_eur"] = 50000.0
    row = found(tables(**frames), "ROW-BALANCE").iloc[0]
    assert row["cell"] == "B7" and "c'est « total écrit » qui s'écarte" in row["message"]


def test_an_erased_amount_unbalances_its_row() -> None:
    frames = action_table(EVEN)
    frames["delivery"][6]["amount_eur"] = None
    row = found(tables(**frames), "ROW-BALANCE").iloc[0]
    assert row["cell"] == "F8"


def test_a_missing_row_leaves_gaps_that_agree_and_a_break_in_the_numbers() -> None:
    frames = action_table(EVEN)
    for name in ("records", "funding", "delivery"):
        frames[name] = [line for line in frames[name] if line["title"] != "Action a"]
    collection = tables(**frames)
    together = found(collection, "GAPS-TOGETHER").iloc[0]
    assert "une ou plusieurs lignes manquent" in together["message"] and together["gap"] == -15000
    order = found(collection, "NUMBER-ORDER").iloc[0]
    assert order["cell"] == "B6" and "le n° 1 était attendu" in order["message"]


def test_a_row_written_twice_is_recognised_by_the_excess_it_makes() -> None:
    frames = action_table(EVEN)
    for name in ("records", "funding", "delivery"):
        for line in [line for line in frames[name] if line["title"] == "Action b"]:
            copy = {**line, "record_id": "T/Animation/9", "number": "3", "cell": line["cell"][0] + "99"}
            frames[name].append(
                {**copy, "funding_id": line.get("funding_id", "") + "bis", "title": "Action z"}
            )
    message = found(tables(**frames), "GAPS-TOGETHER").iloc[0]["message"]
    assert "une ligne est en trop" in message and "B6, B99" in message


def test_amounts_exchanged_between_two_columns_are_found_on_their_row() -> None:
    frames = action_table(EVEN)
    frames["funding"][2]["amount_eur"], frames["funding"][3]["amount_eur"] = 8500.0, 5000.0
    row = found(tables(**frames), "GAPS-TOGETHER").iloc[0]
    assert row["cell"] == "B6" and "échangés entre ces colonnes" in row["message"]


def test_totals_that_disagree_by_one_euro_are_told_to_the_euro() -> None:
    stated = (23500.0, 18520.0, 27820.0, 14200.0, 42021.0)
    collection = tables(**action_table(EVEN, stated))
    rows = found(collection, "TOTALS-BALANCE")
    assert rows["gap"].tolist() == [-1.0, -1.0]
    assert rows["cell"].tolist() == ["H9", "H9"]
    assert "27 820 + 14 200 = 42 020" in rows.iloc[1]["message"].replace("\u202f", " ").replace("\u00a0", " ")


def test_a_total_in_cents_is_compared_to_the_cent() -> None:
    rows = [(0.1, 0.2, 0.3, None, 0.3), (0.7, 0.1, 0.8, None, 0.8)]
    assert doubtful(tables(**action_table(rows, (0.8, 0.3, 1.1, 0.0, 1.1)))) == []
    wrong = tables(**action_table(rows, (0.81, 0.3, 1.1, 0.0, 1.11)))
    assert found(wrong, "COLUMN-TOTAL", "alert")["gap"].tolist() == [-0.01, -0.01]


def test_a_total_over_two_stages_is_blocking() -> None:
    frames = action_table(EVEN)
    frames["funding"][0]["stage"] = "paid"
    row = found(tables(**frames), "MIXED-TOTAL").iloc[0]
    assert row["severity"] == "blocking" and "prévisionnel" in row["message"] and "versé" in row["message"]


def award(number: int, amount: float | None, year: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "funding_id": f"A/{number}",
        "source": SOURCE,
        "sheet": "Annexe 1",
        "cell": f"F{number + 1}",
        "record_id": f"A/{number}",
        "title": f"Projet {number}",
        "programme": "Appel à projets",
        "funder": "Métropole",
        "stage": "awarded",
        "kind": "cash",
        "year": year,
        "amount_eur": amount,
        **more,
    }


def project(number: int, **more: Any) -> dict[str, Any]:
    return {
        "record_id": f"A/{number}",
        "source": SOURCE,
        "sheet": "Annexe 1",
        "cell": f"A{number + 1}",
        "table_id": "annexe_1",
        "kind": "project",
        "title": f"Projet {number}",
        **more,
    }


def stated(amount: float | None = None, count: int | None = None) -> dict[str, Any]:
    return {
        "total_id": f"A/total/{'count' if count else 'amount'}",
        "source": SOURCE,
        "sheet": "Annexe 1",
        "cell": "A9",
        "table_id": "annexe_1",
        "covers": "Montant accordé",
        "measure": "count" if count else "funding",
        "amount_eur": amount,
        "count": count,
    }


@pytest.mark.parametrize(
    ("wrong", "slip"),
    [
        (-5933.0, "au signe inversé"),
        (59330.0, "à la virgule déplacée"),
        (9533.0, "aux chiffres intervertis"),
    ],
)
def test_a_usual_slip_is_proposed_when_one_amount_alone_explains_the_gap(wrong: float, slip: str) -> None:
    frames = {
        "records": [project(1), project(2)],
        "funding": [award(1, wrong, 2013), award(2, 15000.0, 2013)],
        "stated_totals": [stated(20933.0)],
    }
    rows = found(tables(**frames), "GAP-LEAD")
    assert rows["cell"].tolist() == ["F2"] and slip in rows.iloc[0]["message"]


def test_the_number_of_projects_announced_is_compared_with_the_rows() -> None:
    right = tables(records=[project(1), project(2)], stated_totals=[stated(count=2)])
    assert found(right, "STATED-COUNT")["severity"].tolist() == ["info"]
    wrong = tables(records=[project(1), project(2)], stated_totals=[stated(count=3)])
    row = found(wrong, "STATED-COUNT").iloc[0]
    assert (row["severity"], row["stated"], row["computed"], row["gap"]) == ("alert", "3", "2", -1)


def envelope(**more: Any) -> dict[str, Any]:
    return award(9, 110000.0, stage="allocated", sheet="Actions", cell="C4", record_id="T/3", **more)


def test_awards_are_compared_with_the_envelope_under_each_reading() -> None:
    awards = [
        award(1, 73000.0, 2012, part_of="A/9"),
        award(2, 73000.0, 2013, part_of="A/9"),
        award(3, 25663.0, part_of="A/9"),
    ]
    row = found(tables(funding=[envelope(), *awards]), "ENVELOPE").iloc[0]
    message = row["message"].replace("\u202f", " ").replace("\u00a0", " ")
    assert row["severity"] == "alert" and row["gap"] == 61663
    assert "156,1 %" in message and "78,0 %" in message and "98 663 €" in message
    small = tables(funding=[envelope(), award(1, 73000.0, 2012, part_of="A/9")])
    assert found(small, "ENVELOPE")["severity"].tolist() == ["info"]


def test_a_line_and_its_details_are_compared() -> None:
    line = award(1, 73000.0, 2013)
    details = [award(n, 20000.0, 2013, part_of="A/1", sheet="Annexe 2", stage="planned") for n in (2, 3)]
    row = found(tables(funding=[line, *details]), "DETAIL").iloc[0]
    assert row["severity"] == "alert" and "54,8" in row["message"] and row["gap"] == -33000
    details[1] |= {"amount_eur": 53000.0}
    whole = found(tables(funding=[line, *details]), "DETAIL")
    assert whole["severity"].tolist() == ["info"] and "en totalité" in whole.iloc[0]["message"]


def test_a_detail_of_another_year_is_told() -> None:
    lines = [award(1, 20.0, 2013), award(2, 20.0, 2012, part_of="A/1", stage="planned")]
    messages = found(tables(funding=lines), "DETAIL", "alert")["message"].tolist()
    assert len(messages) == 1 and "montant de 2013" in messages[0] and "2012" in messages[0]


def test_amounts_without_year_are_told_with_their_share() -> None:
    lines = [award(1, 75.0, 2013), award(2, 25.0), award(3, None)]
    row = found(tables(funding=lines), "UNDATED").iloc[0]
    assert "1\u00a0montant sans année sur 2" in row["message"] and "25,0\u00a0%" in row["message"]
    assert row["cell"] == "F3"


def test_the_same_year_written_twice_in_one_cell_is_told() -> None:
    lines = [award(1, 73000.0, 2013), award(1, 71000.0, 2013, funding_id="A/1b")]
    assert found(tables(funding=lines), "SAME-YEAR-TWICE")["cell"].tolist() == ["F2"]
    lines[1]["year"] = 2012
    assert found(tables(funding=lines), "SAME-YEAR-TWICE").empty


def test_a_repeated_key_is_blocking() -> None:
    lines = [award(1, 10.0, 2013), award(1, 20.0, 2012, cell="F7")]
    row = found(tables(funding=lines), "REPEATED-KEY").iloc[0]
    assert row["severity"] == "blocking" and "A/1" in row["message"] and "F2, F7" in row["message"]


def test_a_line_written_twice_is_told_once_with_its_cells() -> None:
    lines = [award(n, 10.0, 2013, title="Aide") for n in range(1, 5)]
    row = found(tables(funding=lines), "REPEATED-LINE")
    assert len(row) == 1 and "3\u00a0lignes identiques" in row.iloc[0]["message"]
    lines = [award(n, 10.0, 2013, title="Aide", recipient=f"Association {n}") for n in range(1, 5)]
    assert found(tables(funding=lines), "REPEATED-LINE").empty


@pytest.mark.parametrize("worth", [30.0, 10.0])
def test_lines_that_reading_told_are_told_again_only_with_others(worth: float) -> None:
    lines = [award(n, 10.0, 2013, title="Aide") for n in range(1, 5)]
    read = {"code": "READ-DUPLICATES", "severity": "alert", "message": "…", "gap": worth}
    place = {"source": SOURCE, "sheet": "Annexe 1"}
    rows = found(tables(funding=lines, findings=[{**place, **read}]), "REPEATED-LINE")
    said = [
        message.endswith("y compris celles répétées cellule pour cellule.") for message in rows["message"]
    ]
    assert said == ([] if worth == 30 else [True])


def test_one_more_is_singular() -> None:
    lines = [award(n, 0.0, 2013) for n in range(1, 7)]
    assert "et 1 autre)" in found(tables(funding=lines), "ZERO-AMOUNT").iloc[0]["message"]


def test_numbers_may_restart_at_each_axis() -> None:
    collection = tables(**action_table(EVEN))
    assert found(collection, "NUMBER-ORDER").empty
    assert "2 + 2 = 4" in found(collection, "NUMBER-RESTART").iloc[0]["message"]


def test_an_annex_that_refers_to_itself_is_told() -> None:
    inside = project(1, description="Transfert de savoir faire Cf détails en annexe 1")
    row = found(tables(records=[inside]), "SELF-REFERENCE").iloc[0]
    assert row["cell"] == "A2" and "Cf détails en annexe 1" in row["message"]
    elsewhere = project(1, description="Cf détails en annexe 12")
    assert found(tables(records=[elsewhere]), "SELF-REFERENCE").empty


def test_a_project_spelt_in_two_ways_and_funded_twice_is_found() -> None:
    records = [
        project(1, title="Soutien à l'association pour l'initiative \"Ciné cité social\""),
        project(
            2, description="Essaimage de l'action Ciné, Cité, Social", sheet="Annexe 2", table_id="annexe_2"
        ),
        project(3, title="Centre social de la Cité"),
    ]
    lines = [award(1, 4730.0), award(2, 4000.0, sheet="Annexe 2", funder="Ville"), award(3, 900.0)]
    rows = found(tables(records=records, funding=lines), "FUNDED-TWICE")
    assert rows["cell"].tolist() == ["A2"]
    message = rows.iloc[0]["message"]
    assert "4\u202f730" in message and "4\u202f000" in message
    assert "pourrait être le même projet" in message and message.endswith("À vérifier.")
    lines[1]["funder"] = "Métropole"
    assert found(tables(records=records, funding=lines), "FUNDED-TWICE").empty


@pytest.mark.parametrize(
    ("recipients", "places", "accused"),
    [
        (("Ville d'Amiens", "CC Nord Picardie"), (), False),
        (("Ville d'Amiens", "VILLE D AMIENS"), (), True),
        (("Association", "Mairie"), ("Lille", "Lille"), True),
        (("Association", "Mairie"), ("Lille", "Loos"), False),
    ],
)
def test_one_name_is_one_project_only_for_one_recipient_or_one_place(
    recipients: tuple[str, str], places: tuple[str, ...], accused: bool
) -> None:
    records = [project(n, title=f'Action "Chantier de la citadelle", tranche {n}') for n in (1, 2)]
    lines = [award(n, 10.0, recipient=who) for n, who in enumerate(recipients, 1)]
    named = [
        {"record_id": f"A/{n}", "written_as": place, "territory": "Hauts-de-France"}
        for n, place in enumerate(places, 1)
    ]
    rows = found(tables(records=records, funding=lines, places=named), "FUNDED-TWICE")
    assert len(rows) == accused


def test_a_name_that_many_records_bear_accuses_none() -> None:
    records = [project(n, title="Rénovation de « l'ancienne poste »") for n in range(1, 4)]
    lines = [award(n, 10.0, recipient="Lille") for n in range(1, 4)]
    assert found(tables(records=records, funding=lines), "FUNDED-TWICE").empty
    assert len(found(tables(records=records[:2], funding=lines), "FUNDED-TWICE")) == 1


def test_blank_cells_are_counted_by_column() -> None:
    row = found(tables(**action_table(EVEN)), "BLANK-CELL").iloc[0]
    assert row["severity"] == "info" and row["computed"] == "3"
    assert "Ville 1 (E7)" in row["message"] and "réalisation Autres 2 (G7, G8)" in row["message"]


def test_a_zero_is_not_a_blank() -> None:
    frames = action_table(EVEN)
    frames["funding"][5]["amount_eur"] = 0.0
    assert found(tables(**frames), "ZERO-AMOUNT")["cell"].tolist() == ["E7"]


def test_a_negative_amount_is_told() -> None:
    assert found(tables(funding=[award(1, -10.0, 2013)]), "NEGATIVE-AMOUNT")["cell"].tolist() == ["F2"]


def test_labels_that_differ_by_case_accents_or_hyphens_are_told_and_others_are_not() -> None:
    names = ["Collectivité Territoriale", "Collectivité territoriale", "Association", "Associations"]
    rows = found(
        tables(records=[project(n, legal_status=name) for n, name in enumerate(names)]), "LABEL-VARIANT"
    )
    assert len(rows) == 1
    assert "« Collectivité Territoriale » et « Collectivité territoriale »" in rows.iloc[0]["message"]
    assert "Association" not in rows.iloc[0]["message"]


def test_a_long_word_without_its_accent_is_told_and_a_verb_is_not() -> None:
    records = [
        project(1, description="Realisation de trois forums, action accompagne"),
        project(2, description="Réalisation d'un atelier accompagné"),
    ]
    assert found(tables(records=records), "ACCENT")["stated"].tolist() == ["realisation"]


def test_an_amount_for_several_territories_is_told() -> None:
    places = [
        {"record_id": "A/1", "territory": name, "source": SOURCE, "sheet": "Annexe 1", "cell": "B2"}
        for name in ("lillois", "tourquennois", "roubaisien")
    ]
    row = found(tables(funding=[award(1, 4730.0)], places=places), "SHARED-AMOUNT").iloc[0]
    assert "3\u00a0territoires" in row["message"] and row["cell"] == "F2"


def test_a_funder_among_the_partners_is_told() -> None:
    records = [project(1, partners="APES, Métropole, CRESS"), project(2, partners="Métropolitains")]
    rows = found(tables(records=records, funding=[award(1, 5.0), award(2, 5.0)]), "FUNDER-PARTNER")
    assert rows["cell"].tolist() == ["F2"]


def test_ten_thousand_doubtful_rows_make_a_few_findings() -> None:
    lines = [award(n, -1.0 if n % 2 else 0.0) for n in range(10_000)]
    findings = check(tables(funding=lines, records=[project(n) for n in range(10_000)]))
    assert len(findings) < 20
    negative = findings[findings["code"] == "NEGATIVE-AMOUNT"].iloc[0]
    assert "5\u202f000\u00a0montants négatifs" in negative["message"] and "F2, F4" in negative["message"]


def test_what_reading_found_is_among_the_findings() -> None:
    collection = tables(
        findings=[
            {
                "code": "respelled_place",
                "severity": "info",
                "message": "Saily",
                "source": SOURCE,
                "cell": "A4",
            }
        ]
    )
    assert check(collection)["code"].tolist() == ["respelled_place"]


def test_findings_come_blocking_first_then_by_place_and_always_in_the_same_order() -> None:
    frames = action_table([*EVEN, (1.0, 0.0, 1.0, None, 2.0)])
    frames["funding"].append({**frames["funding"][0], "amount_eur": 3.0})
    once, again = check(tables(**frames)), check(tables(**frames))
    pdt.assert_frame_equal(once, again)
    ranks = once["severity"].map(schema.SEVERITIES.index)
    assert ranks.is_monotonic_increasing and set(ranks) == {0, 1, 2}
    assert once.columns.tolist() == schema.FINDINGS.names


def test_empty_tables_have_no_finding() -> None:
    findings = check(tables())
    assert findings.empty and findings.columns.tolist() == schema.FINDINGS.names


def test_checking_leaves_the_tables_untouched() -> None:
    collection = tables(**action_table(EVEN))
    before = {name: getattr(collection, name).copy() for name in schema.TABLES}
    check(collection)
    for name, frame in before.items():
        pdt.assert_frame_equal(getattr(collection, name), frame)


def test_each_check_has_its_own_code_a_known_severity_and_a_french_sentence() -> None:
    assert len({one.code for one in CHECKS}) == len(CHECKS)
    assert {one.severity for one in CHECKS} <= set(schema.SEVERITIES)
    assert all(one.sentence.endswith(".") and one.sentence[0].isupper() for one in CHECKS)


# --- The note ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def note() -> pd.DataFrame:
    return check(load(ROOT / "data" / "raw"))


POINTS = [  # point of the list of anomalies of the note, code, sheet, cell, words of the message
    (
        "A-01",
        "COLUMN-TOTAL",
        "Annexe 2",
        "F17",
        "59 827 € le total annoncé est 73 000 € il manque 13 173 € (18,0 %)",
    ),
    ("A-02", "COLUMN-TOTAL", "Annexe 2", "G17", "80 718 € 96 891 € il manque 16 173 € (16,7 %)"),
    ("A-03", "COLUMN-TOTAL", "Annexe 2", "H17", "61 300 € 69 300 € il manque 8 000 € (11,5 %)"),
    ("A-04", "COLUMN-TOTAL", "Annexe 2", "I17", "79 245 € 100 590 € il manque 21 345 € (21,2 %)"),
    ("A-05", "COLUMN-TOTAL", "Annexe 2", "J17", "140 545 € 169 891 € il manque 29 346 € (17,3 %)"),
    ("A-06", "TOTALS-BALANCE", "Annexe 2", "J17", "69 300 + 100 590 = 169 890 € non 169 891 € écart de 1 €"),
    (
        "A-07",
        "GAPS-TOGETHER",
        "Annexe 2",
        "F17",
        "12 lignes sont équilibrées 5 écarts concordent lignes manquent",
    ),
    ("A-08", "COLUMN-TOTAL", "Annexe 1", "A9", "5 montants lus font 171 663 € exactement"),
    (
        "A-09",
        "ENVELOPE",
        "Actions 2011-2014",
        "C6",
        "171 663 € 110 000 € 156,1 % 78,0 % 39,0 % 98 663 € ne dépasse pas",
    ),
    ("A-10", "DETAIL", "Annexe 1", "F4", "73 000 € 59 827 € 82,0 %"),
    ("A-11", "NO-TOTAL", "Actions 2011-2014", "C4", "182 000 € 243 663 € 1 ligne sans montant"),
    ("A-12", "SELF-REFERENCE", "Annexe 1", "E4", "Cf détails en annexe 1"),
    ("A-13", "LOST-REFERENCE", "", "A23", "annexe 3"),
    ("A-16", "YEAR-SILENT", "", "", "2011 ou 2014 période 2011-2014"),
    ("A-17", "STAGES", "Annexe 1", "F4", "171 663 € accordé 140 545 € prévisionnel ne s'ajoutent pas"),
    ("B-01", "STATED-COUNT", "Annexe 1", "A9", "4 fiches annoncées 4 lues 5 montants"),
    ("B-03", "UNDATED", "Annexe 1", "F5", "3 montants sans année sur 5 25 663 €"),
    ("B-08", "NUMBER-RESTART", "Annexe 2", "C5", "4 + 3 + 2 + 3 = 12"),
    (
        "B-09",
        "BLANK-CELL",
        "Annexe 2",
        "F11",
        "9 cellules Lille Métropole 1 Ville de Lille 1 externe 4 partenaires 2",
    ),
    ("B-13", "FUNDED-TWICE", "Annexe 1", "E7", "Ciné cité social 4 730 € 4 000 €"),
    ("B-17", "FUNDER-PARTNER", "Annexe 2", "F7", "LM financeur et partenaire"),
    ("C-20", "ACCENT", "Annexe 2", "C5", "realisation réalisation"),
    ("C-26", "CUT-TEXT", "Annexe 2", "C14", "séparateur"),
]


@pytest.mark.parametrize(("point", "code", "sheet", "cell", "words"), POINTS, ids=[one[0] for one in POINTS])
def test_the_checks_find_by_themselves_the_arithmetic_points_of_the_note(
    note: pd.DataFrame, point: str, code: str, sheet: str, cell: str, words: str
) -> None:
    found = note[(note["code"] == code) & (note["sheet"] == sheet) & (note["cell"] == cell)]
    assert len(found) == 1, point
    message = found.iloc[0]["message"].replace("\u202f", " ").replace("\u00a0", " ")
    at = 0
    for piece in re.findall(r"[\d,]+(?: \d{3})*(?: [€%])?|[^\s\d]+", words):
        at = message.find(piece, at)
        assert at >= 0, (point, piece, message)


def test_nothing_else_is_said_of_the_note(note: pd.DataFrame) -> None:
    """Every finding was read against the note by a person; a new one must be too."""
    said = note[~note["code"].str.startswith("READ-")]
    known = {(code, sheet, cell) for _, code, sheet, cell, _ in POINTS} | {
        ("COLUMN-TOTAL", "Actions 2011-2014", "D6"),  # « 171 663 € », announced a second time, exact
        ("STATED-COUNT", "Actions 2011-2014", "D6"),
        ("UNDATED", "Actions 2011-2014", "C4"),  # 10 000 € and 110 k€
        ("SHARED-AMOUNT", "Annexe 1", "F7"),  # 4 730 € for three territories
    }
    assert set(zip(said["code"], said["sheet"], said["cell"], strict=True)) == known
    assert len(said) == len(known)


def test_nothing_of_the_note_is_blocking(note: pd.DataFrame) -> None:
    assert set(note["severity"]) == {"alert", "info"}
