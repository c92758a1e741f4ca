"""The page of a notebook: its cells, in order, made blocks of one self-contained, accessible HTML page.

Nothing is assembled from strings that the content could forge: each output is sanitised, parsed, put right as
a tree (`foreign`) or built as one (`blocks`), then serialised once.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jinja2 import Environment, FileSystemLoader
from lxml import html
from lxml.html import builder as E
from markupsafe import Markup

from ess_analysis import french
from ess_analysis.display import MIME, unfolded
from ess_analysis.reports import blocks, drawing, foreign
from ess_analysis.reports.blocks import Page, alert, characters, note, prose, rich

TEMPLATE = Path(__file__).parent / "template"
LONGEST_TEXT = 100_000  # characters of a printed output that are shown

_SILENT = re.compile(  # what Python says of an object that has nothing to say
    r"\s*[\[(]*\s*(<[\w.]+[ :].*>|<\w+( size .*)?>|Text\(.*\)|(None|array\(.*\)|Axes.*|''))[\])]*\s*",
    re.DOTALL,
)
_WORD = re.compile(r"\w+")
_INVERTED = re.compile(r"(?<=\w)-(?=(?:t-)?(?:ils?|elles?|on|ce)\b)")  # « va-t-il » is not broken
_SPOKEN = (  # the texts but those of the column of recipients
    ".//text()[not(ancestor::*[self::td or self::th]"
    '[ancestor::table[1]/thead//th[.="Bénéficiaire"]][count(preceding-sibling::*)'
    '=count(ancestor::table[1]/thead//th[.="Bénéficiaire"]/preceding-sibling::*)])]'
)
_ENGLISH_SHAPE = re.compile(r"\s*(\d+) rows? × (\d+) columns?\s*")


def html_page(notebook: Any, *, name: str = "", provenance: Mapping[str, str] | None = None) -> str:
    """The whole page of a notebook, self-contained, with its Content Security Policy."""
    made = Page()
    for cell in notebook.cells:
        if {"remove", "papermill-error-cell-tag"} & set(cell.metadata.get("tags", [])):
            continue
        if cell.cell_type == "markdown":
            made.blocks += _markdown(made, "".join(cell.source), cell.get("attachments", {}))
        elif cell.cell_type == "code":
            for output in cell.get("outputs", []):
                made.blocks += _output(made, output)
    return _assembled(made, name, provenance or {})


# --- Cells ---------------------------------------------------------------------------------------


def _markdown(made: Page, source: str, attachments: Mapping[str, Any]) -> Iterator[html.HtmlElement]:
    text = re.sub(r"(?s)<!--.*?-->", "", characters(source))
    for name, bundle in attachments.items():
        kind, content = next(iter(bundle.items()))
        text = text.replace(f"attachment:{name}", f"data:{kind};base64,{_joined(content)}")
    for element in foreign.clean(foreign.rendered_markdown()(text)):
        foreign.fill_formulas(element)
        if element.tag in foreign.HEADINGS:
            yield from _heading(made, element)
            continue
        _typographic(element)
        yield from foreign.repaired(made, element)


def _heading(made: Page, element: html.HtmlElement) -> Iterator[html.HtmlElement]:
    """A heading in its place: one h1 (the first), no jump in levels, an id."""
    for node in list(element.iter("a", "img", "br")):
        node.drop_tag()
    _typographic(element)
    for node in element.iter():
        node.text = _INVERTED.sub("\u2011", node.text or "")
        node.tail = _INVERTED.sub("\u2011", node.tail or "")
    text = drawing.one_line(element.text_content())
    if not text:
        return
    level = int(element.tag[1])
    if level == 1 and not any(known == 1 for known, _, _ in made.headings):
        made.headings.append((1, text, "titre"))
        return
    previous = made.headings[-1][0] if made.headings else 1
    level = min(max(level, 2), previous + 1)
    anchor = made.unique(text)
    element.tag = f"h{level}"
    element.set("id", anchor)
    made.headings.append((level, text, anchor))
    yield element


def _typographic(element: html.HtmlElement) -> None:
    """French typography in the texts of the element, code and formulas left alone."""
    for node in element.iter():
        if not isinstance(node.tag, str):
            continue
        literal = any(one.tag in {"code", "pre", "math"} for one in (node, *node.iterancestors()))
        if node.text and not literal:
            node.text = french.typographic(node.text)
        if node.tail and not any(one.tag in {"code", "pre", "math"} for one in node.iterancestors()):
            node.tail = french.typographic(node.tail)


def _output(made: Page, output: Any) -> Iterator[html.HtmlElement]:
    kind = output.output_type
    if kind == "error":
        yield alert(
            "Une cellule de ce notebook a échoué : la suite peut manquer.",
            f"{output.ename} : {output.evalue}",
        )
    elif kind == "stream":
        if output.name == "stdout" and (text := _joined(output.text)).strip():
            yield _printed(made, text)
    elif kind in {"display_data", "execute_result"}:
        yield from _displayed(made, output.data, output.get("metadata", {}))


def _displayed(
    made: Page, data: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Iterator[html.HtmlElement]:
    """The richest form of an output that the page can hold."""
    vega = next((key for key in data if key.startswith("application/vnd.vegalite")), None)
    image = next((key for key in ("image/png", "image/jpeg", "image/gif") if key in data), None)
    plain = _joined(data.get("text/plain", ""))
    if MIME in data:
        yield from _shown(made, unfolded(data[MIME]), (image, _joined(data[image])) if image else None)
    elif "application/vnd.jupyter.widget-view+json" in data:
        yield foreign.interactive()
    elif vega:
        yield from foreign.vega(made, data[vega])
    elif "image/svg+xml" in data:
        yield foreign.picture(made, _joined(data["image/svg+xml"]))
    elif "text/html" in data:
        found = [_in_french(one) for one in foreign.foreign_html(made, _joined(data["text/html"]))]
        yield from found
        if not found and plain and not _SILENT.fullmatch(plain[:1000]):
            yield _printed(made, plain)
    elif "text/markdown" in data:
        yield from _markdown(made, _joined(data["text/markdown"]), {})
    elif "text/latex" in data:
        yield foreign.latex(_joined(data["text/latex"]))
    elif image:
        alt = metadata.get(image, {}).get("alt", "") if isinstance(metadata.get(image), Mapping) else ""
        yield foreign.bitmap(made, image, _joined(data[image]), alt=str(alt))
    elif plain and not _SILENT.fullmatch(plain[:1000]):
        yield _printed(made, plain)


def _joined(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _in_french(element: html.HtmlElement) -> html.HtmlElement:
    """What pandas says under a cut table, in French."""
    if element.tag == "p" and (shape := _ENGLISH_SHAPE.fullmatch(element.text_content())):
        rows, columns = (int(count) for count in shape.groups())
        return note(
            f"{french.counted(rows, 'ligne', feminine=True)} en tout, {french.counted(columns, 'colonne')}."
        )
    return element


def _printed(made: Page, text: str) -> html.HtmlElement:
    """A printed text, in a region that scrolls by itself; a very long one is cut, and says so."""
    shown = characters(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text[:LONGEST_TEXT].rstrip("\n")))
    made.texts += 1
    label = {"class": "scroll", "tabindex": "0", "aria-label": f"Texte affiché nº{french.SOLID}{made.texts}"}
    printed = E.SECTION(E.PRE(shown), label)
    if len(text) <= LONGEST_TEXT:
        return printed
    rest = french.number(len(text) - LONGEST_TEXT)
    return E.DIV(printed, note(f"Texte coupé : {rest} caractères de plus dans le notebook."))


# --- What the library shows ----------------------------------------------------------------------


def _shown(
    made: Page, shown: Mapping[str, Any], image: tuple[str, str] | None = None
) -> Iterator[html.HtmlElement]:
    """What an object of `display` becomes; `image` stands for the drawing of a figure that has no SVG."""
    kind = shown.get("kind")
    if kind == "group":
        for item in shown["items"]:
            yield from _shown(made, item)
    elif kind == "cover":
        made.cover = shown
    elif kind == "keypoints":
        made.keypoints += shown["items"]
    elif kind == "glossary":
        made.glossary |= {str(term): str(meaning) for term, meaning in shown["items"]}
    elif kind == "sentence":
        if shown["text"]:
            css = [E.CLASS(role)] if (role := shown.get("role")) in {"reading", "nothing"} else []
            yield E.P(*rich(made, shown["text"]), *css)
    elif kind == "list":
        if shown["items"]:
            yield E.UL(*[E.LI(*rich(made, item)) for item in shown["items"]])
    elif kind == "table":
        yield from blocks.shown_table(made, shown)
    elif kind == "figure":
        if not "".join(map(blocks.plain, shown["caption"])).strip():
            shown = {**shown, "caption": [made.section or "Graphique du notebook"]}
        if shown.get("svg"):
            yield blocks.shown_figure(made, shown)
        elif image:
            yield foreign.bitmap(made, *image, shown=shown)


# --- The page ------------------------------------------------------------------------------------


def _assembled(made: Page, name: str, provenance: Mapping[str, str]) -> str:
    cover = made.cover or {}
    title = cover.get("title") or next((t for level, t, _ in made.headings if level == 1), "")
    title = prose(title or name or "Rapport")
    lead = rich(made, cover.get("lead", []))
    if not lead and made.blocks and made.blocks[0].tag == "p" and not made.blocks[0].get("class"):
        lead = [made.blocks.pop(0)]  # the paragraph under the title, which says for whom
        lead[0].set("class", "lead")
    elif lead:
        lead = [E.P(*lead, E.CLASS("lead"))]
    facts = [(label, rich(made, fact)) for label, fact in cover.get("facts", [])]
    keypoints = [rich(made, item) for item in made.keypoints]
    if keypoints:  # the page makes this heading itself
        made.blocks = [b for b in made.blocks if not (b.tag == "h2" and b.get("id") == "a-retenir")]
        made.headings = [heading for heading in made.headings if heading[2] != "a-retenir"]
    spoken = [title, *lead, *(node for _, fact in facts for node in fact), *chain(*keypoints)]
    glossary = _explained(made, spoken)
    _gather_unanswered(made)
    annex = blocks.annex(made)
    _links_within(made)
    toc = [(text, anchor) for level, text, anchor in made.headings if level == 2]
    toc = [("À retenir", "a-retenir")] * bool(keypoints) + toc
    toc += [("Sigles", "sigles")] * bool(glossary)
    toc += [(f"D’où viennent ces chiffres{french.THIN}?", "sources-des-chiffres")] * (annex is not None)
    css = style("report.css") + _print_header(title)
    return template("page.html.j2").render(
        title=title,
        policy=policy(css, images=True),
        style=Markup(css),
        lead=_markup(lead),
        facts=[(prose(label), _markup(fact)) for label, fact in facts],
        keypoints=[_markup(item) for item in keypoints],
        toc=toc,
        body=_markup(made.blocks, "\n"),
        glossary=glossary,
        annex=_markup([annex] if annex is not None else []),
        only_in_long_tables=bool(made.only_in_long_tables),
        provenance=provenance,
    )


def _gather_unanswered(made: Page) -> None:
    """Two questions or more that the data do not answer are one section, in place of the last."""
    sections = zip(made.blocks, made.blocks[1:], [*made.blocks[2:], E.H2()], strict=False)
    alone = [
        pair
        for *pair, after in sections
        if [pair[0].tag, after.tag, pair[1].get("class")] == ["h2", "h2", "nothing"]
    ]
    if len(alone) < 2:
        return
    title = "Ce que ces données ne disent pas"
    heading, told = alone[-1]
    asked = {question.get("id"): question.text_content() for question, _ in alone}
    told.text = f"Ces données ne répondent pas à ces questions{french.SOLID}: {' '.join(asked.values())}"
    for question, silent in alone[:-1]:
        made.blocks.remove(question)
        made.blocks.remove(silent)
    last = heading.get("id")
    del heading[:]
    heading.text = title
    heading.set("id", made.unique(title))
    made.headings = [
        (level, title, heading.get("id")) if anchor == last else (level, text, anchor)
        for level, text, anchor in made.headings
        if anchor == last or anchor not in asked
    ]


def _explained(made: Page, spoken: Iterable[Any]) -> list[tuple[str, str]]:
    """The acronyms that the page says, outside the names of recipients."""
    if not made.glossary:
        return []
    nodes = [*spoken, *(text for _, text, _ in made.headings), *made.blocks]
    texts = (text for node in nodes for text in ([node] if isinstance(node, str) else node.xpath(_SPOKEN)))
    words = set(_WORD.findall(" ".join(texts)))
    terms = sorted(made.glossary.items(), key=lambda item: french.strip_accents(item[0]).lower())
    return [item for item in terms if words.issuperset(_WORD.findall(item[0]))]


def _links_within(made: Page) -> None:
    """The links to a place of the page that does not exist become text; those to a heading find it."""
    anchors = {anchor for _, _, anchor in made.headings} | made.ids
    for block in made.blocks:
        for link in [node for node in block.iter("a") if (node.get("href") or "").startswith("#")]:
            target = link.get("href")[1:]
            if link.get("data-n") or target in anchors:
                continue
            if (near := french.slug(unquote(target))[:50]) in anchors:
                link.set("href", f"#{near}")
            else:
                link.drop_tag()


def _markup(nodes: Iterable[Any], between: str = "") -> Markup:
    """Nodes, serialised; plain strings are escaped."""
    texts = (node if isinstance(node, str) else Markup(html_text(node)) for node in nodes)
    return Markup(between).join(texts)


def html_text(element: html.HtmlElement) -> str:
    """The element serialised as HTML."""
    return html.tostring(element, encoding="unicode", with_tail=False)


def _print_header(title: str) -> str:
    """The rule that prints the title at the top of each page; the title is escaped whole."""
    text = "".join(
        c if (c.isascii() and c.isalnum()) or c == " " else f"\\{ord(c):06x} " for c in title[:110]
    )
    return f'@page{{@top-left{{content:"{text}"}}}}@page:first{{@top-left{{content:""}}}}'


def policy(css: str, *, script: str = "", images: bool = False) -> str:
    """The Content Security Policy of a page: its own style and script by their hash, nothing else."""
    allowed = [f"style-src 'sha256-{digest(css)}'"]
    allowed += [f"script-src 'sha256-{digest(script)}'"] * bool(script) + ["img-src data:"] * images
    return "; ".join(["default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"])


def digest(text: str) -> str:
    """The SHA-256 of the text, in base64."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def style(*names: str) -> str:
    """The style sheets named, one after the other, comments and spaces removed."""
    text = "\n".join((TEMPLATE / name).read_text(encoding="utf-8") for name in names)
    return re.sub(
        r"\s*([{};,>]|: )\s*", lambda m: m[1].strip(), re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    ).strip()


@cache
def template(name: str) -> Any:
    """A template of the reports, everything escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)
