"""Bad input: each ends in a three-part French message, exit code 2, no traceback, nothing written."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import openpyxl
import pytest

from ess_analysis.cli import main
from ess_analysis.load import load

ROOT = Path(__file__).resolve().parents[1]
NOTE = ROOT / "data" / "raw" / "mel_2011-2014"
WORKBOOK = "note_mel_communes.xlsx"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the note's workbook alone, free to be spoilt."""
    folder = tmp_path / "raw" / "note"
    folder.mkdir(parents=True)
    for name in (WORKBOOK, WORKBOOK + ".toml"):
        shutil.copy(NOTE / name, folder / name)
        (folder / name).chmod(0o644)
    return tmp_path / "raw"


def workbook(data: Path) -> Path:
    return data / "note" / WORKBOOK


def sheet(data: Path) -> Path:
    return data / "note" / (WORKBOOK + ".toml")


def sign(data: Path) -> None:
    """The source sheet follows the file: what is wrong is the content, not the checksum."""
    digest = sha256(workbook(data).read_bytes()).hexdigest()
    text = re.sub(r'sha256 = "[0-9a-f]+"', f'sha256 = "{digest}"', sheet(data).read_text(encoding="utf-8"))
    sheet(data).write_text(text, encoding="utf-8")


def spoil(data: Path, change: Callable[[openpyxl.Workbook], object]) -> None:
    book = openpyxl.load_workbook(workbook(data))
    change(book)
    book.save(workbook(data))
    sign(data)


def put(sheet_name: str, cell: str, value: object) -> Callable[[openpyxl.Workbook], None]:
    def change(book: openpyxl.Workbook) -> None:
        book[sheet_name][cell] = value

    return change


def refused(data: Path, capsys: pytest.CaptureFixture[str], *words: str) -> None:
    """The commands say what and where, what they saw, what to do; they write nothing."""
    before = sorted(path.relative_to(data.parent) for path in data.parent.rglob("*"))
    build = (
        [["build", "--out", str(data.parent / "processed")]] if find_spec("ess_analysis.processed") else []
    )
    for command in (["check"], *build):
        code = main([*command, "--data", str(data)])
        said = capsys.readouterr()
        assert code == 2, said
        assert said.out == ""
        assert "Traceback" not in said.err
        first, *rest = said.err.strip().splitlines()
        assert first.endswith(".") and "  Vu : « " in "\n".join(rest) and "  À faire : " in "\n".join(rest)
        for word in words:
            assert word in said.err
    assert sorted(path.relative_to(data.parent) for path in data.parent.rglob("*")) == before


def test_the_untouched_folder_is_read(data: Path) -> None:
    assert len(load(data).funding) == 35


def test_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(tmp_path / "absent" / "raw", capsys, "Dossier de données absent")


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "raw").mkdir()
    assert main(["check", "--data", str(tmp_path / "raw")]) == 2
    assert "Aucune donnée" in capsys.readouterr().err


def test_a_missing_file(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workbook(data).unlink()
    refused(data, capsys, "absent", WORKBOOK)


def test_a_changed_byte(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(workbook(data).read_bytes())
    content[-1] ^= 1
    workbook(data).write_bytes(bytes(content))
    refused(data, capsys, "a changé", "sha256")


def test_a_file_without_source_sheet(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(workbook(data), workbook(data).with_name("autre.xlsx"))
    refused(data, capsys, "sans fiche source", "autre.xlsx")


def test_an_empty_workbook(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    openpyxl.Workbook().save(workbook(data))
    sign(data)
    refused(data, capsys, "Actions 2011-2014")


def test_an_empty_sheet(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, lambda book: book["Annexe 2"].delete_rows(1, 40))
    refused(data, capsys, "Annexe 2")


def test_a_file_of_no_byte(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workbook(data).write_bytes(b"")
    sign(data)
    refused(data, capsys, WORKBOOK)


def test_a_password_protected_workbook(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # An encrypted .xlsx is an OLE2 container whose directory names « EncryptedPackage » in UTF-16.
    head = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 504
    workbook(data).write_bytes(head + "EncryptedPackage".encode("utf-16-le") + b"\0" * 4096)
    sign(data)
    refused(data, capsys, "mot de passe")


@pytest.mark.parametrize(
    "content", [b"Action;Budget\nForum;500\n", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", b"PK\x03\x04rien"]
)
def test_a_file_that_is_not_what_its_name_says(
    data: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    workbook(data).write_bytes(content)
    sign(data)
    refused(data, capsys, WORKBOOK)


def test_a_renamed_header(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, put("Annexe 2", "G4", "Lille"))
    refused(data, capsys, "Ville de Lille", "Annexe 2")


def test_an_extra_column(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, put("Annexe 1", "G3", "Observations"))
    refused(data, capsys, "non déclaré", "Observations")


def test_a_header_written_twice(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, put("Annexe 2", "K4", "TOTAL"))
    refused(data, capsys, "en double", "TOTAL")


@pytest.mark.parametrize(
    "text", ["à préciser", "5 OOO €", "cinq mille", "5.000 €", "12 34 €", "#REF!", "5 000 $"]
)
def test_a_text_in_a_column_of_amounts(data: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    spoil(data, put("Annexe 2", "F6", text))
    refused(data, capsys, "F6", text, "Annexe 2")


def test_two_rows_of_totals(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, put("Annexe 2", "A18", "TOTAL"))
    refused(data, capsys, "Plusieurs lignes de total", "ligne 17", "ligne 18")


def test_a_row_of_totals_that_is_gone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, lambda book: book["Annexe 2"].delete_rows(17))
    refused(data, capsys, "Ligne de total introuvable")


def test_amounts_merged_across_rows(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, lambda book: book["Annexe 2"].merge_cells("G6:G7"))
    refused(data, capsys, "fusionnée", "G6:G7")


def test_a_formula_that_was_never_computed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, put("Annexe 2", "J5", "=F5+G5"))
    refused(data, capsys, "Formule sans valeur calculée", "J5", "=F5+G5")


def test_a_formula_with_its_value_is_read(data: Path) -> None:
    spoil(data, put("Annexe 2", "J5", "=F5+G5"))
    with zipfile.ZipFile(workbook(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet3.xml"
    parts[name] = re.sub(rb"<f>F5\+G5</f><v ?/?>(</v>)?", b"<f>F5+G5</f><v>15000</v>", parts[name])
    with zipfile.ZipFile(workbook(data), "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    sign(data)
    assert load(data).records["row_total_eur"].sum() == 140545


def test_a_negative_amount(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, put("Annexe 2", "F6", -5000))
    refused(data, capsys, "Montant négatif", "F6")


def test_a_negative_amount_written_in_words(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, put("Annexe 1", "F6", "-15 000 €"))
    refused(data, capsys, "Montant négatif", "F6")


def test_an_action_number_used_twice_in_its_axis(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, put("Annexe 2", "B6", "1"))
    refused(data, capsys, "en double", "5, 6")


def test_an_unknown_commune(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data, put("Annexe 1", "A5", "Villes de Tressin et Zanzibar"))
    refused(data, capsys, "Zanzibar", "A5")


def test_an_unknown_commune_that_the_source_sheet_declares_is_an_alert(data: Path) -> None:
    spoil(data, put("Annexe 1", "A5", "Villes de Tressin et Zanzibar"))
    text = sheet(data).read_text(encoding="utf-8")
    sheet(data).write_text(
        text.replace("[[table]]", '[names.place]\n"hors référence" = ["Zanzibar"]\n\n[[table]]', 1),
        encoding="utf-8",
    )
    tables = load(data)
    assert tables.places.loc[tables.places["written_as"] == "Zanzibar", "commune"].isna().all()
    assert "Zanzibar" in tables.findings["stated"].tolist()


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ('"Nom du projet" = "title"', '"Nom du projet" = "titel"', "titel"),
        ("record_kind", "recordkind", "recordkind"),
        ('stage = "awarded"', 'stage = "accorded"', "accorded"),
        ("[[table.total]]", "[[table.totals]]", "totals"),
        ('title = "Note', "title = Note", "ligne"),
        ('path = "note_mel_communes.xlsx"', "", "path"),
        ('part_of = "T1!C6"', 'part_of = "T1!C66"', "T1!C66"),
        ('cell = "A9"', 'cell = "9A"', "9A"),
        ("header = [3, 4]", 'header = "trois"', "trois"),
        ("period = [2012, 2013]", 'period = "2012-2013"', "2012-2013"),
        ("year = 2013  ", 'year = "2013"  ', "2013"),
        ('no_amount = ["Moyens humains"]', "no_amount = 3", "no_amount"),
        ('path = "note_mel_communes.xlsx"', 'path = "../../../etc/passwd"', "passwd"),
        (
            'role = "amount", funder = "Ville de Lille"',
            'role = "amount", unit = "k€", funder = "Ville de Lille"',
            "unit",
        ),
    ],
)
def test_a_source_sheet_with_a_slip(
    data: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, word: str
) -> None:
    text = sheet(data).read_text(encoding="utf-8")
    assert before in text
    sheet(data).write_text(text.replace(before, after), encoding="utf-8")
    refused(data, capsys, word)


CSV_SHEET = """
[file]
path = "aides.csv"
sha256 = "{digest}"
title = "Aides"
producer = "Ville"
date = "2014"
licence = "Licence Ouverte"
reliability = "bonne"

[[table]]
id = "C"
record_kind = "project"
stage = "awarded"

[table.columns]
"Projet" = "title"
"Montant" = {{ role = "amount" }}
"{dated}" = "{role}"
"""


def csv_folder(tmp_path: Path, content: str, dated: str = "Année", role: str = "year") -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "aides.csv").write_text(content, encoding="utf-8")
    digest = sha256((folder / "aides.csv").read_bytes()).hexdigest()
    (folder / "aides.csv.toml").write_text(
        CSV_SHEET.format(digest=digest, dated=dated, role=role), encoding="utf-8"
    )
    return folder


def test_a_year_kept_as_text_is_read(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path, "Projet;Montant;Année\nForum;500,50;2013\nAtelier;10;2014\n")
    assert load(folder).funding["year"].tolist() == [2013, 2014]


@pytest.mark.parametrize("text", ["le 3 mars", "13", "31/02/2013", "2013-13-01", "20133", "vers 2013"])
def test_a_text_that_is_not_a_date(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    refused(csv_folder(tmp_path, f"Projet;Montant;Année\nForum;500;{text}\n"), capsys, text, "C2")


@pytest.mark.parametrize(
    ("role", "words"), [("stage", ("Étape inconnue", "versé")), ("kind", ("Nature inconnue", "prêt"))]
)
def test_a_word_of_no_closed_list_comes_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], role: str, words: tuple[str, str]
) -> None:
    folder = csv_folder(tmp_path, "Projet;Montant;Mot\nForum;500;promis juré\n", "Mot", role)
    refused(folder, capsys, "promis juré", "C2", *words)


@pytest.mark.parametrize(("text", "year"), [("31/12/2013", 2013), ("2013-03-01", 2013), ("01/02/2014", 2014)])
def test_a_date_kept_as_text_gives_its_year(tmp_path: Path, text: str, year: int) -> None:
    folder = csv_folder(tmp_path, f"Projet;Montant;Date\nForum;500;{text}\n", "Date", "date")
    assert load(folder).funding["year"].tolist() == [year]
