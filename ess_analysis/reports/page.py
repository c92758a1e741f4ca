"""The page of a report: outputs → clean, numbered, accessible HTML, in one pass over the parsed tree.

Nothing is assembled from strings that the content could forge: each output is sanitised (nh3 for HTML,
an allow-list over the parsed XML for SVG), parsed, repaired as a tree, then serialised once.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nh3
from jinja2 import Environment, FileSystemLoader
from lxml import etree, html
from lxml.html import builder as E
from markupsafe import Markup

from ess_analysis import french
from ess_analysis.reports import drawing

TEMPLATE = Path(__file__).parent / "template"
MIME = "application/vnd.ess+json"
LONGEST_TEXT = 200_000  # characters of a printed output that are shown
LARGEST_HTML = 30_000_000  # beyond, an HTML output is replaced by a sentence

_ALT_LENGTH = 80
_SILENT = re.compile(r"^\s*(<[\w.]+ .* at 0x[0-9a-f]+>|<Figure size .*>|\[?<matplotlib.*)\s*$", re.DOTALL)
_NUMBER = re.compile(r"^[-+\u2212]?\d+(\.\d+)?(e[-+]?\d+)?$", re.IGNORECASE)
_YEAR = re.compile(r"^(1[89]|20)\d\d$")

_TAGS = nh3.ALLOWED_TAGS | {"figure", "figcaption", "section", "input", "details", "summary"} - {"input"}
_ATTRIBUTES = {
    "*": {"lang", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "th": {"colspan", "rowspan", "scope"},
    "td": {"colspan", "rowspan"},
    "ol": {"start"},
}


@dataclass
class Page:
    """A page being made: its blocks, numbered figures and tables, headings, cited numbers."""

    blocks: list[html.HtmlElement] = field(default_factory=list)
    headings: list[tuple[int, str, str]] = field(default_factory=list)  # level, text, id
    cover: Mapping[str, Any] | None = None
    keypoints: list[Any] = field(default_factory=list)
    glossary: dict[str, str] = field(default_factory=dict)
    traces: dict[str, tuple[int, Mapping[str, Any]]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    figures: int = 0
    tables: int = 0

    def unique(self, text: str) -> str:
        """An id made of the text, never given twice."""
        base = french.slug(text)[:50]
        name, number = base, 2
        while name in self.ids:
            name, number = f"{base}-{number}", number + 1
        self.ids.add(name)
        return name


def html_text(element: html.HtmlElement) -> str:
    """The element serialised as HTML."""
    return html.tostring(element, encoding="unicode", with_tail=False)


def html_page(notebook: Any, *, name: str = "", provenance: Mapping[str, str] | None = None) -> str:
    """The whole page of a notebook, self-contained, with its Content Security Policy."""
    made = Page()
    for cell in notebook.cells:
        if "remove" in cell.metadata.get("tags", []):
            continue
        if cell.cell_type == "markdown":
            _markdown(made, "".join(cell.source), cell.get("attachments", {}))
        elif cell.cell_type == "code":
            for output in cell.get("outputs", []):
                made.blocks.extend(_output(made, output))
    return _assembled(made, name, provenance or {})


# --- Cells ---------------------------------------------------------------------------------------


def _markdown(made: Page, source: str, attachments: Mapping[str, Any]) -> None:
    text = re.sub(r"(?s)<!--.*?-->", "", source)
    text, formulas = _formulas(text)
    for element in _clean(_rendered_markdown()(text), attachments):
        for node in element.iter():
            _fill_formulas(node, formulas)
        if element.tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
            _heading(made, element)
            continue
        _typographic(element)
        made.blocks.extend(_repaired(made, element))


@cache
def _rendered_markdown() -> Any:
    import mistune

    return mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "footnotes", "url"])


def _heading(made: Page, element: html.HtmlElement) -> None:
    """A heading in its place: one h1 (the first), no jump in levels, an id."""
    text = " ".join(element.text_content().split())
    if not text:
        return
    level = int(element.tag[1])
    if level == 1 and not any(known == 1 for known, _, _ in made.headings):
        made.headings.append((1, french.typographic(text), "titre"))
        return
    previous = made.headings[-1][0] if made.headings else 1
    level = min(max(level, 2), previous + 1)
    anchor = made.unique(text)
    for node in list(element):
        if node.tag in {"a", "img"}:
            node.drop_tag()
    element.tag = f"h{level}"
    element.set("id", anchor)
    _typographic(element)
    made.headings.append((level, french.typographic(text), anchor))
    made.blocks.append(element)


def _output(made: Page, output: Any) -> Iterator[html.HtmlElement]:
    kind = output.output_type
    if kind == "error":
        yield _alert("Une cellule de ce notebook a échoué", f"{output.ename} : {output.evalue}")
    elif kind == "stream":
        if output.name == "stdout" and output.text.strip():
            yield _printed(made, output.text)
    elif kind in {"display_data", "execute_result"}:
        yield from _displayed(made, output.data, output.get("metadata", {}))


def _displayed(
    made: Page, data: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Iterator[html.HtmlElement]:
    """The richest form of an output that the page can hold."""
    vega = next((key for key in data if key.startswith("application/vnd.vegalite")), None)
    if MIME in data:
        yield from _shown(made, data[MIME])
    elif "application/vnd.jupyter.widget-view+json" in data:
        yield _note("Élément interactif : il s’ouvre dans JupyterLab, pas dans cette page.")
    elif vega:
        yield from _vega(made, data[vega])
    elif "image/svg+xml" in data:
        yield from _picture(made, _joined(data["image/svg+xml"]), _joined(data.get("text/plain", "")))
    elif "text/html" in data:
        yield from _foreign_html(made, _joined(data["text/html"]))
    elif "text/markdown" in data:
        before = made.blocks
        made.blocks = []
        _markdown(made, _joined(data["text/markdown"]), {})
        found, made.blocks = made.blocks, before
        yield from found
    elif "text/latex" in data:
        yield from _latex(_joined(data["text/latex"]))
    elif any(key in data for key in ("image/png", "image/jpeg", "image/gif")):
        yield from _bitmap(made, data)
    elif "text/plain" in data and not _SILENT.match(_joined(data["text/plain"])):
        yield _printed(made, _joined(data["text/plain"]))


def _joined(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _printed(made: Page, text: str) -> html.HtmlElement:
    shown = _characters(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text.rstrip("\n")))
    label = {"class": "scroll", "tabindex": "0", "aria-label": "Texte affiché"}
    pre = E.SECTION(E.PRE(shown[:LONGEST_TEXT]), label)
    if len(shown) <= LONGEST_TEXT:
        return pre
    rest = french.number(len(shown) - LONGEST_TEXT)
    return E.DIV(
        pre, E.P(f"Texte coupé : {rest}{french.SOLID}caractères de plus dans le notebook.", E.CLASS("note"))
    )


def _note(text: str) -> html.HtmlElement:
    return E.P(french.typographic(_characters(text)), E.CLASS("note"))


def _alert(title: str, text: str) -> html.HtmlElement:
    return E.DIV(E.P(E.STRONG(_characters(title))), E.P(_characters(text)[:2000]), E.CLASS("alert"))


def _characters(text: str) -> str:
    """The text without the control characters that no page may hold."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs", "Co", "Cn"})


# --- What the library shows ----------------------------------------------------------------------


def _shown(made: Page, shown: Mapping[str, Any]) -> Iterator[html.HtmlElement]:
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
            css = {"reading": "reading"}.get(shown.get("role", ""), "")
            yield E.P(*_rich(made, shown["text"]), *([E.CLASS(css)] if css else []))
    elif kind == "list":
        if shown["items"]:
            yield E.UL(*[E.LI(*_rich(made, item)) for item in shown["items"]])
    elif kind == "table":
        yield from _table(made, shown)
    elif kind == "figure":
        yield _figure(made, shown)


def _rich(made: Page, parts: Sequence[Any]) -> list[Any]:
    """Strings and traced numbers; a number with a trace leads to the annex."""
    nodes: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            nodes.append(_characters(part))
        elif part.get("trace"):
            number = _cited(made, part["trace"])
            nodes.append(E.A(_characters(part["number"]), E.CLASS("n"), href=f"#src-{number}"))
        else:
            nodes.append(E.SPAN(_characters(part["number"]), E.CLASS("v")))
    return nodes


def _cited(made: Page, trace: Mapping[str, Any]) -> int:
    """The number of a trace in the annex; the same trace has one number."""
    key = hashlib.sha256(json.dumps(trace, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    if key not in made.traces:
        made.traces[key] = (len(made.traces) + 1, trace)
    return made.traces[key][0]


def _table(made: Page, shown: Mapping[str, Any]) -> Iterator[html.HtmlElement]:
    if not shown["rows"]:
        yield _note("".join(map(_plain, shown["caption"])) + " : aucune ligne.")
        return
    made.tables += 1
    caption = E.CAPTION(E.SPAN(f"Tableau {made.tables}. ", E.CLASS("num")), *_rich(made, shown["caption"]))
    yield from _scrolling(made, _grid(made, shown, caption), shown.get("note", ""))


def _grid(made: Page, shown: Mapping[str, Any], caption: html.HtmlElement) -> html.HtmlElement:
    numeric = [column["numeric"] for column in shown["columns"]]
    head = [
        E.TH(_characters(column["label"]), scope="col", **({"class": "num"} if column["numeric"] else {}))
        for column in shown["columns"]
    ]
    table = E.TABLE(
        caption, E.THEAD(E.TR(*head)), E.TBODY(*[_tr(made, row, numeric) for row in shown["rows"]])
    )
    if shown.get("total"):
        table.append(E.TFOOT(_tr(made, shown["total"], numeric)))
    return table


def _tr(made: Page, row: Sequence[Sequence[Any]], numeric: Sequence[bool]) -> html.HtmlElement:
    first, *others = row
    cells = [E.TH(*_rich(made, first), scope="row")]
    for cell, number in zip(others, numeric[1:], strict=True):
        cells.append(E.TD(*_rich(made, cell), *([E.CLASS("num")] if number else [])))
    return E.TR(*cells)


def _scrolling(made: Page, table: html.HtmlElement, note: str = "") -> Iterator[html.HtmlElement]:
    """The table in a region that scrolls by itself, named by its caption."""
    anchor = made.unique(f"tableau-{made.tables}")
    table.find("caption").set("id", anchor)
    yield E.SECTION(table, {"class": "scroll", "tabindex": "0", "aria-labelledby": anchor})
    if note:
        yield _note(note)


def _figure(made: Page, shown: Mapping[str, Any]) -> html.HtmlElement:
    made.figures += 1
    number = made.figures
    title = "".join(map(_plain, shown["caption"]))
    caption = E.FIGCAPTION(E.SPAN(f"Figure {number}. ", E.CLASS("num")), *_rich(made, shown["caption"]))
    alt = _alternative(shown.get("alt", ""), title)
    figure = E.FIGURE(caption, {"role": "figure", "aria-label": f"Figure {number}. {title}"})
    picture = drawing.picture(shown["svg"], alt)
    figure.append(E.DIV(picture, E.CLASS("drawing")))
    if shown.get("reading"):
        figure.append(E.P(E.STRONG("Lecture. "), *_rich(made, shown["reading"]), E.CLASS("reading")))
    if shown.get("source"):
        figure.append(E.P(E.STRONG("Source. "), _characters(shown["source"]), E.CLASS("source")))
    data = shown.get("data")
    if data and data.get("rows"):
        figure.append(_data_of(made, data, number))
    return figure


def _data_of(made: Page, data: Mapping[str, Any], number: int) -> html.HtmlElement:
    """The figure's data: folded on screen, open on paper, with a CSV that works offline."""
    caption = E.CAPTION(f"Données de la figure {number}. ", *_rich(made, data["caption"]))
    anchor = made.unique(f"donnees-figure-{number}")
    caption.set("id", anchor)
    table = _grid(made, data, caption)
    scroll = E.SECTION(table, {"class": "scroll", "tabindex": "0", "aria-labelledby": anchor})
    link = E.A(
        "Télécharger les données (CSV)",
        href="data:text/csv;charset=utf-8;base64,"
        + base64.b64encode(_csv(data).encode("utf-8-sig")).decode(),
        download=f"figure-{number}.csv",
        **{"aria-label": f"Télécharger les données de la figure {number} (CSV)"},
    )
    return E.DETAILS(E.SUMMARY(f"Données de la figure {number}"), scroll, E.P(link))


def _csv(data: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow([_neutral(column["label"]) for column in data["columns"]])
    for row in data["rows"]:
        writer.writerow([_neutral("".join(map(_plain, cell))) for cell in row])
    return text.getvalue()


def _neutral(text: str) -> str:
    """Text that a spreadsheet would run as a formula gets an apostrophe; French spaces become plain."""
    plain = text.replace(french.THIN, " ").replace(french.SOLID, " ").replace(french.MINUS, "-")
    risky = plain.startswith(("=", "+", "@", "\t", "\r")) or (plain[:1] == "-" and not plain[1:2].isdigit())
    return "'" + plain if risky else plain


def _plain(part: Any) -> str:
    return part if isinstance(part, str) else str(part["number"])


def _alternative(alt: str, title: str) -> str:
    """The text read in place of a figure: 80 characters at most, never the caption again."""
    text = _characters(alt).strip() or "Graphique ; ses valeurs sont dans le tableau qui suit"
    if text == title:
        text = f"Graphique : {text}"
    return text if len(text) <= _ALT_LENGTH else text[: _ALT_LENGTH - 1].rstrip() + "…"


# --- What others show ----------------------------------------------------------------------------


def _picture(made: Page, svg: str, plain: str) -> Iterator[html.HtmlElement]:
    described = drawing.described(svg)
    shown = {"caption": [described.title], "alt": described.alt, "svg": svg, "data": None}
    yield _figure(made, shown)


def _bitmap(made: Page, data: Mapping[str, Any]) -> Iterator[html.HtmlElement]:
    made.figures += 1
    kind = next(key for key in ("image/png", "image/jpeg", "image/gif") if key in data)
    caption = E.FIGCAPTION(E.SPAN(f"Figure {made.figures}. ", E.CLASS("num")), "Graphique du notebook")
    source = "data:" + kind + ";base64," + re.sub(r"\s+", "", _joined(data[kind]))
    image = E.IMG(src=source, alt="Image sans description : l’auteur du notebook n’en a pas donné")
    label = {"role": "figure", "aria-label": f"Figure {made.figures}. Graphique du notebook"}
    yield E.FIGURE(caption, E.DIV(image, E.CLASS("drawing")), label)


def _vega(made: Page, spec: Mapping[str, Any]) -> Iterator[html.HtmlElement]:
    """An Altair chart, drawn once and for all, with its data."""
    title = spec.get("title") or "Graphique"
    title = title if isinstance(title, str) else str(title.get("text", "Graphique"))
    rows = next(iter(spec.get("datasets", {}).values()), None) or spec.get("data", {}).get("values", [])
    data = _data_rows(rows[:500] if isinstance(rows, list) else [])
    svg = drawing.from_vega(spec)
    if svg is None:
        yield _note(
            f"{title} : graphique Altair non dessiné (installez vl-convert-python) ; voici ses données."
        )
        if data:
            yield from _table(made, {**data, "caption": [title]})
        return
    described = drawing.described(svg)
    yield _figure(made, {"caption": [title], "alt": described.alt, "svg": svg, "data": data})


def _data_rows(rows: Sequence[Any]) -> dict[str, Any] | None:
    records = [row for row in rows if isinstance(row, Mapping)]
    if not records:
        return None
    names = list(records[0])
    numeric = [all(isinstance(r.get(n), (int, float)) for r in records) for n in names]

    def said(name: str, value: Any) -> str:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not _YEAR.match(str(value)):
            return french.number(value)
        return "" if value is None else str(value)

    return {
        "caption": ["valeurs"],
        "columns": [{"label": n, "numeric": k} for n, k in zip(names, numeric, strict=True)],
        "rows": [[[said(name, record.get(name))] for name in names] for record in records],
        "total": [],
    }


def _foreign_html(made: Page, text: str) -> Iterator[html.HtmlElement]:
    if len(text) > LARGEST_HTML:
        size = french.number(len(text) / 1e6, 0)
        yield _note(
            f"Sortie de {size} Mo, trop grande pour une page à partager : elle reste dans le notebook."
        )
        return
    for element in _clean(text, {}):
        if element.tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
            element.tag = "p"
        yield from _repaired(made, element)


def _latex(source: str) -> Iterator[html.HtmlElement]:
    text, formulas = _formulas(source if "$" in source else f"$${source}$$")
    paragraph = E.P(text)
    _fill_formulas(paragraph, formulas)
    yield paragraph


_FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\w$])", re.DOTALL)
_OPEN, _CLOSE = "\ue000", "\ue001"  # private characters: removed from any text before being used here


def _formulas(text: str) -> tuple[str, list[etree._Element]]:
    """The text with each LaTeX formula replaced by a private mark, and the formulas in MathML."""
    from latex2mathml.converter import convert

    found: list[etree._Element] = []

    def kept(match: re.Match[str]) -> str:
        try:
            mathml = convert(match[1] or match[2], display="block" if match[1] else "inline")
            found.append(etree.fromstring(mathml))
        except Exception:
            return match[0]
        return f"{_OPEN}{len(found) - 1}{_CLOSE}"

    outside_code = re.split(
        r"(```.*?```|`[^`\n]*`)", text.replace(_OPEN, "").replace(_CLOSE, ""), flags=re.DOTALL
    )
    return "".join(p if p.startswith("`") else _FORMULA.sub(kept, p) for p in outside_code), found


def _fill_formulas(node: html.HtmlElement, formulas: Sequence[etree._Element]) -> None:
    """The marks of a node's own text replaced by their formulas."""
    for place in ("text", "tail"):
        text = getattr(node, place) or ""
        if _OPEN not in text or (place == "tail" and node.getparent() is None):
            continue
        pieces = re.split(f"{_OPEN}(\\d+){_CLOSE}", text)
        setattr(node, place, pieces[0])
        parent = node if place == "text" else node.getparent()
        at = 0 if place == "text" else parent.index(node) + 1
        for number, after in zip(pieces[1::2], pieces[2::2], strict=True):
            formula = html.fromstring(etree.tostring(formulas[int(number)], encoding="unicode"))
            formula.tail = after
            parent.insert(at, formula)
            at += 1


def _clean(text: str, attachments: Mapping[str, Any]) -> list[html.HtmlElement]:
    """The top-level elements of untrusted HTML, sanitised, text between them in paragraphs."""
    for name, bundle in attachments.items():
        kind, content = next(iter(bundle.items()))
        text = text.replace(f"attachment:{name}", f"data:{kind};base64,{_joined(content)}")
    safe = nh3.clean(
        text,
        tags=set(_TAGS) - {"map", "area", "bdo"},
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "data"},
        attribute_filter=_kept_attribute,
        link_rel=None,
        clean_content_tags={"script", "style", "title", "textarea", "noscript", "iframe", "template", "xmp"},
    )
    found = []
    for piece in html.fragments_fromstring(safe) if safe.strip() else []:
        if isinstance(piece, str):
            if piece.strip():
                found.append(E.P(piece.strip()))
        elif isinstance(piece.tag, str):
            tail, piece.tail = piece.tail, None
            if piece.getparent() is not None:
                piece.getparent().remove(piece)
            found.append(piece)
            if tail and tail.strip():
                found.append(E.P(tail.strip()))
    return found


def _kept_attribute(tag: str, attribute: str, value: str) -> str | None:
    """Images only from the page itself, links only to the web, mail or the page."""
    target = re.sub(r"[\x00-\x20]+", "", value)
    if (tag, attribute) == ("img", "src"):
        return value if re.match(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=]*$", target) else None
    if (tag, attribute) == ("a", "href"):
        return value if re.match(r"(https?://|mailto:|#)", target, re.IGNORECASE) else None
    return value


def _repaired(made: Page, element: html.HtmlElement) -> Iterator[html.HtmlElement]:
    """The element with its tables, images and empty parts repaired."""
    for image in list(element.iter("img")):
        if not image.get("src"):
            if image is element:
                return
            image.drop_tag()
        elif not image.get("alt", "").strip():
            image.set("alt", "Image sans description")
    tables = [element] if element.tag == "table" else list(element.iter("table"))
    for table in tables:
        holder = table.getparent()
        if any(parent.tag == "table" for parent in table.iterancestors()):
            continue
        repaired = _repaired_table(made, table)
        if holder is None:
            yield from repaired
        else:
            at = holder.index(table)
            tail, table.tail = table.tail, None
            holder.remove(table)
            for offset, node in enumerate(repaired):
                holder.insert(at + offset, node)
                node.tail = tail
    if element.tag != "table" and (element.text_content().strip() or element.xpath(".//img|.//math")):
        yield element


def _repaired_table(made: Page, table: html.HtmlElement) -> list[html.HtmlElement]:
    """Somebody's table: caption, one row of headers, scopes, French numbers."""
    caption = table.find("caption")
    title = " ".join(caption.text_content().split()) if caption is not None else ""
    head, body = _matrix(table)
    if not body and not head:
        return []
    width = max(len(row) for row in [*head, *body])
    labels = [_flat([row[i] for row in head if i < len(row)]) for i in range(width)]
    labels = [label or ("ligne" if i == 0 else f"colonne {i + 1}") for i, label in enumerate(labels)]
    body = [[*row, *[""] * (width - len(row))] for row in body]
    numeric = [
        any(row[i] for row in body)
        and all(_NUMBER.match(row[i]) or row[i] in {"", "NaN", "None"} for row in body)
        for i in range(width)
    ]
    years = [numeric[i] and all(_YEAR.match(row[i]) or not row[i] for row in body) for i in range(width)]
    made.tables += 1
    anchor = made.unique(f"tableau-{made.tables}")
    grid = E.TABLE(
        E.CAPTION(E.SPAN(f"Tableau {made.tables}. ", E.CLASS("num")), title or "Sans titre", id=anchor),
        E.THEAD(
            E.TR(
                *[
                    E.TH(label, scope="col", **({"class": "num"} if numeric[i] else {}))
                    for i, label in enumerate(labels)
                ]
            )
        ),
    )
    rows = E.TBODY()
    grid.append(rows)
    for row in body:
        written = [_french(text) if numeric[i] and not years[i] else text for i, text in enumerate(row)]
        tr = E.TR(E.TH(written[0] or french.NOTHING, scope="row"))
        for i in range(1, width):
            td = etree.SubElement(tr, "td")
            td.text = written[i]
            if numeric[i]:
                td.set("class", "num")
        rows.append(tr)
    return [E.SECTION(grid, {"class": "scroll", "tabindex": "0", "aria-labelledby": anchor})]


def _matrix(table: html.HtmlElement) -> tuple[list[list[str]], list[list[str]]]:
    """The texts of a table, merged cells repeated: header rows, then body rows."""
    head, body = [], []
    carried: dict[int, tuple[int, str]] = {}
    for tr in table.iter("tr"):
        row: list[str] = []
        cells = [cell for cell in tr if cell.tag in {"td", "th"}]
        for cell in cells:
            while len(row) in carried:
                row.append(_carry(carried, len(row)))
            text = " ".join(cell.text_content().split())
            for _ in range(min(int(cell.get("colspan") or 1), 200)):
                if (down := min(int(cell.get("rowspan") or 1), 10_000)) > 1:
                    carried[len(row)] = (down - 1, text)
                row.append(text)
        while len(row) in carried:
            row.append(_carry(carried, len(row)))
        in_head = tr.getparent().tag == "thead" or (not body and cells and all(c.tag == "th" for c in cells))
        if row:
            (head if in_head else body).append(row)
    return head, body


def _carry(carried: dict[int, tuple[int, str]], column: int) -> str:
    left, text = carried.pop(column)
    if left > 1:
        carried[column] = (left - 1, text)
    return text


def _flat(labels: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(label for label in labels if label))


def _french(text: str) -> str:
    if not _NUMBER.match(text):
        return french.NOTHING if text in {"NaN", "None", ""} else text
    decimals = len(text.partition(".")[2]) if "e" not in text.lower() else None
    return french.number(float(text.replace(french.MINUS, "-")), decimals)


def _typographic(element: html.HtmlElement) -> None:
    for node in element.iter():
        if node.tag in {"code", "pre", "math"} or any(
            p.tag in {"code", "pre", "math"} for p in node.iterancestors()
        ):
            continue
        node.text = french.typographic(node.text) if node.text else node.text
        node.tail = french.typographic(node.tail) if node.tail else node.tail


# --- The page ------------------------------------------------------------------------------------


def _assembled(made: Page, name: str, provenance: Mapping[str, str]) -> str:
    title = (made.cover or {}).get("title") or next((t for level, t, _ in made.headings if level == 1), "")
    title = _characters(title or name or "Rapport")
    lead = _rich(made, (made.cover or {}).get("lead", []))
    if made.cover and not lead and made.blocks and made.blocks[0].tag == "p":
        lead = [made.blocks.pop(0).text_content()]  # the paragraph under the title, which says for whom
    facts = [(label, _rich(made, fact)) for label, fact in (made.cover or {}).get("facts", [])]
    keypoints = [_rich(made, item) for item in made.keypoints]
    if keypoints:  # the page makes this heading itself
        made.blocks = [b for b in made.blocks if not (b.tag == "h2" and b.get("id") == "a-retenir")]
        made.headings = [heading for heading in made.headings if heading[2] != "a-retenir"]
    intro = made.blocks.pop(0) if made.blocks and made.blocks[0].tag == "p" else None
    toc = [(level, text, anchor) for level, text, anchor in made.headings if level == 2]
    if made.keypoints:
        toc.insert(0, (2, "À retenir", "a-retenir"))
    annex = [_annex_entry(number, trace) for number, trace in made.traces.values()]
    if made.glossary:
        toc.append((2, "Sigles", "sigles"))
    if annex:
        toc.append((2, "D’où viennent ces chiffres ?", "sources-des-chiffres"))
    css = style()
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()}'"
    )
    return template("page.html.j2").render(
        title=title,
        policy=policy,
        style=Markup(css),
        lead=_markup(lead),
        intro=Markup(html_text(intro)) if intro is not None else "",
        facts=[(label, _markup(fact)) for label, fact in facts],
        keypoints=[_markup(item) for item in keypoints],
        toc=toc,
        body=Markup("\n".join(html_text(block) for block in made.blocks)),
        glossary=sorted(made.glossary.items(), key=lambda item: french.strip_accents(item[0]).lower()),
        annex=[Markup(html_text(entry)) for entry in annex],
        provenance=provenance,
    )


def _markup(nodes: Iterable[Any]) -> Markup:
    """Nodes made by `_rich`, serialised; plain strings are escaped."""
    return Markup("").join(Markup(html_text(n)) if not isinstance(n, str) else n for n in nodes)


def _annex_entry(number: int, trace: Mapping[str, Any]) -> html.HtmlElement:
    """One entry of the annex: the formula in words, the cells with their text, the machine-readable trace."""
    entry = E.LI(E.P(_characters(str(trace.get("words", "")))), id=f"src-{number}")
    cells = list(_cells_of(trace))
    if cells:
        entry.append(E.P(*_places(cells), E.CLASS("cells")))
    entry.set("data-trace", json.dumps(_compact(trace), ensure_ascii=False, separators=(",", ":")))
    return entry


def _cells_of(trace: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    yield from trace.get("cells", [])
    for part in trace.get("of", []):
        yield from _cells_of(part)


_TOLD = 24  # cells whose text is told in one entry; beyond, the machine-readable trace has them all


def _places(cells: Sequence[Sequence[Any]]) -> list[Any]:
    """« fichier, feuille : G5 « 10 000,00 € », G6… », each cell once."""
    nodes: list[Any] = []
    by_sheet: dict[tuple[str, str], dict[str, str]] = {}
    for file, sheet, cell, text, *_ in cells:
        by_sheet.setdefault((str(file), str(sheet)), {})[str(cell)] = str(text)
    for (file, sheet), found in by_sheet.items():
        told = ", ".join(
            f"{cell} «{french.THIN}{text}{french.THIN}»" for cell, text in list(found.items())[:_TOLD]
        )
        rest = len(found) - _TOLD
        more = f" et {french.counted(rest, 'autre cellule')}" if rest > 0 else ""
        where = f"{file}, {sheet}" if sheet else file
        nodes.append(_characters(f"{where}{french.SOLID}: {told}{more}. "))
    return nodes


def _compact(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The trace without its words and texts: what a program needs to compute it again from the cells."""
    kept: dict[str, Any] = {"op": trace["op"], "value": trace.get("value")}
    if trace.get("cells"):
        sheets: dict[str, list[str]] = {}
        for file, sheet, cell, _, *part in trace["cells"]:
            name = f"{cell}#{part[0]}" if part and part[0] else str(cell)
            sheets.setdefault(f"{file}!{sheet}", []).append(name)
        kept["cells"] = {place: " ".join(names) for place, names in sheets.items()}
    if trace.get("of"):
        kept["of"] = [_compact(part) for part in trace["of"]]
    if trace.get("weights"):
        kept["weights"] = trace["weights"]
    return kept


@cache
def style() -> str:
    """The style sheet, comments and spaces removed."""
    text = (TEMPLATE / "report.css").read_text(encoding="utf-8")
    return re.sub(r"\s*([{};,>])\s*", r"\1", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip()


@cache
def template(name: str) -> Any:
    """A template of the reports, everything escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)
