"""Every page in a real browser: accessible, autonomous, legible at every size."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import axe_playwright_python
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ess_analysis.reports.exporter import export_html
from tests.conftest import absent

pytestmark = pytest.mark.browser

VALIDATOR = Path(__file__).parent / "html-validate"
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def ordinary_notebook() -> nbformat.NotebookNode:
    """A notebook that nobody prepared for this page."""
    table = (
        '<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th><th>a</th>'
        "<th>montant</th></tr></thead><tbody><tr><th>0</th><td>x</td><td>1234.5</td></tr></tbody></table>"
    )
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="100"><text x="5" y="20">Titre</text>'
        '<rect x="5" y="40" width="200" height="20" style="fill: #12436d"/></svg>'
    )
    shown = [{"text/html": table}, {"image/svg+xml": svg}, {"text/plain": "1 + 1"}, {"text/latex": "$x^2$"}]
    outputs = [new_output("display_data", data) for data in shown] + [
        new_output("stream", text="bonjour\n" * 40)
    ]
    return new_notebook(
        cells=[
            new_markdown_cell(
                "# Mon carnet\n\nDu texte.\n\n### Un titre trop bas\n\n| a | b |\n|---|---|\n| 1 | 2 |"
            ),
            new_code_cell("…", outputs=outputs),
        ]
    )


@pytest.fixture(scope="module")
def pages(rendered: Path) -> list[Path]:
    export_html(ordinary_notebook(), out=rendered / "ordinaire.html")
    found = sorted(rendered.glob("*.html"))
    assert len(found) > 10
    return found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    yield opened
    opened.close()


@cache
def axe() -> str:
    return AXE.read_text(encoding="utf-8")


def faults(page: Any) -> list[str]:
    page.context.set_offline(True)
    result = page.evaluate(
        f"""async () => {{
            const module = undefined, exports = undefined, define = undefined;
            {axe()}
            return await axe.run(document, {{runOnly: {json.dumps(RULES)}}});
        }}"""
    )
    return [
        f"{kind} {rule['id']}: {node['target']} {node['any'][:1] or node['all'][:1]}"
        for kind in ("violations", "incomplete")
        for rule in result[kind]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_say_of_any_page(browser: Any, pages: list[Path], scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    said = {}
    for path in pages:
        page = context.new_page()
        page.goto(path.as_uri())
        said[path.name] = faults(page)
        page.close()
    context.close()
    assert {name: found for name, found in said.items() if found} == {}


def test_no_page_asks_for_anything_outside_itself(page: Any, pages: list[Path]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in pages:
        page.goto(path.as_uri())
    outside = [url for url in asked if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert len(asked) >= len(pages)


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_no_page_overflows_sideways(page: Any, pages: list[Path], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    too_wide = {}
    for path in pages:
        page.goto(path.as_uri())
        found = page.evaluate("document.documentElement.scrollWidth")
        if found > width:
            too_wide[path.name] = found
    assert too_wide == {}


def test_text_spacing_and_double_size_do_not_overflow_either(page: Any, pages: list[Path]) -> None:
    page.set_viewport_size({"width": 640, "height": 800})
    too_wide = {}
    for path in pages:
        page.goto(path.as_uri())
        page.evaluate(
            """() => { document.documentElement.style.fontSize = '200%';
            for (const node of document.querySelectorAll('p, li, td, th, dd, dt')) {
                node.style.lineHeight = '1.5'; node.style.letterSpacing = '0.12em';
                node.style.wordSpacing = '0.16em'; } }"""
        )
        found = page.evaluate("document.documentElement.scrollWidth")
        if found > 640:
            too_wide[path.name] = found
    assert too_wide == {}


def test_headings_ids_and_language_are_right(page: Any, pages: list[Path]) -> None:
    for path in pages:
        page.goto(path.as_uri())
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])")
        assert levels.count(1) == 1 and levels[0] == 1, path.name
        assert all(after - before <= 1 for before, after in pairwise(levels)), path.name
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids)), path.name
        assert page.evaluate("document.documentElement.lang") == "fr"
        assert page.title() == page.locator("h1").inner_text()
        links = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))")
        assert set(links) <= set(ids), path.name


def test_the_keyboard_reaches_content_tables_and_numbers(page: Any, rendered: Path) -> None:
    page.goto((rendered / "rapport-annuel-2013.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#contenu")
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName + '.' + document.activeElement.className"))
    assert {"A.n", "SUMMARY."} <= reached


def test_figures_have_their_text_their_data_and_a_file_to_download(page: Any, rendered: Path) -> None:
    page.goto((rendered / "rapport-annuel-2013.html").as_uri())
    figures = page.locator("figure").all()
    assert len(figures) >= 5
    for figure in figures:
        drawing = figure.locator("img").first
        alt, caption = drawing.get_attribute("alt"), figure.locator("figcaption").inner_text()
        assert alt and len(alt) <= 80 and alt != caption
        assert figure.get_attribute("role") == "figure"
        assert (
            figure.get_attribute("aria-label").replace("\u202f", " ")[:20]
            == caption.replace("\u202f", " ")[:20]
        )
        assert figure.locator("details table caption").count() == 1
        assert figure.locator("a[download]").get_attribute("href").startswith("data:text/csv")


def test_every_table_names_its_headers(page: Any, pages: list[Path]) -> None:
    for path in pages:
        page.goto(path.as_uri())
        wrong = page.evaluate(
            """[...document.querySelectorAll('table')].filter(t => !t.caption || !t.caption.textContent.trim()
            || [...t.querySelectorAll('th')].some(h => !h.scope || !h.textContent.trim())).length"""
        )
        assert wrong == 0, path.name


def test_links_and_summaries_are_large_enough_to_touch(page: Any, pages: list[Path]) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    for path in pages:
        page.goto(path.as_uri())
        small = page.evaluate(
            """[...document.querySelectorAll('nav a, summary, a.n, button, input')]
            .filter(e => e.offsetParent).map(e => [e.textContent, e.getBoundingClientRect()])
            .filter(([, r]) => r.width && r.height < 23.5).map(([text]) => text).slice(0, 5)"""
        )
        assert small == [], path.name


def test_the_search_box_of_the_index_works_offline(page: Any, rendered: Path) -> None:
    page.context.set_offline(True)
    page.goto((rendered / "index.html").as_uri())
    page.get_by_label("Chercher").fill("2013")
    shown = page.locator("[data-words]:visible").all_inner_texts()
    assert shown and all("2013" in text for text in shown)
    page.get_by_label("Chercher").fill("introuvable")
    assert page.locator("[data-words]:visible").count() == 0
    assert "Aucun rapport" in page.locator("#resultat").inner_text()


def test_the_validator_finds_no_error_in_any_page(pages: list[Path]) -> None:
    program = VALIDATOR / "node_modules" / ".bin" / "html-validate"
    if not program.exists() or not shutil.which("node"):
        absent("html-validate")
    run = subprocess.run(
        [str(program), "--config", str(VALIDATOR / ".htmlvalidate.json"), *map(str, pages)],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:]
