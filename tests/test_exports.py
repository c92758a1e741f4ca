"""Exports: each format read back to the cent, held by its standard, nothing invented, nothing run."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from ess_analysis import cli, exports, schema, writing
from ess_analysis.errors import DataError
from ess_analysis.exports import GRANT_COLUMNS, SCDL_SCHEMA, Exported, export, scdl_fields, scdl_problems
from ess_analysis.load import load
from ess_analysis.open_data import read
from ess_analysis.template import write_template
from tests.conftest import ROOT

RAW = ROOT / "data" / "raw"
LILLE, TRI = "21590350100017", "38047555800058"  # SIRET with a right key

# As published: semicolons, French dates, a portal's headers, a shared grant, words in capitals.
PUBLISHED = f"""\
Nom de l'attribuant;Identification de l'attribuant;Date de la convention;Référence de la décision;\
Nom du bénéficiaire;Identification du bénéficiaire;Objet;Montant;Nature;Conditions de versement;\
Dates de versement;Notification UE;Pourcentage
Ville de Lille;{LILLE};15/06/2015;D1;Le Tri;{TRI};Fonctionnement;1200,50;AIDE EN NUMERAIRE;unique;\
01/07/2015;NON;1
Ville de Lille;{LILLE};2015-06-16;;Le Garage;W595000001;Achat d'outils;800;aide en numéraire;échelonné;\
01/07/2015 au 31/12/2015;non;45 %
Ville de Lille;{LILLE};17/06/2015;;La Scène;{TRI};Prêt d'une salle;300;aide en nature;unique;\
2015-09-01;oui;
"""

COLUMNS = {
    "amount": "Montant", "recipient": "Nom", "title": "Objet", "funder": "Financeur", "date": "Date",
    "description": "Quoi", "programme": "Dispositif",
}  # fmt: skip
SHEET = """\
[file]
path = "{name}"
sha256 = "à sceller"
title = "Subventions"
producer = "Ville"
date = "2015"
licence = "Licence Ouverte"
reliability = "publié"

[[table]]
id = "T"
stage = "awarded"
doubts = "report"

[table.columns]
{columns}
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A small SCDL file as bodies publish them."""
    file = tmp_path / "subventions.csv"
    file.write_text(PUBLISHED, encoding="utf-8")
    return file


def declared(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    """A file of these rows, by role, with its source sheet beside it; the file."""
    file = tmp_path / "table.csv"
    roles = list(dict.fromkeys(role for row in rows for role in row))
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=";")
        writer.writerow([COLUMNS[role] for role in roles])
        writer.writerows([[row.get(role, "") for role in roles] for row in rows])
    columns = "\n".join(f'"{COLUMNS[role]}" = "{role}"' for role in roles)
    sheet = SHEET.format(name=file.name, columns=columns)
    file.with_name("table.csv.toml").write_text(sheet, encoding="utf-8")
    return file


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def sums(funding: pd.DataFrame) -> dict[tuple[str, str], float]:
    filled = funding.dropna(subset=["amount_eur"])
    return {
        (str(stage), str(kind)): round(float(same.sum()), 2)
        for (stage, kind), same in filled.groupby(["stage", "kind"])["amount_eur"]
    }


# --- Everything that was read: csv, xlsx, parquet ------------------------------------------------


@pytest.mark.parametrize("to", ["csv", "xlsx"])
def test_the_embedded_tables_read_back_row_for_row_and_stage_by_stage(tmp_path: Path, to: str) -> None:
    written = export(RAW, to=to, out=tmp_path / f"out.{to}")
    again, funding = read(written.path).funding, load(RAW).funding
    assert sums(again) == sums(funding) == dict(written.sums)
    filled = funding.dropna(subset=["amount_eur"]).reset_index(drop=True)
    found = again.dropna(subset=["amount_eur"]).reset_index(drop=True)
    for column in ("amount_eur", "stage", "kind", "year", "axis", "funder", "recipient", "title"):
        pd.testing.assert_series_equal(found[column], filled[column])


def test_the_parquet_file_is_the_table_itself_typed_and_labelled(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    written = export(RAW, to="parquet", out=tmp_path / "out.parquet")
    funding = load(RAW).funding
    found = pd.read_parquet(written.path)
    assert sums(found) == sums(funding)
    assert found["year"].dtype == "Int64" and found["period_start"].dtype.kind == "M"
    filled = funding.dropna(subset=["amount_eur"])["funding_id"]
    assert list(found.dropna(subset=["amount_eur"])["funding_id"]) == list(filled)
    about = pq.read_schema(written.path).field("amount_eur").metadata
    assert about[b"label"].decode() == "Montant" and about[b"unit"].decode() == "€"


def test_the_places_of_each_action_go_with_its_amounts(tmp_path: Path) -> None:
    found = pd.read_parquet(export(RAW, to="parquet", out=tmp_path / "o.parquet").path)
    shared = found[found["funding_id"] == "A1!F7"].iloc[0]
    assert "Roubaix" in shared["commune"] and "tourquennois" in shared["territory"]


def test_what_is_said_of_an_export_never_adds_two_stages(tmp_path: Path) -> None:
    told = str(export(RAW, to="csv", out=tmp_path / "o.csv"))
    assert "171\u202f663\u00a0€ (accordé, numéraire)" in told and "494" not in told


def test_loans_and_guarantees_keep_their_own_kind(tmp_path: Path) -> None:
    workbook, _ = write_template(tmp_path / "raw" / "c.xlsx", year=2015, data=RAW)
    book = openpyxl.load_workbook(workbook)
    sheet = book["Financements 2015"]
    columns = {cell.value: cell.column for cell in sheet[1]}
    for row, (kind, amount) in enumerate([("prêt", 100), ("garantie d'emprunt", 50), (None, 7)], start=2):
        for header, value in {
            "Intitulé": f"A{row}",
            "Étape": "accordé",
            "Forme": kind,
            "Montant": amount,
        }.items():
            sheet.cell(row, columns[header]).value = value
    book.save(workbook)
    expected = {("awarded", "loan"): 100, ("awarded", "guarantee"): 50, ("awarded", "cash"): 7}
    for to in ("csv", "xlsx"):
        written = export(tmp_path / "raw", to=to, out=tmp_path / f"o.{to}")
        assert dict(written.sums) == sums(read(written.path).funding) == expected
    with pytest.raises(DataError) as caught:
        export(tmp_path / "raw", to="scdl", out=tmp_path / "o.csv")
    listed = exports._reasons(*lacking_of(tmp_path / "raw"))
    assert any("forme qui n'est pas une subvention : 2" in reason for reason in listed)
    assert caught.value.todo


def lacking_of(data: Path) -> tuple[pd.DataFrame, Any]:
    rows = exports._published(load(data))
    return rows, exports._scdl(rows).lacking


def test_a_blank_amount_stays_blank_and_a_record_without_amount_has_one_line(tmp_path: Path) -> None:
    file = declared(tmp_path, [{"recipient": "A", "amount": ""}, {"recipient": "B", "amount": "0"}])
    found = rows_of(export(file, to="csv", out=tmp_path / "o.csv").path)
    assert [row["Montant"] for row in found] == ["", "0"]


def test_cents_are_written_as_they_are_read(tmp_path: Path) -> None:
    amounts = ["0.1", "0.2", "1234567.89", "100000000000.01", "33000"]
    file = declared(tmp_path, [{"recipient": f"R{n}", "amount": a} for n, a in enumerate(amounts)])
    found = rows_of(export(file, to="csv", out=tmp_path / "o.csv").path)
    assert [row["Montant"] for row in found] == amounts
    assert "100 001 267 568,20 €" in plain(str(export(file, to="csv", out=tmp_path / "o.csv")))


# --- SCDL ----------------------------------------------------------------------------------------


def test_the_embedded_schema_is_the_published_one(samples: Path) -> None:
    told = tomllib.loads((SCDL_SCHEMA.parent / "sources.toml").read_text("utf-8"))["scdl_subventions"]
    assert told["file"] == SCDL_SCHEMA.name and told["licence"] and told["source"].startswith("https://")
    assert hashlib.sha256(SCDL_SCHEMA.read_bytes()).hexdigest() == told["sha256"]
    official = (samples / "scdl-schema" / "schema-2.1.1.json").read_bytes()
    assert SCDL_SCHEMA.read_bytes() == official


def test_the_validation_of_the_schema_sees_what_is_wrong(published: Path, tmp_path: Path) -> None:
    good = export(published, to="scdl", out=tmp_path / "o.csv").path.read_bytes()
    assert scdl_problems(good) == []
    assert scdl_problems(good.replace(b"2015-06-15", b"15/06/2015"))
    assert scdl_problems(good.replace(LILLE.encode(), b"123"))
    assert scdl_problems(good.replace(b"idBeneficiaire", b"beneficiaire", 1))


def test_a_published_file_becomes_the_standard_value_by_value(published: Path, tmp_path: Path) -> None:
    written = export(published, to="scdl", out=tmp_path / "o.csv")
    first, second, third = rows_of(written.path)
    assert list(first) == [field["name"] for field in scdl_fields()]
    assert first == {
        "nomAttribuant": "Ville de Lille", "idAttribuant": LILLE, "dateConvention": "2015-06-15",
        "referenceDecision": "D1", "nomBeneficiaire": "Le Tri", "idBeneficiaire": TRI, "rnaBeneficiaire": "",
        "objet": "Fonctionnement", "montant": "1200.5", "nature": "aide en numéraire",
        "conditionsVersement": "unique", "datesPeriodeVersement": "2015-07-01", "idRAE": "",
        "notificationUE": "non", "pourcentageSubvention": "1", "dispositifAide": "",
    }  # fmt: skip
    assert (second["idBeneficiaire"], second["rnaBeneficiaire"]) == ("", "W595000001")
    assert second["datesPeriodeVersement"] == "2015-07-01/2015-12-31"
    assert second["pourcentageSubvention"] == "0.45"
    assert third["nature"] == "aide en nature" and third["notificationUE"] == "oui"


def test_the_standard_reads_back_to_the_cent(published: Path, tmp_path: Path) -> None:
    written = export(published, to="scdl", out=tmp_path / "o.csv")
    again = read(written.path)
    assert sums(again.funding) == sums(read(published).funding) == dict(written.sums)
    twice = export(written.path, to="scdl", out=tmp_path / "again.csv")
    assert twice.path.read_bytes() == written.path.read_bytes()


@pytest.mark.parametrize(
    ("said", "instead", "reason"),
    [
        (LILLE, "2,16E+13", "idAttribuant incorrect"),
        (f";{TRI};Fonct", ";;Fonct", "SIRET ou RNA du bénéficiaire absent"),
        (f";{TRI};Fonct", ";38047555800050;Fonct", "SIRET ou RNA du bénéficiaire incorrect"),
        ("15/06/2015", "2015", "dateConvention incorrect"),
        ("15/06/2015", "31/02/2015", "dateConvention incorrect"),
        (";unique;01", ";;01", "conditionsVersement absent"),
        ("01/07/2015;NON", "été 2015;NON", "datesPeriodeVersement incorrect"),
        ("NON", "peut-être", "notificationUE incorrect"),
        (";NON;1", ";NON;0", "pourcentageSubvention incorrect"),
        (";Fonctionnement;", ";;", "objet absent"),
    ],
)
def test_what_is_missing_is_told_with_its_cell_and_never_invented(
    published: Path, tmp_path: Path, said: str, instead: str, reason: str
) -> None:
    text = PUBLISHED.replace(said, instead, 1)
    assert text != PUBLISHED
    published.write_text(text, encoding="utf-8")
    out = tmp_path / "o.csv"
    with pytest.raises(DataError) as caught:
        export(published, to="scdl", out=out)
    assert any(seen.startswith(reason) and "subventions.csv" in seen for seen in caught.value.seen)
    assert "--partial" in caught.value.todo
    assert not out.exists()


def test_a_partial_export_is_asked_for_and_lists_what_it_leaves_out(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published.write_text(PUBLISHED.replace(";unique;01", ";;01"), encoding="utf-8")
    out = tmp_path / "o.csv"
    assert cli.main(["export", str(published), "--to", "scdl", "--out", str(out)]) == 2
    assert "1 sur 3" in capsys.readouterr().err and not out.exists()
    assert cli.main(["export", str(published), "--to", "scdl", "--out", str(out), "--partial"]) == 0
    told = capsys.readouterr().out
    left = tmp_path / "o_hors_export.csv"
    assert str(left) in told and "1 ligne n'est pas exportée" in told
    assert scdl_problems(out.read_bytes()) == [] and len(rows_of(out)) == 2
    assert rows_of(left) == [
        {"Où": "subventions.csv, H2", "Intitulé": "Fonctionnement", "Pourquoi": "conditionsVersement absent",
         "Écrit": ""}
    ]  # fmt: skip


def test_what_no_row_says_is_declared_once_in_the_source_sheet(tmp_path: Path) -> None:
    row = {
        "recipient": "Le Tri",
        "amount": "1200,5",
        "title": "Achat",
        "funder": "Ville",
        "date": "15/06/2015",
    }
    file = declared(tmp_path, [row])
    with pytest.raises(DataError):
        export(file, to="scdl", out=tmp_path / "o.csv")
    sheet = file.with_name("table.csv.toml")
    sheet.write_text(
        sheet.read_text("utf-8")
        + f'\n[scdl]\nidAttribuant = "{LILLE}"\nidBeneficiaire = "{TRI}"\nconditionsVersement = "unique"\n'
        'datesPeriodeVersement = "2015-01-01/2015-12-31"\nnotificationUE = "non"\n',
        encoding="utf-8",
    )
    written = export(file, to="scdl", out=tmp_path / "o.csv")
    (found,) = rows_of(written.path)
    assert found["dateConvention"] == "2015-06-15" and found["idAttribuant"] == LILLE
    assert found["montant"] == "1200.5" and found["pourcentageSubvention"] == "1"
    assert any("pourcentageSubvention" in note for note in written.notes)


def test_a_filled_template_becomes_the_standard(tmp_path: Path) -> None:
    workbook, sheet = write_template(tmp_path / "raw" / "c.xlsx", year=2015, data=RAW)
    book = openpyxl.load_workbook(workbook)
    page = book["Financements 2015"]
    columns = {cell.value: cell.column for cell in page[1]}
    typed = {
        "Intitulé": "Recyclerie", "Bénéficiaire": "Le Tri", "SIRET du bénéficiaire": TRI, "Financeur": "MEL",
        "Étape": "accordé", "Montant": 5000, "Date de décision": pd.Timestamp(2015, 6, 15).to_pydatetime(),
    }  # fmt: skip
    for header, value in typed.items():
        page.cell(2, columns[header]).value = value
    book.save(workbook)
    text = re.sub(r"^# (\w+ = )", r"\1", sheet.read_text("utf-8"), flags=re.MULTILINE)
    text = text.replace("SIRET du financeur, 14 chiffres", LILLE)
    sheet.write_text(text, encoding="utf-8")
    (found,) = rows_of(export(tmp_path / "raw", to="scdl", out=tmp_path / "o.csv").path)
    assert (found["nomAttribuant"], found["idBeneficiaire"]) == ("Lille Métropole", TRI)
    assert (found["dateConvention"], found["montant"]) == ("2015-06-15", "5000")
    assert found["datesPeriodeVersement"] == "2015-01-01/2015-12-31"


def test_a_long_object_is_cut_and_said_so(published: Path, tmp_path: Path) -> None:
    published.write_text(PUBLISHED.replace("Fonctionnement", "x" * 300), encoding="utf-8")
    written = export(published, to="scdl", out=tmp_path / "o.csv")
    assert len(rows_of(written.path)[0]["objet"]) == 256
    assert any("1 texte coupé" in plain(note) for note in written.notes)


def test_what_is_planned_or_only_allocated_is_no_subsidy(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        export(RAW, to="scdl", out=tmp_path / "o.csv")
    told = list(map(plain, exports._reasons(*lacking_of(RAW))))
    assert any(one.startswith("étape qui n'est pas une attribution : 28 lignes") for one in told)
    assert "aucune ligne n'est exportable" in caught.value.todo
    with pytest.raises(DataError):  # asking for a part does not make a file without rows
        export(RAW, to="scdl", out=tmp_path / "o.csv", partial=True)


def test_a_payment_is_not_exported_beside_its_award(tmp_path: Path) -> None:
    workbook, _ = write_template(tmp_path / "raw" / "c.xlsx", year=2015, data=RAW)
    book = openpyxl.load_workbook(workbook)
    page = book["Financements 2015"]
    columns = {cell.value: cell.column for cell in page[1]}
    for row, stage in enumerate(("accordé", "versé"), start=2):
        for header, value in {"Intitulé": "A", "Bénéficiaire": "B", "Étape": stage, "Montant": 10}.items():
            page.cell(row, columns[header]).value = value
    book.save(workbook)
    _, lacking = lacking_of(tmp_path / "raw")
    told = [[reason for reason, _ in reasons if "versement d'une" in reason] for reasons in lacking.values()]
    assert list(map(bool, told)) == [False, True]


@pytest.mark.samples
@pytest.mark.parametrize("version", ["2.0.2", "2.1.1"])
def test_the_official_examples_come_out_valid_and_equal(samples: Path, tmp_path: Path, version: str) -> None:
    file = samples / "scdl-examples" / f"exemple_valide_v{version}.csv"
    written = export(file, to="scdl", out=tmp_path / "o.csv")
    assert scdl_problems(written.path.read_bytes()) == []
    before, after = rows_of(file), rows_of(written.path)
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        for field in ("idAttribuant", "dateConvention", "nature", "datesPeriodeVersement", "notificationUE"):
            assert other[field] == one[field].strip()
        assert float(other["montant"]) == float(one["montant"])
        assert float(other["pourcentageSubvention"]) == float(one["pourcentageSubvention"] or 1)


@pytest.mark.samples
def test_what_a_department_publishes_comes_out_valid_in_part(samples: Path, tmp_path: Path) -> None:
    file = samples / "dep17-charente-maritime" / "charente_maritime_conventions.xlsx"
    written = export(file, to="scdl", out=tmp_path / "o.csv", partial=True)
    assert written.rows == 75 and scdl_problems(written.path.read_bytes()) == []
    assert sums(read(written.path).funding) == dict(written.sums)


# --- 360Giving -----------------------------------------------------------------------------------

GRANTS = [
    {"recipient": "Le Tri", "amount": "1200.5", "title": "Achat", "funder": "Ville", "date": "2015-06-15",
     "description": "Un camion", "programme": "APT"},
    {"recipient": "Le Garage", "amount": "800", "title": "Outils", "funder": "Ville", "date": "16/06/2015"},
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".json"])
def test_grants_read_back_to_the_cent(tmp_path: Path, suffix: str) -> None:
    written = export(declared(tmp_path, GRANTS), to="360giving", out=tmp_path / f"o{suffix}")
    again = read(written.path)
    assert sums(again.funding) == dict(written.sums) == {("awarded", "cash"): 2000.5}
    assert again.funding["recipient"].tolist() == ["Le Tri", "Le Garage"]
    assert again.funding["year"].tolist() == [2015, 2015]


def test_the_headers_are_those_of_the_template(tmp_path: Path, samples: Path) -> None:
    template = openpyxl.load_workbook(samples / "360giving-standard" / "360-giving-template-2023.xlsx")
    official = [cell.value for cell in template["grants"][1]]
    assert set(GRANT_COLUMNS) <= set(official)
    written = export(declared(tmp_path, GRANTS), to="360giving", out=tmp_path / "o.csv")
    assert list(rows_of(written.path)[0]) == list(GRANT_COLUMNS)


@pytest.mark.samples
def test_every_grant_validates_against_the_schema(tmp_path: Path, samples: Path) -> None:
    import jsonschema

    text = (samples / "360giving-standard" / "360-giving-schema.json").read_text("utf-8")
    checker = jsonschema.FormatChecker([])
    checker.checks("date-time")(lambda text: re.match(r"\d{4}-\d\d-\d\dT", str(text)) is not None)
    validator = jsonschema.Draft202012Validator(json.loads(text), format_checker=checker)
    sport = samples / "360giving-sport-england" / "sport_england_lottery_360.csv"
    for source, name in ((declared(tmp_path, GRANTS), "a.json"), (sport, "b.json")):
        written = export(source, to="360giving", out=tmp_path / name)
        grants = json.loads(written.path.read_text("utf-8"))["grants"]
        assert len(grants) == written.rows > 0
        assert [error.message for grant in grants for error in validator.iter_errors(grant)] == []
        assert len({grant["id"] for grant in grants}) == len(grants)
    assert not validator.is_valid({**grants[0], "awardDate": "2009"})


@pytest.mark.samples
def test_pounds_stay_pounds(tmp_path: Path, samples: Path) -> None:
    sport = samples / "360giving-sport-england" / "sport_england_lottery_360.csv"
    written = export(sport, to="360giving", out=tmp_path / "o.csv")
    assert written.rows == 11140 and dict(written.sums) == {("awarded", "cash"): 1180852146}
    assert {row["Currency"] for row in rows_of(written.path)} == {"GBP"} and "€" not in str(written)
    with pytest.raises(DataError) as caught:
        export(sport, to="scdl", out=tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists() and caught.value.seen


def test_a_year_is_not_a_day_of_award(tmp_path: Path) -> None:
    file = declared(tmp_path, [{**GRANTS[0], "date": "2015"}])
    with pytest.raises(DataError) as caught:
        export(file, to="360giving", out=tmp_path / "o.csv")
    (seen,) = caught.value.seen
    assert plain(seen) == "Award Date incorrect : 1 ligne, table.csv, B2 (écrit : 2015)"


def test_an_organisation_without_a_number_has_an_identifier_of_ours(tmp_path: Path) -> None:
    written = export(declared(tmp_path, GRANTS), to="360giving", out=tmp_path / "o.csv")
    assert rows_of(written.path)[0]["Recipient Org:Identifier"] == "ess-le-tri"
    assert any("préfixe 360Giving" in note for note in written.notes)


# --- Text that a spreadsheet would run -----------------------------------------------------------

HOSTILE = ('=HYPERLINK("http://x")', "+33 6 12", "-2+3", "@SUM(A1)", "\t=1+1", "＝1+1")


def hostile(tmp_path: Path) -> Path:
    rows = [{**GRANTS[0], "recipient": f"{text} x", "title": text, "amount": str(10 + n)}
            for n, text in enumerate(HOSTILE)]  # fmt: skip
    return declared(tmp_path, rows)


@pytest.mark.parametrize(("to", "suffix"), [("csv", ".csv"), ("360giving", ".csv"), ("scdl", ".csv")])
def test_no_text_of_a_csv_is_run_by_a_spreadsheet(tmp_path: Path, to: str, suffix: str) -> None:
    file = hostile(tmp_path)
    if to == "scdl":
        sheet = file.with_name("table.csv.toml")
        said = f'idAttribuant = "{LILLE}"\nidBeneficiaire = "{TRI}"\nconditionsVersement = "=1"\n'
        said += 'datesPeriodeVersement = "2015-01-01"\nnotificationUE = "non"\n'
        sheet.write_text(f"{sheet.read_text('utf-8')}\n[scdl]\n{said}", encoding="utf-8")
    written = export(file, to=to, out=tmp_path / f"o{suffix}")
    cells = [value for row in rows_of(written.path) for value in row.values() if value]
    assert written.rows == len(HOSTILE)
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r＝"]
    assert "'" + HOSTILE[0] in cells


@pytest.mark.parametrize("to", ["xlsx", "360giving"])
def test_no_cell_of_a_workbook_is_a_formula(tmp_path: Path, to: str) -> None:
    written = export(hostile(tmp_path), to=to, out=tmp_path / "o.xlsx")
    cells = [c for sheet in openpyxl.load_workbook(written.path) for row in sheet.iter_rows() for c in row]
    assert "f" not in {cell.data_type for cell in cells}
    texts = {cell.value for cell in cells if isinstance(cell.value, str)}
    assert "'" + HOSTILE[0] in texts and not [text for text in texts if text[:1] in "=+-@"]


def test_parquet_and_json_hold_the_words_as_they_are_for_nothing_runs_them(tmp_path: Path) -> None:
    file = hostile(tmp_path)
    titles = pd.read_parquet(export(file, to="parquet", out=tmp_path / "o.parquet").path)["title"]
    assert titles[0] == HOSTILE[0]
    grants = json.loads(export(file, to="360giving", out=tmp_path / "o.json").path.read_text("utf-8"))[
        "grants"
    ]
    assert grants[0]["title"] == HOSTILE[0]


@pytest.mark.parametrize("to", ["csv", "xlsx", "parquet"])
def test_a_negative_amount_stays_a_number(tmp_path: Path, to: str) -> None:
    file = declared(tmp_path, [{"recipient": "A", "amount": "-500,25"}, {"recipient": "B", "amount": "800"}])
    path = export(file, to=to, out=tmp_path / f"o.{to}").path
    if to == "csv":
        assert rows_of(path)[0]["Montant"] == "-500.25"
    elif to == "xlsx":
        sheet = openpyxl.load_workbook(path)["Financements"]
        column = next(cell.column for cell in sheet[1] if cell.value == "Montant")
        assert sheet.cell(2, column).value == -500.25
    else:
        assert pd.read_parquet(path)["amount_eur"].tolist() == [-500.25, 800]


# --- What is asked wrongly, and what must not be lost --------------------------------------------


@pytest.mark.parametrize(
    ("to", "out"),
    [("scdl", "o.xlsx"), ("xlsx", "o.csv"), ("parquet", "o"), ("360giving", "o.txt"), ("pdf", "o")],
)
def test_a_name_that_does_not_suit_the_format_is_refused(tmp_path: Path, to: str, out: str) -> None:
    with pytest.raises(DataError) as caught:
        export(RAW, to=to, out=tmp_path / out)
    assert caught.value.todo and list(tmp_path.iterdir()) == []


def test_an_export_never_takes_the_place_of_what_it_reads(published: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="remplacerait"):
        export(published, to="csv", out=published)
    with pytest.raises(DataError, match="remplacerait"):
        export(RAW, to="csv", out=RAW / "mel_2011-2014" / "export.csv")
    assert published.read_text("utf-8") == PUBLISHED


def test_an_amount_that_was_not_read_stops_the_export(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    rows = "".join(f"Association {n};{n}00\n" for n in range(1, 30))
    file.write_text(f"Bénéficiaire;Montant voté\n{rows}Le Tri;voir annexe\n", encoding="utf-8")
    found = read(file).findings
    assert (found["severity"] == "blocking").any()
    with pytest.raises(DataError, match="n'ont pas pu être lus"):
        export(file, to="csv", out=tmp_path / "o.csv")
    assert export(file, to="csv", out=tmp_path / "o.csv", partial=True).rows == 30


def test_an_export_that_fails_leaves_the_last_good_one(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = export(published, to="csv", out=tmp_path / "o.csv")
    before = written.path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        export(published, to="csv", out=tmp_path / "o.csv")
    assert written.path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.csv", "subventions.csv"]


def test_the_same_data_give_the_same_bytes(published: Path, tmp_path: Path) -> None:
    for to, name in (("csv", "o.csv"), ("xlsx", "o.xlsx"), ("parquet", "o.parquet"), ("scdl", "s.csv")):
        one = export(published, to=to, out=tmp_path / "one" / name).path.read_bytes()
        assert export(published, to=to, out=tmp_path / "two" / name).path.read_bytes() == one


def test_the_command_says_the_file_the_rows_and_the_sums(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", str(published), "--to", "csv"]) == 0
    path, told = capsys.readouterr().out.splitlines()[:2]
    assert path == "subventions_csv.csv" and (tmp_path / path).is_file()
    assert plain(told).startswith("3 lignes : 2 000,50 € (accordé, numéraire) et 300 € (accordé, nature)")


def test_the_tables_read_are_left_untouched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tables = load(RAW)
    before = {name: getattr(tables, name).copy() for name in schema.TABLES}
    monkeypatch.setattr(exports, "load", lambda _: tables)
    made: list[Callable[[], Exported]] = [
        lambda: export(RAW, to="csv", out=tmp_path / "o.csv"),
        lambda: export(RAW, to="xlsx", out=tmp_path / "o.xlsx"),
    ]
    for one in made:
        one()
    with pytest.raises(DataError):
        export(RAW, to="scdl", out=tmp_path / "s.csv")
    for name, frame in before.items():
        pd.testing.assert_frame_equal(getattr(tables, name), frame)


def test_a_table_without_rows_does_not_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dataclasses import replace

    empty = replace(load(RAW), **{name: schema.empty(name) for name in schema.TABLES})
    monkeypatch.setattr(exports, "load", lambda _: empty)
    for to in ("csv", "xlsx", "parquet"):
        written = export(RAW, to=to, out=tmp_path / f"o.{to}")
        assert written.rows == 0 and not written.sums
    assert scdl_problems(export(RAW, to="scdl", out=tmp_path / "s.csv").path.read_bytes()) == []
