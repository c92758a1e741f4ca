"""Drawings a page may hold: SVG kept to an allow-list, without style attributes, always described."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from lxml import etree, html

from ess_analysis import french

SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"

_ELEMENTS = frozenset(
    "svg g path rect circle ellipse line polyline polygon text tspan defs clipPath use pattern "
    "linearGradient radialGradient stop marker symbol image mask".split()
)
_ATTRIBUTES = frozenset(
    "x y x1 x2 y1 y2 cx cy r rx ry fx fy d points width height viewBox preserveAspectRatio transform id "
    "gradientTransform gradientUnits patternTransform patternUnits patternContentUnits clipPathUnits "
    "maskUnits offset refX refY orient markerWidth markerHeight markerUnits dx dy rotate textLength "
    "lengthAdjust overflow".split()
)
_PRESENTATION = frozenset(
    "fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-dasharray stroke-dashoffset "
    "stroke-linecap stroke-linejoin stroke-miterlimit opacity font-size font-family font-weight font-style "
    "text-anchor dominant-baseline alignment-baseline baseline-shift clip-path clip-rule mask stop-color "
    "stop-opacity marker-start marker-mid marker-end letter-spacing text-decoration visibility display "
    "vector-effect paint-order writing-mode white-space".split()
)
_WRITTEN = frozenset({"text", "tspan"})
_LOCAL = re.compile(r"^#[\w.:-]+$")
_LOCAL_URL = re.compile(r"url\(\s*['\"]?#([\w.:-]+)['\"]?\s*\)")
_FONT = re.compile(r"(?:(italic|oblique)\s+)?(?:(bold|\d00)\s+)?([\d.]+)(?:px)?(?:/\S+)?\s+(.+)")


class Description(NamedTuple):
    """What can honestly be said of a drawing that nobody described."""

    title: str
    alt: str


def picture(text: str, alt: str) -> html.HtmlElement:
    """The drawing as an image of the page, named `alt`, its texts real texts inside the image.

    As an image it can neither run nor fetch anything, whatever the page's policy. It is kept to an allow-list
    all the same: known shapes, texts and local references; no script, event, foreign content, link or style
    attribute. A drawing that is not XML becomes a sentence.
    """
    root = _parsed(text)
    if root is None:
        return html.fragment_fromstring("<p>Ce graphique n’a pas pu être lu.</p>")
    ids = {node.get("id"): f"i{number}" for number, node in enumerate(root.iter()) if node.get("id")}
    drawing = _kept(root, ids)
    assert drawing is not None
    _french(drawing)
    _shared(drawing)
    width, height = _length(root.get("width")), _length(root.get("height"))
    if not drawing.get("viewBox") and width and height:
        drawing.set("viewBox", f"0 0 {width:g} {height:g}")
    drawing.set("font-family", drawing.get("font-family") or _FONTS)
    drawing.set("xmlns", SVG)
    source = re.sub(r"<[^>]*>", _single_quoted, etree.tostring(drawing, encoding="unicode"))
    image = html.Element("img")
    image.set("src", "data:image/svg+xml," + re.sub(r"[%#<>]|[ \t\r\n]+", _escaped, source))
    image.set("alt", alt)
    box = re.fullmatch(r"\s*[-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]+)[ ,]+([\d.]+)\s*", drawing.get("viewBox") or "")
    if box and (root.get("width") or "100%").endswith("%"):
        width, height = float(box[1]), float(box[2])
    if width >= 1:
        image.set("width", f"{width:.0f}")
    if height >= 1:
        image.set("height", f"{height:.0f}")
    sized = bool(_length(root.get("width")))
    image.set("class", "natural" if sized else "scaled" if drawing.get("viewBox") else "fluid")
    return image


_FONTS = "system-ui,Arial,sans-serif"
_PLAIN_NUMBER = re.compile(r"[-\u2212]?\d+(\.\d+)?%?")
_YEAR = re.compile(r"(1[89]|20)\d\d")


_MONTHS = dict(
    zip(
        "jan feb mar apr may jun jul aug sep oct nov dec".split(),
        "janv. févr. mars avr. mai juin juill. août sept. oct. nov. déc.".split(),
        strict=True,
    )
)
_MONTH = re.compile(
    r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?:uary|ruary|ch|il|e|y|ust|tember|ober|ember)?"
    r"([ -]\d{2,4})?",
    re.IGNORECASE,
)


def _french(drawing: html.HtmlElement) -> None:
    """The texts of the drawing in French typography, the numbers of its axes too; years are left alone."""
    numbers = []
    for node in drawing.iter("text", "tspan"):
        text = (node.text or "").strip()
        if _PLAIN_NUMBER.fullmatch(text):
            numbers.append(node)
        elif month := _MONTH.fullmatch(text):
            node.text = _MONTHS[month[1].lower()] + (month[2] or "")
        elif node.text:
            node.text = french.typographic(node.text)
    for node in numbers:
        beside = [other.text.strip() for other in _beside(node, numbers)]
        if all(_YEAR.fullmatch(text) for text in beside):
            continue
        text = node.text.strip().replace(french.MINUS, "-")
        bare = text.rstrip("%")
        written = french.number(float(bare), len(bare.partition(".")[2]))
        node.text = written + (f"{french.SOLID}%" if text.endswith("%") else "")


def _beside(node: html.HtmlElement, numbers: Sequence[html.HtmlElement]) -> list[html.HtmlElement]:
    """The numbers of the same axis: those of the nearest group that holds several."""
    for group in node.iterancestors("g", "svg"):
        inside = [one for one in numbers if one is node or group in one.iterancestors()]
        if len(inside) > 1:
            return inside
    return [node]


def _shared(drawing: html.HtmlElement) -> None:
    """What several shapes in a row have in common written once, on a group around them."""
    texts = list(drawing.iter("text"))
    filled = all(node.get("fill") for node in drawing.iter(*_FILLED) if node.getparent().tag != "pattern")
    for name in ("font-size", *(["fill"] if filled and not drawing.get("fill") else [])):
        said = [node.get(name) for node in texts]
        if said and all(said):
            drawing.set(name, max(sorted(set(said)), key=said.count))
            for node in texts:
                if node.get(name) == drawing.get(name):
                    del node.attrib[name]
    for holder in [drawing, *drawing.iter("g")]:
        shapes = [child for child in holder if child.tag not in {"g", "defs"}]
        for (_, look), together in groupby(shapes, key=lambda shape: (shape.tag, _look(shape))):
            run = list(together)
            if len(run) < 4 or not look or holder.index(run[-1]) - holder.index(run[0]) != len(run) - 1:
                continue
            group = html.Element("g", look)
            holder.insert(holder.index(run[0]), group)
            for shape in run:
                for key in look:
                    del shape.attrib[key]
                group.append(shape)


_FILLED = ("rect", "circle", "ellipse", "path", "polygon", "polyline", "tspan", "g", "use")
_INHERITED = frozenset(
    "fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-dasharray stroke-linecap "
    "stroke-linejoin stroke-miterlimit font-size font-family font-weight font-style text-anchor "
    "paint-order".split()
)


def _look(shape: html.HtmlElement) -> dict[str, str]:
    return {key: value for key, value in shape.attrib.items() if key in _INHERITED}


def _single_quoted(tag: re.Match[str]) -> str:
    return tag[0].replace("'", "&apos;").replace('"', "'")


def _escaped(match: re.Match[str]) -> str:
    return {"%": "%25", "#": "%23", "<": "%3C", ">": "%3E"}.get(match[0], " ")


def _parsed(text: str) -> etree._Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True)
    body = re.sub(
        r"^\s*(<\?xml[^>]*\?>)?\s*(<!DOCTYPE[^>\[]*(\[[^\]]*\])?[^>]*>)?", "", text, flags=re.DOTALL
    )
    try:
        root = etree.fromstring(body.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return root if _name(root) == "svg" else None


def _name(node: etree._Element) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else ""


def _kept(node: etree._Element, ids: Mapping[str, str]) -> html.HtmlElement | None:
    """The element with what the list allows; titles, which an image never shows, are left out."""
    name = "g" if _name(node) == "a" else _name(node)
    if name not in _ELEMENTS or etree.QName(node).namespace not in (SVG, None):
        return None
    attributes: dict[str, str] = {}
    for key, value in node.attrib.items():
        bare = etree.QName(key).localname
        if bare == "href" and (kept := _reference(name, value, ids)):
            attributes["href"] = kept
        elif key == "style":
            attributes |= _declarations(value, ids)
        elif key == "id":
            attributes["id"] = ids[value]
        elif key in _ATTRIBUTES:
            attributes[key] = value
        elif key in _PRESENTATION and (paint := _paint(value, ids)):
            attributes[key] = paint
    if name == "image" and "href" not in attributes:
        return None
    if family := attributes.pop("font-family", ""):  # the page's own fonts, but for those that mean something
        kind = next((one for one in ("mono", "sans", "serif") if one in family.lower()), "sans")
        attributes |= {"mono": {"font-family": "monospace"}, "serif": {"font-family": "serif"}}.get(kind, {})
    element = html.Element(name)
    for key, value in attributes.items():
        element.set(key, value)
    element.text = node.text if name in _WRITTEN else None
    for child in node:
        made = _kept(child, ids) if isinstance(child.tag, str) else None
        if made is not None:
            element.append(made)
        if name not in _WRITTEN:
            continue
        if child.tail and len(element):  # the text after a child, kept or not, stays in its place
            element[-1].tail = (element[-1].tail or "") + child.tail
        elif child.tail:
            element.text = (element.text or "") + child.tail
    return element


def _reference(name: str, value: str, ids: Mapping[str, str]) -> str | None:
    if _LOCAL.match(value.strip()) and name != "image":
        return "#" + ids.get(value.strip()[1:], "absent")
    compact = re.sub(r"\s+", "", value)
    if name == "image" and re.fullmatch(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=]*", compact):
        return compact
    return None


def _declarations(style: str, ids: Mapping[str, str]) -> dict[str, str]:
    """A style attribute as presentation attributes, which a strict policy allows."""
    found: dict[str, str] = {}
    for declaration in style.split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font" and (match := _FONT.match(value)):
            slant, weight, size, family = match.groups()
            found |= {"font-size": size, "font-family": family.replace("'", "")}
            found |= {"font-weight": weight} if weight else {}
            found |= {"font-style": slant} if slant else {}
        elif key in _PRESENTATION and (paint := _paint(value, ids)):
            found[key] = paint
    return found


def _paint(value: str, ids: Mapping[str, str]) -> str | None:
    """The value with its local references renamed; anything that could reach outside is refused."""
    renamed = _LOCAL_URL.sub(lambda match: f"url(#{ids.get(match[1], 'absent')})", value)
    rest = re.sub(r"url\(#[\w.-]+\)", "", renamed)
    return None if re.search(r"url|expression|javascript|[<>\\@]", rest, re.IGNORECASE) else renamed


def _length(text: str | None) -> float:
    match = re.match(r"^\s*([\d.]+)\s*(pt|px)?\s*$", text or "")
    return float(match[1]) * (4 / 3 if match[2] == "pt" else 1) if match else 0.0


def described(svg: str) -> Description:
    """A title and an alternative text from the texts of the drawing itself; no title when it has none."""
    root = _parsed(svg)
    texts = [] if root is None else [_words(node) for node in root.iter() if _name(node) == "text"]
    words = [
        text
        for text in texts
        if text and not re.fullmatch(r"[\d\s.,−\-+%€£$kM\u202f\u00a0]+(?:[A-Z]{3})?", text)
    ]
    if not words:
        return Description("", "Graphique sans description de l'auteur du notebook")
    title = max(words, key=len)
    others = [word for word in dict.fromkeys(words) if word != title][:3]
    alt = f"Graphique. Textes : {french.listing(others)}" if others else f"Graphique : {title}"
    return Description(title, alt)


def _words(node: etree._Element) -> str:
    return one_line("".join(node.itertext()))


def one_line(text: str) -> str:
    """The text in one line; the spaces that French typography does not break stay as they are."""
    return re.sub(r"[ \t\r\n\f\v]+", " ", text).strip()


def from_vega(spec: Mapping[str, Any]) -> str | None:
    """The SVG of a Vega-Lite chart, numbers and dates in French; None where it cannot be drawn.

    The renderer (vl-convert) carries Vega with it, and is forbidden to fetch what a chart names by address.
    """
    try:
        import vl_convert
    except ImportError:
        return None
    try:
        svg = vl_convert.vegalite_to_svg(
            {key: value for key, value in spec.items() if key != "title"},  # it is the caption
            allowed_base_urls=[],
            format_locale="fr-FR",
            time_format_locale="fr-FR",
        )
    except Exception:
        return None
    return str(svg)
