"""The index page of a folder of reports: by year, territory, funder, with a search box that works offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from ess_analysis import french
from ess_analysis.reports.page import TEMPLATE, policy, style, template
from ess_analysis.writing import write_whole

_GROUPS = (
    ("year", "Par année"),
    ("territory", "Par territoire"),
    ("funder", "Par financeur"),
    ("", "Vue d’ensemble"),
)


def write_index(entries: Sequence[Mapping[str, Any]], out: Path) -> Path:
    """The path of `index.html`, written whole. `entries` are those of the batch's manifest."""
    path = out / "index.html"
    write_whole(path, index_html(entries, out).encode("utf-8"))
    return path


def index_html(entries: Sequence[Mapping[str, Any]], out: Path) -> str:
    """The index page: every report by group; a failed one says so, with its last good version."""
    script = (TEMPLATE / "search.js").read_text(encoding="utf-8").strip()
    css = style("report.css", "index.css")
    shown = [_card(entry, out) for entry in entries]
    groups = [(title, [card for card in shown if card["group"] == key]) for key, title in _GROUPS]
    return template("index.html.j2").render(
        title=french.typographic(_title(entries, out)),
        policy=policy(css, script=script),
        style=Markup(css),
        script=Markup(script),
        groups=[(title, french.slug(title), sorted(cards, key=_place)) for title, cards in groups if cards],
        count=len(shown),
        failed=[card for card in shown if card["error"]],
        processed=_processed(out),
    )


def _title(entries: Sequence[Mapping[str, Any]], out: Path) -> str:
    """What the reports are about: the domain where one in three explains « ESS », else whose grants."""
    pages = [path for entry in entries if (path := out / entry["file"]).is_file()]
    domain = sum("<dt>ESS</dt>" in path.read_text(encoding="utf-8") for path in pages)
    if domain and domain * 3 >= len(pages):
        return "Rapports sur le soutien à l'économie sociale et solidaire"
    titles = (str(entry.get("title", "")).partition(" · ")[2] for entry in entries)
    return " · ".join(["Rapports sur les subventions", french.listing(sorted({*titles} - {""}))]).rstrip(" ·")


def _processed(out: Path) -> list[tuple[str, str]]:
    """The tables that the reports were made from, beside the reports: name and link; none when not built."""
    folder = out.resolve().parent / "data" / "processed"
    found = sorted(path for kind in ("json", "csv", "xlsx") for path in folder.glob(f"*.{kind}"))
    found.sort(key=lambda path: path.name != "datapackage.json")
    return [(path.name, f"../data/processed/{quote(path.name)}") for path in found]


def _place(card: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        -card["year"] if isinstance(card["year"], int) else 0,
        french.strip_accents(card["title"]).lower(),
    )


def _card(entry: Mapping[str, Any], out: Path) -> dict[str, Any]:
    chosen = entry.get("shown", {})
    group = next((key for key, _ in _GROUPS if key and key in chosen), "")
    pdf = Path(entry["file"]).with_suffix(".pdf")
    there = (out / entry["file"]).is_file()
    values = " ".join(str(value) for value in chosen.values())
    title = entry.get("title") or f"{entry['name']} {values}".strip()
    return {
        "group": group,
        "title": french.typographic(title),
        "year": chosen.get("year", ""),
        "file": quote(entry["file"]) if there else "",
        "sentence": french.typographic(entry.get("key_sentence", "")),
        "error": french.typographic(entry.get("error", "")) if entry.get("status") == "failed" else "",
        "pdf": quote(pdf.name) if (out / pdf).is_file() else "",
        "words": french.strip_accents(f"{title} {values} {entry.get('key_sentence', '')}").lower(),
    }
