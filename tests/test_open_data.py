"""Published files as bodies really write them: each quirk is read exactly, or refused with its reason."""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

import ess_analysis as ess
from ess_analysis import identifiers
from ess_analysis.cli import main
from ess_analysis.errors import DataError
from ess_analysis.load import Tables, load

HEAD = ["Bénéficiaire", "Objet", "Montant"]
ROWS = [["Anis", "Forum", "10000"], ["Le Relais", "Réemploi", "5933,50"], ["APES", "Réseau", "4730"]]
SUM = 20663.5
FOUR = [*ROWS, ["BG", "Bus", "1500"]]


def lines(*rows: list[str], delimiter: str = ";") -> str:
    return "\r\n".join(delimiter.join(row) for row in rows) + "\r\n"


def sums(tables: Tables, kind: str = "cash") -> tuple[int, float]:
    amounts = tables.funding.loc[tables.funding["kind"].eq(kind), "amount_eur"].dropna()
    return len(amounts), round(float(amounts.sum()), 2)


def codes(tables: Tables) -> set[str]:
    return set(tables.findings["code"])


def written(tmp_path: Path, content: str | bytes, name: str = "aides.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def book(tmp_path: Path, sheets: dict[str, list[list[Any]]], name: str = "aides.xlsx",
         change: Callable[[openpyxl.Workbook], object] | None = None) -> Path:  # fmt: skip
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    if change:
        change(made)
    made.save(tmp_path / name)
    return tmp_path / name


def finished(sheet: Path) -> Path:
    """The draft, with what only a person knows."""
    sheet.write_text(sheet.read_text(encoding="utf-8").replace('à compléter"', 'Ville"'), encoding="utf-8")
    return sheet


def answered(sheet: Path) -> Path:
    """The draft without its questions, once they are answered in it."""
    text = re.sub(r"(?ms)^questions = \[$.*?^\]$", "questions = []", sheet.read_text(encoding="utf-8"))
    sheet.write_text(text, encoding="utf-8")
    return sheet


def refused(path: Path, *words: str, **options: Any) -> None:
    with pytest.raises(DataError) as said:
        ess.read(path, **options)
    text = str(said.value)
    assert "Vu :" in text and "À faire :" in text
    for word in words:
        assert word in text


# --- Bytes ---------------------------------------------------------------------------------------

PLAIN = lines(HEAD, *ROWS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "mac_roman", "cp850", "utf-16"])
def test_each_encoding_is_found_by_the_whole_file(tmp_path: Path, encoding: str) -> None:
    long = PLAIN + lines(["École de musique", "Été à la fête", "1 200,00 euros"]) * 20
    tables = ess.read(written(tmp_path, long.encode(encoding)))
    assert sums(tables) == (23, SUM + 24000)
    assert {"Le Relais", "École de musique"} <= set(tables.funding["recipient"])
    assert tables.sources[0].encoding == encoding


def test_a_mark_in_front_of_other_bytes_is_told(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, b"\xef\xbb\xbf" + PLAIN.encode("cp1252")))
    assert sums(tables) == (3, SUM) and "READ-ENCODING" in codes(tables)
    assert tables.sources[0].encoding == "cp1252"


def test_a_stray_byte_late_in_the_file_is_told_with_its_line_and_not_repaired(tmp_path: Path) -> None:
    content = (PLAIN + lines(["Été", "Fête", "1"]) * 500).encode() + b"Caf\xe9;Soir\xe9e;7\r\n"
    tables = ess.read(written(tmp_path, content))
    assert sums(tables) == (504, SUM + 507)
    assert tables.funding["recipient"].iloc[-1] == "Caf\ufffd"
    message = tables.findings.set_index("code").loc["READ-ENCODING", "message"]
    assert "505" in message


def test_a_stray_byte_in_an_amount_makes_it_unreadable_and_never_another_amount(tmp_path: Path) -> None:
    content = lines(HEAD, *ROWS, *ROWS).encode() + "Été;Fête;".encode() + b"1\xa0200\r\n"
    tables = ess.read(written(tmp_path, content))
    assert sums(tables) == (6, 2 * SUM)
    unread = tables.findings.set_index("code").loc["READ-AMOUNT"]
    assert unread["severity"] == "blocking" and unread["cell"] == "C8"


def test_text_encoded_twice_is_told_and_left(tmp_path: Path) -> None:
    twice = PLAIN.encode().decode("cp1252").encode()
    tables = ess.read(written(tmp_path, twice.replace("BÃ©nÃ©ficiaire".encode(), "Bénéficiaire".encode())))
    assert sums(tables) == (3, SUM) and "READ-DOUBLE-ENCODING" in codes(tables)
    assert "RÃ©emploi" in set(tables.funding["title"])


def test_accents_already_lost_are_told_and_not_restored(tmp_path: Path) -> None:
    rows = [["Caf? associatif", "Soir?e", "1"], ["?cole", "R?emploi", "2"], ["M?moire", "F?te", "3"]]
    tables = ess.read(written(tmp_path, lines(HEAD, *rows)))
    assert sums(tables) == (3, 6) and "READ-LOST-CHARACTERS" in codes(tables)
    assert "Caf? associatif" in set(tables.funding["recipient"])


def test_a_workbook_under_a_csv_name_is_refused(tmp_path: Path) -> None:
    made = book(tmp_path, {"A": [HEAD, *ROWS]})
    refused(written(tmp_path, made.read_bytes(), "faux.csv"), "n'est pas ce que dit son nom")


def test_a_csv_under_a_workbook_name_is_refused(tmp_path: Path) -> None:
    refused(written(tmp_path, PLAIN, "faux.xlsx"), "illisible")


# --- Delimiter and decimal sign ------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_each_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [[cell.replace(",", ".") for cell in row] for row in ROWS]
    tables = ess.read(written(tmp_path, lines(HEAD, *rows, delimiter=delimiter)))
    assert sums(tables) == (3, SUM) and tables.sources[0].delimiter == delimiter


def test_commas_inside_texts_do_not_make_a_delimiter(tmp_path: Path) -> None:
    rows = [[f"{name}, association", f"{title}, suite, fin", amount] for name, title, amount in ROWS]
    assert sums(ess.read(written(tmp_path, lines(HEAD, *rows)))) == (3, SUM)


def test_an_unquoted_decimal_comma_shifts_no_column_in_silence(tmp_path: Path) -> None:
    refused(written(tmp_path, lines(HEAD, *ROWS, delimiter=",")), "décalées", "ligne 3")


def test_cents_pushed_under_the_next_header_are_seen(tmp_path: Path) -> None:
    text = "Bénéficiaire,Objet,Montant,Nature\nAnis,Forum,10000,aide\nRelais,Réemploi,5933,50\nAPES,Réseau,4730,aide\n"
    refused(written(tmp_path, text), "centimes")


def test_quoted_decimal_commas_are_read(tmp_path: Path) -> None:
    text = 'Bénéficiaire,Objet,Montant\nAnis,Forum,"10 000,00"\nRelais,Réemploi,"5 933,50"\n'
    assert sums(ess.read(written(tmp_path, text))) == (2, 15933.5)


def test_a_point_that_may_be_thousands_or_cents_is_asked(tmp_path: Path) -> None:
    rows = [["Anis", "Forum", "1.234"], ["Le Relais", "Réemploi", "5.933"], ["APES", "Réseau", "12"]]
    refused(written(tmp_path, lines(HEAD, *rows)), "décimal", "1.234")


@pytest.mark.parametrize(
    ("other", "total"), [("1.234,50", 8401.5), ("1234,50", 8401.5), ("2.000.000", 2007167.0)]
)
def test_one_amount_that_shows_the_decimal_comma_settles_the_points(
    tmp_path: Path, other: str, total: float
) -> None:
    rows = [["Anis", "Forum", "1.234"], ["Le Relais", "Réemploi", "5.933"], ["APES", "Réseau", other]]
    assert sums(ess.read(written(tmp_path, lines(HEAD, *rows))))[1] == total


def test_english_thousands_are_settled_by_one_amount(tmp_path: Path) -> None:
    rows = [["Anis", "Forum", "1,234"], ["Le Relais", "Réemploi", "12,345.50"]]
    assert sums(ess.read(written(tmp_path, lines(HEAD, *rows)))) == (2, 13579.5)


def test_a_quote_never_closed_is_refused(tmp_path: Path) -> None:
    text = PLAIN + 'BG;"Bus;1500\r\nCCAS;Épicerie;28345\r\nMaison;Fête";10\r\n'
    refused(written(tmp_path, text), "guillemet")


def test_a_text_over_two_lines_is_one_cell(tmp_path: Path) -> None:
    assert sums(ess.read(written(tmp_path, PLAIN + 'BG;"Bus de\nla création";1500\r\n'))) == (4, SUM + 1500)


def test_quotes_in_the_middle_of_texts_are_kept(tmp_path: Path) -> None:
    text = PLAIN + 'Ciné "cité";"Les amis" du quartier;1500\r\n'
    tables = ess.read(written(tmp_path, text))
    assert sums(tables) == (4, SUM + 1500) and '"Les amis" du quartier' in set(tables.funding["title"])


# --- Header, titles, sheets ----------------------------------------------------------------------


def test_a_header_under_titles_is_found_and_its_year_read(tmp_path: Path) -> None:
    titles = [["Ville de Lille"], ["Subventions versées aux associations en 2013"], []]
    tables = ess.read(
        book(tmp_path, {"Feuil1": [*titles, HEAD, *[[a, b, float(c.replace(",", "."))] for a, b, c in ROWS]]})
    )
    assert sums(tables) == (3, SUM)
    assert set(tables.funding["year"]) == {2013} and set(tables.funding["stage"]) == {"paid"}
    assert tables.funding["cell"].tolist() == ["C5", "C6", "C7"]


def test_a_header_on_two_levels_is_read(tmp_path: Path) -> None:
    rows = [
        ["Bénéficiaire", "Subvention", None],
        [None, "Montant voté 2012", "Montant voté 2013"],
        ["Anis", 10, 20],
        ["BG", 5, None],
    ]
    path = book(tmp_path, {"F": rows}, change=lambda made: made["F"].merge_cells("B1:C1"))
    tables = ess.read(path)
    assert tables.funding.dropna(subset="amount_eur").groupby("year")["amount_eur"].sum().to_dict() == {
        2012: 15,
        2013: 20,
    }


def test_a_header_repeated_in_the_data_is_no_row(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, lines(HEAD, *ROWS[:2], HEAD, ROWS[2])))
    assert sums(tables) == (3, SUM) and "READ-HEADER-REPEATED" in codes(tables)


def test_the_axis_in_the_text_of_repeated_headers_is_read(tmp_path: Path) -> None:
    rows = [["Association (sport)", "Montant"], ["ASPTT", "10"], ["Total", "10"],
            ["Association (culture)", "Montant"], ["Chœur", "20"], ["Total", "20"]]  # fmt: skip
    tables = ess.read(written(tmp_path, lines(*rows)))
    assert tables.funding.groupby("axis")["amount_eur"].sum().to_dict() == {"culture": 20, "sport": 10}


def test_a_read_me_sheet_and_a_pivot_are_not_the_data(tmp_path: Path) -> None:
    data = [HEAD, ["Anis", "Forum", 100], ["BG", "Bus", 50]]
    pivot = [["Étiquettes de lignes", "Somme de Montant"], ["Anis", 100], ["BG", 50], ["Total général", 150]]
    tables = ess.read(
        book(
            tmp_path,
            {"Lisez-moi": [["Montant : en euros"], ["Bénéficiaire : nom"]], "TCD": pivot, "Data": data},
        )
    )
    assert sums(tables) == (2, 150) and tables.sources[0].tables[0].sheet == "Data"


def test_the_same_rows_on_two_sheets_are_read_once(tmp_path: Path) -> None:
    data = [HEAD, ["Anis", "Forum", 100], ["BG", "Bus", 50]]
    tables = ess.read(book(tmp_path, {"A": data, "Copie": [data[0], data[2], data[1]]}))
    assert sums(tables) == (2, 150) and "READ-SHEET-TWICE" in codes(tables)


def test_sheets_of_one_shape_are_read_together_each_with_its_year(tmp_path: Path) -> None:
    head = ["Bénéficiaire", "Objet", "Montant versé"]
    path = book(
        tmp_path,
        {"2012": [head, ["Anis", "Forum", 100]], "2013": [head, ["BG", "Bus", 50], ["Total", None, 50]]},
    )
    tables = ess.read(path)
    assert sums(tables) == (2, 150) and set(tables.funding["sheet"]) == {"2012", "2013"}
    assert tables.funding.groupby("year")["amount_eur"].sum().to_dict() == {2012: 100, 2013: 50}
    assert "READ-SHEETS" in codes(tables) and tables.funding["funding_id"].is_unique
    alone = ess.read(path, sheet="2013")
    assert sums(alone) == (1, 50) and "READ-SHEET-UNREAD" in codes(alone)
    refused(path, "Feuille absente", sheet="2014")
    assert main(["read", str(path), "--draft", "--summary"]) == 0
    assert sums(ess.read(path, source=finished(tmp_path / f"{path.name}.toml"))) == (2, 150)


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ([["Bénéficiaire", "Financeur", "Montant"], ["BG", "Ville", 50]], "pas les colonnes"),
        ([HEAD, ["BG", "Bus", 60], ["Anis", "Forum", 100]], "compté deux fois"),
        ([["Bénéficiaire", "Objet", "Montant", "Avis"], ["BG", "Bus", 60, "Refusé"]], "faut-il compter"),
    ],
)
def test_sheets_that_leave_a_doubt_are_asked(tmp_path: Path, second: list[list[Any]], told: str) -> None:
    path = book(tmp_path, {"A": [HEAD, ["Anis", "Forum", 100]], "B": second})
    refused(path, told, "A", "B", "--draft", "--sheet")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Provisoire", "Définitif"), "compté deux fois"),
        (("BP 2023", "CA 2023"), "compté deux fois"),
        (("2022", "2023", "Top 5"), "compté deux fois"),
        (("2022", "2023", "2022-2023"), "compté deux fois"),
        (("2022", "Refusées 2023"), "sont-ils des subventions"),
        (("Voté 2022", "Mandaté 2023"), "pas les colonnes"),
    ],
)
def test_sheets_told_apart_by_anything_but_their_year_are_asked(
    tmp_path: Path, names: tuple[str, ...], told: str
) -> None:
    sheets = {
        name: [HEAD, ["Anis", "Forum", 100 + at], ["BG", "Bus", 70 * at + 7]] for at, name in enumerate(names)
    }
    refused(book(tmp_path, sheets), told, *names)


def test_sheets_that_pile_up_the_years_are_asked(tmp_path: Path) -> None:
    head = ["Bénéficiaire", "Montant", "Date de décision"]
    first, second = ["Anis", 100, "2022-03-01"], ["BG", 60, "2023-03-01"]
    refused(
        book(tmp_path, {"2022": [head, first], "2023": [head, first, second]}), "2023 : des montants de 2022"
    )


def test_a_sheet_that_sums_up_the_others_is_left_out_of_the_draft(tmp_path: Path) -> None:
    head = ["Axe", "Actions", "Montant total"]
    recap = [head, ["Axe 1", 1, 100], ["Axe 2", 1, 60], ["Total", 2, 160]]
    parts = {"Axe 1": [HEAD, ["Anis", "Forum", 100]], "Axe 2": [HEAD, ["BG", "Bus", 60]]}
    path = book(tmp_path, {"Récap": recap, **parts})
    assert main(["read", str(path), "--draft", "--summary"]) == 2
    sheet = finished(tmp_path / f"{path.name}.toml")
    refused(path, "encore des questions", "« Récap » vaut la somme des autres", source=sheet)
    assert sums(ess.read(path, source=answered(sheet))) == (2, 160)


def test_a_table_that_sums_up_the_others_is_a_blocking_finding(tmp_path: Path) -> None:
    path = book(
        tmp_path,
        {"Tout": [HEAD, ["Sport", "x", 160]], "A": [HEAD, ["Anis", "Forum", 100], ["BG", "Bus", 60]]},
    )
    main(["read", str(path), "--draft", "--summary"])
    sheet = answered(finished(tmp_path / f"{path.name}.toml"))
    text = sheet.read_text(encoding="utf-8")
    assert 'sheet = "Tout"' not in text  # the draft leaves it; an evaluator puts it back
    table = text[text.index("[[table]]") :].replace('"T"', '"T9"').replace('sheet = "A"', 'sheet = "Tout"')
    sheet.write_text(text + "\n" + table, encoding="utf-8")
    found = ess.read(path, source=sheet).findings
    assert found.loc[found["code"].eq("READ-TABLE-COUNTED"), "severity"].tolist() == ["blocking"]


@pytest.mark.parametrize("total", ["Total", "TOTAL GÉNÉRAL", "Sous-total axe 1", None])
def test_a_total_that_a_source_sheet_counts_is_a_blocking_finding(tmp_path: Path, total: str | None) -> None:
    path = written(tmp_path, lines(HEAD, *ROWS, [total or "", "", "20663,50"]))
    sheet = tmp_path / "aides.csv.toml"
    assert main(["read", str(path), "--draft", "--summary"]) == 0
    finished(sheet)
    assert "READ-TOTAL-COUNTED" not in codes(ess.read(path, source=sheet))
    sheet.write_text(sheet.read_text(encoding="utf-8").replace("skip_lines = [5]", ""), encoding="utf-8")
    found = ess.read(path, source=sheet).findings
    told = found[found["code"].eq("READ-TOTAL-COUNTED")]
    assert told["severity"].tolist() == ["blocking"] and "skip_lines = [5]" in told["message"].iloc[0]


def test_a_recipient_named_as_a_total_is_no_total(tmp_path: Path) -> None:
    path = written(tmp_path, lines(HEAD, *ROWS, ["TOTAL SESSION", "Danse", "700"]))
    main(["read", str(path), "--draft", "--summary"])
    tables = ess.read(path, source=finished(tmp_path / "aides.csv.toml"))
    assert sums(tables) == (4, SUM + 700) and "READ-TOTAL-COUNTED" not in codes(tables)


def test_a_hidden_sheet_is_told_and_not_read(tmp_path: Path) -> None:
    def hide(made: openpyxl.Workbook) -> None:
        made["Brouillon"].sheet_state = "hidden"

    path = book(
        tmp_path,
        {"A": [HEAD, ["Anis", "Forum", 100]], "Brouillon": [HEAD, ["Anis", "Forum", 90]]},
        change=hide,
    )
    tables = ess.read(path)
    assert sums(tables) == (1, 100) and "READ-HIDDEN" in codes(tables)


def test_a_year_in_the_file_name_dates_the_amounts(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, PLAIN, "subventions_2013.csv"))
    assert set(tables.funding["year"]) == {2013} and "READ-YEAR" in codes(tables)


def test_two_years_in_the_file_name_date_nothing(tmp_path: Path) -> None:
    assert ess.read(written(tmp_path, PLAIN, "subventions_2012-2013.csv")).funding["year"].isna().all()


# --- Totals, details, footers --------------------------------------------------------------------


@pytest.mark.parametrize(
    "total",
    [["TOTAL", "", "20663,5"], ["", "Total général", "20663,50"], [" Total : ", "", "20 663,50 €"], ["", "", "20663,50"],
     ["TOTAL", "TOTAL", "20663,5"], ["Total des subventions versées en 2013", "", "20663,5"]],
)  # fmt: skip
def test_a_total_in_the_data_is_not_counted(tmp_path: Path, total: list[str]) -> None:
    tables = ess.read(written(tmp_path, lines(HEAD, *ROWS, total)))
    assert sums(tables) == (3, SUM) and "READ-TOTAL" in codes(tables)


def test_subtotals_and_a_grand_total_are_not_counted(tmp_path: Path) -> None:
    rows = [
        ROWS[0],
        ROWS[1],
        ["Sous-total Emploi", "", "15933,5"],
        ROWS[2],
        ["Sous-total Réseaux", "", "4730"],
        ["Total", "", "20663,5"],
    ]
    assert sums(ess.read(written(tmp_path, lines(HEAD, *rows)))) == (3, SUM)


def test_a_total_that_does_not_add_up_is_left_out_and_told(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, lines(HEAD, *ROWS, ["Total", "", "99999"])))
    assert sums(tables) == (3, SUM) and "READ-TOTAL-GAP" in codes(tables)


def test_a_recipient_named_total_is_data(tmp_path: Path) -> None:
    head = [*HEAD, "SIRET", "Commune"]
    rows = [[*row, "13002526500013", "Lille"] for row in [*ROWS, ["TOTAL SESSION", "Skate", "800"]]]
    tables = ess.read(written(tmp_path, lines(head, *rows)))
    assert sums(tables) == (4, SUM + 800) and "READ-TOTAL" not in codes(tables)


def test_a_line_that_may_be_a_total_or_a_recipient_is_asked(tmp_path: Path) -> None:
    refused(
        written(
            tmp_path,
            lines(["Association", "Montant"], ["Anis", "100"], ["BG", "50"], ["Total Session", "70"]),
        ),
        "Total Session",
    )


def test_a_last_line_that_adds_up_the_others_under_any_name_is_asked(tmp_path: Path) -> None:
    refused(
        written(tmp_path, lines(HEAD, *ROWS, ["3 associations", "aidées", "20663,5"])),
        "somme de tous les autres",
    )


def test_a_line_without_words_that_adds_up_nothing_is_asked(tmp_path: Path) -> None:
    refused(written(tmp_path, lines(HEAD, *ROWS, ["", "", "123"])), "ligne 5")


def test_footnotes_and_dates_of_extraction_are_no_rows(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, PLAIN + "Extraction du 06/04/2016 à 17h40"))
    assert sums(tables) == (3, SUM) and len(tables.records) == 3 and "READ-NOT-DATA" in codes(tables)


def test_parents_and_their_details_are_counted_once(tmp_path: Path) -> None:
    rows = [
        ["Anis", "", "300", ""],
        ["Anis", "Culture", "", "100"],
        ["Anis", "Sport", "", "200"],
        ["BG", "", "50", ""],
        ["BG", "Emploi", "", "50"],
    ]
    tables = ess.read(
        written(
            tmp_path,
            lines(["Association", "Imputation", "Total des subventions", "Détail des subventions"], *rows),
        )
    )
    assert sums(tables) == (3, 350) and "READ-PARENT" in codes(tables)


def test_a_line_that_details_another_is_asked(tmp_path: Path) -> None:
    refused(written(tmp_path, lines(HEAD, *ROWS, ["dont Forum 2", "x", "100"])), "dont")


def test_a_column_that_adds_up_the_others_is_not_counted(tmp_path: Path) -> None:
    head = ["Association", "Subvention de fonctionnement", "Subvention d'investissement", "Montant total"]
    tables = ess.read(
        written(
            tmp_path,
            lines(head, ["Anis", "100", "20", "120"], ["BG", "50", "", "50"], ["CCAS", "10", "5", "15"]),
        )
    )
    assert sums(tables) == (5 + 1, 185) or sums(tables) == (5, 185)


def test_two_columns_that_could_each_be_the_amount_are_asked(tmp_path: Path) -> None:
    refused(
        written(
            tmp_path,
            lines(
                ["Association", "Montant", "Montant de la subvention"],
                ["Anis", "100", "90"],
                ["BG", "1", "2"],
            ),
        ),
        "lequel",
    )


def test_voted_and_paid_are_never_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(
        tmp_path,
        lines(["Association", "Montant voté", "Montant versé"], ["Anis", "100", "90"], ["BG", "50", "50"]),
    )
    said = _summary(path, capsys)
    assert said["amount_eur"] is None and said["by_stage"] == {"awarded": 150.0, "paid": 140.0}


def test_what_was_asked_or_what_the_project_costs_is_not_funding(tmp_path: Path) -> None:
    head = ["Association", "Coût du projet", "Montant demandé", "Montant accordé", "Taux"]
    tables = ess.read(
        written(tmp_path, lines(head, ["Anis", "1000", "500", "100", "10"], ["BG", "10", "5", "1", "10"]))
    )
    assert sums(tables) == (2, 101)


# --- Amounts -------------------------------------------------------------------------------------


def test_every_notation_of_an_amount_is_read(tmp_path: Path) -> None:
    notations = [
        "26 956,00",
        "50 000 euros",
        "N   82 584,28",
        "240 000 € (pour les 3 saisons)",
        "3 k€",
        "1,5 M€",
        "(1 234,50)",
        "5933.5",
    ]
    rows = [[f"A{n}", "x", text] for n, text in enumerate(notations)]
    tables = ess.read(written(tmp_path, lines(HEAD, *rows)))
    assert tables.funding["amount_eur"].tolist() == [
        26956,
        50000,
        82584.28,
        240000,
        3000,
        1_500_000,
        -1234.5,
        5933.5,
    ]


@pytest.mark.parametrize(
    "text", ["12 € 50", "1 2 3", "deux mille", "5 OOO", "1.5.2", "12-15", "#REF!", "10 000 € dont 3 000 €"]
)
def test_an_amount_that_cannot_be_read_is_a_blocking_finding_with_its_cell(tmp_path: Path, text: str) -> None:
    tables = ess.read(written(tmp_path, lines(HEAD, *FOUR, ["Doute", "x", text], *FOUR)))
    found = tables.findings[tables.findings["code"].eq("READ-AMOUNT")]
    assert found["cell"].tolist() == ["C6"] and found["severity"].tolist() == ["blocking"]
    assert len(tables.funding) == 9 and sums(tables)[0] == 8


def test_a_column_of_texts_under_a_header_of_amounts_is_refused(tmp_path: Path) -> None:
    refused(
        written(
            tmp_path, lines(["Association", "Subvention"], ["Anis", "oui"], ["BG", "non"], ["CCAS", "12"])
        ),
        "Subvention",
    )


def test_thousands_of_euros_in_the_header_are_read(tmp_path: Path) -> None:
    assert sums(
        ess.read(written(tmp_path, lines(["Association", "Montant (k€)"], ["Anis", "1,5"], ["BG", "2"])))
    ) == (2, 3500)


def test_another_currency_is_kept_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(
        tmp_path, lines(["Recipient Org:Name", "Amount Awarded"], ["A", '"£1,000.50"'], ["B", "£200"])
    )
    said = _summary(path, capsys)
    assert (said["currency"], said["amount_eur"]) == ("GBP", 1200.5)


def test_two_currencies_are_asked(tmp_path: Path) -> None:
    refused(
        written(
            tmp_path, lines(["Association", "Montant", "Devise"], ["A", "10", "EUR"], ["B", "20", "USD"])
        ),
        "monnaie",
    )


def test_loans_guarantees_and_kind_are_other_kinds(tmp_path: Path) -> None:
    head = [
        "Association",
        "Montant de la subvention",
        "Montant du prêt",
        "Montant de la garantie",
        "Estimation des avantages en nature",
    ]
    tables = ess.read(
        written(
            tmp_path,
            lines(
                head, ["Anis", "100", "", "", "7"], ["BG", "", "1000", "", ""], ["CCAS", "50", "", "5000", ""]
            ),
        )
    )
    assert {kind: sums(tables, kind)[1] for kind in ("cash", "loan", "guarantee", "in_kind")} == {
        "cash": 150, "loan": 1000, "guarantee": 5000, "in_kind": 7}  # fmt: skip


def test_the_nature_of_a_line_tells_its_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = [
        "nomAttribuant",
        "nomBeneficiaire",
        "objet",
        "montant",
        "nature",
        "dateConvention",
        "conditionsVersement",
    ]
    natures = [
        "aide en numéraire",
        "NUMERAIRE",
        "Aide en nature",
        "Prêt",
        '"aide en numéraire;aide en nature"',
    ]
    path = written(
        tmp_path,
        lines(head, *[["Lille", "A", "x", "10", nature, "2013-01-01", "unique"] for nature in natures]),
    )
    said = _summary(path, capsys)
    assert said["by_kind"] == {"cash": 30.0, "in_kind": 10.0, "loan": 10.0}
    assert said["amount_eur"] is None and said["by_year"] == {"2013": 30.0}, "a loan is never added to grants"
    assert said["standard"].startswith("SCDL") and "READ-KIND-MIXED" in {
        one["code"] for one in said["findings"]
    }


def test_duplicate_rows_stay_and_are_told_with_their_worth(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, lines(HEAD, *ROWS, ROWS[1])))
    assert sums(tables) == (4, SUM + 5933.5)
    found = tables.findings.set_index("code").loc["READ-DUPLICATES"]
    assert found["gap"] == 5933.5 and found["cell"] == "A5" and "(ligne 5)" in found["message"]


def test_what_many_cells_say_alike_is_told_once_with_their_count(tmp_path: Path) -> None:
    head = ["nomAttribuant", "nomBeneficiaire", "objet", "montant", "nature", "dateConvention"]
    mixed = '"aide en numéraire;aide en nature"'
    rows = [["Lille", f"A{n}", "x", str(n), mixed, "2013-01-01"] for n in range(1, 8)]
    findings = ess.read(written(tmp_path, lines(head, *rows))).findings.set_index("code")
    found = findings.loc["READ-KIND-MIXED"]
    assert found["cell"] == "E2" and "(7\u00a0cellules : E2, E3, E4, E5, E6…)" in found["message"]
    texts = [[f"A{n}", "x", f"{n} 000 €" if n in (1, 4) else n] for n in range(1, 8)]
    findings = ess.read(book(tmp_path, {"F": [HEAD, *texts]})).findings.set_index("code")
    found = findings.loc["READ-NUMBER-AS-TEXT"]
    assert found["cell"] == "C2" and "(2\u00a0cellules : C2, C5)" in found["message"]


def test_texts_read_by_no_one_are_told_once_each_and_the_others_counted(tmp_path: Path) -> None:
    odd = [["Doute", "x", f"?{n}"] for n in range(101)] + [["Doute", "x", "?0"]]
    sure = [["Anis", f"Forum {n}", str(n)] for n in range(1, 6001)]
    found = ess.read(written(tmp_path, lines(HEAD, *sure, *odd))).findings
    messages = found.loc[found["code"].eq("READ-AMOUNT"), "message"].tolist()
    assert (
        len(messages) == 101 and messages[0] == "« ?0 » : montant illisible (2\u00a0cellules : C6002, C6103)."
    )
    assert messages[-1].startswith("Et 1\u00a0autre cellule de même")


def test_several_unsound_numbers_are_said_in_the_plural() -> None:
    one, two = (identifiers.told("siret", count, "form", "12") for count in (1, 2))
    assert "1\u00a0numéro inutilisable" in one and one.endswith(", écarté des rapprochements.")
    assert "2\u00a0numéros inutilisables" in two and two.endswith(", écartés des rapprochements.")


def test_a_workbook_without_styles_is_read_without_a_word_in_english(tmp_path: Path) -> None:
    plain, bare = book(tmp_path, {"F": [HEAD, *ROWS]}, "plain.xlsx"), tmp_path / "bare.xlsx"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(bare, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "xl/styles.xml":
                content = re.sub(rb"<cellStyles.*</cellStyles>", b"", content, flags=re.DOTALL)
            new.writestr(name, content)
    with pytest.warns(UserWarning, match="no default style"):
        openpyxl.load_workbook(bare)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sums(ess.read(bare)) == (3, SUM)


def test_a_shared_grant_is_told_and_not_guessed(tmp_path: Path) -> None:
    head = [
        "nomAttribuant",
        "dateConvention",
        "referenceDecision",
        "nomBeneficiaire",
        "objet",
        "montant",
        "pourcentageSubvention",
    ]
    shared = [
        ["Lille", "2013-01-01", "D1", name, "Forum", "1000", share]
        for name, share in (("A", "0.4"), ("B", "0.6"))
    ]
    tables = ess.read(
        written(tmp_path, lines(head, *shared, ["Lille", "2013-01-01", "D2", "C", "Bus", "50", "1"]))
    )
    assert sums(tables) == (3, 2050)
    assert "1\u202f000" in tables.findings.set_index("code").loc["SCDL-SHARED", "message"]


def test_variants_of_an_axis_are_grouped_and_told(tmp_path: Path) -> None:
    rows = [
        [*row, axis]
        for row, axis in zip(
            FOUR, ["Économie sociale", "economie sociale", "Économies  sociales", "Culture"], strict=True
        )
    ]
    tables = ess.read(written(tmp_path, lines([*HEAD, "Axe"], *rows)))
    assert set(tables.funding["axis"]) == {"Économie sociale", "Culture"}
    assert "READ-AXIS-VARIANTS" in codes(tables)


# --- Formats -------------------------------------------------------------------------------------


def test_json_lists_wrapped_as_portals_do_are_read(tmp_path: Path) -> None:
    rows = [{"recordid": "x", "fields": {"nom_beneficiaire": "A", "montant": amount}} for amount in (10, 2.5)]
    assert sums(ess.read(written(tmp_path, json.dumps(rows), "a.json"))) == (2, 12.5)
    assert sums(ess.read(written(tmp_path, json.dumps({"n": 2, "results": rows}), "b.json"))) == (2, 12.5)


def test_360giving_json_is_read_in_its_currency(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grants = [
        {"id": f"360G-{n}", "title": "t", "currency": "GBP", "amountAwarded": n * 1.1, "awardDate": "2013-02-03T00:00:00+00:00",
         "recipientOrganization": [{"id": "GB-CHC-1", "name": "R"}], "fundingOrganization": [{"id": "GB-CHC-2", "name": "F"}]}
        for n in (1, 2)
    ]  # fmt: skip
    said = _summary(written(tmp_path, json.dumps({"grants": grants}), "a.json"), capsys)
    assert (said["rows"], said["amount_eur"], said["currency"], said["standard"]) == (
        2,
        3.3,
        "GBP",
        "360Giving",
    )
    assert said["by_year"] == {"2013": 3.3}


def test_a_json_of_two_tables_is_refused(tmp_path: Path) -> None:
    refused(
        written(tmp_path, json.dumps({"a": [{"montant": 1}], "b": [{"montant": 2}]}), "a.json"), "une seule"
    )


def test_an_archive_of_one_table_is_read(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("dossier/aides.csv", PLAIN)
        archive.writestr("lisez-moi.md", "texte")
    tables = ess.read(written(tmp_path, packed.getvalue(), "a.zip"))
    assert sums(tables) == (3, SUM) and set(tables.funding["source"]) == {"a.zip/dossier/aides.csv"}


@pytest.mark.parametrize(("head", "alike"), [(HEAD, True), (["Bénéficiaire", "Financeur", "Montant"], False)])
def test_an_archive_of_two_tables_is_read_where_they_are_of_one_shape(
    tmp_path: Path, head: list[str], alike: bool
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("aides_2012.csv", PLAIN)
        archive.writestr("aides_2013.csv", lines(head, ["X", "Y", "1"]))
    path = written(tmp_path, packed.getvalue(), "a.zip")
    if alike:
        assert sums(ess.read(path)) == (4, SUM + 1)
    else:
        refused(path, "aides_2012.csv", "aides_2013.csv", "pas les colonnes")


@pytest.mark.parametrize("name", ["a.xls", "a.ods"])
def test_old_and_open_workbooks_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rows = [HEAD, *[[a, b, float(c.replace(",", "."))] for a, b, c in ROWS]]
    if name.endswith("xls"):
        import xlwt

        made = xlwt.Workbook()
        sheet = made.add_sheet("Feuil1")
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                sheet.write(r, c, value)
        made.save(str(path))
    else:
        import pandas as pd

        pd.DataFrame(rows[1:], columns=rows[0]).to_excel(path, index=False, engine="odf")
    assert sums(ess.read(path)) == (3, SUM)


def test_a_big_workbook_is_read_as_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ess_analysis import grids

    def spoil(made: openpyxl.Workbook) -> None:
        made["A"]["C3"] = "=1+1"
        made["A"]["C4"] = "#REF!"
        made["A"]["C4"].data_type = "e"
        made["A"].row_dimensions[2].hidden = True
        made["A"].column_dimensions["B"].hidden = True

    path = book(
        tmp_path,
        {"A": [HEAD, ["Anis", "Forum", 100.5], ["BG", "Bus", 1], ["CCAS", "É & <b>", 2]]},
        change=spoil,
    )
    small = grids.read_grids(path)[0]
    monkeypatch.setattr(grids, "SMALL", 0)
    grids._lately.cache_clear()
    big = grids.read_grids(path)[0]
    assert big.formulas == small.formulas and big.hidden_rows == small.hidden_rows
    assert big.hidden_columns == small.hidden_columns
    assert (
        big.values.fillna("").astype("str").values.tolist()
        == small.values.fillna("").astype("str").values.tolist()
    )


# --- The command, the draft, the folder ----------------------------------------------------------


def _summary(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main(["read", str(path), "--summary", "--format", "json"])
    printed = capsys.readouterr()
    assert printed.out != "[]\n", printed.err
    (said,) = json.loads(printed.out)
    return said


def test_the_summary_has_its_keys_and_says_what_was_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _summary(written(tmp_path, PLAIN, "attribuees_2013.csv"), capsys)
    assert list(said) == ["file", "rows", "amount_eur", "currency", "by_kind", "by_stage", "by_year", "standard",
                          "encoding", "delimiter", "sheet", "header_row", "findings"]  # fmt: skip
    assert (said["rows"], said["amount_eur"], said["currency"]) == (3, SUM, "EUR")
    assert said["by_year"] == {"2013": SUM} and said["by_stage"] == {"awarded": SUM}
    assert (said["encoding"], said["delimiter"], said["header_row"]) == ("utf-8", ";", 1)


def test_exit_codes_tell_fine_blocked_and_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = written(tmp_path, PLAIN, "bon.csv")
    doubt = written(tmp_path, lines(HEAD, *FOUR, ["X", "y", "1..2"]), "doute.csv")
    wrong = written(tmp_path, "un texte\nsans colonnes\n", "texte.csv")
    assert main(["read", str(good), "--summary"]) == 0
    assert main(["read", str(doubt), "--summary"]) == 1
    assert main(["read", str(wrong), "--summary"]) == 2
    capsys.readouterr()
    assert main(["read", str(good), str(wrong), "--summary", "--format", "json"]) == 2
    said = capsys.readouterr()
    assert len(json.loads(said.out)) == 1 and "Traceback" not in said.err and "À faire" in said.err


@pytest.mark.parametrize("how", ["table", "csv", "json"])
def test_rows_are_printed_in_each_format(
    tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["read", str(written(tmp_path, PLAIN)), "--format", how]) == 0
    assert "Le Relais" in capsys.readouterr().out


def test_a_draft_completed_in_a_few_lines_reads_what_could_not_be_read_alone(tmp_path: Path) -> None:
    text = lines(["Association", "Machin"], ["Anis", "100"], ["BG", "50,5"], ["Total Session", "70"])
    path = written(tmp_path, text, "obscur.csv")
    refused(path, "Aucune colonne ne dit qu'elle est un montant", "Machin")
    assert main(["read", str(path), "--draft", "--summary"]) == 2
    sheet = tmp_path / "obscur.csv.toml"
    draft = sheet.read_text(encoding="utf-8")
    declared = draft.replace('"Machin" = "à déclarer, ou à laisser ici avec la raison"\n', "").replace(
        "[table.columns]", '[table.columns]\n"Machin" = { role = "amount" }'
    ).replace('# stage = "awarded"', 'stage = "awarded"')  # fmt: skip
    assert declared != draft
    sheet.write_text(declared, encoding="utf-8")
    finished(sheet)
    refused(path, "encore des questions", "la colonne des montants", source=sheet)
    answered(sheet)
    assert sums(ess.read(path, source=sheet)) == (3, 220.5)


def test_a_draft_is_never_written_over(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    (tmp_path / "aides.csv.toml").write_text("à moi", encoding="utf-8")
    assert main(["read", str(path), "--draft"]) == 2
    assert (tmp_path / "aides.csv.toml").read_text(encoding="utf-8") == "à moi"


@pytest.mark.parametrize("name", ["aides.csv", "aides.xlsx"])
def test_a_published_file_and_its_draft_make_a_data_folder(tmp_path: Path, name: str) -> None:
    path = (
        written(tmp_path, PLAIN)
        if name.endswith("csv")
        else book(tmp_path, {"A": [HEAD, ["Anis", "Forum", 100]]})
    )
    alone = sums(ess.read(path))
    main(["read", str(path), "--draft", "--summary"])
    with pytest.raises(DataError, match="à finir"):
        load(tmp_path)
    finished(tmp_path / f"{name}.toml")
    assert sums(load(tmp_path)) == alone


def test_a_sheet_written_for_other_bytes_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    main(["read", str(path), "--draft", "--summary"])
    finished(tmp_path / "aides.csv.toml")
    path.write_text(PLAIN + "X;Y;1\n", encoding="utf-8")
    with pytest.raises(DataError, match="autre fichier"):
        ess.read(path, source=tmp_path / "aides.csv.toml")


def test_an_empty_table_is_refused_and_a_missing_file_too(tmp_path: Path) -> None:
    refused(written(tmp_path, lines(HEAD)), "Aucun montant")
    refused(tmp_path / "rien.csv", "absent")
    refused(written(tmp_path, b"", "vide.csv"), "vide")


def test_reading_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    ess.read(path)
    assert path.read_bytes() == PLAIN.encode() and [one.name for one in tmp_path.iterdir()] == ["aides.csv"]


def test_a_person_is_told_what_was_understood_and_what_to_beware_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [["Anis", "Forum", "2014", "10000", "x"], ["Le Relais", "Réemploi", "2015", "5933,50", "y"]]
    text = lines(["Bénéficiaire", "Objet", "Année", "Montant", "Code interne"], *rows, rows[0])
    path = written(tmp_path, text)
    assert main(["read", str(path), "--summary"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        "Forme : utf-8, séparateur « ; », en-tête à la ligne 1.",
        "Lu : 3 montants, 25 933,50 €.",
        "Par année : 2014 20 000 € ; 2015 5 933,50 €.",
        "« Bénéficiaire » (bénéficiaire)",
        "« Montant » (montant)",
        "Colonnes laissées : « Code interne »",
        "Alerte (A4) : 1 ligne répète une autre",
    ):
        assert words in said, said


def test_a_long_table_shows_its_first_rows_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, lines(HEAD, *([f"Asso {n}", "", str(n)] for n in range(1, 301))))
    assert main(["read", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "Asso 20 " in shown and "Asso 21 " not in shown
    assert "… et 280\u00a0autres lignes" in shown
    assert main(["read", str(path), "--format", "csv"]) == 0
    assert "Asso 300," in capsys.readouterr().out


POUNDS = "Recipient Org:Name,Award Date,Amount Awarded,Currency\nAcorn,2019-02-01,1500,GBP\n"


def test_amounts_in_pounds_are_said_in_pounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", str(written(tmp_path, POUNDS))]) == 0
    shown = capsys.readouterr().out.replace("\u202f", " ").replace("\xa0", " ")
    assert "Lu : 1 montant, 1 500 £." in shown and "1 500 £\n" in shown and "€" not in shown


def test_each_file_is_shown_in_its_own_currency(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        written(tmp_path, POUNDS, "pounds.csv"),
        written(tmp_path, lines(HEAD, ["Anis", "Forum", "700"])),
        written(tmp_path, POUNDS.replace("GBP", "CHF"), "francs.csv"),
    ]
    assert main(["read", *map(str, files)]) == 0
    shown = capsys.readouterr().out.replace("\u202f", " ").replace("\xa0", " ")
    _, pounds, euros, francs = re.split(r"(?m)^\S*/(?=pounds|aides|francs)", shown)
    assert "1 500 £\n" in pounds and "€" not in pounds
    assert "700 €\n" in euros and "£" not in euros
    assert "1 500 CHF\n" in francs and "€" not in francs and "£" not in francs
