"""What others show in a notebook: HTML, tables, images, Vega charts and formulas, made fit for the page.

Their HTML is sanitised (nh3), parsed once, then held to a short list of elements in their right places: text
that looks like a tag stays text, with a Content Security Policy or without.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any

import nh3
from lxml import etree, html
from lxml.html import builder as E

from ess_analysis import french
from ess_analysis.reports import drawing
from ess_analysis.reports.blocks import Page, characters, note, prose, scrolling, shown_figure, shown_table

LARGEST_HTML = 15_000_000  # characters; beyond, an HTML output is replaced by a sentence
LARGEST_IMAGE = 10_000_000  # characters in base64
MOST_RECORDS = 1000  # rows of a chart's data that are shown

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_PHRASING = frozenset(
    "a abbr b bdi br cite code del dfn em i img ins kbd mark math q s samp small span strong sub sup u var "
    "wbr".split()
)
_BLOCKS = frozenset("blockquote dd details div dl dt hr li ol p pre summary table ul".split()) | HEADINGS
_TABLE = frozenset("caption tbody td tfoot th thead tr".split())
_ATTRIBUTES = {
    "a": {"href"},
    "abbr": {"title"},
    "img": {"src", "alt", "width", "height"},
    "th": {"colspan", "rowspan"},
    "td": {"colspan", "rowspan"},
    "ol": {"start"},
    "span": {"class"},
    "div": {"class"},
}
_FORMULA = "math"  # the class that Markdown gives to a formula
_IMAGE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=]*")


# --- HTML ----------------------------------------------------------------------------------------


def foreign_html(made: Page, text: str) -> Iterator[html.HtmlElement]:
    """An HTML output; what only a script could draw is told, not lost in silence."""
    if len(text) > LARGEST_HTML:
        yield too_large(len(text))
        return
    if (spec := _vega_in(text)) is not None:
        yield from vega(made, spec)
        return
    found = [element for one in clean(text) for element in repaired(made, one)]
    if not found and re.search(r"<(script|iframe|canvas|object|embed|video|audio)\b", text, re.IGNORECASE):
        found = [interactive()]
    yield from found


def interactive() -> html.HtmlElement:
    """What stands for a widget or a chart drawn by a script."""
    return note("Élément interactif : il s'ouvre dans JupyterLab, pas dans cette page.")


def too_large(size: int) -> html.HtmlElement:
    """What stands for an output too large for a page that is mailed."""
    return note(
        f"Sortie de {french.number(size / 1e6, 0)}{french.SOLID}Mo, trop grande pour une page à partager : "
        "elle reste dans le notebook."
    )


def clean(text: str) -> list[html.HtmlElement]:
    """The top-level elements of untrusted HTML, sanitised, each where it may stand; text in paragraphs."""
    safe = nh3.clean(
        characters(text),
        tags=set(_PHRASING | _BLOCKS | _TABLE) - {"math"},
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "data"},
        attribute_filter=_kept_attribute,
        link_rel=None,
        clean_content_tags={
            "script", "style", "title", "textarea", "noscript", "iframe", "template", "xmp", "svg", "math",
            "object", "select", "noembed", "noframes",
        },
    )  # fmt: skip
    root = html.fragment_fromstring(safe, create_parent="div") if safe.strip() else E.DIV()
    _in_place(root)
    return list(_paragraphs(root))


def _kept_attribute(tag: str, attribute: str, value: str) -> str | None:
    """Images of the page itself; links to the web, mail, the page or one beside it; sizes in numbers."""
    target = re.sub(r"[\x00-\x20]+", "", value)
    if (tag, attribute) == ("img", "src"):
        return target if _IMAGE.fullmatch(target) and len(target) <= LARGEST_IMAGE else None
    if (tag, attribute) == ("a", "href"):
        known = re.match(r"(https?://[\w\[]|mailto:\w|#.|[\w-]+\.html$)", target, re.IGNORECASE)
        return target if known else None
    if attribute in {"width", "height", "colspan", "rowspan", "start"}:
        return value if re.fullmatch(r"[0-9]{1,5}", value) else None
    if attribute == "class":
        return value if value == _FORMULA else None
    return value


def _in_place(root: html.HtmlElement) -> None:
    """Every element where HTML allows it, from the leaves up: items in lists, no block in a phrase."""
    for node in list(root.iterdescendants())[::-1]:
        tag = node.tag
        if not isinstance(tag, str):
            node.drop_tree()
        elif tag == "img":
            _image(node)
        elif _astray(node):
            node.drop_tag()
        elif _broken(node):
            node.tag = "div"
            for child in node:
                if child.tag in {"li", "dt", "dd"}:
                    child.tag = "div"


def _astray(node: html.HtmlElement) -> bool:
    """Whether only what the element holds may stay: an empty link, a phrase around blocks, a cell alone."""
    if node.tag == "a" and not (node.get("href") and (node.text_content().strip() or node.findall(".//img"))):
        return True
    if node.tag in _PHRASING:
        return any(child.tag not in _PHRASING for child in node)
    return node.tag in _TABLE and next(node.iterancestors("table"), None) is None


def _broken(node: html.HtmlElement) -> bool:
    """Whether the element is not where, or does not hold what, HTML wants of it."""
    tag, parent = node.tag, node.getparent()
    if tag == "li":
        return parent.tag not in {"ul", "ol"}
    if tag in {"dt", "dd"}:
        return parent.tag != "dl"
    if tag == "summary":
        return parent.tag != "details" or parent[0] is not node or any(c.tag in _BLOCKS for c in node)
    if tag in {"ul", "ol"}:
        return _text_around(node) or any(child.tag != "li" for child in node)
    if tag == "dl":
        return not _pairs(node)
    if tag == "details":
        return len(node) == 0 or node[0].tag != "summary" or bool((node.text or "").strip())
    return tag in {"p", "pre", *HEADINGS} and any(child.tag in _BLOCKS for child in node)


def _text_around(node: html.HtmlElement) -> bool:
    return bool((node.text or "").strip() or any((child.tail or "").strip() for child in node))


def _pairs(node: html.HtmlElement) -> bool:
    """Whether a list of definitions is one: terms, then what they mean, nothing else."""
    tags = "".join({"dt": "t", "dd": "d"}.get(str(child.tag), "?") for child in node)
    return not _text_around(node) and re.fullmatch(r"(t+d+)+", tags) is not None


def _image(node: html.HtmlElement) -> None:
    alt = drawing.one_line(node.get("alt") or "")
    if node.get("src"):
        node.set("alt", alt or "Image sans description")
        return
    stand_in = E.EM(f"[Image non incluse{french.SOLID}: {alt}]" if alt else "[Image non incluse]")
    stand_in.tail, node.tail = node.tail, None
    node.getparent().replace(node, stand_in)


def _paragraphs(root: html.HtmlElement) -> Iterator[html.HtmlElement]:
    """The blocks of a tree; bare text and phrases between them in paragraphs."""
    loose = E.P()
    loose.text = root.text
    for node in list(root):
        if node.tag in _PHRASING:
            loose.append(node)
            continue
        if loose.text_content().strip() or len(loose):
            yield loose
        loose = E.P()
        loose.text, node.tail = node.tail, None
        root.remove(node)
        yield node
    if loose.text_content().strip() or len(loose):
        yield loose


def repaired(made: Page, element: html.HtmlElement) -> Iterator[html.HtmlElement]:
    """The element with its tables made ours and its headings, which are not the page's, made strong text."""
    for node in [element] if element.tag in HEADINGS else [n for n in element.iter() if n.tag in HEADINGS]:
        node.tag = "p"
        strong = E.STRONG()
        strong.text, node.text = node.text, None
        strong.extend(list(node))
        node.append(strong)
    for table in [element] if element.tag == "table" else list(element.iter("table")):
        if next(table.iterancestors("table"), None) is not None:
            continue
        ours = foreign_table(made, table)
        holder = table.getparent()
        if holder is None:
            yield from ours
            return
        at = holder.index(table)
        tail, table.tail = table.tail, None
        holder.remove(table)
        for offset, node in enumerate(ours):
            holder.insert(at + offset, node)
        if tail and tail.strip() and ours:
            ours[-1].tail = tail
    if element.tag == "div" and not element.text_content().strip() and not element.xpath(".//img|.//math"):
        return
    if element.tag == "div" and len(element) and not _text_around(element) and not element.attrib:
        for child in list(element):
            if child.tag in _PHRASING:
                yield element
                return
        for child in list(element):
            child.tail = None
            yield child
        return
    if element.text_content().strip() or element.tag == "hr" or element.xpath(".//img|.//math"):
        yield element


# --- Tables --------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[-+\u2212]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_ENGLISH = re.compile(r"[-+\u2212]?[$€£]?\d{1,3}(,\d{3})+(\.\d+)?|[-+\u2212]?\d+(\.\d+)?")
_SURELY_ENGLISH = re.compile(r"[-+\u2212]?\d{1,3}((,\d{3}){2,}(\.\d+)?|,\d{3}\.\d+)")
_WRITTEN = re.compile(r"[-+\u2212]?\d[\d \u00a0\u202f,.]*(\s?([kM]?[€£$]|[A-Z]{3}|%|h|j))?")
_YEAR = re.compile(r"(1[89]|20)\d\d")
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)( 00:00:00)?")
_EMPTY = {"", "nan", "none", "nat", "<na>", "null"}
_CODE = re.compile(
    r"(^|[\W_])(code|insee|siren|siret|cp|postal|id|identifiant|num(éro|ero)?|n[°º]|ann[ée]e|year|exercice|page|t[ée]l)([\W_]|$)",
    re.IGNORECASE,
)

Cell = tuple[str, html.HtmlElement | None]  # the text, and the element where it holds more than text


def foreign_table(made: Page, table: html.HtmlElement) -> list[html.HtmlElement]:
    """Somebody's table: caption, one row of headers, scopes, French numbers, its notes under it."""
    caption = table.find("caption")
    title = drawing.one_line(caption.text_content()) if caption is not None else ""
    head, body, foot = _matrix(table)
    width = max((len(row) for row in [*head, *body]), default=0)
    titles, head = _spanning(head, width)
    notes, foot = _spanning(foot, width)
    body += foot
    title = title or ", ".join(titles) or made.section
    if not body and not head:
        return []
    labels = _labels(head, width)
    if not any(text or content is not None for row in body for text, content in row):
        return [note(f"{title or 'Tableau'} : aucune ligne.")] if any(labels) else []
    body = [[*row, *[("", None)] * (width - len(row))] for row in body]
    columns = [_column(label, [row[i] for row in body]) for i, label in enumerate(labels)]
    if width > 1 and not labels[0] and _counts([row[0][0] for row in body]):
        labels, columns = labels[1:], columns[1:]  # pandas' row numbers say nothing
    made.tables += 1
    ours = E.TABLE(
        E.CAPTION(E.SPAN(f"Tableau {made.tables}. ", E.CLASS("num")), prose(title) or "Sans titre")
    )
    heads = etree.SubElement(etree.SubElement(ours, "thead"), "tr")
    for place, (label, (numeric, _)) in enumerate(zip(labels, columns, strict=True)):
        th = etree.SubElement(heads, "th", scope="col")
        th.text = prose(label) or ("ligne" if place == 0 else f"colonne {place + 1}")
        if numeric and place:
            th.set("class", "num")
    rows = etree.SubElement(ours, "tbody")
    for line in zip(*(cells for _, cells in columns), strict=True):
        tr = etree.SubElement(rows, "tr")
        for place, (text, content) in enumerate(line):
            name = {} if place or len(columns) == 1 else {"scope": "row"}  # one column has nothing to name
            td = etree.SubElement(tr, "th" if name else "td", name)
            if place and columns[place][0]:
                td.set("class", "num")
            td.text = text if text or place else french.NOTHING
            if content is not None:
                _fill(td, content)
    found = [scrolling(made, ours, f"tableau-{made.tables}")]
    return found + [note(text) for text in notes]


def _matrix(table: html.HtmlElement) -> tuple[list[list[Cell]], list[list[Cell]], list[list[Cell]]]:
    """The cells of a table, merged cells repeated: header rows, body rows, footer rows."""
    head: list[list[Cell]] = []
    body: list[list[Cell]] = []
    foot: list[list[Cell]] = []
    carried: dict[int, tuple[int, Cell]] = {}
    for tr in table.iter("tr"):
        if next(tr.iterancestors("table")) is not table:
            continue
        row: list[Cell] = []
        cells = [cell for cell in tr if cell.tag in {"td", "th"}]
        for cell in cells:
            while len(row) in carried:
                row.append(_carry(carried, len(row)))
            rich = any(child.tag in {"a", "img", "code", "ul", "ol", "br", "math"} for child in cell.iter())
            content = (drawing.one_line(cell.text_content()), cell if rich else None)
            for _ in range(min(int(cell.get("colspan") or 1) or 1, 200)):
                if (down := min(int(cell.get("rowspan") or 1), 10_000)) > 1:
                    carried[len(row)] = (down - 1, content)
                row.append(content)
        while len(row) in carried:
            row.append(_carry(carried, len(row)))
        where = tr.getparent().tag
        if not row:
            continue
        if where == "thead" or (not body and cells and all(cell.tag == "th" for cell in cells)):
            head.append(row)
        else:
            (foot if where == "tfoot" else body).append(row)
    return head, body, foot


def _carry(carried: dict[int, tuple[int, Cell]], column: int) -> Cell:
    left, content = carried.pop(column)
    if left > 1:
        carried[column] = (left - 1, content)
    return content


def _spanning(rows: list[list[Cell]], width: int) -> tuple[list[str], list[list[Cell]]]:
    """The texts of the rows that are one cell across the whole table (titles, notes), and the others."""
    across = [row for row in rows if width > 1 and len(row) == width and len({text for text, _ in row}) == 1]
    texts = [row[0][0] for row in across if row[0][0]]
    return texts, [row for row in rows if not any(row is one for one in across)]


def _labels(head: Sequence[Sequence[Cell]], width: int) -> list[str]:
    """One label per column: the levels of its header in turn; for the first column, the nearest."""
    labels = []
    for i in range(width):
        levels = [row[i][0] for row in head if i < len(row) and row[i][0]]
        labels.append(", ".join(dict.fromkeys(levels[-1:] if i == 0 else levels)))
    return labels


def _counts(texts: Sequence[str]) -> bool:
    """Whether the texts are 0, 1, 2… as pandas numbers rows (« ... » where it cut some)."""
    numbers = [int(text) for text in texts if text.isdecimal() and text.isascii()]
    cut = [text for text in texts if not (text.isdecimal() and text.isascii())]
    whole = set(cut) <= {"...", "…"} and numbers == sorted(set(numbers)) and bool(numbers)
    return whole and numbers[0] == 0 and (bool(cut) or numbers[-1] == len(numbers) - 1)


def _column(label: str, cells: list[Cell]) -> tuple[bool, list[Cell]]:
    """Whether a column holds numbers, and its cells as French people write them."""
    texts = {text for text, _ in cells if text.lower() not in _EMPTY and text not in {"...", "…"}}
    if not texts:
        return False, [_said(cell) for cell in cells]
    plain = all(_NUMBER.fullmatch(text) for text in texts)
    code = plain and (
        _CODE.search(label) is not None
        or all(_YEAR.fullmatch(text) for text in texts)
        or any(re.match(r"0\d", text) for text in texts)
    )
    if code:
        return False, [_said(cell) for cell in cells]
    english = all(_ENGLISH.fullmatch(text) for text in texts) and any(map(_SURELY_ENGLISH.fullmatch, texts))
    if plain or english:
        return True, [_said(cell, _french_number) for cell in cells]
    if texts <= {"True", "False"}:
        return False, [_said(cell, {"True": "oui", "False": "non"}.__getitem__) for cell in cells]
    if all(_DAY.fullmatch(text) for text in texts):
        return False, [_said(cell, lambda text: _DAY.sub(r"\3/\2/\1", text)) for cell in cells]
    return all(_WRITTEN.fullmatch(text) for text in texts), [_said(cell) for cell in cells]


def _said(cell: Cell, written: Any = None) -> Cell:
    text, content = cell
    if content is not None:
        return cell
    if text.lower() in _EMPTY:
        return french.NOTHING if text else "", None
    return (written(text) if written and text not in {"...", "…"} else text), None


def _french_number(text: str) -> str:
    bare = text.replace(french.MINUS, "-").replace(",", "")
    decimals = len(bare.partition(".")[2]) if "e" not in bare.lower() else None
    value = float(bare)
    return french.number(value, decimals) if abs(value) < 1e300 else text


def _fill(td: etree._Element, content: html.HtmlElement) -> None:
    """The cell with what its original holds beside text: links, images, line breaks."""
    copy = deepcopy(content)
    td.text = copy.text
    for child in list(copy):
        td.append(child)


# --- Images and Vega charts ----------------------------------------------------------------------


def bitmap(
    made: Page, kind: str, content: str, *, shown: Mapping[str, Any] | None = None, alt: str = ""
) -> html.HtmlElement:
    """An image of a notebook, named after the section it stands in unless `shown` describes it."""
    encoded = re.sub(r"[^A-Za-z0-9+/=]", "", content)
    if len(encoded) > LARGEST_IMAGE:
        return too_large(len(encoded))
    image = E.IMG(src=f"data:{kind};base64,{encoded}")
    size = _png_size(encoded) if kind == "image/png" else None
    if size:
        image.set("width", str(size[0]))
        image.set("height", str(size[1]))
    sized = f" de {size[0]} × {size[1]} points" if size else ""
    described = {
        "caption": [made.section or "Image du notebook"],
        "alt": alt or f"Image{sized}, sans description de l'auteur du notebook",
    }
    return shown_figure(made, shown or described, image)


def _png_size(encoded: str) -> tuple[int, int] | None:
    try:
        head = base64.b64decode(encoded[:32])
        width, height = struct.unpack(">II", head[16:24])
    except (ValueError, struct.error):
        return None
    return (width, height) if head[:4] == b"\x89PNG" and 0 < width < 10**5 and 0 < height < 10**5 else None


def picture(made: Page, svg: str) -> html.HtmlElement:
    """An SVG of a notebook, described by its own texts."""
    if len(svg) > LARGEST_IMAGE:
        return too_large(len(svg))
    described = drawing.described(svg)
    shown = {
        "caption": [described.title or made.section or "Graphique du notebook"],
        "alt": described.alt,
        "svg": svg,
    }
    return shown_figure(made, shown)


def _vega_in(text: str) -> Mapping[str, Any] | None:
    """The Vega-Lite chart inside Altair's HTML, which its script would have drawn from the network."""
    if "vegaEmbed" not in text:
        return None
    for match in re.finditer(r"\}\)\(\s*(?=\{)|(?:spec|vlSpec)\s*=\s*(?=\{)", text):
        try:
            spec, _ = json.JSONDecoder().raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        if isinstance(spec, dict) and "$schema" in spec:
            return spec
    return None


def vega(made: Page, spec: Mapping[str, Any]) -> Iterator[html.HtmlElement]:
    """An Altair chart, drawn once and for all, with its data; without its renderer, its data alone."""
    given = spec.get("title")
    title = characters(str(given.get("text", "") if isinstance(given, Mapping) else given or ""))
    title = title or made.section or "Graphique"
    sets = spec.get("datasets")
    rows = next(iter(sets.values()), None) if isinstance(sets, Mapping) and sets else None
    if rows is None and isinstance(spec.get("data"), Mapping):
        rows = spec["data"].get("values")
    data = records_table(rows if isinstance(rows, list) else [])
    svg = drawing.from_vega(spec)
    if svg is not None:
        alt = f"Graphique{_of_fields(spec)}"
        yield shown_figure(made, {"caption": [title], "alt": alt, "svg": svg, "data": data})
        return
    yield note(
        f"{title} : graphique Altair non dessiné (installez vl-convert-python)"
        + (" ; voici ses données." if data else ".")
    )
    if data:
        yield from shown_table(made, {**data, "caption": [title]})


def _of_fields(spec: Mapping[str, Any]) -> str:
    """« : montant selon année », from what the chart says it draws."""
    encoding = spec.get("encoding")
    encoding = encoding if isinstance(encoding, Mapping) else {}
    names = []
    for axis in ("y", "x"):
        channel = encoding.get(axis)
        if isinstance(channel, Mapping):
            names.append(str(channel.get("title") or channel.get("field") or channel.get("aggregate") or ""))
    names = [characters(name) for name in names if name]
    return f" : {' selon '.join(names)}" if len(names) == 2 else ""


def records_table(rows: Sequence[Any]) -> dict[str, Any] | None:
    """The data of a chart as a table; none when there is none."""
    records = [row for row in rows if isinstance(row, Mapping)]
    if not records:
        return None
    names = list(dict.fromkeys(name for record in records[:100] for name in record))
    cells = {
        n: [("" if r.get(n) is None else str(r[n]), None) for r in records[:MOST_RECORDS]] for n in names
    }
    columns = [_column(name, cells[name]) for name in names]
    lines = zip(*(found for _, found in columns), strict=True)
    left = len(records) - MOST_RECORDS
    return {
        "caption": ["Valeurs du graphique"],
        "columns": [{"label": n, "numeric": k} for n, (k, _) in zip(names, columns, strict=True)],
        "rows": [[[text] for text, _ in line] for line in lines],
        "total": [],
        "note": f"Et {french.counted(left, 'autre ligne')}." if left > 0 else "",
    }


# --- Formulas ------------------------------------------------------------------------------------

_MATH = frozenset(
    "math mrow mi mn mo ms mtext mspace msup msub msubsup mfrac msqrt mroot mover munder munderover mtable "
    "mtr mtd mlabeledtr mstyle mpadded mphantom menclose mmultiscripts mprescripts none mfenced".split()
)
_MATH_ATTRIBUTES = frozenset(
    "display displaystyle scriptlevel mathvariant stretchy fence separator form lspace rspace width height "
    "depth linethickness accent accentunder columnalign rowspacing columnspacing largeop movablelimits "
    "minsize maxsize notation open close separators linebreak".split()
)


def formula(source: str, block: bool) -> html.HtmlElement:
    """A LaTeX formula in MathML; one that cannot be read stays as it is written."""
    from latex2mathml.converter import convert

    try:
        made = etree.fromstring(convert(source, display="block" if block else "inline"))
    except Exception:
        return E.CODE(characters(source))
    kept = _mathml(made)
    kept.set("xmlns", "http://www.w3.org/1998/Math/MathML")
    return kept


def _mathml(node: etree._Element) -> html.HtmlElement:
    name = etree.QName(node).localname if isinstance(node.tag, str) else ""
    kept = html.Element(name if name in _MATH else "mrow")
    for key, value in node.attrib.items():
        if key in _MATH_ATTRIBUTES:
            kept.set(key, value)
    kept.text = characters(node.text or "") or None
    for child in node:
        if isinstance(child.tag, str):
            kept.append(_mathml(child))
    return kept


def fill_formulas(element: html.HtmlElement) -> None:
    """The formulas that Markdown marked, each replaced by its MathML."""
    for node in [n for n in element.iter("span", "div") if n.get("class") == _FORMULA]:
        block = node.tag == "div"
        made = formula(node.text_content().strip(), block)
        node.attrib.clear()
        if node is element or block:
            node.text = None
            for child in list(node):
                node.remove(child)
            node.append(made)
        else:
            made.tail, node.tail = node.tail, None
            node.getparent().replace(node, made)


def latex(source: str) -> html.HtmlElement:
    """A LaTeX output: text and formulas."""
    text = source[:100_000].strip()
    if "$" not in text:
        return E.DIV(formula(text, True))
    paragraph = E.P()
    for place, piece in enumerate(re.split(r"\$\$(.+?)\$\$|\$(.+?)\$", text, flags=re.DOTALL)):
        if not piece:
            continue
        if place % 3:
            paragraph.append(formula(piece, False))
        elif len(paragraph):
            paragraph[-1].tail = prose(piece)
        else:
            paragraph.text = prose(piece)
    return paragraph


@cache
def rendered_markdown() -> Any:
    """Markdown to HTML: tables, footnotes, formulas as marked elements that `fill_formulas` looks for."""
    import mistune
    from mistune.plugins.math import math

    made = mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "footnotes", "url", math])
    renderer: Any = made.renderer

    def inline(renderer: Any, text: str) -> str:
        return f'<span class="{_FORMULA}">{mistune.escape(text)}</span>'

    def block(renderer: Any, text: str) -> str:
        return f'<div class="{_FORMULA}">{mistune.escape(text)}</div>\n'

    renderer.register("inline_math", inline)
    renderer.register("block_math", block)
    return made
