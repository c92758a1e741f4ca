"""Drawings a page may hold: SVG kept to an allow-list, without style attributes, always described."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lxml import etree, html

from ess_analysis import french

SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"

_ELEMENTS = frozenset(
    "svg g path rect circle ellipse line polyline polygon text tspan title desc defs clipPath use pattern "
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
    width, height = _length(root.get("width")), _length(root.get("height"))
    if not drawing.get("viewBox") and width and height:
        drawing.set("viewBox", f"0 0 {width:g} {height:g}")
    drawing.set("font-family", drawing.get("font-family") or _FONTS)
    drawing.set("xmlns", SVG)
    source = etree.tostring(drawing, encoding="unicode").replace('"', "'")
    image = html.Element("img")
    image.set("src", "data:image/svg+xml," + re.sub(r"[%#<>]|\s+", _escaped, source))
    image.set("alt", alt)
    if width and height:
        image.set("width", f"{width:.0f}")
    if height:
        image.set("height", f"{height:.0f}")
    image.set("class", "scaled" if drawing.get("viewBox") else "fluid")
    return image


_FONTS = "system-ui,-apple-system,Segoe UI,Roboto,Noto Sans,Liberation Sans,Arial,sans-serif"


def _escaped(match: re.Match[str]) -> str:
    return {"%": "%25", "#": "%23", "<": "%3C", ">": "%3E"}.get(match[0], " ")


def _parsed(text: str) -> etree._Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True)
    body = re.sub(
        r"^\s*(<\?xml[^>]*\?>)?\s*(<!DOCTYPE[^>\[]*(\[[^\]]*\])?[^>]*>)?", "", text, flags=re.DOTALL
    )
    try:
        root = etree.fromstring(body.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return root if _name(root) == "svg" else None


def _name(node: etree._Element) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else ""


def _kept(node: etree._Element, ids: Mapping[str, str]) -> html.HtmlElement | None:
    name = _name(node)
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
    element = html.Element(name)
    for key, value in attributes.items():
        element.set(key, value)
    element.text = node.text
    for child in node:
        made = _kept(child, ids) if isinstance(child.tag, str) else None
        if made is not None:
            made.tail = child.tail
            element.append(made)
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
    return float(match[1]) if match else 0.0


def described(svg: str) -> Description:
    """A title and an alternative text drawn from the texts of the drawing itself."""
    root = _parsed(svg)
    texts = [] if root is None else [_words(node) for node in root.iter() if _name(node) == "text"]
    words = [text for text in texts if text and not re.fullmatch(r"[\d\s.,−\-+%€kM\u202f\u00a0]+", text)]
    numbers = [text for text in texts if text and text not in words]
    if not words and not numbers:
        return Description("Graphique du notebook", "Graphique sans texte ni description")
    title = max(words, key=len) if words else "Graphique du notebook"
    others = [word for word in dict.fromkeys(words) if word != title][:3]
    alt = f"Graphique. Textes : {french.listing(others)}" if others else f"Graphique : {title}"
    return Description(title, alt)


def _words(node: etree._Element) -> str:
    return " ".join("".join(node.itertext()).split())


def from_vega(spec: Mapping[str, Any]) -> str | None:
    """The SVG of a Vega-Lite chart, or None where its renderer is not installed."""
    try:
        import vl_convert
    except ImportError:
        return None
    return str(vl_convert.vegalite_to_svg(dict(spec)))
