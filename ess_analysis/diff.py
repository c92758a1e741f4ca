"""What changed between two collections, or two builds: amounts, and the published figures that move too.

Lines are matched by what they say, not by where they stand: a row inserted above moves every cell and changes
nothing. A line that says the same thing with another amount has moved; one that says another thing with the
same amount is described otherwise; the rest has vanished or appeared.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import french, schema
from ess_analysis.breakdowns import breakdown
from ess_analysis.errors import DataError
from ess_analysis.load import Tables, load
from ess_analysis.processed import PACKAGE, built_corrections, read_build
from ess_analysis.traces import corrections

CENT = 0.005
ALIKE = 0.8  # two titles closer than this name the same thing, when all the rest is equal
COMPARED = 500  # lines left on each side, beyond which titles are no longer compared
LISTED = 200  # lines told one by one under each heading

CHANGES = {  # in the order they are told
    "moved": ("Montants modifiés", "modifié"),
    "corrected": ("Montants corrigés à la lecture", "corrigé"),
    "appeared": ("Montants apparus", "apparu"),
    "vanished": ("Montants disparus", "disparu"),
    "described": ("Montants décrits autrement", "décrit autrement"),
}
COLUMNS = ["change", "subject", "title", "funder", "recipient", "operator", "axis", "year", "stage", "kind"]
COLUMNS += ["old_eur", "new_eur", "gap_eur", "old_cell", "new_cell", "reason", "figure", "reports"]

_SAYS = ["title", "funder", "recipient", "operator", "programme", "axis", "year", "stage", "kind"]
_WHERE = ["source", "sheet", "cell"]

# Which lines are the same: the first key that fits decides. The amount is part of some keys, not of others.
_KEYS = (
    [*_SAYS, "amount"],
    [*_SAYS, *_WHERE],
    _SAYS,
    [*(name for name in _SAYS if name not in ("axis", "programme")), "amount"],
    ["title", "stage", "kind", "amount"],
    ["source", "sheet", "cell", "stage", "kind", "amount"],
)

# The figures that the reports publish: what each is broken down by, and whether it shows what stated totals
# hold beyond their lines.
_FIGURES: tuple[tuple[list[str], bool], ...] = (
    ([], True), (["year"], True), (["funder"], True), (["year", "funder"], True),
    (["axis"], False), (["territory"], False), (["recipient"], False),
)  # fmt: skip


def diff(old: str | Path, new: str | Path) -> pd.DataFrame:
    """What changed from one data folder (or build) to the other, one row per change, columns COLUMNS.

    `change` is a key of CHANGES for an amount, « figure » for a published figure (its name in `figure`, the
    reports that show it in `reports`). `subject`: funding, delivery, row_total, stated_total or figure. An
    amount that is blank is missing. Raises DataError when a folder is neither raw data nor a build, or when they
    are in two currencies.
    """
    (before, one), (after, other) = _read(Path(old)), _read(Path(new))
    if one != other:
        raise DataError(
            "Les deux dossiers ne sont pas dans la même monnaie : leurs montants ne se comparent pas.",
            seen=[f"{old} : {one}", f"{new} : {other}"],
            todo="comparez deux dossiers de la même monnaie : rien n’est converti.",
        )
    fixed = _corrected(Path(old)), _corrected(Path(new))
    rows = [
        row
        for subject, one, other in (
            ("funding", _funding(before), _funding(after)),
            ("delivery", _delivery(before), _delivery(after)),
            ("row_total", _row_totals(before), _row_totals(after)),
            ("stated_total", _totals(before), _totals(after)),
        )
        for row in _changes(subject, one, other, *fixed)
    ]
    rows += _figures_moved(before, after)
    return _frame(rows).drop_duplicates(ignore_index=True)


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=COLUMNS)
    types = {name: "float64" if name.endswith("_eur") else "str" for name in COLUMNS}
    return frame.astype({**types, "year": "Int64"})


def _read(folder: Path) -> tuple[Tables, str]:
    """The tables of a folder and their currency."""
    tables = read_build(folder) if (folder / PACKAGE).is_file() else load(folder)
    return tables, french.shown_in()


def _corrected(folder: Path) -> dict[tuple[str, str, str], str]:
    """The reason of each correction applied, by file, sheet and cell."""
    if (folder / PACKAGE).is_file():
        built = built_corrections(folder).fillna("")
        return {
            (str(one["file"]), str(one["sheet"]), str(one["cell"])): str(one["reason"])
            for one in built.to_dict(orient="records")
        }
    return {place: str(one["reason"]) for place, one in corrections(folder).items()}


# --- Amounts ---------------------------------------------------------------------------------------


def _funding(tables: Tables) -> pd.DataFrame:
    return _as_lines(tables.funding)


def _delivery(tables: Tables) -> pd.DataFrame:
    records = tables.records.drop_duplicates("record_id").set_index("record_id")
    lines = tables.delivery
    said = {name: lines["record_id"].map(records[name]) for name in ("title", "axis")}
    return _as_lines(lines.assign(**said))


def _totals(tables: Tables) -> pd.DataFrame:
    totals = tables.stated_totals[tables.stated_totals["amount_eur"].notna()]
    name = totals["covers"].str.replace(
        r"\d[\d\s\u00a0\u202f.,]*", "…", regex=True
    )  # « 4 projets, 171 663 € »
    return _as_lines(totals.assign(title=name, programme=totals["table_id"].str.cat(totals["measure"], ": ")))


def _row_totals(tables: Tables) -> pd.DataFrame:
    totals = tables.records[tables.records["row_total_eur"].notna()]
    return _as_lines(totals.rename(columns={"row_total_eur": "amount_eur"}))


def _as_lines(frame: pd.DataFrame) -> pd.DataFrame:
    """The lines as texts to compare, a missing value being an empty one; `amount` to the cent."""
    columns = {
        name: (frame[name] if name in frame else pd.Series("", index=frame.index)).astype("object")
        for name in [*_SAYS, *_WHERE]
    }
    lines = pd.DataFrame(
        {name: values.where(values.notna(), "").astype(str) for name, values in columns.items()}
    )
    amounts = frame["amount_eur"].round(2)
    written = amounts.map(lambda amount: "" if pd.isna(amount) else f"{amount:.2f}")
    return lines.assign(amount_eur=amounts, amount=written.astype(str)).reset_index(drop=True)


def _changes(
    subject: str,
    old: pd.DataFrame,
    new: pd.DataFrame,
    fixed_before: Mapping[tuple[str, str, str], str],
    fixed_after: Mapping[tuple[str, str, str], str],
) -> Iterator[dict[str, Any]]:
    pairs, gone, come = matched(old, new)
    both = old.loc[pairs["old"]].reset_index(drop=True), new.loc[pairs["new"]].reset_index(drop=True)
    differ = (both[0][[*_SAYS, "amount"]] != both[1][[*_SAYS, "amount"]]).any(axis=1)
    for index in differ.index[differ]:
        one, other = both[0].loc[index], both[1].loc[index]
        was, place = (_address(line) for line in (one, other))
        reason = fixed_after.get(place, "")
        if one["amount"] == other["amount"]:
            changed = [name for name in _SAYS if one[name] != other[name]]
            said = french.listing(f"{_LABELS[name]} « {one[name]} » → « {other[name]} »" for name in changed)
            yield _row("described", subject, one, other, said)
        elif not one["amount"]:
            yield _row("appeared", subject, one, other, "la cellule était vide")
        elif not other["amount"]:
            yield _row("vanished", subject, one, other, "la cellule est vide")
        elif reason and reason != fixed_before.get(was):
            yield _row("corrected", subject, one, other, reason)
        else:
            yield _row("moved", subject, one, other)
    for line in gone[gone["amount"] != ""].to_dict(orient="records"):
        yield _row("vanished", subject, line, None)
    for line in come[come["amount"] != ""].to_dict(orient="records"):
        yield _row("appeared", subject, None, line)


_LABELS = schema.labels(_SAYS)


def matched(old: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The pairs of lines (indexes `old`, `new`), what is left of the old, what is left of the new."""
    pairs = []
    for keys in _KEYS:
        ranked = [
            side.assign(rank=side.groupby(keys, sort=False).cumcount(), own=side.index)[
                [*keys, "rank", "own"]
            ]
            for side in (old, new)
        ]
        found = ranked[0].merge(ranked[1], on=[*keys, "rank"], suffixes=("", "_new"), validate="one_to_one")
        pairs.append(found[["own", "own_new"]].set_axis(["old", "new"], axis=1))
        old, new = old.drop(found["own"].tolist()), new.drop(found["own_new"].tolist())
        if old.empty or new.empty:
            break
    pairs.append(_alike(old, new))
    both = pd.concat(pairs, ignore_index=True).astype("int64")
    last = pairs[-1]
    return both, old.drop(last["old"].tolist()), new.drop(last["new"].tolist())


def _alike(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The lines left whose title was respelt, all the rest, amount included, being equal."""
    found: list[tuple[int, int]] = []
    if len(old) <= COMPARED and len(new) <= COMPARED:
        rest = [name for name in _SAYS if name != "title"] + ["amount"]
        left = new[new["amount"] != ""].to_dict(orient="index")
        for index, one in old[old["amount"] != ""].to_dict(orient="index").items():
            close = {
                other: SequenceMatcher(None, one["title"], line["title"]).ratio()
                for other, line in left.items()
                if all(line[name] == one[name] for name in rest)
            }
            best = max(close, key=lambda other: close[other], default=None)
            if best is not None and close[best] >= ALIKE:
                left.pop(best)
                found.append((int(str(index)), int(str(best))))
    return pd.DataFrame(found, columns=["old", "new"], dtype="int64")


def _row(change: str, subject: str, one: Any, other: Any, reason: str = "") -> dict[str, Any]:
    said = other if other is not None else one
    old = float("nan") if one is None else one["amount_eur"]
    new = float("nan") if other is None else other["amount_eur"]
    return {
        "change": change,
        "subject": subject,
        **{name: said[name] for name in _SAYS if name in COLUMNS and name != "year"},
        "year": int(said["year"]) if said["year"] else pd.NA,
        "old_eur": old,
        "new_eur": new,
        "gap_eur": _gap(old, new),
        "old_cell": "" if one is None else _place(one),
        "new_cell": "" if other is None else _place(other),
        "reason": reason,
        "figure": "",
        "reports": "",
    }


def _address(line: Any) -> tuple[str, str, str]:
    return str(line["source"]), str(line["sheet"]), str(line["cell"])


def _place(line: Any) -> str:
    return ", ".join(filter(None, (line[name] for name in _WHERE)))


# --- Published figures --------------------------------------------------------------------------------


def _figures_moved(before: Tables, after: Tables) -> Iterator[dict[str, Any]]:
    for by, gaps in _FIGURES:
        keys = ["stage", "kind", *by]
        sides = [_figures(tables, keys, gaps) for tables in (before, after)]
        both = sides[0].merge(
            sides[1], on=keys, how="outer", suffixes=("_old", "_new"), validate="one_to_one"
        )
        for row in both.to_dict(orient="records"):
            old, new = row["amount_eur_old"], row["amount_eur_new"]
            gap = _gap(old, new)
            if abs(gap) < CENT and pd.isna(old) == pd.isna(new):
                continue
            said = {key: str(row[key]).removesuffix(_BEYOND) for key in keys}
            yield {
                "change": "figure",
                "subject": "figure",
                "stage": said["stage"],
                "kind": said["kind"],
                "old_eur": old,
                "new_eur": new,
                "gap_eur": gap,
                "figure": _figure_named(by, said, any(str(row[key]).endswith(_BEYOND) for key in keys)),
                "reports": french.listing(_reports(by, said)),
            }


_BEYOND = f", {schema.NOT_ITEMISED}"  # what a row of a stated total, beyond its lines, is called by


def _figures(tables: Tables, keys: list[str], gaps: bool) -> pd.DataFrame:
    made = breakdown(tables, keys, gaps=gaps)[[*keys, "amount_eur"]].dropna(subset=["amount_eur"])
    return made.assign(**{key: made[key].astype(str) for key in keys})


def _figure_named(by: Sequence[str], said: Mapping[str, str], beyond: bool) -> str:
    """« Prévisionnel, 2013, Ville de Lille »; a missing key is told with its column: « axe non ventilé »."""
    kind = "" if said["kind"] == "cash" else f" ({schema.KIND_LABELS.get(said['kind'], said['kind'])})"
    names = [
        f"{_LABELS.get(key, 'territoire').lower()} {said[key]}"
        if key != "year" and said[key] in (schema.MISSING_LABELS.get(key), schema.MISSING_LABEL)
        else said[key]
        for key in by
    ]
    stage = french.sentence_case(schema.STAGE_LABELS.get(said["stage"], said["stage"]))
    return ", ".join([stage + kind, *names, *([schema.NOT_ITEMISED] if beyond else [])])


def _reports(by: Sequence[str], said: Mapping[str, str]) -> Iterator[str]:
    """The reports that show a figure broken down by these columns."""
    if "year" in by and re.fullmatch(r"\d{4}", said["year"]):
        yield f"rapport annuel {said['year']}"
    for key, name in (("funder", "fiche financeur"), ("territory", "fiche territoire")):
        if key in by and said[key] not in (schema.MISSING_LABELS.get(key), schema.MISSING_LABEL):
            yield f"{name} {said[key]}"
    if len(by) < 2:
        yield "bilan"


def _gap(old: float, new: float) -> float:
    return round((0.0 if pd.isna(new) else new) - (0.0 if pd.isna(old) else old), 2)


# --- Told ----------------------------------------------------------------------------------------------


def told(changes: pd.DataFrame) -> str:
    """The changes in French Markdown, ready for the CHANGELOG: published figures first, then each amount."""
    if changes.empty:
        return "Aucun chiffre ne change."
    parts = []
    figures = changes[changes["change"] == "figure"]
    if len(figures):
        parts.append(_section("Chiffres publiés qui changent", [_figure_told(row) for row in _rows(figures)]))
    for change, (title, _) in CHANGES.items():
        same = changes[changes["change"] == change]
        if len(same):
            parts.append(_section(title, [_amount_told(row) for row in _rows(same)]))
    return "\n\n".join(parts)


def _rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    return frame.astype("object").where(frame.notna(), None).to_dict(orient="records")


def _section(title: str, lines: Sequence[str]) -> str:
    shown = [f"- {line}" for line in lines[:LISTED]]
    rest = len(lines) - LISTED
    more = [f"- et {french.counted(rest, 'autre')}"] if rest > 0 else []
    return "\n".join([f"### {title} ({french.number(len(lines))})", "", *shown, *more])


def _figure_told(row: Mapping[Any, Any]) -> str:
    verb = "apparaît, " if row["old_eur"] is None else "disparaît, " if row["new_eur"] is None else ""
    return f"{plain(row['figure'])} : {verb}{_moved(row)} [{plain(row['reports'])}]"


def _amount_told(row: Mapping[Any, Any]) -> str:
    stage = schema.STAGE_LABELS.get(row["stage"] or "", "")
    who = [row["funder"], row["operator"] and f"réalisé par {row['operator']}", row["year"], stage]
    what = f"« {plain(row['title'])} »" if row["title"] else "sans intitulé"
    what = {"stated_total": "total annoncé ", "row_total": "total de la ligne "}.get(
        row["subject"], ""
    ) + what
    context = ", ".join(plain(str(one)) for one in who if one)
    places = list(dict.fromkeys(plain(row[name]) for name in ("old_cell", "new_cell") if row[name]))
    reason = f" : {plain(row['reason'])}" if row["reason"] else ""
    return f"{what}{f' ({context})' if context else ''} : {_moved(row)}, {' → '.join(places)}{reason}"


def _moved(row: Mapping[Any, Any]) -> str:
    old, new = row["old_eur"], row["new_eur"]
    if old is None or new is None:
        return french.money(new if old is None else old)
    if abs(new - old) < CENT:
        return french.money(new)
    return f"{french.money(old)} → {french.money(new)} ({french.signed(french.money(new - old))})"


def plain(text: str) -> str:
    """A text of the data on one line, safe in Markdown and in a terminal: no mark-up, no control."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(kept.split(" ")).strip())
