"""Every number of every report, followed to its cells and computed again without the library.

The pages are read as a reader gets them. A number is a link to the annex; the annex names cells; the cells
are read here with openpyxl, csv and tomllib, and added with Decimal. What is left without a link must be a
quotation (word for word in a raw file) or one of `NOT_A_FIGURE`: nothing else may hold a digit.
"""

from __future__ import annotations

import ast
import csv
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from lxml import html

from tests.model_apart import MODEL_OPS, modelled

ROOT = Path(__file__).resolve().parents[1]
RAW = ROOT / "data" / "raw"
CENT = Decimal("0.01")

# What holds digits and is no figure. Each line: what it is, and how it is written.
NOT_A_FIGURE = {
    "figure and table numbers": r"(?:Figure|Tableau|figure|tableau) \d+",
    "dates": r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?:-\d\d)?(?!\d)|\d{1,2}(?:er)?\s(?:janvier|février|mars|"
    r"avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre)\s(?:19|20)\d\d",
    "years and periods": r"(?<![\d,.])(?:19|20)\d\d(?:-(?:19|20)\d\d)?(?!\d|[,.]\d|\s?[€%])",
    "numbers of facts, statements and remarks": r"\b(?:[FAB]-\d+|S[0-3]-\d+)\b",
    "names of scenarios": r"\bS[0-3]\b",
    "cell addresses": r"\b[A-Z]{1,2}\d+(?::[A-Z]{1,2}\d+)?\b",
    "INSEE codes": r"(?<!\d)(?:59\d{3})(?!\d)",
    "annexes, rows and actions by number": r"[Aa]nnexe \d+|n°\s?\d+|lignes? \d+(?:, \d+)*(?: et \d+)?",
    "checksums": r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b",
    "versions": r"\b\d+\.\d+\.\d+\b",
}


# Tables of formulas: their digits are those of the equations, computed again in model_apart.
FORMULAS = ("Les équations, année par année", "Ce qui change d’un scénario à l’autre")

# --- The raw files, read apart -------------------------------------------------------------------


@cache
def _workbook(file: str) -> dict[tuple[str, str], Any]:
    book = openpyxl.load_workbook(RAW / file, data_only=True)
    return {
        (sheet.title, cell.coordinate): cell.value
        for sheet in book.worksheets
        for row in sheet.iter_rows()
        for cell in row
        if cell.value is not None
    }


@cache
def _lines(file: str) -> list[list[str]]:
    text = (RAW / file).read_text(encoding="utf-8-sig")
    if file.endswith(".txt"):
        return [[line] for line in text.splitlines()]
    return list(csv.reader(text.splitlines()))


@cache
def _toml(file: str) -> dict[str, Any]:
    return tomllib.loads((RAW / file).read_text(encoding="utf-8"))


def written(file: str, sheet: str, cell: str) -> str:
    """What a raw file holds at this address; empty for a blank. A whole file is its name."""
    if not cell:
        assert (RAW / file).is_file(), file
        return file
    if file.endswith(".xlsx"):
        value = _workbook(file).get((sheet, cell), "")
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if file.endswith(".toml"):
        node: Any = _toml(file)
        for key in cell.split("."):
            node = next(one for one in node if key in one.values()) if isinstance(node, list) else node[key]
        return str(node)
    column, row = re.fullmatch(r"([A-Z]+)(\d+)", cell).groups()  # type: ignore[union-attr]
    return _lines(file)[int(row) - 1][ord(column) - 65]


_AMOUNT = re.compile(r"(?<!\d)[-−]?\d{1,3}(?:[   ]?\d{3})*(?:,\d+)?(?=\s*k?€)")
_QUANTITY = re.compile(r"\d+(?:[.,]\d+)?")


def amounts(text: str) -> list[Decimal]:
    """The amounts of a cell in euros, k€ counted as thousands; a bare number is one amount."""
    bare = re.fullmatch(r"\s*[-−]?\d+(?:[.,]\d+)?\s*", text)
    if bare:
        return [Decimal(text.strip().replace(",", ".").replace("−", "-"))]
    found = []
    for one in _AMOUNT.finditer(text):
        number = Decimal(re.sub(r"[   ]", "", one.group()).replace(",", ".").replace("−", "-"))
        found.append(number * (1000 if text[one.end() :].lstrip().startswith("k€") else 1))
    return found


# --- The traces, computed again -------------------------------------------------------------------


def cells_of(node: dict[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    """(file, sheet, cell, part) of the node itself."""
    for place, names in node.get("cells", {}).items():
        file, _, sheet = place.partition("!")
        for name in names.split(" "):
            cell, _, part = name.partition("#")
            yield file, sheet, cell, int(part or 0)


def computed(node: dict[str, Any]) -> Decimal:
    """The value of a trace, from the raw cells alone."""
    op = node["op"]
    if op in MODEL_OPS:
        return modelled(node)
    cells = list(cells_of(node))
    texts = [written(*cell[:3]) for cell in cells]
    parts = [computed(part) for part in node.get("of", [])]
    if op == "sum":
        own = Decimal(0)
        for (_, _, _, part), text in zip(cells, texts, strict=True):
            found = amounts(text)
            assert part or len(found) == 1, f"which of the amounts of « {text} »?"
            own += found[part - 1 if part else 0]
        assert cells or parts, "a sum of nothing"
        return own + sum(parts, Decimal(0))
    if op == "difference":
        one, other = parts
        return one - other
    if op == "share":
        one, other = parts
        return one / other
    if op == "product":
        one, other = parts
        return one * other
    if op == "largest":
        return max(parts)
    if op == "apportion":
        whole, number = parts  # shared equally: the names written in one cell
        value = Decimal(str(node["value"]))
        (names,) = {written(*cell[:3]) for cell in cells_of(node["of"][1])}
        assert len(re.split(r",| et ", names)) == number, f"« {names} » does not name {number} territories"
        assert abs(value - whole / number) < CENT, "a share is exact to the cent"
        return value
    if op == "count":
        return Decimal(len(cells))
    if op == "stated":
        (text,) = texts
        said = {Decimal(n.replace(",", ".")) for n in _QUANTITY.findall(text)} | set(amounts(text))
        value = Decimal(str(node["value"]))
        assert value in said, f"« {text} » does not say {value}"
        return value
    if op == "corrected":
        (cell,) = cells
        for file in RAW.rglob("corrections.toml"):
            for one in tomllib.loads(file.read_text(encoding="utf-8")).get("correction", []):
                if (one["file"], one.get("sheet", ""), one["cell"]) == cell[:3] and one[
                    "status"
                ] == "applied":
                    return amounts(str(one["new"]))[0]
    raise AssertionError(f"unknown operation {op}")


# --- The numbers as they are shown ----------------------------------------------------------------

_SHOWN = re.compile(r"([-+−]?)(\d{1,3}(?:[\u202f\u00a0 ]\d{3})+|\d+)(?:,(\d+))?(\u00a0%|\u202f%)?")


def agree(shown: str, value: Decimal, rounded: bool = False) -> bool:
    """Whether the number shown is the value, rounded as it is shown."""
    match = _SHOWN.search(shown)
    assert match, shown
    sign, whole, decimals, percent = match.groups()
    number = Decimal(re.sub(r"\s", "", whole) + (f".{decimals}" if decimals else ""))
    number = -number if sign in ("-", "−") else number
    value = value * 100 if percent else value
    step = Decimal(1).scaleb(-len(decimals or ""))
    if rounded and "€" in shown:  # what a model gives in euros is told to the thousand
        step = Decimal(1000)
    return abs(value.quantize(step, ROUND_HALF_UP) - number) == 0 or abs(value - number) <= step / 2


@cache
def quotations() -> str:
    """Every text of every raw file, one after the other, spaces and quotes made plain."""
    texts: list[str] = []
    for path in sorted(RAW.rglob("*")):
        if path.suffix == ".xlsx":
            texts += [str(value) for value in _workbook(path.relative_to(RAW).as_posix()).values()]
        elif path.suffix in {".csv", ".txt"}:
            texts += [cell for row in _lines(path.relative_to(RAW).as_posix()) for cell in row]
        elif path.suffix == ".toml":
            texts += list(_strings(_toml(path.relative_to(RAW).as_posix())))
    return "\n".join(plain(text) for text in texts)


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
    else:
        yield str(node)


def plain(text: str) -> str:
    """The text without spaces, with plain quotes and apostrophes: French typography changes no word."""
    return re.sub(r"[«»“”]", '"', re.sub(r"\s+", "", text).replace("’", "'"))


def quoted(text: str) -> bool:
    """Whether a raw file holds this text word for word (« … » where it was cut): a whole cell, or words."""
    said = plain(text).removesuffix("…")
    words = re.findall(r"[^\W\d_]{2,}", text)
    if not re.search(r"[^\W\d_]", said) or said not in quotations():
        return False
    return len(words) > 2 or f"\n{said}\n" in quotations()


def left_over(text: str) -> str:
    """The text without what is no figure: quotations between « », years, codes, addresses…"""
    if quoted(text) or quoted(re.sub(r" \([^()]+\)$", "", text)):  # a label and its symbol
        return ""
    text = re.sub(
        r"«[\s\u202f\u00a0]*([^«»]+?)[\s\u202f\u00a0]*»", lambda m: "" if quoted(m[1]) else m[0], text
    )
    for pattern in NOT_A_FIGURE.values():
        text = re.sub(pattern, "", text)
    return text


# --- The pages --------------------------------------------------------------------------------------

BLOCKS = {"p", "li", "td", "th", "caption", "figcaption", "dt", "dd", "h1", "h2", "h3", "h4", "summary"}


def page_of(path: Path) -> html.HtmlElement:
    """The page without its drawings, whose numbers are those of the data table under them."""
    page = html.document_fromstring(path.read_bytes()).body
    for drawing in list(page.iter("img", "svg", "script", "style")):
        drawing.drop_tree()
    return page


def trace_of(entry: html.HtmlElement) -> dict[str, Any]:
    """The trace of an entry of the annex, with the places and the entries it refers to written out."""
    annex = entry.getparent()
    places = json.loads(annex.get("data-places"))

    def whole(node: Any) -> dict[str, Any]:
        if isinstance(node, int):
            node = json.loads(annex.xpath("li[@id=$name]", name=f"src-{node}")[0].get("data-trace"))
        cells = {places[int(rank)]: one_by_one(names) for rank, names in node.get("cells", {}).items()}
        return {**node, "cells": cells, "of": [whole(part) for part in node.get("of", [])]}

    return whole(json.loads(entry.get("data-trace")))


def one_by_one(names: str) -> str:
    """« C7:C9 D2 » with each cell named: « C7 C8 C9 D2 »."""

    def cells(match: re.Match[str]) -> str:
        column, first, last = match[1], int(match[2]), int(match[3])
        assert last >= first + 2
        return " ".join(f"{column}{row}" for row in range(first, last + 1))

    return re.sub(r"\b([A-Z]+)(\d+):\1(\d+)\b", cells, names)


def problems(path: Path, seen: Counter[str]) -> list[str]:
    """What a page holds that is not traced, or does not agree; `seen` counts what was checked."""
    page = page_of(path)
    annex = {entry.get("id"): entry for entry in page.xpath("//*[starts-with(@id, 'src-')]")}
    found = []
    for identifier, entry in annex.items():
        node = trace_of(entry)
        said = entry.text_content()
        for file, sheet, cell, _ in list(cells_of(node))[:20]:
            text = plain(written(file, sheet, cell))
            if cell not in said and not _ranged(cell, said):
                found.append(f"{identifier} : la cellule {cell} n'est pas nommée")
            elif text not in plain(said) and text[:60] not in plain(said):
                found.append(f"{identifier} : « {text} » n'est pas cité mot pour mot")
        seen["entries of the annex"] += 1
    for link in page.xpath("//a[starts-with(@href, '#src-')]"):
        seen["numbers"] += 1
        entry = annex.get(link.get("href")[1:])
        if entry is None:
            found.append(f"{link.text_content()} : mène nulle part")
            continue
        node = trace_of(entry)
        found += [f"{link.text_content()} : {why}" for why in _disagreements(link.text_content(), node)]
        seen[f"by {node['op']}"] += 1
    for section in page.xpath("//section[contains(@class, 'annex')] | //footer"):
        section.drop_tree()
    for table in page.xpath("//table"):
        if any(words in "".join(table.xpath("caption//text()")) for words in FORMULAS):
            table.drop_tree()
    for link in page.xpath("//a[starts-with(@href, '#src-')]"):
        link.text = "\ufffc"
        for child in list(link):
            child.drop_tree()
    for block in page.iter(*BLOCKS):
        if any(child.tag in BLOCKS for child in block.iterdescendants() if isinstance(child.tag, str)):
            continue
        text = block.text_content()
        seen["texts"] += 1
        if re.search(r"\d", text) and re.search(r"\d", left_over(text)):
            found.append(f"<{block.tag}> sans source : {' '.join(text.split())[:300]}")
    return found


def _ranged(cell: str, said: str) -> bool:
    return False


def _disagreements(shown: str, node: dict[str, Any]) -> Iterator[str]:
    try:
        if node["op"] == "stated" and (quoted(shown) or not re.search(r"\d", shown)):
            ((file, sheet, cell, _),) = cells_of(node)
            if plain(shown) not in plain(written(file, sheet, cell)):
                yield "n'est pas mot pour mot dans sa cellule"
            return
        value = computed(node)
        if not agree(shown, value, rounded=node["op"] in ("model", "draws")):
            yield f"les cellules donnent {value}"
    except (AssertionError, KeyError, IndexError, ArithmeticError, ValueError) as error:
        yield f"{type(error).__name__} {error}"


NOT_REPORTS = {
    "index.html": "the list of the reports",
    "explorer.html": "a calculator: its values follow its sliders (test_scenarios_page compares them all)",
}


def reports_of(folder: Path) -> list[Path]:
    """The pages of a batch that are reports."""
    return [path for path in sorted(folder.glob("*.html")) if path.name not in NOT_REPORTS]


def test_every_number_of_every_report_is_found_again_from_its_cells(
    rendered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: Counter[str] = Counter()
    found = {path.name: problems(path, seen) for path in reports_of(rendered)}
    with capsys.disabled():
        print(
            "\nnumbers traced and computed again: " + ", ".join(f"{k} {n}" for k, n in sorted(seen.items()))
        )
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert seen["numbers"] > 2000, "the reports lost their numbers"
    assert {"by sum", "by difference", "by share", "by count", "by apportion", "by model"} <= set(seen)


# --- The reader itself: what it must not let through -----------------------------------------------


@pytest.fixture
def spoilt(rendered: Path, tmp_path: Path) -> Callable[[str, str], list[str]]:
    """What the walk says of the report of 2013 once a text of it was changed for another."""

    def change(old: str, new: str) -> list[str]:
        text = (rendered / "rapport-annuel-2013.html").read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "spoilt.html"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return problems(path, Counter())

    return change


def test_a_number_that_is_not_that_of_its_cells_is_seen(spoilt: Callable[[str, str], list[str]]) -> None:
    assert any(
        "les cellules donnent" in why for why in spoilt("80\u202f718\u00a0€</a>", "80\u202f719\u00a0€</a>")
    )


def test_a_trace_that_names_another_cell_is_seen(spoilt: Callable[[str, str], list[str]]) -> None:
    assert spoilt("G5 G6 G8", "G5 G6 G7")
    assert spoilt("G5 G6 G8", "G5 G6 F8")


@pytest.mark.parametrize(
    "typed", ["Soit 12 projets.", "Soit 1\u202f000\u00a0€.", "Soit 85 %.", "Soit 3,5 fois plus."]
)
def test_a_number_typed_in_a_sentence_is_seen(spoilt: Callable[[str, str], list[str]], typed: str) -> None:
    assert any("sans source" in why for why in spoilt("</main>", f"<p>{typed}</p></main>"))


def test_a_number_without_its_link_is_seen(spoilt: Callable[[str, str], list[str]]) -> None:
    assert any(
        "sans source" in why
        for why in spoilt("</main>", "<table><tr><td>73\u202f000\u00a0€</td></tr></table></main>")
    )


def test_a_text_that_is_not_that_of_the_cell_is_seen(spoilt: Callable[[str, str], list[str]]) -> None:
    assert any("mot pour mot" in why for why in spoilt("10 000,00 €\u202f»", "10 001,00 €\u202f»"))


@pytest.mark.parametrize(
    "said",
    ["en 2013, ", "de 2011 à 2014.", "le 23 novembre 2026", "n°\u00a03", "cellule G5", "l’annexe 2", "S1-15"],
)
def test_years_codes_and_addresses_are_no_figures(said: str) -> None:
    assert not re.search(r"\d", left_over(said))


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_digit_is_typed_in_the_prose_of_a_notebook(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    prose = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    texts = [
        node.value
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", [])
        for node in ast.walk(ast.parse("".join(cell["source"])))
        if isinstance(node, ast.Constant) and not isinstance(node.value, bool)
    ]
    typed = [text for text in [*prose, *map(str, texts)] if re.search(r"\d", left_over(text))]
    assert prose and typed == []


# --- The provenance block -----------------------------------------------------------------------------


def test_each_report_says_what_it_was_made_with(rendered: Path) -> None:
    """Versions, checksums of the data, of the notebook and of the settings, date."""
    for path in reports_of(rendered):
        footer = html.document_fromstring(path.read_bytes()).find(".//footer")
        assert footer is not None
        said = {
            one.text_content(): one.getnext().text_content()
            for one in footer.iter("dt")
            if one.getnext() is not None
        }
        assert re.search(r"ess_analysis \d+\.\d+", said["Fabriqué par"]), path.name
        assert re.search(r"\.ipynb.*[0-9a-f]{12}", said["Notebook"])
        assert re.search(r"[0-9a-f]{12}", said["Données"])
        assert "Réglages" in said
