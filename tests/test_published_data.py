"""A folder with one published file and its source sheet: breakdowns, checks, figures and a yearly report."""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from lxml import etree, html

from ess_analysis import cli, figures
from ess_analysis.breakdowns import breakdown
from ess_analysis.checks import check
from ess_analysis.load import load
from ess_analysis.processed import build
from ess_analysis.reports import batch
from tests.conftest import ROOT

TERRITORIES, RECIPIENTS = 230, 900
# What an evaluator writes beside a published file.
SHEET = """\
[file]
path = "{name}"
sha256 = "{sha256}"
title = "Subventions 2022"
producer = "Département"
date = "2023-06"
licence = "Licence Ouverte"
reliability = "Fichier publié, lu tel quel."

[[table]]
id = "S"
year = 2022
stage = "paid"

[table.columns]
"Financeur" = "funder"
"Domaine" = "axis"
"Canton" = "territory"
"Association" = "recipient"
"Objet" = "title"
"Montant" = "amount"

[table.ignored]
"N° de tiers" = "référence interne"
"""


def amount(row: int) -> str:
    """An amount as such files write it: « 1 234,50 »."""
    return f"{(row * 7919) % 9000 + 100:,}".replace(",", " ") + (",50" if row % 3 == 0 else "")


def published(folder: Path) -> Path:
    """A data folder with a file of our own making: other axes, hundreds of territories, a long tail."""
    file = folder / "raw" / "subventions_2022.csv"
    file.parent.mkdir(parents=True)
    made = io.StringIO()
    writer = csv.writer(made, delimiter=";")
    writer.writerow(["N° de tiers", "Financeur", "Domaine", "Canton", "Association", "Objet", "Montant"])
    for row in range(1, 1801):
        canton = "" if row % 97 == 0 else f"Canton {row % TERRITORIES + 1:03}"
        domain = ("Sport", "Culture", "Insertion", "Jeunesse")[row % 4]
        names = f"Association {row % RECIPIENTS:03}", f"Projet {row}"
        writer.writerow([row, "Département", domain, canton, *names, amount(row)])
    file.write_text(made.getvalue(), encoding="cp1252")
    content = SHEET.format(name=file.name, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    file.with_name(f"{file.name}.toml").write_text(content, encoding="utf-8")
    return file.parent


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def page(data: Path) -> html.HtmlElement:
    """The yearly report of the folder."""
    out = data.parent / "reports"
    summary = batch.render(data, ROOT / "notebooks", out, quiet=True, names=["rapport_annuel"])
    assert summary.failed == []
    return html.fromstring((out / "rapport-annuel-2022.html").read_text("utf-8"))


def expected() -> pd.DataFrame:
    """What the file says, worked out apart."""
    rows = [
        {"row": row, "territory": None if row % 97 == 0 else f"Canton {row % TERRITORIES + 1:03}",
         "amount": float(amount(row).replace(" ", "").replace(",", "."))}
        for row in range(1, 1801)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def section(page: html.HtmlElement, question: str) -> html.HtmlElement:
    """The part of the page under a heading, up to the next one."""
    heading = next(h for h in page.iter("h2") if plain(h.text_content()).startswith(question))
    part = html.fragment_fromstring("<div></div>")
    for element in heading.itersiblings():
        if element.tag in ("h2", "section") and part.getchildren():
            break
        part.append(copy.deepcopy(element))
    return part


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u00a0", " ").replace("’", "'")


def csv_files(element: html.HtmlElement) -> Iterator[list[list[str]]]:
    for link in element.iter("a"):
        target = link.get("href") or ""
        if target.startswith("data:text/csv"):
            text = unquote(target.split(",", 1)[1]).removeprefix("\ufeff")
            yield list(csv.reader(io.StringIO(text), delimiter=";"))


def drawn(part: html.HtmlElement) -> etree._Element:
    """The drawing of the figure of a part."""
    source = next(image.get("src") for image in part.iter("img"))
    return etree.fromstring(unquote(source.split(",", 1)[1]).encode("utf-8"))


# --- Tables, checks, breakdowns ------------------------------------------------------------------


def test_the_sums_are_those_of_the_file_to_the_cent(data: Path) -> None:
    funding = load(data).funding
    assert len(funding) == 1800
    assert round(funding["amount_eur"].sum(), 2) == round(expected()["amount"].sum(), 2)


def test_the_parts_make_the_whole_by_every_column(data: Path) -> None:
    tables = load(data)
    whole = round(expected()["amount"].sum(), 2)
    for column in ("axis", "territory", "recipient", "funder", "year"):
        found = breakdown(tables, [column])
        assert round(found["amount_eur"].sum(), 2) == whole
    by_territory = breakdown(tables, ["territory"]).set_index("territory")["amount_eur"]
    assert len(by_territory) == TERRITORIES + 1
    silent = expected()["territory"].isna()
    assert by_territory["non renseigné"] == expected().loc[silent, "amount"].sum()


def test_the_checks_say_what_is_doubtful_without_drowning_the_reader(data: Path) -> None:
    findings = check(load(data))
    assert not (findings["severity"] == "blocking").any()
    assert len(findings) < 20


def test_the_build_of_a_published_file_is_whole(data: Path, tmp_path: Path) -> None:
    build(data, tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "funding.csv")
    assert round(written["amount_eur"].sum(), 2) == round(expected()["amount"].sum(), 2)


def test_the_breakdown_command_answers_for_hundreds_of_territories(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["breakdown", "--by", "territory", "--data", str(data), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == TERRITORIES + 1
    whole = round(expected()["amount"].sum(), 2)
    assert round(sum(float(row["amount_eur"]) for row in rows), 2) == whole


# --- The yearly report ---------------------------------------------------------------------------


def test_the_key_points_say_how_much_from_whom_and_for_what(page: html.HtmlElement) -> None:
    points = plain(section(page, "À retenir").text_content())
    whole = f"{expected()['amount'].sum():,.2f}".replace(",", " ").replace(".", ",")
    assert f"En 2022, {whole.removesuffix(',00')} € versés" in points
    assert "Département" in points and "Premier axe" in points
    assert "Les 10 premiers bénéficiaires, sur 900" in points


def test_the_long_tail_of_territories_is_folded_and_stays_listed(page: html.HtmlElement) -> None:
    part = section(page, "Quels territoires")
    texts = [plain("".join(text.itertext())) for text in drawn(part).iter("{*}text")]
    assert any(text.startswith(f"{TERRITORIES - figures.FOLD + 1} autres") for text in texts)
    assert "non renseigné" in texts
    (table,) = part.iter("table")
    listed = {plain(row.find("th").text_content()) for row in table.iter("tr") if row.find("th") is not None}
    assert {f"Canton {number:03}" for number in range(1, TERRITORIES + 1)} <= listed


def test_the_bar_of_the_others_does_not_dwarf_the_named_ones(page: html.HtmlElement) -> None:
    part = section(page, "Quels territoires")
    widths = [float(rect.get("width", "0").rstrip("%")) for rect in drawn(part).iter("{*}rect")]
    assert max(widths) > 95 and len([width for width in widths if width > 50]) >= figures.FOLD - 1
    assert "hors échelle" in plain(" ".join(drawn(part).itertext()))


def test_thousands_of_recipients_are_folded_on_the_page_and_whole_in_the_csv(
    page: html.HtmlElement,
) -> None:
    part = section(page, "L'argent va\u2011t\u2011il")
    (table,) = part.iter("table")
    rows = [plain(row.text_content()) for row in table.iter("tr")]
    assert len(rows) == figures.LISTED + 2  # a header and the others
    assert f"{RECIPIENTS - figures.LISTED} autres (liste dans le fichier CSV)" in rows[-1]
    (file,) = csv_files(part)
    names = [row[0] for row in file[1:]]
    assert len(names) == len(set(names)) == RECIPIENTS and not [name for name in names if "autres" in name]
    assert file[0][1] == "Montant (€)"
    sums = sum(float(row[1].replace(",", ".")) for row in file[1:])  # numbers, as a spreadsheet takes them
    assert round(sums, 2) == round(expected()["amount"].sum(), 2)


def test_the_numbers_of_long_tables_are_explained_when_asked_and_not_printed(page: html.HtmlElement) -> None:
    entries = page.xpath("//*[starts-with(@id, 'src-')]")
    asked = [one for one in entries if one.get("class") == "asked"]
    assert len(entries) > len(asked) > figures.LISTED
    assert [one.get("value") for one in entries] == [one.get("id").removeprefix("src-") for one in entries]
    outside = page.xpath("//a[@data-n][not(ancestor::table[@class='long']) and not(ancestor::ol)]/@href")
    assert not {f"#{one.get('id')}" for one in asked} & set(outside)
    assert "à l'écran seulement" in plain(page.xpath("//section[@class='annex']/p")[0].text_content())


def test_the_row_of_the_others_adds_up(page: html.HtmlElement) -> None:
    (table,) = section(page, "L'argent va\u2011t\u2011il").iter("table")
    cells = [plain(row[1].text_content()) for row in table.iter("tr")][1:]
    found = [float(re.match(r"([\d ]+(?:,\d+)?) €", cell)[1].replace(" ", "").replace(",", "."))  # type: ignore[index]
             for cell in cells]  # fmt: skip
    assert round(sum(found), 2) == round(expected()["amount"].sum(), 2)


def test_data_that_name_no_commune_say_so_without_a_map(page: html.HtmlElement) -> None:
    part = section(page, "Ce que ces données ne disent pas")
    assert next(part.iter("{*}svg", "svg", "img"), None) is None
    assert "Quelles communes sont touchées" in plain(part.text_content())


def test_the_page_of_thousands_of_rows_stays_small(page: html.HtmlElement) -> None:
    assert len(html.tostring(page, encoding="utf-8")) < 600_000


def test_the_tables_of_the_report_are_left_untouched(data: Path) -> None:
    from ess_analysis import answers

    tables = load(data)
    before = tables.funding.copy()
    asked = answers.about(tables, year=2022)
    answers.key_points(asked), answers.which_territories(asked), answers.how_concentrated(asked)
    pd.testing.assert_frame_equal(tables.funding, before)


def test_places_of_elsewhere_are_not_counted_as_communes_of_the_reference(tmp_path: Path) -> None:
    from ess_analysis import answers

    folder = published(tmp_path)
    sheet = folder / "subventions_2022.csv.toml"
    sheet.write_text(sheet.read_text("utf-8").replace('"territory"', '"places"'), encoding="utf-8")
    asked = answers.about(load(folder), year=2022)
    assert "commune" not in str(answers.key_points(asked).json())
    told = plain(answers.which_communes(asked).html())
    assert f"Les lieux nommés ({TERRITORIES}) sont pour la plupart hors de la référence" in told


# --- Files that bodies really publish ------------------------------------------------------------


def source_sheet(file: Path, table: str, columns: dict[str, str], delimiter: str, encoding: str) -> None:
    """The source sheet of a published file: what is read, every other header left out."""
    content = file.read_bytes()
    header = next(csv.reader([content.decode(encoding).splitlines()[0]], delimiter=delimiter))
    lines = [
        "[file]", f'path = "{file.name}"', f'sha256 = "{hashlib.sha256(content).hexdigest()}"',
        'title = "Subventions"', 'producer = "Un organisme"', 'date = "2023"', 'licence = "Licence Ouverte"',
        'reliability = "publié"', "[[table]]", 'id = "S"', table, "[table.columns]",
        *(f'"{name}" = {said}' for name, said in columns.items()), "[table.ignored]",
        *(f'"{name}" = "sans emploi ici"' for name in header if name and name not in columns),
    ]  # fmt: skip
    file.with_name(f"{file.name}.toml").write_text("\n".join(lines), encoding="utf-8")


REAL = {
    "toulouse/toulouse_2022.csv": (
        'year = 2022\nstage = "paid"',
        {"nomAttribuant": '"funder"', "nomBeneficiaire": '"recipient"', "objet": '"title"',
         "montant": '"amount"', "secteur": '"axis"'},
        ";", "utf-8-sig", 2022, "88 789 356,48 €",
    ),
    "fonds-vert-2023/fonds_vert_2023.csv": (
        'year = 2023\nstage = "awarded"\nfunder = "État"',
        {"nom_demarche_ds": '"axis"', "nom_departement": '"territory"', "nom_commune": '"places"',
         "nom_du_projet": '"title"', "nom_beneficiaire_principal": '"recipient"',
         "montant_engage": '"amount"'},
        ",", "utf-8", 2023, "1 956 354 884 €",
    ),
}  # fmt: skip


@pytest.mark.samples
@pytest.mark.parametrize("name", list(REAL))
def test_a_real_published_file_gives_its_yearly_report(samples: Path, tmp_path: Path, name: str) -> None:
    table, columns, delimiter, encoding, year, whole = REAL[name]
    file = tmp_path / "raw" / Path(name).name
    file.parent.mkdir()
    file.write_bytes((samples / name).read_bytes())
    source_sheet(file, table, columns, delimiter, encoding)
    out = tmp_path / "reports"
    summary = batch.render(
        file.parent, ROOT / "notebooks", out, quiet=True, names=["rapport_annuel"], years=[year]
    )
    assert summary.failed == []
    written = (out / f"rapport-annuel-{year}.html").read_text("utf-8")
    assert whole in plain(section(html.fromstring(written), "À retenir").text_content())
    assert len(written.encode()) < 1_500_000
