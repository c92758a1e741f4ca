"""Every page in a real browser: accessible, autonomous, legible at every size, by keyboard, in the dark."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import axe_playwright_python
import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ess_analysis.reports.exporter import export_html
from tests.conftest import absent

pytestmark = pytest.mark.browser

VALIDATOR = Path(__file__).parent / "html-validate"
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def ordinary_notebook() -> nbformat.NotebookNode:
    """A notebook that nobody prepared for this page: every kind of output, some of them broken."""
    frame = pd.DataFrame({"annee": [2011, 2012], "montant": [1234.5, 30000], "qui": ["x", "y"]})
    wide = frame.pivot_table(index="annee", columns="qui", values="montant", aggfunc=["sum", "mean"])
    styled = frame.style.set_caption("Un Styler").highlight_max(color="yellow").to_html()
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="100"><text x="5" y="20">Titre</text>'
        '<rect x="5" y="40" width="200" height="20" style="fill: #12436d"/></svg>'
    )
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": "Par an",
        "mark": "bar",
        "encoding": {"x": {"field": "annee"}, "y": {"field": "montant"}},
        "data": {"values": [{"annee": 2011, "montant": 1000.5}]},
    }
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    broken = "<ul><p>a<li>b</ul><dd>c</dd><a href=x>d<div>e</div></a><h1>f</h1><table><tr><td colspan=z>g"
    shown: list[dict[str, Any]] = [
        {"text/html": frame.to_html()},
        {"text/html": wide.to_html()},
        {"text/html": styled},
        {"text/html": "<table><tr><th></th></tr></table>" + broken},
        {"image/svg+xml": svg},
        {"image/png": png},
        {"application/vnd.vegalite.v6+json": spec},
        {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}},
        {"text/plain": "1 + 1"},
        {"text/latex": "$\\frac{a}{b}$"},
        {"text/markdown": "*italique* et `code`"},
    ]
    outputs = [new_output("display_data", data) for data in shown]
    outputs += [new_output("stream", text="bonjour " * 60 + "\n" + "ligne\n" * 60)]
    outputs += [new_output("error", ename="ValueError", evalue="raté " * 30)]
    return new_notebook(
        cells=[
            new_markdown_cell(
                "# Mon carnet\n\nDu texte.\n\n### Un titre trop bas\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
                f"# Second h1\n\nUne note[^1] et un [lien](https://example.org/{'long' * 40}).\n\n"
                "[^1]: La note.\n\n> Citation\n\n1. un\n2. deux\n   - trois\n\n"
                f"```python\n{'mot ' * 60}\n```\n\n{'insécable' * 20}"
            ),
            new_code_cell("…", outputs=outputs),
            new_markdown_cell("##### Même\n\n##### Même\n\n$$x = \\frac{a}{b} + n^2$$\n\n---\n\n<b>gras<p>x"),
        ]
    )


@pytest.fixture(scope="module")
def pages(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every report, the index, an ordinary notebook and an empty one."""
    aside = tmp_path_factory.mktemp("ordinary")
    export_html(ordinary_notebook(), out=aside / "ordinaire.html")
    export_html(new_notebook(), out=aside / "vide.html")
    found = sorted(rendered.glob("*.html"))
    assert len(found) > 10
    return [*found, *sorted(aside.glob("*.html"))]


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    yield opened
    opened.close()


# --- Accessibility ---------------------------------------------------------------------------------


@cache
def axe() -> str:
    return AXE.read_text(encoding="utf-8")


def faults(page: Any, only: str, part: str = "html") -> list[str]:
    """What axe finds wrong, or cannot decide, on the page or a part of it, as it is."""
    result = page.evaluate(
        f"""async () => {{
            const module = undefined, exports = undefined, define = undefined;
            {axe()}
            const kinds = ['violations', 'incomplete'];
            return await axe.run({json.dumps(part)}, {{runOnly: {only}, resultTypes: kinds}});
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
    """All the rules in the light, with the data of figures unfolded; the colours again in the dark."""
    only = json.dumps(RULES) if scheme == "light" else "{type: 'rule', values: ['color-contrast']}"
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    said = {}
    for path in pages:
        page = context.new_page()
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        said[path.name] = faults(page, only)
        page.close()
    context.close()
    assert {name: found for name, found in said.items() if found} == {}


def test_axe_finds_nothing_where_a_number_shows_its_source(browser: Any, rendered: Path) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 800}, bypass_csp=True)
    page.goto((rendered / "rapport-annuel-2013.html").as_uri() + "#src-1")
    assert page.locator("#src-1").is_visible()
    found = faults(page, json.dumps(RULES), "#src-1")  # axe leaves undecided what covers something else
    assert [fault for fault in found if not fault.startswith("incomplete color-contrast")] == []
    page.close()


def test_headings_ids_links_and_tables_are_right(page: Any, pages: list[Path]) -> None:
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
        wrong = page.evaluate(
            """[...document.querySelectorAll('table')].filter(t => !t.caption || !t.caption.textContent.trim()
            || [...t.querySelectorAll('th')].some(h => !h.scope || !h.textContent.trim())).length"""
        )
        assert wrong == 0, path.name


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


# --- Autonomy --------------------------------------------------------------------------------------


def test_no_page_asks_for_anything_outside_itself(page: Any, pages: list[Path]) -> None:
    asked: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: refused.append(message.text))
    for path in pages:
        page.goto(path.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:image/"))] == []
    assert len(asked) >= len(pages)
    assert [text for text in refused if "Content Security Policy" in text] == []


def test_every_image_of_every_page_is_drawn(page: Any, pages: list[Path]) -> None:
    for path in pages:
        page.goto(path.as_uri())
        page.wait_for_function("[...document.images].every(image => image.complete)")
        empty = page.evaluate(
            "[...document.images].filter(i => !i.naturalHeight || !i.clientWidth).map(i => i.alt)"
        )
        assert empty == [], path.name


def test_a_page_is_its_own_single_file_with_its_policy(pages: list[Path]) -> None:
    for path in pages:
        text = unescape(path.read_text(encoding="utf-8"))
        assert "default-src 'none'" in text and " style=" not in re.sub(r'src="data:[^"]*"', "", text)
        assert not re.search(r"\son\w+=\"", text), path.name


# --- Sizes -----------------------------------------------------------------------------------------

SPACED = """() => { for (const node of document.querySelectorAll('p, li, td, th, dd, dt, summary, a, pre')) {
    node.style.lineHeight = '1.5'; node.style.letterSpacing = '0.12em'; node.style.wordSpacing = '0.16em'; }
    for (const node of document.querySelectorAll('p')) node.style.marginBottom = '2em'; }"""


@pytest.mark.parametrize(
    ("width", "double", "spaced"),
    [(320, False, False), (320, False, True), (375, False, False), (768, False, False), (1280, False, False),
     (640, True, True)],
)  # fmt: skip
def test_no_page_overflows_sideways(
    page: Any, pages: list[Path], width: int, double: bool, spaced: bool
) -> None:
    """At each width, with the text twice as large, with the spacing that a reader may ask for."""
    page.set_viewport_size({"width": width, "height": 800})
    too_wide = {}
    for path in pages:
        page.goto(path.as_uri())
        if double:
            page.evaluate("document.documentElement.style.fontSize = '200%'")
        if spaced:
            page.evaluate(SPACED)
        found = page.evaluate("document.documentElement.scrollWidth")
        if found > width:
            too_wide[path.name] = found
    assert too_wide == {}


def test_links_and_summaries_are_large_enough_to_touch(page: Any, pages: list[Path]) -> None:
    """24 pixels for what stands alone; links inside a sentence have the height of their line."""
    page.set_viewport_size({"width": 375, "height": 800})
    for path in pages:
        page.goto(path.as_uri())
        small = page.evaluate(
            """[...document.querySelectorAll('nav a, summary, td.num a, .cards a, .files a, button, input')]
            .filter(e => e.offsetParent).map(e => [e.textContent, e.getClientRects()[0]])
            .filter(([, r]) => r && r.width && r.height < 23.5).map(([text]) => text).slice(0, 5)"""
        )
        assert small == [], path.name


def test_the_dark_page_is_dark_and_its_drawings_stand_on_white(browser: Any, rendered: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto((rendered / "rapport-annuel-2013.html").as_uri())
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    drawing = page.evaluate("getComputedStyle(document.querySelector('.drawing')).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", ground)[:3])) < 150 and drawing == "rgb(255, 255, 255)"
    page.close()


# --- Keyboard --------------------------------------------------------------------------------------


def test_the_keyboard_reaches_content_numbers_and_data(page: Any, rendered: Path) -> None:
    page.goto((rendered / "rapport-annuel-2013.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#contenu")
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.dataset.n ? 'number' : document.activeElement.tagName")
        )
    assert {"number", "SUMMARY"} <= reached


def test_a_number_shows_its_source_at_the_foot_of_the_screen_and_gives_its_place_back(
    page: Any, rendered: Path
) -> None:
    page.goto((rendered / "rapport-annuel-2013.html").as_uri())
    number = page.locator("main [data-n]").first
    number.focus()
    before = page.evaluate("scrollY")
    page.keyboard.press("Enter")
    source = page.locator(page.evaluate("location.hash"))
    assert source.is_visible() and re.search(r"xlsx|nº", source.inner_text())
    assert abs(page.evaluate("scrollY") - before) < 5, "the page has not moved"
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.dataset.n") is not None:
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Fermer"
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector(location.hash).textContent") == number.inner_text()


def test_figures_have_their_text_their_data_and_a_file_to_download(page: Any, rendered: Path) -> None:
    page.goto((rendered / "rapport-annuel-2013.html").as_uri())
    figures = page.locator("figure").all()
    assert len(figures) >= 5
    for figure in figures:
        drawing = figure.locator("img").first
        alt, caption = drawing.get_attribute("alt"), figure.locator("figcaption").text_content()
        assert alt and len(alt) <= 80 and alt != caption
        assert figure.get_attribute("role") == "figure"
        assert figure.get_attribute("aria-label") == caption
        assert figure.locator("details table caption").count() == 1
    page.context.set_offline(True)
    figures[0].locator("summary").click()
    with page.expect_download() as download:
        figures[0].locator("a[download]").click()
    content = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    assert content.count("\r\n") >= 3 and ";" in content.splitlines()[0]


def test_the_search_box_of_the_index_works_offline(page: Any, rendered: Path) -> None:
    page.context.set_offline(True)
    page.goto((rendered / "index.html").as_uri())
    page.get_by_label("Chercher").fill("2013")
    shown = page.locator("[data-words]:visible").all_inner_texts()
    assert shown and all("2013" in text for text in shown)
    page.get_by_label("Chercher").fill("métropole")
    assert page.locator("[data-words]:visible").count() >= 1
    page.get_by_label("Chercher").fill("introuvable")
    assert page.locator("[data-words]:visible").count() == 0
    assert "Aucun rapport" in page.locator("#resultat").inner_text()
