"""The PDF of a page: A4, tagged, in French, with its title, its outline and the text of every figure."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from lxml import html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ess_analysis.cli import main
from ess_analysis.errors import DataError
from ess_analysis.reports import pdf
from ess_analysis.reports.exporter import export_html
from tests.conftest import CHROMIUM, absent

A4 = (595, 842)  # points


def tagged(document: pikepdf.Pdf, kind: str) -> list[pikepdf.Object]:
    """The elements of the structure tree of one kind."""
    found, waiting = [], [document.Root.StructTreeRoot]
    while waiting:
        node = waiting.pop()
        if isinstance(node, pikepdf.Dictionary):
            if node.get("/S") == pikepdf.Name(f"/{kind}"):
                found.append(node)
            children = node.get("/K")
            waiting += list(children) if isinstance(children, pikepdf.Array) else [children]
    return found


def bookmarks(document: pikepdf.Pdf) -> list[str]:
    with document.open_outline() as outline:
        waiting, found = list(outline.root)[::-1], []
        while waiting:
            item = waiting.pop()
            found.append(" ".join(item.title.split()))
            waiting += list(item.children)[::-1]
    return found


def words(document: pikepdf.Pdf, number: int) -> str:
    """The text of a page, decoded with its fonts' own tables."""
    page = document.pages[number]
    fonts = {name: _letters(font) for name, font in page.Resources.get("/Font", {}).items()}
    text, letters = "", {}
    for operands, operator in pikepdf.parse_content_stream(page):
        if str(operator) == "Tf":
            letters = fonts.get(str(operands[0]), {})
        elif str(operator) in {"Tj", "TJ"}:
            pieces = operands[0] if str(operator) == "TJ" else operands
            for piece in pieces:
                if isinstance(piece, pikepdf.String):
                    codes = bytes(piece)
                    text += "".join(letters.get(codes[i : i + 2], "") for i in range(0, len(codes), 2))
    return text


def _letters(font: pikepdf.Object) -> dict[bytes, str]:
    table = bytes(font.ToUnicode.read_bytes()).decode("latin-1") if "/ToUnicode" in font else ""
    found: dict[bytes, str] = {}
    for block in re.findall(r"beginbfchar(.*?)endbfchar", table, re.DOTALL):
        for code, letter in re.findall(r"<(\w+)>\s*<(\w+)>", block):
            found[bytes.fromhex(code)] = bytes.fromhex(letter).decode("utf-16-be")
    for block in re.findall(r"beginbfrange(.*?)endbfrange", table, re.DOTALL):
        for first, last, letter in re.findall(r"<(\w+)>\s*<(\w+)>\s*<(\w+)>", block):
            for offset in range(int(last, 16) - int(first, 16) + 1):
                found[(int(first, 16) + offset).to_bytes(len(first) // 2, "big")] = chr(
                    int(letter, 16) + offset
                )
    return found


@pytest.fixture(scope="module")
def documents(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """A few reports, and the PDF of each."""
    if CHROMIUM is None:
        absent("Chromium")
    folder = tmp_path_factory.mktemp("pdf")
    names = ["rapport-annuel-2013.html", "rapport-annuel-2014.html", "bilan.html", "qualite-des-donnees.html"]
    for name in names:
        shutil.copy(rendered / name, folder)
    written = pdf.write_pdfs(folder, [*names, "absente.html"])
    return list(zip([folder / name for name in names], written, strict=True))


@pytest.mark.browser
def test_the_pdf_is_a4_tagged_french_and_titled(documents: list[tuple[Path, Path]]) -> None:
    for page, path in documents:
        tree = html.document_fromstring(page.read_bytes())
        with pikepdf.open(path) as document:
            assert document.Root.Lang == "fr" and document.Root.MarkInfo.Marked
            assert str(document.docinfo["/Title"]) == tree.findtext(".//title")
            for sheet in document.pages:
                assert tuple(round(float(side)) for side in sheet.MediaBox[2:]) == A4


@pytest.mark.browser
def test_bookmarks_are_the_headings(documents: list[tuple[Path, Path]]) -> None:
    for page, path in documents:
        tree = html.document_fromstring(page.read_bytes())
        headings = [" ".join(h.text_content().split()) for h in tree.xpath("//h1|//h2|//h3|//h4|//h5|//h6")]
        with pikepdf.open(path) as document:
            assert bookmarks(document) == headings


@pytest.mark.browser
def test_every_figure_has_its_alternative_text(documents: list[tuple[Path, Path]]) -> None:
    for page, path in documents:
        tree = html.document_fromstring(page.read_bytes())
        with pikepdf.open(path) as document:
            told = [str(figure.get("/Alt", "")) for figure in tagged(document, "Figure")]
            assert all(told)
            assert set(tree.xpath("//figure//img/@alt")) <= set(told)
            assert len(tagged(document, "TH")) > 5


@pytest.mark.browser
def test_pages_are_numbered_and_headed_and_the_data_of_figures_are_open(
    documents: list[tuple[Path, Path]],
) -> None:
    page, path = documents[0]
    tree = html.document_fromstring(page.read_bytes())
    with pikepdf.open(path) as document:
        count = len(document.pages)
        texts = [words(document, number).replace(" ", "").replace("\u00a0", "") for number in range(count)]
    for number, text in enumerate(texts, 1):
        assert f"page{number}/{count}" in text
    title = tree.findtext(".//title").replace(" ", "").replace("\u00a0", "")
    assert all(title in text for text in texts[1:])
    cells = [cell.text_content() for cell in tree.xpath("//details//th[@scope='row']")]
    printed = "".join(texts)
    plain = [
        cell for cell in cells if re.fullmatch(r"(?!.*(ff|fi|fl))[A-Z][a-zé]{3,15}", cell)
    ]  # no ligature
    assert plain and [cell for cell in plain if cell not in printed] == []


@pytest.mark.browser
def test_a_number_on_paper_bears_the_number_of_its_source(documents: list[tuple[Path, Path]]) -> None:
    page, path = documents[0]
    first = html.document_fromstring(page.read_bytes()).xpath("//main//a[@data-n]")[0]
    with pikepdf.open(path) as document:
        text = words(document, 0).replace("\u00a0", " ").replace("\u202f", " ")
    shown = first.text_content().replace("\u00a0", " ").replace("\u202f", " ")
    assert f"{shown}{first.get('data-n')}".replace(" ", "") in text.replace(" ", "")


@pytest.mark.browser
def test_wide_tables_long_words_and_tall_images_are_not_cut(browser: Any, tmp_path: Path) -> None:
    """On paper nothing scrolls: what is wider than the page would be lost."""
    wide = "".join(f"<th>colonne numéro {n}</th>" for n in range(12))
    cells = "".join(f"<td>{10**6 + n}</td>" for n in range(12))
    outputs = [
        new_output(
            "display_data", {"text/html": f"<table><tr>{wide}</tr>{f'<tr>{cells}</tr>' * 80}</table>"}
        ),
        new_output("stream", text="mot" * 200),
    ]
    notebook = new_notebook(
        cells=[new_markdown_cell("# Large\n\n" + "long" * 80), new_code_cell("", outputs=outputs)]
    )
    export_html(notebook, out=tmp_path / "large.html")
    page = browser.new_page(viewport={"width": 672, "height": 900})
    page.emulate_media(media="print")
    page.goto((tmp_path / "large.html").as_uri())
    beyond = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 673).length"
    )
    page.close()
    assert beyond == 0


@pytest.mark.browser
def test_ess_export_writes_the_pdf_beside_the_page(tmp_path: Path) -> None:
    if CHROMIUM is None:
        absent("Chromium")
    from nbformat import write

    write(new_notebook(cells=[new_markdown_cell("# Un titre\n\n## Une partie")]), tmp_path / "x.ipynb")
    assert main(["export", str(tmp_path / "x.ipynb"), "--pdf"]) == 0
    with pikepdf.open(tmp_path / "x.pdf") as document:
        assert bookmarks(document) == ["Un titre", "Une partie"]


def test_without_a_browser_a_sentence_says_what_to_do_and_the_page_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nbformat import write

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf, "_PLACES", ())
    monkeypatch.delenv(pdf.VARIABLE, raising=False)
    write(new_notebook(cells=[new_markdown_cell("# T")]), tmp_path / "x.ipynb")
    assert main(["export", str(tmp_path / "x.ipynb"), "--pdf"]) == 2
    said = capsys.readouterr().err
    assert "aucun navigateur Chromium" in said and "installez Chromium" in said
    assert (tmp_path / "x.html").is_file() and not (tmp_path / "x.pdf").exists()


def test_a_browser_that_fails_leaves_no_half_pdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name != "posix":
        pytest.skip("a shell script stands for the browser")
    false = tmp_path / "chromium"
    false.write_text(
        '#!/bin/sh\nfor a in "$@"; do case $a in --print-to-pdf=*) echo %PDF > "${a#*=}";; esac; done\n'
    )
    false.chmod(0o755)
    monkeypatch.setenv(pdf.VARIABLE, str(false))
    (tmp_path / "x.pdf").write_bytes(b"avant")
    (tmp_path / "x.html").write_text("<!DOCTYPE html>")
    with pytest.raises(DataError, match="PDF non écrit"):
        pdf.write_pdf(tmp_path / "x.html", tmp_path / "x.pdf")
    assert (tmp_path / "x.pdf").read_bytes() == b"avant"


def test_a_pdf_newer_than_its_page_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.html").write_text("x")
    (tmp_path / "x.pdf").write_text("x")
    monkeypatch.setattr(pdf, "chromium", lambda: pytest.fail("no browser is needed"))
    assert pdf.write_pdfs(tmp_path, ["x.html"]) == [tmp_path / "x.pdf"]
