"""Hostile text stays text: payloads in every place of a page fire nothing, with the policy and without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from lxml import html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Error as PlaywrightError

from ess_analysis.display import (
    MIME,
    Column,
    Cover,
    DisplayTable,
    Figure,
    Glossary,
    Listing,
    Number,
    Sentence,
)
from ess_analysis.reports import drawing
from ess_analysis.reports.exporter import export_html
from ess_analysis.reports.index import index_html

# Each tells its number to `fire` when it runs.
PAYLOADS = [
    "<script>fire({n})</script>",
    "<ScRiPt >fire({n})</sCrIpT>",
    "<scr<script>ipt>fire({n})</scr</script>ipt>",
    "<img src=x onerror=fire({n})>",
    '<img src="x" OnErRoR="fire({n})">',
    "<img src=x onerror&#61;fire({n})>",
    "<img/src=x/onerror=fire({n})>",
    "<svg onload=fire({n})>",
    "<svg><script>fire({n})</script></svg>",
    "<svg><animate onbegin=fire({n}) attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:fire({n})'><text x=9 y=9>clic</text></a></svg>",
    "<svg><foreignObject><img src=x onerror=fire({n})></foreignObject></svg>",
    "<svg><use href=\"data:image/svg+xml,<svg id='x' onload='fire({n})'/>#x\"/>",
    "<body onload=fire({n})>",
    "<body onpageshow=fire({n})>",
    "<details open ontoggle=fire({n})>x</details>",
    "<video><source onerror=fire({n})></video>",
    "<audio src=x onerror=fire({n})></audio>",
    "<input autofocus onfocus=fire({n})>",
    "<select autofocus onfocus=fire({n})></select>",
    "<textarea autofocus onfocus=fire({n})></textarea>",
    "<button autofocus onfocus=fire({n})>x</button>",
    "<marquee onstart=fire({n})>x</marquee>",
    "<div style='animation:x 1s' onanimationstart=fire({n})>x</div>",
    "<style>@keyframes x{{}}</style><p style='animation-name:x' onanimationend=fire({n})>x</p>",
    "<p style=\"background:url('javascript:fire({n})')\">x</p>",
    "<iframe srcdoc='<script>parent.fire({n})</script>'></iframe>",
    "<iframe src='javascript:parent.fire({n})'></iframe>",
    "<object data='javascript:fire({n})'></object>",
    "<embed src='javascript:fire({n})'>",
    "<a href='javascript:fire({n})'>clic</a>",
    "<a href='java&#10;script:fire({n})'>clic</a>",
    "<a href=' &#1;javascript:fire({n})'>clic</a>",
    "<a href='data:text/html,<script>opener.fire({n})</script>'>clic</a>",
    "<form action='javascript:fire({n})'><button>clic</button></form>",
    "<form id=f></form><button form=f formaction='javascript:fire({n})'>clic</button>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=fire({n})&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=fire({n})>'>",
    "<svg></p><style><a id='</style><img src=1 onerror=fire({n})>'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=fire({n})>",
    "<xmp><p title='</xmp><img src=x onerror=fire({n})>'></xmp>",
    "<listing>&lt;img onerror=fire({n}) src=x&gt;</listing>",
    "<!--><img src=x onerror=fire({n})>-->",
    "<![CDATA[><img src=x onerror=fire({n})>]]>",
    "</title><script>fire({n})</script>",
    "</style><script>fire({n})</script>",
    "</script><script>fire({n})</script>",
    "'\"><script>fire({n})</script>",
    "\" autofocus tabindex=1 onfocus=fire({n}) x=\"",
    "' onmouseover=fire({n}) x='",
    "{{{{ 7*7 }}}}{{% raw %}}<script>fire({n})</script>{{% endraw %}}",
    "{{{{ self.__init__.__globals__ }}}}<img src=x onerror=fire({n})>",
    "[clic](javascript:fire({n}))",
    "![x](x\"onerror=\"fire({n}))",
    "<http://a.test/\"onmouseover=\"fire({n})>",
    "$\\href{{javascript:fire({n})}}{{x}}$",
    "$\\text{{<img src=x onerror=fire({n})>}}$",
    "<base href='javascript:fire({n})//'><a href=x>clic</a>",
    "<meta http-equiv=refresh content='0;url=javascript:fire({n})'>",
    "<link rel=stylesheet href='javascript:fire({n})'>",
    "<table background='javascript:fire({n})'><tr><td onclick=fire({n})>clic</td></tr></table>",
    "\ue000{n}\ue001<img src=x onerror=fire({n})>",
]  # fmt: skip


class Hostile:
    """Payloads in turn, each with a number of its own."""

    def __init__(self) -> None:
        self._numbers = count()

    def __call__(self) -> str:
        number = next(self._numbers)
        return PAYLOADS[number % len(PAYLOADS)].format(n=number)


def _shown(*objects: Any) -> Any:
    return new_code_cell(
        "…", outputs=[new_output("display_data", {MIME: shown.json(), "text/html": ""}) for shown in objects]
    )


def hostile_notebook() -> nbformat.NotebookNode:
    """Every payload in every place a notebook has: Markdown, HTML, tables, charts, names, traces."""
    bad = Hostile()
    cells: list[Any] = [new_markdown_cell(f"# Titre {bad()}\n\n{bad()}")]
    for payload in [bad() for _ in PAYLOADS]:
        cells.append(new_markdown_cell(payload))
        cells.append(
            new_markdown_cell(f"## {payload}\n\n| {payload} |\n|---|\n| {payload} |\n\n```\n{payload}\n```")
        )
    for kind in ("text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml"):
        cells += [new_code_cell("…", outputs=[new_output("display_data", {kind: bad()})]) for _ in PAYLOADS]
    cells += [
        new_code_cell(
            "…", outputs=[new_output("stream", text=bad()), new_output("error", ename="E", evalue=bad())]
        )
    ]
    for _ in PAYLOADS:
        frame = pd.DataFrame({bad(): [bad(), bad()], "b": [1.5, 2]}, index=[bad(), bad()])
        styled = frame.style.set_caption(bad())  # Styler escapes nothing
        cells.append(
            new_code_cell("…", outputs=[new_output("display_data", {"text/html": styled.to_html()})])
        )
        trace = {"op": "sum", "words": bad(), "value": 1, "cells": [[bad(), bad(), bad(), bad(), 0]]}
        number = Number(bad(), trace)
        table = DisplayTable(
            Sentence((bad(), number)), (Column(bad()), Column(bad(), True)), ((bad(), number),), note=bad()
        )
        svg = f'<svg xmlns="{drawing.SVG}" onload="fire(1)"><text>{bad()}</text></svg>'
        text = escape(bad())
        escaped = f'<svg xmlns="{drawing.SVG}"><script>fire(1)</script><text>{text}</text></svg>'
        cells.append(
            _shown(
                Cover(bad(), bad(), ((bad(), bad()),)),
                Listing((bad(), number), "keypoints"),
                Listing((bad(),)),
                table,
                Figure(bad(), svg, bad(), table, bad(), bad()),
                Figure(bad(), escaped, bad(), table),
                Glossary(((bad(), bad()),)),
            )
        )
        spec = {
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "title": bad(),
            "data": {"values": [{bad(): bad(), "v": 1}]},
            "mark": {"type": "bar", "href": "javascript:fire(1)"},
            "encoding": {"x": {"field": bad(), "title": bad()}, "y": {"field": "v"}},
        }
        cells.append(
            new_code_cell(
                "…", outputs=[new_output("display_data", {"application/vnd.vegalite.v5+json": spec})]
            )
        )
        cells.append(
            new_markdown_cell(
                f"![{bad()}](attachment:{bad()[:20]})", attachments={"a.png": {"image/svg+xml": bad()}}
            )
        )
        image = new_output("display_data", {"image/png": bad()}, metadata={"image/png": {"alt": bad()}})
        cells.append(new_code_cell("…", outputs=[image]))
    return new_notebook(cells=cells)


def hostile_pages() -> Iterator[str]:
    """The page of the notebook, one named by its file alone, and an index."""
    bad = Hostile()
    notebook = hostile_notebook()
    yield export_html(notebook, name=bad(), provenance={bad(): bad() for _ in PAYLOADS})
    untitled = new_notebook(cells=[new_markdown_cell("texte")])
    yield export_html(untitled, name=" ".join(bad() for _ in PAYLOADS))
    entries = [
        {
            "name": bad(),
            "file": bad().replace("/", ""),
            "shown": {"year": bad(), "territory": bad(), "funder": bad()},
            "title": bad(),
            "key_sentence": bad(),
            "status": "failed",
            "error": bad(),
        }
        for _ in PAYLOADS
    ]
    yield index_html(entries, Path("/nowhere"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("hostile")
    written = []
    for number, text in enumerate(hostile_pages()):
        written.append(folder / f"{number}.html")
        written[-1].write_text(text, encoding="utf-8")
    return written


def fired(browser: Any, files: list[Path], *, policy: bool) -> list[Any]:
    """What ran when the pages are opened, their links and buttons clicked, their parts passed over."""
    context = browser.new_context(bypass_csp=not policy)
    found: list[Any] = []
    context.expose_binding("fire", lambda source, number=None: found.append((source["page"].url, number)))
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    for file in files:
        page = context.new_page()
        page.goto(file.as_uri())
        for frame in page.frames:
            with suppress(PlaywrightError):  # it went elsewhere: told below
                frame.evaluate(
                    """() => {
                        for (const node of document.querySelectorAll('*')) {
                            if (node.tagName === 'A' && /^(http|mailto|data:text)/.test(node.href)) continue;
                            for (const kind of ['mouseover', 'focus', 'click', 'toggle', 'animationstart'])
                                node.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true}));
                        }
                    }"""
                )
        page.wait_for_timeout(1000)
        if page.url.partition("#")[0] != file.as_uri():
            found.append((file.name, "navigated"))
        page.close()
    found += [("asked", url) for url in asked if not url.startswith(("file:", "data:image/"))]
    context.close()
    return found


def test_there_are_at_least_forty_payloads() -> None:
    assert len(set(PAYLOADS)) >= 40


@pytest.mark.browser
def test_the_payloads_are_live_in_a_page_that_does_not_clean(browser: Any, tmp_path: Path) -> None:
    """Without this, a test where nothing fires would prove nothing."""
    frames = (
        f'<iframe srcdoc="{escape(payload.format(n=number))}"></iframe>'
        for number, payload in enumerate(PAYLOADS)
    )
    control = tmp_path / "control.html"
    control.write_text("<!DOCTYPE html>" + "".join(frames), encoding="utf-8")
    live = {number for _, number in fired(browser, [control], policy=True) if isinstance(number, int)}
    assert len(live) >= 30


@pytest.mark.browser
@pytest.mark.parametrize("policy", [True, False], ids=["with the policy", "without the policy"])
def test_no_payload_fires_and_nothing_is_asked(browser: Any, pages: list[Path], policy: bool) -> None:
    assert fired(browser, pages, policy=policy) == []


def test_nothing_that_runs_is_in_the_tree_of_a_page(pages: list[Path]) -> None:
    """The same without a browser: no script but the search box, no event, no odd address."""
    for file in pages:
        tree = html.document_fromstring(file.read_bytes())
        scripts = tree.xpath("//script")
        assert len(scripts) == (1 if file is pages[-1] else 0), file.name
        for node in tree.iter():
            if not isinstance(node.tag, str):
                continue
            assert node.tag not in {"iframe", "object", "embed", "form", "base", "link", "svg", "button"}
            for name, value in node.attrib.items():
                assert not name.startswith("on") and name not in {"style", "srcdoc", "action", "formaction"}
                if name in {"href", "src"}:
                    fine = value.startswith(
                        ("#", "http://", "https://", "mailto:", "data:image/", "data:text/csv,")
                    )
                    assert fine or value.startswith("data:text/csv;") or file is pages[-1], value


def test_hostile_text_is_shown_as_it_is(pages: list[Path]) -> None:
    tree = html.document_fromstring(pages[0].read_bytes())
    shown = tree.text_content()
    assert "<script>fire(" in shown and "onerror=fire(" in shown and "{{ 7*7 }}" in shown


def test_a_hostile_title_cannot_leave_the_printed_header() -> None:
    title = '"; } </style><script>fire(1)</script> \\22 /*'
    text = export_html(new_notebook(cells=[new_markdown_cell("x")]), name=title)
    assert text.count("</style>") == 1 and "<script" not in text


def test_formulas_of_a_spreadsheet_are_neutral_in_the_csv() -> None:
    from ess_analysis.reports.blocks import _neutral

    for risky in ("=1+1", "+1", "@SUM(A1)", "-cmd", "\t=1", "  =1"):
        assert _neutral(risky).startswith("'"), risky
    assert _neutral("\u221212,5\u00a0€") == "-12,5 €"
    assert _neutral("\u221212,5\u00a0£") == "-12,5 £" and _neutral("\u2212500\u00a0CHF") == "-500 CHF"
