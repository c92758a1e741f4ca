"""Another workbook of the same shapes, with other rows, funders, axes and years, loads without new code."""

from __future__ import annotations

import hashlib

import openpyxl
import pytest

from ess_analysis import answers
from ess_analysis.about import about
from ess_analysis.breakdowns import breakdown, consolidated
from ess_analysis.checks import check
from ess_analysis.load import Tables, domains, load

AWARDS = (
    ("Communes", "Bassin", "Statut", "Intitulé", "Aide"),
    ("Commune de Hem", "Bassin nord", "Commune", "Garage solidaire", "12 000 € (2021) 8 000 € (2022)"),
    ("Communes de Loos et Croix", "Bassins sud, nord", "Commune", "Recyclerie", "3 k€ en 2022"),
    ("Commune de Lys les Lannoy", "Bassin nord", "Association", "Café associatif", "1 500,50 €"),
)
PLAN = (
    ("Priorité", "N°", "Action", "Région", "Département", "Ville", "réalisé en régie", "Ensemble"),
    ("Emploi", 1, "Clauses sociales", 4000, 1000, None, 5000, 5000),
    (None, 2, "Couveuse", 2500.25, None, 499.75, 3000, 3000),
    ("Alimentation", 1, "Épicerie solidaire", 1000, 1000, 1000, 3000, 3000),
    ("Total", None, None, 7500.25, 2500, 1499.75, 11000, 11500),
)
SHEET = """\
[file]
path = "plan.xlsx"
sha256 = "{sha256}"
title = "Plan d'un autre territoire"
producer = "Un autre évaluateur"
date = "2022-12"
licence = "Licence Ouverte 2.0"
reliability = "Construit pour un essai."

[[table]]
id = "P"
title = "Projets aidés"
sheet = "Aides"
header = 1
record_kind = "project"
programme = "Fonds de proximité"
funder = "Région"
stage = "paid"
period = [2021, 2022]

[table.columns]
"Communes" = {{ role = "places", also = "recipient" }}
"Bassin" = "territory"
"Statut" = "legal_status"
"Intitulé" = "title"
"Aide" = {{ role = "amount" }}

[[table]]
id = "Q"
title = "Plan d'actions"
sheet = "Plan"
header = 1
record_kind = "action"
stage = "planned"
year = 2022

[table.columns]
"Priorité" = "axis"
"N°" = "number"
"Action" = "title"
"Région" = {{ role = "amount", funder = "Région" }}
"Département" = {{ role = "amount", funder = "Département" }}
"Ville" = {{ role = "amount", funder = "Ville" }}
"réalisé en régie" = {{ role = "delivery", operator = "Régie" }}
"Ensemble" = "row_total"

[[table.total]]
row = "Total"
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("data") / "raw" / "other"
    folder.mkdir(parents=True)
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in (("Aides", AWARDS), ("Plan", PLAN)):
        page = book.create_sheet(name)
        for row in rows:
            page.append(row)
    book["Plan"].merge_cells("A2:A3")
    book.save(folder / "plan.xlsx")
    digest = hashlib.sha256((folder / "plan.xlsx").read_bytes()).hexdigest()
    (folder / "plan.xlsx.toml").write_text(SHEET.format(sha256=digest), encoding="utf-8")
    return load(folder.parent)


def amounts(other: Tables, by: str, **only: object) -> dict[object, float]:
    found = breakdown(other, by, **only)  # type: ignore[arg-type]
    return dict(zip(found[by], found["amount_eur"], strict=True))


def test_its_axes_funders_and_totals_are_read(other: Tables) -> None:
    assert amounts(other, "axis", stage="planned") == {
        "Emploi": 8000,
        "Alimentation": 3000,
        "non détaillé": 500,
    }
    assert amounts(other, "funder", stage="planned") == {
        "Région": 7500.25,
        "Département": 2000,
        "Ville": 1499.75,
        "Département, non détaillé": 500,
    }


def test_its_years_territories_and_communes_are_read(other: Tables) -> None:
    assert amounts(other, "year", stage="paid") == {2021: 12000, 2022: 11000, "non daté": 1500.5}
    assert domains(other)["years"] == [2021, 2022]
    paid = amounts(other, "territory", stage="paid")
    assert paid == {"Bassin nord": 23000.5, "Bassin sud": 1500}
    communes = amounts(other, "commune", stage="paid")
    assert communes == {"Hem": 20000, "Loos": 1500, "Croix": 1500, "Lys-lez-Lannoy": 1500.5}


def test_its_gaps_are_found_and_nothing_of_the_note_is_said_of_it(other: Tables) -> None:
    found = check(other)
    gaps = found[found["code"].eq("COLUMN-TOTAL") & found["gap"].ne(0)]
    assert set(zip(gaps["cell"], gaps["gap"], strict=True)) == {("E5", -500.0), ("H5", -500.0)}
    assert not found["message"].str.contains("Lille|APT|annexe", case=False).any()
    assert found["severity"].ne("blocking").all()


def test_each_euro_counts_once_in_it_too(other: Tables) -> None:
    once = consolidated(other, ["funder", "year"])
    found = {(row["funder"], row["year"]): row["amount_eur"] for row in once.to_dict(orient="records")}
    assert found["Région", 2022] == 11000 + 7500.25
    assert found["Région", 2021] == 12000


def test_its_yearly_report_answers_every_question(other: Tables) -> None:
    plain = str.maketrans({"\u202f": " ", "\u00a0": " "})
    asked = about(other, year=2022)
    told = [str(point).translate(plain) for point in answers.key_points(asked).items]
    assert told[0].startswith("En 2022, 22 000 € de soutien")
    assert any("Premier axe des montants prévus en 2022 : Emploi (8 000 €, 70 %)" in point for point in told)
    for question in (answers.how_much, answers.who_funds, answers.who_funds_which_axis, answers.which_years):
        assert [item for item in question(asked).json()["items"] if item["kind"] == "figure"]
