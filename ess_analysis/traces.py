"""From a number back to its cells: what it was computed from, and how, in words.

A trace is a small JSON tree: `op`, `unit`, `value`, `words` (French), and `of` (traces) or `cells`, each
[file, sheet, cell, text as written, part] where part is 0, or n for the n-th amount of a cell.

- sum: the amounts of `cells` and of `of`, added;
- difference: the first of `of` minus the second;
- share: the first of `of` divided by the second;
- apportion: the first of `of` divided by the second (equal shares) or times `weights[0] / weights[1]`, to
  the cent, the cents left going to the first shares;
- count: the number of amounts in `cells`.
"""

from __future__ import annotations

import math
import re
import tomllib
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lxml import html

from ess_analysis import french, schema
from ess_analysis.breakdowns import KEYS, breakdown
from ess_analysis.errors import DataError
from ess_analysis.grids import read_grids
from ess_analysis.load import Tables

Trace = Mapping[str, Any]
SHOWN = 40  # cells told one by one; beyond, ranges only


def traced(result: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """A breakdown made with trace=True, with `trace`, `share_trace` and `count_trace` in place of the ids.

    `trace` and `share_trace` are None where no amount is written. A share is taken in the rows that were
    added: those of the same stage and the same kind when these are columns of the breakdown.
    """
    read = _reading(tables)
    sharing = str(result.attrs.get("sharing", ""))
    told = result.to_dict(orient="records")
    rows = [_row_trace(row, read, sharing) if pd.notna(row["amount_eur"]) else None for row in told]
    added = [tuple(str(row.get(key, "")).split(",")[0] for key in ("stage", "kind")) for row in told]
    together = {key: [row for row, own in zip(rows, added, strict=True) if own == key] for key in set(added)}
    wholes = {key: total_trace(parts) for key, parts in together.items()}
    shares = [share_of(row, wholes[key]) if row else None for row, key in zip(rows, added, strict=True)]
    counts = [read.count(ids) for ids in result["funding_ids"]]
    names = ["funding_ids", "parts_eur", "total_ids", "rests_eur"]
    found = {"trace": rows, "share_trace": shares, "count_trace": counts}
    as_columns = {name: pd.Series(traces, index=result.index, dtype=object) for name, traces in found.items()}
    return result.drop(columns=names).assign(**as_columns)


def total_trace(traces: Iterable[Trace | None]) -> Trace:
    """The trace of the sum of several traced amounts; cells are listed once each."""
    parts = [trace for trace in traces if trace]
    if len(parts) == 1:
        return parts[0]
    value = round(math.fsum(part["value"] for part in parts), 2)
    made = {"op": "sum", "unit": french.shown_in(), "value": value, "words": f"somme de {_n(parts)}"}
    if len(parts) > SHOWN and all(part["op"] == "sum" and not part.get("of") for part in parts):
        cells = [cell for part in parts for cell in part["cells"]]
        return {
            **made,
            "cells": sorted(cells, key=lambda cell: (cell[0], cell[1], _places([cell[2]]), *cell[4:])),
        }
    return {**made, "of": parts}


def share_of(part: Trace, whole: Trace) -> Trace:
    """The trace of a share: one traced amount in another."""
    value = part["value"] / whole["value"] if whole["value"] else float("nan")
    words = f"{french.money(part['value'])} sur {french.money(whole['value'])}"
    return {"op": "share", "unit": "%", "value": value, "words": words, "of": [part, whole]}


def difference_of(one: Trace, other: Trace) -> Trace:
    """The trace of a difference between two traced amounts."""
    value = round(one["value"] - other["value"], 2)
    words = f"{french.money(one['value'])} moins {french.money(other['value'])}"
    return {"op": "difference", "unit": french.shown_in(), "value": value, "words": words, "of": [one, other]}


def count_of(cells: Sequence[Sequence[object]], noun: str, *, feminine: bool = False) -> Trace:
    """The trace of a number of things, one cell each."""
    words = french.counted(len(cells), noun, feminine=feminine)
    where = ranges([str(cell[2]) for cell in cells])
    words += f", {where}" if where else ""
    return {
        "op": "count",
        "unit": "count",
        "value": len(cells),
        "words": words,
        "cells": [list(cell) for cell in cells],
    }


def amount_trace(funding_ids: Sequence[str], tables: Tables) -> Trace:
    """The trace of the sum of these funding lines."""
    return _reading(tables).whole(funding_ids)


def cells_of(rows: pd.DataFrame, tables: Tables) -> list[list[Any]]:
    """The cell of each row, with its text as written: what `count_of` counts."""
    return _reading(tables).cells(rows, rows.get("funding_id"))


def cited(recipe: Mapping[str, Any], tables: Tables) -> Trace:
    """The trace of a number cited in a finding (see `checks.Cited`)."""
    op = recipe["op"]
    if op == "funding":
        return amount_trace(recipe["ids"], tables)
    if op == "lines":
        return delivery_trace(recipe["lines"], tables)
    if op == "stated":
        return stated_trace(recipe["id"], tables)
    if op == "count":
        return count_of(cells_of(recipe["lines"], tables), "ligne", feminine=True)
    parts = [cited(part, tables) for part in recipe["of"]]
    if op == "total":
        return total_trace(parts)
    return share_of(*parts) if op == "share" else difference_of(*parts)


def delivery_trace(lines: pd.DataFrame, tables: Tables) -> Trace:
    """The trace of the sum of these delivery lines."""
    kept = lines["amount_eur"].notna()
    cells = _reading(tables).cells(lines[kept])
    filled, blank = _addresses(lines[kept]), _addresses(lines[~kept])
    value = round(math.fsum(lines.loc[kept, "amount_eur"]), 2)
    return {
        "op": "sum",
        "unit": french.shown_in(),
        "value": value,
        "words": _sum_words(filled, blank),
        "cells": cells,
    }


def _addresses(lines: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(lines["sheet"].astype(str), lines["cell"].astype(str), strict=True))


def stated_trace(total_id: str, tables: Tables) -> Trace:
    """The trace of a total that the document announces."""
    return _reading(tables).stated(total_id)


_OF_A_LINE = ("source", "sheet", "cell", "record_id", "amount_eur")
_latest: tuple[weakref.ref[Tables], _Reading] | None = None


def _reading(tables: Tables) -> _Reading:
    """What is known of these tables to trace their numbers, gathered once for all of a report."""
    global _latest
    if _latest is None or _latest[0]() is not tables:
        _latest = (weakref.ref(tables), _Reading(tables))
    return _latest[1]


class _Reading:
    """What the cells of the funding lines hold, and how they were read."""

    def __init__(self, tables: Tables) -> None:
        funding = tables.funding
        self.data = tables.data
        self.at = {one: place for place, one in enumerate(funding["funding_id"])}
        self.columns = {name: funding[name].to_numpy(dtype=object) for name in _OF_A_LINE}
        told = funding[["part_of", "stage", "funder", "year"]].astype(object)
        told["table_id"] = funding["record_id"].map(tables.records.set_index("record_id")["table_id"])
        self.told = {str(name): told[name].where(told[name].notna(), None).to_numpy() for name in told}
        self.totals = {row["total_id"]: row for row in tables.stated_totals.to_dict(orient="records")}
        self.places = tables.places
        self.places_of = tables.places.groupby("record_id", sort=False).indices
        self.texts: dict[str, dict[tuple[str, str], str]] = {}  # by source
        self.corrected = corrections(tables.data)
        self.units = {
            table.id: {column.unit for column in table.columns} - {1.0}
            for sheet in tables.sources
            for table in sheet.tables
        }

    def ids(self, **said: Any) -> list[str]:
        """The funding lines that say this of themselves."""
        kept = np.ones(len(self.at), dtype=bool)
        for name, value in said.items():
            kept &= self.told[name] == value
        return [one for one, keep in zip(self.at, kept, strict=True) if keep]

    def line(self, one: str) -> dict[str, Any]:
        """Where the line stands, its record and its amount."""
        place = self.at[one]
        return {name: values[place] for name, values in self.columns.items()}

    def cell(self, line: Mapping[Any, Any], one: str) -> list[Any]:
        """The cell of a line, with its text as written."""
        source = str(line["source"])
        if source not in self.texts:
            self.texts[source] = texts(self.data / source)
        text = self.texts[source].get((str(line["sheet"]), str(line["cell"])), "")
        return [line["source"], line["sheet"], line["cell"], text, _part(one)]

    def cells(self, rows: pd.DataFrame, ids: Iterable[object] | None = None) -> list[list[Any]]:
        """The cell of each row, with its text as written."""
        names = ("source", "sheet", "cell")
        places = zip(*(rows[name] for name in names), strict=True)
        ids = [""] * len(rows) if ids is None else ids
        return [
            self.cell(dict(zip(names, place, strict=True)), str(one))
            for place, one in zip(places, ids, strict=True)
        ]

    def sum(self, ids: Sequence[str], parts: Sequence[float], sharing: str = "") -> Trace:
        """The trace of the sum of these lines, each bringing its part."""
        lines = [(one, self.line(one), part) for one, part in zip(ids, parts, strict=True)]
        cells, special = [], []
        filled: list[tuple[str, str]] = []
        blank: list[tuple[str, str]] = []
        for one, row, part in lines:
            whole = row["amount_eur"]
            cell = self.cell(row, one)
            node = self._special(cell, whole, one)
            if pd.notna(whole) and abs(whole - part) > 0.0005:
                node = _part_of(node or _one_cell(cell, whole), part, sharing, self._shared(row, part))
            if node:
                special.append(node)
            elif pd.isna(whole):
                blank.append((str(row["sheet"]), str(row["cell"])))
            else:
                filled.append((str(row["sheet"]), str(row["cell"])))
                cells.append(cell)
        if len(special) == 1 and not filled:
            return special[0]
        words = [_sum_words(filled, blank)] if filled or not special else []
        words += [str(node["words"]) for node in special]
        value = round(math.fsum(part for part in parts if pd.notna(part)), 2)
        made = {
            "op": "sum",
            "unit": french.shown_in(),
            "value": value,
            "words": " ; ".join(words),
            "cells": cells,
        }
        return {**made, "of": special} if special else made

    def whole(self, funding_ids: Iterable[str]) -> Trace:
        """The trace of the sum of these lines, whole."""
        ids = list(dict.fromkeys(funding_ids))
        return self.sum(ids, [self.line(one)["amount_eur"] for one in ids])

    def stated(self, total_id: str) -> Trace:
        """The trace of a total that the document announces."""
        row = self.totals[total_id]
        in_money = pd.notna(row["amount_eur"])
        return {
            "op": "sum" if in_money else "stated",
            "unit": french.shown_in() if in_money else "count",
            "value": float(row["amount_eur"] if in_money else row["count"]),
            "words": f"écrit en {row['cell']}",
            "cells": [self.cell(row, total_id)],
        }

    def _shared(self, row: Any, part: float) -> Trace | None:
        """The territories, or communes, between which the amount of a line is shared equally; or nothing."""
        places = self.places.iloc[self.places_of.get(row["record_id"], [])]
        for key, noun in (("territory", "territoire"), ("commune", "commune")):
            named = places.dropna(subset=[key]).drop_duplicates(key)
            if len(named) > 1 and abs(part - row["amount_eur"] / len(named)) < 0.01:
                return count_of(self.cells(named), noun, feminine=key == "commune")
        return None

    def _special(self, cell: list[Any], amount: float, identifier: str) -> Trace | None:
        """The trace of one amount that is not the number written: corrected, or in thousands."""
        file, sheet, address, text, _ = cell
        correction = self.corrected.get((file, sheet, address))
        if correction:
            words = (
                f"cellule {address}, corrigée : « {text} » lu {correction['new']} ({correction['reason']})"
            )
            return {
                "op": "corrected",
                "unit": french.shown_in(),
                "value": amount,
                "words": words,
                "cells": [cell],
            }
        for unit in self.units.get(identifier.split("!")[0], ()):
            number = _number(text)
            if number is not None and abs(number * unit - amount) < 0.005:
                words = f"cellule {address} : {text} × {french.number(unit)}"
                written = {"op": "sum", "unit": "count", "value": number, "words": words, "cells": [cell]}
                weights = [unit, 1.0]
                shared = {"op": "apportion", "unit": french.shown_in(), "value": amount, "words": words}
                return {**shared, "weights": weights, "of": [written]}
        return None

    def count(self, ids: Sequence[str]) -> Trace:
        """The trace of the number of amounts written among these lines."""
        lines = [(one, self.line(one)) for one in ids]
        filled = [self.cell(line, one) for one, line in lines if pd.notna(line["amount_eur"])]
        return count_of(filled, "montant")


def _row_trace(row: Mapping[Any, Any], read: _Reading, sharing: str) -> Trace:
    parts: list[Trace] = []
    if row["funding_ids"]:
        parts.append(read.sum(row["funding_ids"], row["parts_eur"], sharing))
    for identifier, rest in zip(row["total_ids"], row["rests_eur"], strict=True):
        node = _rest_trace(identifier, read)
        parts.append(node if abs(node["value"] - rest) < 0.005 else _part_of(node, rest, sharing))
    return parts[0] if len(parts) == 1 else total_trace(parts)


def _rest_trace(identifier: str, read: _Reading) -> Trace:
    """What a stated total, or a line, holds beyond the lines that detail it."""
    if identifier in read.at:
        stage = read.told["stage"][read.at[identifier]]
        return difference_of(read.whole([identifier]), read.whole(read.ids(part_of=identifier, stage=stage)))
    return difference_of(read.stated(identifier), read.whole(_covered_by(identifier, read)))


def _covered_by(total_id: str, read: _Reading) -> list[str]:
    """The funding lines that a stated total covers."""
    total = read.totals[total_id]
    known = ("table_id", *(key for key in ("funder", "year") if pd.notna(total[key])))
    return read.ids(**{key: total[key] for key in known})


def _one_cell(cell: list[Any], amount: float) -> Trace:
    words = f"cellule {cell[2]}"
    return {"op": "sum", "unit": french.shown_in(), "value": float(amount), "words": words, "cells": [cell]}


def _part_of(whole: Trace, part: float, sharing: str, between: Trace | None = None) -> Trace:
    """The trace of a part of an amount shared between places or years; `between` counts equal shares."""
    how = f", partagés {sharing}" if sharing else ""
    how += f" entre {between['words']}" if between else ""
    words = f"part de {french.money(part)} dans {french.money(whole['value'])} ({whole['words']}){how}"
    made = {"op": "apportion", "unit": french.shown_in(), "value": float(part), "words": words}
    if between:
        return {**made, "of": [whole, between]}
    return {**made, "weights": [float(part), float(whole["value"])], "of": [whole]}


def corrections(data: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The corrections made while reading, by file, sheet and cell."""
    found = {}
    for path in sorted(data.rglob("corrections.toml")) if data.is_dir() else []:
        for one in tomllib.loads(path.read_text(encoding="utf-8")).get("correction", []):
            if one["status"] == "applied":
                found[one["file"], one.get("sheet", ""), one["cell"]] = one
    return found


def _number(text: str) -> float | None:
    try:
        return float(re.sub(r"\s", "", text).replace(",", "."))
    except ValueError:
        return None


def _part(identifier: str) -> int:
    """Which amount of its cell a line is: 0 for the only one."""
    return int(identifier.split("#")[1]) if re.search(r"#\d+$", identifier) else 0


def written(tables: Tables, row: Any) -> str:
    """The text of the cell that `row` (source, sheet, cell) was read from, as written."""
    return str(_reading(tables).cell(row, "")[3])


def texts(path: Path) -> dict[tuple[str, str], str]:
    """The text of every filled cell of a raw file, by sheet and address, as written."""
    return _written(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=32)
def _written(path: Path, changed: int) -> dict[tuple[str, str], str]:
    """As `texts`; `changed` is the file's own time stamp."""
    if not path.is_file():
        return {}
    if path.suffix == ".txt":  # a text kept as proof: « A12 » is its line 12
        lines = path.read_text(encoding="utf-8").splitlines()
        return {("", f"A{number}"): line for number, line in enumerate(lines, 1)}
    return {
        (grid.sheet, grid.address(row, column)): str(int(value) if _is_whole(value) else value)
        for grid in read_grids(path)
        for column in range(grid.values.shape[1])
        for row, value in enumerate(grid.values.iloc[:, column])
        if value is not None and value == value
    }


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


def _n(parts: Sequence[Trace]) -> str:
    return french.counted(len(parts), "montant")


def _sum_words(filled: Sequence[tuple[str, str]], blank: Sequence[tuple[str, str]]) -> str:
    """« somme de 11 cellules, G5:G16, une vide »: (sheet, cell) of each amount, and of each blank."""
    cells = list(dict.fromkeys([*filled, *blank]))
    sheets = list(dict.fromkeys(sheet for sheet, _ in cells))
    named = [(sheet, ranges([cell for own, cell in cells if own == sheet])) for sheet in sheets]
    where = named[0][1] if len(named) == 1 else " et ".join(f"{cells} ({sheet})" for sheet, cells in named)
    written = len(set(filled))
    if len(cells) == 1 and len(filled) < 2:
        return f"cellule {where}" + (", vide" if blank else "")
    if len(cells) == 1:
        return f"somme des {len(filled)} montants de la cellule {where}"
    what = french.counted(written, "cellule", feminine=True)
    if written < len(filled):
        what = f"{french.counted(len(filled), 'montant')} dans {what}"
    empty = f", {'une vide' if len(blank) == 1 else f'{len(blank)} vides'}" if blank else ""
    return f"somme de {what}, {where}{empty}"


RANGES = 40  # ranges told in words; beyond, only where each column starts and ends


def ranges(cells: Sequence[str]) -> str:
    """The cells as ranges: F5, F6, F7, H2 gives « F5:F7, H2 »; a great many, as « de M3 à M26296 »."""
    places = _places(dict.fromkeys(cells))
    runs: list[list[tuple[str, int]]] = []
    for _, column, row in places:
        if runs and runs[-1][-1] == (column, row - 1):
            runs[-1].append((column, row))
        else:
            runs.append([(column, row)])
    if len(runs) > RANGES:
        columns: dict[str, list[int]] = {}
        for _, column, row in places:
            columns.setdefault(column, []).append(row)
        return ", ".join(f"de {column}{rows[0]} à {column}{rows[-1]}" for column, rows in columns.items())
    names = [
        f"{a}{b}" if len(run) == 1 else f"{a}{b}:{run[-1][0]}{run[-1][1]}" for run in runs for a, b in run[:1]
    ]
    return ", ".join(names)


def _places(cells: Iterable[str]) -> list[tuple[int, str, int]]:
    """The addresses column by column, each from its first row: the column's length, the column, the row."""
    parsed = [re.fullmatch(r"([A-Z]+)(\d+)", cell) for cell in cells]
    return sorted((len(m[1]), m[1], int(m[2])) for m in parsed if m)


# --- In the terminal -----------------------------------------------------------------------------


def explain(query: str, tables: Tables) -> str:
    """Where a number comes from, told in French: « 2013/Ville de Lille/Promotion et communication ».

    Each word between slashes is a value of any column (year, funder, axis, territory, recipient, stage…), or
    `column=value`; two values of one column are added. A number that mixes stages is told once for each
    stage. « reports/page.html#src-12 » tells the number 12 of a report, as its annex does.
    """
    page, mark, number = query.rpartition("#src-")
    if mark:
        return _told_in_page(Path(page), number)
    only: dict[str, Any] = {}
    for word in filter(None, map(str.strip, query.split("/"))):
        key, value = _meaning(french.nfc(word), tables)
        only.setdefault(key, []).append(value)
    if not only:
        raise DataError("Aucun chiffre demandé.", todo='par exemple : ess explain "2013/Ville de Lille".')
    by = list(dict.fromkeys([*only, "stage", "kind"]))
    gaps = set(only) <= {"year", "funder", "programme", "stage", "kind"}
    result = breakdown(tables, by, trace=True, gaps=gaps, **only)
    if result.empty:
        raise DataError(
            "Aucun montant pour cette demande.", seen=[query], todo="essayez ess breakdown --by …"
        )
    told = []
    for row in traced(result, tables).to_dict(orient="records"):
        labels = [str(row[key]) for key in (*only, "stage") if key != "kind"]
        beyond = any(label.endswith(schema.NOT_ITEMISED) for label in labels)  # « 2013, non détaillé »
        bare = [label.removesuffix(f", {schema.NOT_ITEMISED}") for label in dict.fromkeys(labels)]
        labels = [schema.STAGE_LABELS.get(label, label) for label in bare]
        if beyond:
            labels[-1] += f", {schema.NOT_ITEMISED}"
        if row["kind"] != "cash":
            labels.append(schema.KIND_LABELS.get(row["kind"], row["kind"]))
        told.append(f"{' · '.join(labels)} : {french.money(row['amount_eur'])}")
        told += _told(row["trace"], "  ") if row["trace"] else ["  aucun montant écrit"]
    return "\n".join(told)


_KINDS_OF_WORDS = {  # what a word of a query may be, in the words of the errors
    "year": "années",
    "funder": "financeurs",
    "axis": "axes",
    "territory": "territoires",
    "commune": "communes",
    "recipient": "bénéficiaires",
    "operator": "opérateurs",
    "programme": "dispositifs",
    "strand": "volets",
    "legal_status": "statuts",
}
_OFFERED = 8  # values of one kind that an error lists


def _meaning(word: str, tables: Tables) -> tuple[str, Any]:
    """The column and the value that a word of a query stands for."""
    key, mark, value = word.partition("=")
    if mark and key in KEYS:
        return key, value
    if word in schema.STAGES or word in schema.STAGE_LABELS.values():
        return "stage", next(key for key, label in schema.STAGE_LABELS.items() if word in (key, label))
    values = _values(tables)
    for key, known in values.items():
        found = [value for value in known if _folded(value) == _folded(word)]
        if found:
            return key, int(found[0]) if key == "year" else found[0]
    every = {_folded(value): value for known in values.values() for value in known}
    near = [every[one] for one in get_close_matches(_folded(word), every, n=3, cutoff=0.7)]
    offered = [
        f"{label} : {', '.join(values[key][:_OFFERED])}{'…' if len(values[key]) > _OFFERED else ''}"
        for key, label in _KINDS_OF_WORDS.items()
        if values[key] and (len(near) == 0 or key in ("year", "funder"))
    ]
    guess = f"vouliez-vous dire {french.listing([f'« {one} »' for one in near], 'ou')} ? " if near else ""
    raise DataError("Mot inconnu dans la demande.", seen=[word], todo=guess + " ; ".join(offered) + ".")


def _values(tables: Tables) -> dict[str, list[str]]:
    """What a word of a query may be: the values of each column."""
    frames = {
        **dict.fromkeys(("territory", "commune"), tables.places),
        **dict.fromkeys(("strand", "legal_status"), tables.records),
    }
    return {
        key: sorted(frames.get(key, tables.funding)[key].dropna().astype("str").unique())
        for key in _KINDS_OF_WORDS
    }


def _folded(text: str) -> str:
    return french.strip_accents(text).lower()


def _told_in_page(page: Path, number: str) -> str:
    """What the annex of a rendered report says of its number, and of the numbers it is made of."""
    page = page if page.is_file() else Path("reports") / page
    entries = {}
    if page.is_file() and page.suffix == ".html":
        tree = html.document_fromstring(page.read_bytes())
        entries = {str(one.get("id")): one for one in tree.xpath("//*[starts-with(@id, 'src-')]")}
    if f"src-{number}" not in entries:
        raise DataError(
            f"Chiffre introuvable : numéro {number} de {page}.",
            seen=[f"page de {french.counted(len(entries), 'chiffre')}" if entries else "page absente"],
            todo=f"numéros de 1 à {len(entries)}."
            if entries
            else "indiquez une page rendue et un numéro de son annexe, par exemple bilan.html#src-12.",
        )
    return "\n".join(_entry_told(entries, f"src-{number}", "", set()))


def _entry_told(entries: Mapping[str, Any], name: str, indent: str, seen: set[str]) -> Iterator[str]:
    """The lines of one entry, then those of the entries it leads to, each once."""
    seen.add(name)
    texts = (re.sub(r"\s+", " ", part.text_content()).strip() for part in entries[name])
    yield from (indent + text for text in texts if text)
    for link in entries[name].iter("a"):
        other = str(link.get("href", ""))[1:]
        if other in entries and other not in seen:
            yield f"{indent}  nº {other.removeprefix('src-')}"
            yield from _entry_told(entries, other, indent + "    ", seen)


def _told(trace: Trace, indent: str) -> list[str]:
    lines = [f"{indent}{trace['words']}"]
    cells = list(
        dict.fromkeys((file, sheet, cell, text) for file, sheet, cell, text, *_ in trace.get("cells", []))
    )
    for file, sheet, cell, text in cells[:SHOWN]:
        place = ", ".join(part for part in (file, sheet, cell) if part)
        lines.append(f"{indent}  {place} : « {text} »")
    if len(cells) > SHOWN:
        lines.append(f"{indent}  … et {french.counted(len(cells) - SHOWN, 'autre cellule')}")
    for part in trace.get("of", []):
        lines += _told(part, indent + "  ")
    return lines
