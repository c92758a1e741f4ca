"""What a notebook becomes: headings, tables, numbers, charts, formulas, sources, without a browser."""

from __future__ import annotations

import json
import sys
from typing import Any

import nbformat
import pandas as pd
import pytest
from lxml import html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ess_analysis import display, french
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
from ess_analysis.reports import page

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="20"><text y="9">a</text></svg>'


def made(*cells: Any, **around: Any) -> html.HtmlElement:
    return html.document_fromstring(page.html_page(new_notebook(cells=list(cells)), **around))


def markdown(text: str) -> html.HtmlElement:
    return made(new_markdown_cell(text))


def shown(**data: Any) -> html.HtmlElement:
    """The page of one output, its MIME types written with « __ » for « / »."""
    bundle = {kind.replace("__", "/"): value for kind, value in data.items()}
    return made(new_code_cell("…", outputs=[new_output("display_data", bundle)]))


def objects(*things: Any) -> html.HtmlElement:
    outputs = [new_output("display_data", {MIME: thing.json()}) for thing in things]
    return made(new_code_cell("…", outputs=outputs))


def text(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def columns(tree: html.HtmlElement) -> dict[str, list[str]]:
    heads = [text(th) for th in tree.xpath("//thead//th")]
    lines = [[text(cell) for cell in tr] for tr in tree.xpath("//tbody/tr")]
    return {head: [line[place] for line in lines] for place, head in enumerate(heads)}


# --- Headings --------------------------------------------------------------------------------------


def test_the_first_h1_is_the_title_and_the_second_goes_down_one_level() -> None:
    tree = markdown("# Premier\n\nMot.\n\n# Second\n\n#### Trop bas")
    assert [h.tag for h in tree.xpath("//h1|//h2[@id!='sommaire']|//h3|//h4")] == ["h1", "h2", "h3"]
    assert tree.findtext(".//title") == "Premier" == text(tree.find(".//h1"))


def test_a_heading_is_not_broken_at_an_inverted_pronoun() -> None:
    tree = markdown("# A\n\n## Où va-t-il ?\n\n## Est-elle un après-midi ?")
    assert [text(h)[:12] for h in tree.xpath("//main//h2")] == [
        "Où va\u2011t\u2011il ?",
        "Est\u2011elle un ",
    ]
    assert "après-midi" in text(tree) and tree.xpath("//h2[@id='ou-va-t-il']")


def test_questions_without_an_answer_are_gathered_in_one_section() -> None:
    def page_of(*sections: tuple[str, Sentence]) -> html.HtmlElement:
        cells = []
        for question, told in sections:
            outputs = [new_output("display_data", {MIME: told.json()})]
            cells += [new_markdown_cell(f"## {question}"), new_code_cell("…", outputs=outputs)]
        return made(*cells)

    silent, answer = Sentence(("Aucun.",), "nothing"), Sentence(("5 projets.",))
    tree = page_of(("Qui ?", silent), ("Combien ?", answer), ("Où ?", silent), ("Et ?", answer))
    headings = ["Combien ?", "Ce que ces données ne disent pas", "Et ?"]
    assert (
        [text(h2) for h2 in tree.xpath("//main//h2")] == headings == [text(a) for a in tree.xpath("//nav//a")]
    )
    assert "Ces données ne répondent pas à ces questions : Qui ? Où ?" in text(tree)
    assert [text(h2) for h2 in page_of(("Qui ?", silent), ("Où ?", answer)).xpath("//main//h2")] == [
        "Qui ?",
        "Où ?",
    ]


def test_the_title_on_each_sheet_keeps_its_spaces() -> None:
    (style,) = markdown("# Qualité des données").iter("style")
    assert 'content:"Qualit\\0000e9  des donn\\0000e9 es"' in style.text_content()


def test_on_paper_no_caption_and_no_heading_is_cut() -> None:
    rule = "h1,h2,h3,h4,h5,h6,caption,figcaption{break-after:avoid;break-inside:avoid}"
    assert rule in page.style("report.css").partition("@media print")[2]


def test_only_the_acronyms_that_the_page_says_outside_recipients_are_explained() -> None:
    table = DisplayTable(
        "Les montants versés par la MEL",
        (Column("Intitulé"), Column("Bénéficiaire")),
        (("Un DLA", "AMI du livre"), ("Autre", "BG Nord")),
    )
    terms = Glossary((("AMI", "a"), ("BG", "b"), ("DLA", "d"), ("ESS", "e"), ("MEL", "m")))
    tree = objects(table, terms)
    assert [text(dt) for dt in tree.xpath("//*[@class='glossary']//dt")] == ["DLA", "MEL"]
    assert not objects(Sentence(("Rien.",)), terms).xpath("//*[@id='sigles']")


def test_a_notebook_without_title_takes_the_name_it_is_given() -> None:
    tree = made(new_markdown_cell("texte"), name="mon_carnet")
    assert tree.findtext(".//title") == "mon_carnet"
    assert markdown("").findtext(".//title") == "Rapport"


def test_same_headings_get_different_ids_and_the_contents_lists_them() -> None:
    tree = markdown("# T\n\n## Même\n\n## Même\n\n[vers](#Même) [nulle part](#absent)")
    anchors = [h.get("id") for h in tree.xpath("//main//h2")]
    assert len(set(anchors)) == 2
    assert [a.get("href") for a in tree.xpath("//nav//a")] == [f"#{anchor}" for anchor in anchors]
    assert [a.get("href") for a in tree.xpath("//main//a")] == [f"#{anchors[0]}"]


def test_headings_inside_an_html_output_are_not_headings_of_the_page() -> None:
    tree = shown(text__html="<h1>Faux</h1><div><h4>Faux aussi</h4></div>")
    assert tree.xpath("//main//h1|//main//h4") == []
    assert "Faux aussi" in text(tree.find(".//main"))


# --- Numbers and tables ----------------------------------------------------------------------------


def frame(table: pd.DataFrame, **options: Any) -> dict[str, list[str]]:
    return columns(shown(text__html=table.to_html(**options)))


def test_numbers_of_a_frame_become_french_and_years_and_codes_do_not() -> None:
    table = pd.DataFrame(
        {
            "annee": [2011, 2013],
            "code_insee": [59350, 59512],
            "montant": [1234.5, -70000.25],
            "effectif": [12000, 7],
            "siret": ["01234567890123", "1"],
        }
    )
    assert frame(table) == {
        "annee": ["2011", "2013"],
        "code_insee": ["59350", "59512"],
        "montant": ["1 234,50", "−70 000,25"],
        "effectif": ["12 000", "7"],
        "siret": ["01234567890123", "1"],
    }


def test_missing_values_booleans_and_days_are_said_in_french() -> None:
    table = pd.DataFrame(
        {"n": ["a", "b"], "x": [None, 1.5], "ok": [True, False], "jour": pd.to_datetime(["2013-01-02", None])}
    )
    found = frame(table)
    assert found["x"] == ["–", "1,5"]
    assert found["ok"] == ["oui", "non"]
    assert found["jour"] == ["02/01/2013", "–"]


def test_english_grouping_is_read_only_where_it_cannot_be_a_decimal_comma() -> None:
    assert frame(pd.DataFrame({"n": list("ab"), "x": ["1,234.50", "3,000.00"]}))["x"] == [
        "1 234,50",
        "3 000,00",
    ]
    assert frame(pd.DataFrame({"n": list("ab"), "x": ["1,234", "2,500"]}))["x"] == ["1,234", "2,500"]


def test_the_row_numbers_of_pandas_go_and_a_real_index_stays() -> None:
    table = pd.DataFrame({"qui": ["a", "b"], "x": [1, 2]})
    assert list(frame(table)) == ["qui", "x"]
    assert list(frame(table.set_index("qui"))) == ["qui", "x"]
    assert list(frame(table.set_index(pd.Index([5, 9])))) == ["ligne", "qui", "x"]


def test_merged_headers_are_made_flat_and_every_header_has_its_scope() -> None:
    wide = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "v": [1.0, 2.0]}).pivot_table(
        index="a", columns="b", values="v", aggfunc=["sum", "mean"]
    )
    tree = shown(text__html=wide.to_html())
    assert [text(th) for th in tree.xpath("//thead//th")] == ["a", "sum, x", "sum, y", "mean, x", "mean, y"]
    assert all(th.get("scope") in {"col", "row"} and text(th) for th in tree.xpath("//th"))
    assert len(tree.xpath("//thead/tr")) == 1


def test_a_cut_frame_tells_its_size_in_french() -> None:
    tree = shown(text__html=pd.DataFrame({"x": range(5000)})._repr_html_())
    assert "5 000 lignes en tout, 1 colonne." in text(tree)
    assert " rows " not in text(tree)


def test_links_and_line_breaks_of_a_cell_are_kept() -> None:
    tree = markdown("| qui | où |\n|---|---|\n| a | [site](https://a.test/) |")
    assert tree.xpath("//td/a/@href") == ["https://a.test/"]


def test_styler_captions_and_great_tables_titles_become_the_caption() -> None:
    great_tables = pytest.importorskip("great_tables")
    table = pd.DataFrame({"qui": ["a", "b"], "montant": [1000.5, 2.0]})
    tree = shown(text__html=table.style.set_caption("Le Styler").to_html())
    assert text(tree.find(".//caption")) == "Tableau 1. Le Styler"
    one = (
        great_tables.GT(table)
        .tab_header("Le titre", "le reste")
        .tab_source_note("Source : moi")
        .as_raw_html()
    )
    output = new_output("display_data", {"text/html": one})
    tree = made(new_code_cell("…", outputs=[output]), new_code_cell("…", outputs=[output]))
    assert [text(caption) for caption in tree.xpath("//caption")] == [
        "Tableau 1. Le titre, le reste",
        "Tableau 2. Le titre, le reste",
    ]
    assert [text(cell) for cell in tree.xpath("//td")] == ["1 000,5", "2,0"] * 2
    assert "Source : moi" in french.strip_accents(text(tree)).replace("\u202f", " ")
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "broken",
    [
        "<table><tr><td>1<table><tr><td>2</table>",
        "<table></table>",
        "<table><tr><td colspan=abc rowspan=-3>x</td></tr><tr></tr></table>",
        "<table><tr><td rowspan=99999>x</td><td>y</td></tr><tr><td>z</td></tr></table>",
        "<ul><p>a</p><li>b</ul><li>c</li><dd>d</dd><dl><p>e</dl><summary>f</summary><details>g</details>",
        "<a href=x><div>a<a href='#'>b</a></div></a><span><p>c</span><td>d</td><caption>e</caption>",
        "<p>a<b>c<i>d</b>e</i><<>>&&;&#0;&#x110000;\x00\x0b\ufffe",
        "<div><div><div><p></div>",
    ],
)
def test_broken_html_gives_a_page(broken: str) -> None:
    tree = shown(text__html=broken)
    assert tree.xpath("//li[not(parent::ul or parent::ol)]|//dd[not(parent::dl or parent::div)]") == []
    assert tree.xpath("//main//a//a|//main//p//div|//main//span//p|//td//td") == []


def test_a_table_without_rows_is_a_sentence_and_one_of_blanks_is_nothing() -> None:
    tree = shown(text__html=pd.DataFrame({"x": []}).to_html())
    assert "aucune ligne" in text(tree) and tree.xpath("//table") == []
    assert text(shown(text__html="<table><tr><th></th></tr></table>").find(".//main")) == ""


def test_five_thousand_rows_are_all_there() -> None:
    tree = shown(text__html=pd.DataFrame({"qui": [f"a{i}" for i in range(5000)], "x": range(5000)}).to_html())
    assert len(tree.xpath("//tbody/tr")) == 5000


# --- Charts, formulas, the rest --------------------------------------------------------------------

SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "title": "Montants par an",
    "mark": "bar",
    "encoding": {
        "x": {"field": "annee", "type": "ordinal"},
        "y": {"field": "montant", "type": "quantitative"},
    },
    "datasets": {"data-1": [{"annee": 2011, "montant": 1000.5}, {"annee": 2012, "montant": 2000.0}]},
    "data": {"name": "data-1"},
}


def _altair_html() -> str:
    spec = json.dumps(SPEC)
    return f"<div id=vis></div><script>(function(spec, o){{vegaEmbed(spec)}})({spec}, {{}});</script>"


@pytest.mark.parametrize(
    "bundle", [{"application__vnd.vegalite.v6+json": SPEC}, {"text__html": _altair_html()}]
)
@pytest.mark.parametrize("renderer", [True, False])
def test_an_altair_chart_gives_its_data_with_or_without_its_renderer(
    bundle: Any, renderer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not renderer:
        monkeypatch.setitem(sys.modules, "vl_convert", None)
    tree = shown(**bundle)
    assert "Montants par an" in text(tree)
    assert columns(tree) == {"annee": ["2011", "2012"], "montant": ["1 000,5", "2 000,0"]}


def test_a_real_altair_chart_is_not_lost() -> None:
    altair = pytest.importorskip("altair")
    table = pd.DataFrame({"annee": [2011, 2012], "montant": [1000.5, 2000]})
    chart = altair.Chart(table, title="Par an").mark_bar().encode(x="annee:O", y="montant")
    tree = shown(**{kind.replace("/", "__"): value for kind, value in chart._repr_mimebundle_().items()})
    assert "Par an" in text(tree) and "1\u202f000,5" in tree.text_content()


def test_a_drawing_of_vega_is_french_and_fetches_nothing() -> None:
    pytest.importorskip("vl_convert")
    tree = shown(**{"application__vnd.vegalite.v6+json": SPEC})
    assert "data:image/svg+xml" in tree.xpath("//figure//img/@src")[0]
    elsewhere = {**SPEC, "data": {"url": "https://a.test/x.json"}, "datasets": {}}
    assert (
        "https://a.test"
        not in html.tostring(shown(**{"application__vnd.vegalite.v6+json": elsewhere})).decode()
    )


def test_formulas_become_mathml_and_money_does_not() -> None:
    tree = markdown("Soit $x^2$, et\n\n$$\n\\frac{a}{b}\n= c\n$$\n\nDe 5$ à 10$ et `$y$`.")
    assert [math.get("display") for math in tree.xpath("//math")] == ["inline", "block"]
    assert tree.xpath("//math//mfrac") and "5$ à 10$" in text(tree) and "$y$" in text(tree)
    assert shown(text__latex="$\\displaystyle x$").xpath("//math")


def test_an_unreadable_formula_stays_as_it_is_written() -> None:
    assert "\\frac{" in text(markdown("$\\frac{$"))


def test_widgets_scripts_and_silent_objects() -> None:
    assert "interactif" in text(shown(**{"application__vnd.jupyter.widget-view+json": {"model_id": "x"}}))
    assert "interactif" in text(shown(text__html="<div id=p></div><script>plot()</script>"))
    assert text(shown(text__plain="<Axes: xlabel='annee'>").find(".//main")) == ""
    assert text(shown(text__plain="[<matplotlib.lines.Line2D at 0x7f>]").find(".//main")) == ""
    assert text(shown(text__plain="42").find(".//main")) == "42"


def test_an_image_is_named_after_its_section_and_says_it_was_not_described() -> None:
    output = new_output("display_data", {"image/png": "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAUCAYAAAC07w7b"})
    tree = made(new_markdown_cell("# T\n\n## Les barres"), new_code_cell("…", outputs=[output]))
    image = tree.find(".//figure//img")
    assert text(tree.find(".//figcaption")) == "Figure 1. Les barres"
    assert image.get("alt") == "Image de 10 × 20 points, sans description de l’auteur du notebook"


def test_an_image_from_the_web_is_told_and_not_asked_for() -> None:
    tree = markdown("![Un plan](https://a.test/plan.png)")
    assert tree.xpath("//img") == [] and "Image non incluse : Un plan" in text(tree).replace("\u00a0", " ")


def test_attachments_are_shown() -> None:
    cell = new_markdown_cell(
        "![un point](attachment:a.png)", attachments={"a.png": {"image/png": "iVBORw0KGgo="}}
    )
    assert made(cell).xpath("//img/@alt") == ["un point"]


def test_an_error_cell_says_that_the_rest_may_be_missing() -> None:
    tree = made(new_code_cell("1/0", outputs=[new_output("error", ename="ZeroDivisionError", evalue="zéro")]))
    assert "ZeroDivisionError : zéro" in text(tree) and tree.xpath("//div[@class='alert']")


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "image/png", "image/svg+xml", "stream"])
def test_an_output_of_200_megabytes_gives_a_small_page_that_says_so(kind: str) -> None:
    huge = "x" * 200_000_000
    output = new_output("stream", text=huge) if kind == "stream" else new_output("display_data", {kind: huge})
    written = page.html_page(new_notebook(cells=[new_code_cell("…", outputs=[output])]))
    assert len(written) < 200_000
    assert "trop grande pour une page" in written or "Texte coupé" in written


# --- What the library shows ------------------------------------------------------------------------

TRACE = {"op": "sum", "words": "cellule G5", "value": 5.0, "cells": [["a.xlsx", "F", "G5", "5 €", 0]]}
WHOLE = {"op": "share", "words": "5 € sur 5 €", "value": 1.0, "of": [TRACE, TRACE]}


def _table(**around: Any) -> DisplayTable:
    return DisplayTable(
        "Les montants", (Column("Qui"), Column("Montant", True)), (("a", Number("5 €", TRACE)),), **around
    )


def test_a_number_leads_to_its_cells_and_the_same_source_has_one_entry() -> None:
    tree = objects(Sentence(("Total : ", Number("5 €", TRACE), ", soit ", Number("100 %", WHOLE))), _table())
    assert tree.xpath("//p/a[@data-n]/@href")[:2] == ["#src-1", "#src-2"]
    assert tree.xpath("//td/a/@href") == ["#src-1"]
    first, second = tree.xpath("//li[starts-with(@id, 'src-')]")
    assert text(first) == "cellule G5a.xlsx, F : G5 « 5 € »."
    assert [a.get("href") for a in second.xpath("p/a")] == ["#src-1", "#src-1"]
    assert json.loads(tree.xpath("//ol/@data-places")[0]) == ["a.xlsx!F"]
    assert json.loads(first.get("data-trace")) == {"op": "sum", "cells": {"0": "G5"}}
    assert json.loads(second.get("data-trace")) == {"op": "share", "of": [1, 1]}
    back = first.xpath("a/@href")[0][1:]
    assert tree.get_element_by_id(back).get("href") == "#src-1"


def test_a_figure_has_caption_alternative_reading_source_data_and_file() -> None:
    figure = Figure("Le message", SVG, "Barres : deux valeurs", _table(), "a vaut 5 €.", "la note")
    tree = objects(figure)
    (found,) = tree.xpath("//figure")
    assert found.get("role") == "figure" and found.get("aria-label") == text(found.find("figcaption"))
    assert found.find(".//img").get("alt") == "Barres\u00a0: deux valeurs"
    assert "Lecture. a vaut 5 €." in text(found) and "Source. la note" in text(found)
    assert columns(found) == {"Qui": ["a"], "Montant": ["5 €"]}
    assert found.xpath(".//a[@download='figure-1.csv']/@href")[0].startswith("data:text/csv")


def test_the_alternative_text_is_short_and_never_the_caption() -> None:
    long = objects(Figure("T", SVG, "x" * 200, _table())).find(".//img").get("alt")
    same = objects(Figure("Titre", SVG, "Titre", _table())).find(".//img").get("alt")
    none = objects(Figure("T", SVG, "", _table())).find(".//img").get("alt")
    assert len(long) == 80 and long.endswith("…") and same != "Titre" and none


def test_a_drawing_that_is_not_one_becomes_a_sentence() -> None:
    assert "n’a pas pu être lu" in text(objects(Figure("T", "<svg", "alt", _table())))


def test_an_empty_table_is_a_sentence() -> None:
    tree = objects(DisplayTable("Les montants", (Column("Qui"),), ()))
    assert text(tree.find(".//main")) == "Les montants : aucune ligne." and not tree.xpath("//table")


def test_key_points_come_first_and_the_cover_says_what_and_when() -> None:
    cover = Cover("Rapport 2013", "Pour les élus", (("Période", "2013"),))
    tree = objects(cover, Listing(("Un.", "Deux."), "keypoints"))
    assert tree.findtext(".//title") == "Rapport 2013"
    assert text(tree.find(".//main")).startswith("À retenir Un. Deux.")
    assert text(tree.find(".//dl")) == "Période2013"


def test_the_same_notebook_gives_the_same_page() -> None:
    notebook = new_notebook(cells=[new_markdown_cell("# T\n\n| a |\n|---|\n| 1 |")])
    before = nbformat.writes(notebook)
    assert page.html_page(notebook) == page.html_page(notebook)
    assert nbformat.writes(notebook) == before, "the notebook is left untouched"


def test_an_empty_page_is_light() -> None:
    assert len(page.html_page(new_notebook()).encode()) < 10_000


def test_printed_text_loses_its_colours_and_its_controls() -> None:
    output = new_output("stream", text="\x1b[31mrouge\x1b[0m\x00\u202e fin")
    assert text(made(new_code_cell("…", outputs=[output])).find(".//pre")) == "rouge fin"


def test_a_long_trace_shown_twice_is_written_once_and_read_whole() -> None:
    cells = [["a.csv", "", f"B{n}", f"{n}"] for n in range(2, 402)]
    whole = {"op": "sum", "unit": "EUR", "value": 80_200.0, "words": "somme", "cells": cells}
    shares = [
        Number(
            f"{n} %", {"op": "share", "unit": "%", "value": n / 100, "words": "part", "of": [whole, whole]}
        )
        for n in (1, 2, 3)
    ]
    shown = Sentence(tuple(shares))
    told = shown._repr_mimebundle_()[MIME]
    assert len(json.dumps(told)) < len(json.dumps(shown.json())) / 4
    assert display.unfolded(json.loads(json.dumps(told))) == shown.json()
    assert display.unfolded(Sentence(("a", "b")).json()) == Sentence(("a", "b")).json()
