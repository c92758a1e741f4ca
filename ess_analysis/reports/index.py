"""The index page of a folder of reports: by year, territory, funder, with a search box that works offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ess_analysis import french
from ess_analysis.reports.exporter import write_whole
from ess_analysis.reports.page import TEMPLATE, policy, style, template

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
        policy=policy(css, script=script),
        style=Markup(css),
        script=Markup(script),
        groups=[(title, french.slug(title), sorted(cards, key=_place)) for title, cards in groups if cards],
        count=len(shown),
        failed=[card for card in shown if card["error"]],
        processed=(out.parent / "data" / "processed" / "datapackage.json").is_file(),
    )


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
    title = entry.get("title") or " ".join(str(value) for value in (entry["name"], *chosen.values()))
    return {
        "group": group,
        "title": title,
        "year": chosen.get("year", ""),
        "file": entry["file"] if there else "",
        "sentence": entry.get("key_sentence", ""),
        "error": entry.get("error", "") if entry.get("status") == "failed" else "",
        "pdf": pdf.name if (out / pdf).is_file() else "",
        "words": french.strip_accents(f"{title} {entry.get('key_sentence', '')}").lower(),
    }
