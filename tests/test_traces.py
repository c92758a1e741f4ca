"""From a number back to its cells, in words: what `ess explain` prints and what the annex of a page says."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ess_analysis import cli
from ess_analysis.breakdowns import breakdown
from ess_analysis.checks import checked
from ess_analysis.errors import DataError
from ess_analysis.load import Tables, load
from ess_analysis.traces import (
    amount_trace,
    cited,
    count_of,
    difference_of,
    explain,
    ranges,
    share_of,
    stated_trace,
    total_trace,
    traced,
)

ROOT = Path(__file__).resolve().parents[1]
RAW = ROOT / "data" / "raw"
NOTE = "mel_2011-2014/note_mel_communes.xlsx"


@pytest.fixture(scope="module")
def tables() -> Tables:
    """The embedded collection."""
    return load(RAW)


def _leaves(trace: Any) -> Iterator[list[Any]]:
    yield from trace.get("cells", [])
    for part in trace.get("of", []):
        yield from _leaves(part)


# --- In words ---------------------------------------------------------------------------------------


def test_a_column_with_a_blank_is_told_as_the_issue_says_it(tables: Tables) -> None:
    frame = breakdown(tables, ["funder", "stage"], year=2013, stage="planned", gaps=False, trace=True)
    trace: Any = traced(frame, tables).set_index("funder").at["Ville de Lille", "trace"]
    assert trace["words"] == "somme de 11\u00a0cellules, G5:G16, une vide"
    assert trace["value"] == 80718.0


def test_two_amounts_of_one_cell_are_told_apart(tables: Tables) -> None:
    both = amount_trace(["A1!F4#1", "A1!F4#2"], tables)
    assert both["words"] == "somme des 2 montants de la cellule F4"
    assert [cell[4] for cell in both["cells"]] == [1, 2]
    one = amount_trace(["A1!F4#2"], tables)
    assert one["words"] == "cellule F4" and one["value"] == 73000.0


def test_every_cell_is_quoted_with_its_file_its_sheet_and_its_very_words(tables: Tables) -> None:
    assert amount_trace(["A1!F7"], tables)["cells"] == [[NOTE, "Annexe 1", "F7", "4730 €", 0]]
    assert amount_trace(["T1!C6"], tables)["cells"][0][3].startswith("110 k€ (enveloppe allouée")


def test_a_blank_cell_is_told_as_blank(tables: Tables) -> None:
    words = amount_trace(["A2!F11"], tables)["words"]
    assert words == "cellule F11, vide"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["G5", "G6", "G7"], "G5:G7"),
        (["G9", "F5", "G8", "F6"], "F5:F6, G8:G9"),
        (["A1"], "A1"),
        (["AA10", "Z9", "AA9"], "Z9, AA9:AA10"),
        ([], ""),
        (["", "B2"], "B2"),
    ],
)
def test_cells_are_told_as_ranges(cells: list[str], told: str) -> None:
    assert ranges(cells) == told


def test_a_great_many_ranges_are_told_by_their_ends() -> None:
    cells = [f"{column}{row}" for row in range(3, 400, 2) for column in ("M", "AA")]
    assert ranges(cells) == "de M3 à M399, de AA3 à AA399"


def test_a_share_between_territories_names_them(tables: Tables) -> None:
    frame = breakdown(tables, ["territory"], stage="awarded", trace=True)
    trace: Any = traced(frame, tables).set_index("territory").at["Territoire lillois", "trace"]
    assert trace["op"] == "apportion"
    assert "à parts égales entre 3\u00a0territoires, B7" in trace["words"]
    assert [part["op"] for part in trace["of"]] == ["sum", "count"]


def test_a_corrected_cell_says_what_was_written_what_is_read_and_why(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    shutil.copytree(RAW, folder)
    with (folder / "mel_2011-2014" / "corrections.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[[correction]]\nfile = "{NOTE}"\nsheet = "Annexe 1"\ncell = "F5"\n'
            'column = "Montant accordé"\nexpected = "5 933,00 €"\nnew = "6 000,00 €"\n'
            'reason = "délibération du 12 mars"\nstatus = "applied"\n'
        )
    corrected = load(folder)
    trace = amount_trace(["A1!F5"], corrected)
    assert trace["value"] == 6000.0
    assert "corrigée : « 5 933,00 € » lu 6 000,00 € (délibération du 12 mars)" in trace["words"]
    assert "délibération du 12 mars" in explain("Territoire est", corrected)


# --- What is computed from what -------------------------------------------------------------------------


def test_the_parts_of_a_breakdown_make_its_whole_and_no_cell_is_counted_twice(tables: Tables) -> None:
    for by in (["funder"], ["axis", "funder"], ["territory"], ["recipient"]):
        frame = traced(breakdown(tables, [*by, "stage"], gaps=False, trace=True), tables)
        known = frame.dropna(subset=["amount_eur"])
        for row in known.to_dict(orient="records"):
            assert math.isclose(row["trace"]["value"], row["amount_eur"], abs_tol=0.005)
            assert row["count_trace"]["value"] == row["count"]
        for _, same in known.groupby("stage"):
            whole = total_trace(same["trace"])
            assert math.isclose(whole["value"], same["amount_eur"].sum(), abs_tol=0.005)
            if by != ["territory"]:
                cells = [tuple(map(str, cell)) for cell in _leaves(whole)]
                assert len(cells) == len(set(cells))


def test_what_a_total_holds_beyond_its_lines_is_a_difference(tables: Tables) -> None:
    frame = breakdown(tables, ["funder"], year=2013, stage="planned", trace=True)
    rest: Any = traced(frame, tables).set_index("funder").at["Lille Métropole, non détaillé", "trace"]
    assert rest["op"] == "difference" and rest["value"] == 13173.0
    assert [part["value"] for part in rest["of"]] == [73000.0, 59827.0]


def test_shares_differences_and_counts_say_what_they_are_of(tables: Tables) -> None:
    stated, lines = stated_trace("A2!F17", tables), amount_trace(["A2!F5", "A2!F6"], tables)
    assert difference_of(stated, lines)["value"] == 58000.0
    assert share_of(lines, stated)["value"] == pytest.approx(15 / 73)
    assert share_of(lines, stated)["words"] == "15\u202f000\u00a0€ sur 73\u202f000\u00a0€"
    assert math.isnan(share_of(lines, {**stated, "value": 0.0})["value"])
    assert count_of([], "montant")["words"] == "aucun montant"


def test_a_row_without_amount_has_no_trace_and_an_empty_breakdown_does_not_crash(tables: Tables) -> None:
    frame = traced(breakdown(tables, ["title"], stage="allocated", trace=True), tables)
    silent = frame[frame["amount_eur"].isna()]
    assert len(silent) == 1 and silent["trace"].isna().all()
    empty = breakdown(tables, ["funder"], stage="planned", year=2013, trace=True).iloc[:0]
    assert traced(empty, tables).empty


def test_tracing_leaves_the_tables_untouched(tables: Tables) -> None:
    before = tables.funding.copy(deep=True)
    traced(breakdown(tables, ["funder", "stage"], trace=True), tables)
    assert tables.funding.equals(before)


def test_every_number_of_every_finding_leads_to_cells(tables: Tables) -> None:
    found = checked(tables)
    numbers = [part for parts in found.parts.values() for part in parts if not isinstance(part, str)]
    assert len(numbers) > 60
    for number in numbers:
        trace = cited(number.recipe(), tables)
        assert trace["words"] and list(_leaves(trace)), number.text
    assert set(found.parts) <= set(found.findings["message"])


# --- In the terminal -------------------------------------------------------------------------------------


def test_explain_prints_the_trace_of_the_issue(tables: Tables) -> None:
    said = explain("2013/Ville de Lille/Promotion et communication", tables)
    assert said.splitlines()[:3] == [
        "2013 · Ville de Lille · Promotion et communication · prévisionnel : 17\u202f695\u00a0€",
        "  somme de 3\u00a0cellules, G14:G16",
        f"    {NOTE}, Annexe 2, G14 : « 3 000,00 € »",
    ]


@pytest.mark.parametrize(
    "query",
    [
        "ville de lille/2013/PROMOTION ET COMMUNICATION",
        "axis=Promotion et communication/funder=Ville de Lille",
    ],
)
def test_explain_takes_words_in_any_order_case_or_with_their_column(tables: Tables, query: str) -> None:
    assert "17\u202f695\u00a0€" in explain(query, tables)


def test_a_number_that_mixes_stages_is_told_once_for_each(tables: Tables) -> None:
    said = explain("2013", tables)
    for stage in ("accordé : 73\u202f000", "prévisionnel : 140\u202f545", "alloué (enveloppe) : 45\u202f000"):
        assert f"2013 · {stage}\u00a0€" in said
    assert "2013 · prévisionnel, non détaillé : 29\u202f346\u00a0€" in said
    assert "planned" not in said


@pytest.mark.parametrize(
    ("query", "seen", "offered"),
    [
        ("2019", "2019", "années : 2012, 2013"),
        ("2013/Vile de Lile", "Vile de Lile", "vouliez-vous dire « Ville de Lille »"),
        ("2013/Zorglub", "Zorglub", "financeurs : Lille Métropole, Ville de Lille"),
        ("funder=Personne", "Personne", "Lille Métropole, Ville de Lille"),
        ("couleur=rouge", "couleur=rouge", "axes : "),
        (" / ", "", "ess explain"),
    ],
)
def test_a_bad_query_says_what_exists(tables: Tables, query: str, seen: str, offered: str) -> None:
    with pytest.raises(DataError) as error:
        explain(query, tables)
    assert seen in str(error.value) and offered in str(error.value)


def test_the_number_of_a_page_is_told_as_its_annex_tells_it(rendered: Path) -> None:
    page = rendered / "rapport-annuel-2013.html"
    tables = load(RAW)
    said = explain(f"{page}#src-1", tables)
    assert NOTE in said and "F4 « 73 000,00 € (2012) 73 000,00 € (2013) »" in said.replace("\u202f", " ")
    every = [explain(f"{page}#src-{number}", tables) for number in range(1, 40)]
    assert all(NOTE in told for told in every), "a number made of numbers is followed down to its cells"


def test_a_number_that_a_page_does_not_have_is_refused(rendered: Path, tmp_path: Path) -> None:
    tables = load(RAW)
    with pytest.raises(DataError, match="numéros de 1 à"):
        explain(f"{rendered / 'bilan.html'}#src-9999", tables)
    with pytest.raises(DataError, match="page absente"):
        explain(f"{tmp_path / 'absent.html'}#src-1", tables)


def test_the_command_ends_with_two_on_a_bad_query(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "2013/Ville de Lille", "--data", str(RAW)]) == 0
    assert "G5:G16, une vide" in capsys.readouterr().out
    assert cli.main(["explain", "Zorglub", "--data", str(RAW)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Zorglub" in said.err and "Traceback" not in said.err
