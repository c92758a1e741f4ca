"""What a report shows: sentences, tables, figures, key points; each carries its numbers' traces to the page.

Each object publishes `application/vnd.ess+json` for the report's exporter, beside plain HTML for JupyterLab.
Rich text is a list of strings and of numbers with their trace.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

MIME = "application/vnd.ess+json"

Trace = Mapping[str, Any]


@dataclass(frozen=True)
class Number:
    """A number as it is shown, and the trace of what it was computed from.

    `tone` colours a verdict whose words say the same: strong, medium, weak (how much it weighs), solid,
    partial, bare (what it rests on).
    """

    text: str
    trace: Trace | None = None
    tone: str = ""

    def __str__(self) -> str:
        return self.text


class Shown(ABC):
    """Anything that a notebook can show: `json()` for the exporter, `html()` for JupyterLab."""

    @abstractmethod
    def json(self) -> dict[str, Any]:
        """The object as the exporter reads it."""

    @abstractmethod
    def html(self) -> str:
        """The object as plain, escaped HTML."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {MIME: folded(self.json()), "text/html": self.html(), "text/plain": type(self).__name__}


LONG_TRACE = 200  # cells from which a trace that occurs twice is written once


def folded(told: dict[str, Any]) -> dict[str, Any]:
    """The same JSON, each long trace that occurs several times written once, in the list « shared »."""
    met: Counter[int] = Counter()
    _count(told, met)
    places = {one: place for place, one in enumerate(one for one, times in met.items() if times > 1)}
    if not places:
        return told
    shared: list[Any] = [None] * len(places)

    def copied(value: Any) -> Any:
        if isinstance(value, dict):
            if (place := places.get(id(value))) is None:
                return {key: copied(one) for key, one in value.items()}
            if shared[place] is None:
                shared[place] = value
            return {"shared": place}
        return [copied(one) for one in value] if isinstance(value, list) else value

    return {**copied(told), "shared": shared}


def unfolded(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `folded` folded: each place where a shared trace stands holds it again."""
    shared = told.get("shared")
    if not isinstance(shared, list):
        return told

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return (
                shared[value["shared"]]
                if value.keys() == {"shared"}
                else {k: whole(v) for k, v in value.items()}
            )
        return [whole(one) for one in value] if isinstance(value, list) else value

    return {key: whole(value) for key, value in told.items() if key != "shared"}


def _count(value: Any, met: Counter[int]) -> None:
    """How many times each long trace stands in a JSON."""
    if isinstance(value, dict):
        if "op" in value and len(value.get("cells", ())) >= LONG_TRACE:
            met[id(value)] += 1
            return
        for one in value.values():
            _count(one, met)
    elif isinstance(value, list):
        for one in value:
            _count(one, met)


@dataclass(frozen=True)
class Sentence(Shown):
    """Text and numbers in turn; `str()` is the plain text."""

    parts: tuple[str | Number, ...]
    role: str = "plain"

    def __str__(self) -> str:
        return "".join(str(part) for part in self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def json(self) -> dict[str, Any]:
        return {"kind": "sentence", "text": rich(self), "role": self.role}

    def html(self) -> str:
        return f"<p>{escape(str(self))}</p>" if self else ""


SILENCE = Sentence(())

Text = str | Number | Sentence


def rich(text: Text) -> list[Any]:
    """The text as the exporter reads it: strings, and numbers with their trace."""
    parts = text.parts if isinstance(text, Sentence) else (text,)
    return [
        {"number": part.text, "trace": part.trace} | ({"tone": part.tone} if part.tone else {})
        if isinstance(part, Number)
        else part
        for part in parts
        if isinstance(part, Number) or part
    ]


@dataclass(frozen=True)
class Column:
    """One column of a display table: its header, and whether it holds numbers."""

    label: str
    numeric: bool = False


@dataclass(frozen=True)
class DisplayTable(Shown):
    """A table as it is shown: the first cell of a row is its header; `total` is a last row, or nothing.

    `folded` are rows too many for a page: they are in its CSV file, in place of the row `folded_at`.
    """

    caption: Text
    columns: tuple[Column, ...]
    rows: tuple[tuple[Text, ...], ...]
    total: tuple[Text, ...] = ()
    note: str = ""
    folded: tuple[tuple[str, ...], ...] = ()
    folded_at: int = 0

    def json(self) -> dict[str, Any]:
        told = {"folded": [list(row) for row in self.folded], "folded_at": self.folded_at}
        return {
            "kind": "table",
            "caption": rich(self.caption),
            "columns": [{"label": column.label, "numeric": column.numeric} for column in self.columns],
            "rows": [[rich(cell) for cell in row] for row in self.rows],
            "total": [rich(cell) for cell in self.total],
            "note": self.note,
            **(told if self.folded else {}),
        }

    def html(self) -> str:
        head = "".join(f'<th scope="col">{escape(column.label)}</th>' for column in self.columns)
        lines = [*self.rows, *([self.total] if self.total else [])]
        body = "".join(
            "<tr>"
            + f'<th scope="row">{escape(str(row[0]))}</th>'
            + "".join(f"<td>{escape(str(cell))}</td>" for cell in row[1:])
            + "</tr>"
            for row in lines
        )
        caption = f"<caption>{escape(str(self.caption))}</caption>"
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


@dataclass(frozen=True)
class Figure(Shown):
    """A drawing, its message as title, the text read in its place (80 characters), its data and source."""

    title: Text
    svg: str
    alt: str
    data: DisplayTable
    reading: Text = SILENCE
    source: str = ""
    drawn: Any = None  # what was drawn, for those who draw it otherwise (`plots.plotted`)

    def json(self) -> dict[str, Any]:
        data = {name: value for name, value in self.data.json().items() if name != "kind"}
        return {
            "kind": "figure",
            "caption": rich(self.title),
            "alt": self.alt,
            "svg": self.svg,
            "reading": rich(self.reading),
            "source": self.source,
            "data": data,
        }

    def html(self) -> str:
        title = f"<figcaption><strong>{escape(str(self.title))}</strong></figcaption>"
        told = "".join(
            f"<p><em>{label}</em> {escape(str(text))}</p>"
            for label, text in (("Lecture.", self.reading), ("Source.", self.source))
            if str(text)
        )
        data = f"<details><summary>Données de la figure</summary>{self.data.html()}</details>"
        paper = "max-width:44em;padding:.8em;background:#fff;color:#1d1d1d"  # readable on a dark theme too
        return f'<figure style="{paper}">{title}{self.svg}{told}{data}</figure>'


@dataclass(frozen=True)
class Cover(Shown):
    """The top of a report: its title, what it is about in a sentence, facts by label."""

    title: str
    lead: Text
    facts: tuple[tuple[str, Text], ...]

    def json(self) -> dict[str, Any]:
        facts = [[label, rich(fact)] for label, fact in self.facts]
        return {"kind": "cover", "title": self.title, "lead": rich(self.lead), "facts": facts}

    def html(self) -> str:
        facts = "".join(f"<dt>{escape(label)}</dt><dd>{escape(str(fact))}</dd>" for label, fact in self.facts)
        return f"<p><strong>{escape(self.title)}</strong> {escape(str(self.lead))}</p><dl>{facts}</dl>"


@dataclass(frozen=True)
class Listing(Shown):
    """Sentences one under the other; `keypoints` are those of « À retenir »."""

    items: tuple[Text, ...]
    kind: str = "list"

    def __bool__(self) -> bool:
        return bool(self.items)

    def json(self) -> dict[str, Any]:
        return {"kind": self.kind, "items": [rich(item) for item in self.items]}

    def html(self) -> str:
        head = "<h2>À retenir</h2>" if self.kind == "keypoints" else ""
        return f"{head}<ul>{''.join(f'<li>{escape(str(item))}</li>' for item in self.items)}</ul>"


@dataclass(frozen=True)
class Glossary(Shown):
    """Acronyms and what they stand for."""

    items: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.items)

    def json(self) -> dict[str, Any]:
        return {"kind": "glossary", "items": [list(item) for item in self.items]}

    def html(self) -> str:
        entries = (f"<dt>{escape(term)}</dt><dd>{escape(meaning)}</dd>" for term, meaning in self.items)
        return f"<dl>{''.join(entries)}</dl>"


@dataclass(frozen=True)
class Group(Shown):
    """What one cell shows, in reading order."""

    items: tuple[Shown, ...]

    def json(self) -> dict[str, Any]:
        return {"kind": "group", "items": [item.json() for item in self.items]}

    def html(self) -> str:
        return "".join(item.html() for item in self.items)
