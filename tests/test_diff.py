"""What changed between two collections: lines matched by what they say, figures that move, told in French."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from ess_analysis import cli
from ess_analysis.diff import COLUMNS, diff, matched, plain, told
from ess_analysis.errors import DataError
from ess_analysis.processed import build

ROOT = Path(__file__).resolve().parents[1]
RAW = ROOT / "data" / "raw"
NOTE = "mel_2011-2014/note_mel_communes.xlsx"
ANNEX = "Annexe 2"


def _seal(folder: Path) -> None:
    path = folder / NOTE
    sheet = path.with_name(path.name + ".toml")
    digest = sha256(path.read_bytes()).hexdigest()
    sheet.write_text(
        re.sub(r'sha256 = "\w+"', f'sha256 = "{digest}"', sheet.read_text("utf-8"), count=1), "utf-8"
    )


def _changed(tmp_path: Path, change: Callable[[openpyxl.Workbook], None]) -> Path:
    folder = tmp_path / "new"
    shutil.copytree(RAW, folder)
    book = openpyxl.load_workbook(folder / NOTE)
    change(book)
    book.save(folder / NOTE)
    _seal(folder)
    return folder


def _amounts(changes: pd.DataFrame) -> pd.DataFrame:
    return changes[changes["change"] != "figure"].reset_index(drop=True)


def test_the_same_collection_changes_nothing() -> None:
    changes = diff(RAW, RAW)
    assert changes.empty and list(changes.columns) == COLUMNS
    assert told(changes) == "Aucun chiffre ne change."


def test_an_amount_that_moves_is_told_with_its_cell_and_every_figure_that_moves_with_it(
    tmp_path: Path,
) -> None:
    new = _changed(tmp_path, lambda book: _set(book["Annexe 1"], "F5", "6 933,00 €"))
    changes = diff(RAW, new)
    (line,) = _amounts(changes).to_dict(orient="records")
    assert (line["change"], line["subject"]) == ("moved", "funding")
    assert (line["old_eur"], line["new_eur"], line["gap_eur"]) == (5933.0, 6933.0, 1000.0)
    assert line["new_cell"] == f"{NOTE}, Annexe 1, F5"
    figures = changes[changes["change"] == "figure"].set_index("figure")
    assert figures.at["Accordé", "new_eur"] == 172663.0
    assert figures.at["Accordé, Territoire est", "reports"] == "fiche territoire Territoire est et bilan"
    assert not any("Prévisionnel" in name for name in figures.index), "what did not move is not told"
    said = told(changes)
    assert "5\u202f933\u00a0€ → 6\u202f933\u00a0€ (+1\u202f000\u00a0€)" in said
    assert said.index("Chiffres publiés") < said.index("Montants modifiés")


def _set(sheet: Worksheet, cell: str, value: object) -> None:
    sheet[cell] = value


def _insert_row(book: openpyxl.Workbook) -> None:
    """A new action at the top of annex 2: every cell below moves by one row."""
    sheet = book[ANNEX]
    merged = [str(one) for one in sheet.merged_cells.ranges if one.min_row > 4]
    for one in merged:
        sheet.unmerge_cells(one)
    sheet.insert_rows(5)
    for column, value in enumerate(["Axe neuf", "1", "Une action neuve", "", "", "100,00 €", "50,00 €", "150,00 €", None, "150,00 €"], 1):  # fmt: skip  # noqa: E501
        sheet.cell(5, column, value)
    for one in merged:
        first, last = (int(number) + 1 for number in re.findall(r"\d+", one))
        letters = re.findall("[A-Z]+", one)
        sheet.merge_cells(f"{letters[0]}{first}:{letters[1]}{last}")


def test_a_row_inserted_above_moves_no_amount(tmp_path: Path) -> None:
    changes = _amounts(diff(RAW, _changed(tmp_path, _insert_row)))
    assert set(changes["title"]) == {"Une action neuve"}
    assert set(changes["change"]) == {"appeared"}
    assert changes["new_eur"].sum() == 100 + 50 + 150 + 150  # two funders, one operator, the total of the row


def test_a_row_that_goes_has_vanished(tmp_path: Path) -> None:
    def clear(book: openpyxl.Workbook) -> None:
        for column in "FGHIJ":
            book[ANNEX][f"{column}16"] = None

    changes = _amounts(diff(RAW, _changed(tmp_path, clear)))
    assert set(changes["change"]) == {"vanished"}
    assert changes.loc[changes["subject"] == "funding", "old_eur"].tolist() == [1000.0, 2000.0]
    assert changes.loc[changes["subject"] == "funding", "reason"].eq("la cellule est vide").all()


def test_a_blank_that_is_filled_is_an_amount_that_appears(tmp_path: Path) -> None:
    changes = _amounts(diff(RAW, _changed(tmp_path, lambda book: _set(book[ANNEX], "G7", "10,00 €"))))
    assert changes[["change", "new_eur", "reason"]].values.tolist() == [
        ["appeared", 10.0, "la cellule était vide"]
    ]


def test_a_title_respelt_is_the_same_line_described_otherwise(tmp_path: Path) -> None:
    new = _changed(tmp_path, lambda book: _set(book[ANNEX], "C7", "Initier un projet de P.T.C.E."))
    changes = _amounts(diff(RAW, new))
    assert set(changes["change"]) == {"described"}
    assert changes["gap_eur"].eq(0).all()
    assert changes["reason"].str.contains("« Initier un projet de PTCE » → « Initier un projet de P.T.C.E. »", regex=False).all()  # fmt: skip  # noqa: E501


def test_a_correction_is_told_as_a_correction_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    shutil.copytree(RAW, folder)
    with (folder / "mel_2011-2014" / "corrections.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[[correction]]\nfile = "{NOTE}"\nsheet = "Annexe 1"\ncell = "F5"\n'
            'column = "Montant accordé"\nexpected = "5 933,00 €"\nnew = "6 000,00 €"\n'
            'reason = "délibération du 12 mars"\nstatus = "applied"\n'
        )
    (line,) = _amounts(diff(RAW, folder)).to_dict(orient="records")
    assert (line["change"], line["reason"]) == ("corrected", "délibération du 12 mars")
    assert "Montants corrigés à la lecture (1)" in told(diff(RAW, folder))


def test_a_stated_total_that_changes_is_told(tmp_path: Path) -> None:
    new = _changed(tmp_path, lambda book: _set(book[ANNEX], "F17", "59 827,00 €"))
    changes = diff(RAW, new)
    (line,) = _amounts(changes).to_dict(orient="records")
    assert (line["subject"], line["old_eur"], line["new_eur"]) == ("stated_total", 73000.0, 59827.0)
    gone = changes[changes["figure"] == "Prévisionnel, Lille Métropole, non détaillé"]
    assert gone["old_eur"].tolist() == [13173.0] and gone["new_eur"].isna().all()


def test_two_builds_are_compared_like_two_collections(tmp_path: Path) -> None:
    new = _changed(tmp_path, lambda book: _set(book["Annexe 1"], "F5", "6 933,00 €"))
    build(RAW, tmp_path / "before")
    build(new, tmp_path / "after")
    raw, built = diff(RAW, new), diff(tmp_path / "before", tmp_path / "after")
    pd.testing.assert_frame_equal(raw, built)


def test_the_gaps_make_the_difference_of_the_totals(tmp_path: Path) -> None:
    """The parts make the whole: what amounts gained is what the published total gained."""

    def change(book: openpyxl.Workbook) -> None:
        for cell, value in (("F5", "1,00 €"), ("G9", "30 000,00 €"), ("G7", "12,50 €"), ("F16", None)):
            book[ANNEX][cell] = value

    changes = diff(RAW, _changed(tmp_path, change))
    funding = changes[changes["subject"] == "funding"]
    figure = changes[changes["figure"] == "Prévisionnel"]
    assert funding["gap_eur"].sum() == figure["gap_eur"].iloc[0] == 1 - 10000 + 30000 - 18173 + 12.5 - 1000


def test_the_inputs_are_left_untouched_and_empty_tables_do_not_crash(tmp_path: Path) -> None:
    before = {path: sha256(path.read_bytes()).hexdigest() for path in RAW.rglob("*") if path.is_file()}
    diff(RAW, RAW)
    assert before == {
        path: sha256(path.read_bytes()).hexdigest() for path in RAW.rglob("*") if path.is_file()
    }
    nothing = pd.DataFrame(
        columns=["title", "funder", "recipient", "operator", "programme", "axis", "year", "stage", "kind",
                 "source", "sheet", "cell", "amount_eur", "amount"]
    )  # fmt: skip
    pairs, gone, come = matched(nothing, nothing)
    assert pairs.empty and gone.empty and come.empty


def test_hostile_texts_stay_texts_in_the_changelog() -> None:
    said = plain("[clic](javascript:alert(1)) <script>x</script> `a` *b* | \x1b[31mrouge\n# titre")
    assert "\n" not in said and "\x1b" not in said
    for mark in "[]<>`*|":
        assert not re.search(rf"(?<!\\){re.escape(mark)}", said)


def test_the_command_prints_markdown_csv_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = _changed(tmp_path, lambda book: _set(book["Annexe 1"], "F5", "6 933,00 €"))
    assert cli.main(["diff", str(RAW), str(new)]) == 0
    assert capsys.readouterr().out.startswith("### Chiffres publiés qui changent")
    for how, first in (("csv", "change,subject,"), ("json", "[")):
        assert cli.main(["diff", str(RAW), str(new), "--format", how]) == 0
        assert capsys.readouterr().out.startswith(first)


def test_a_folder_that_is_neither_raw_data_nor_a_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        diff(RAW, tmp_path / "absent")
    assert cli.main(["diff", str(RAW), str(tmp_path / "absent")]) == 2
