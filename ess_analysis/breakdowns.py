"""Amounts, counts and shares by any set of columns; the view that counts each euro once.

Three rules hold by default. Amounts of different stages, or of different kinds, are added only for a caller
who names them. A line and the lines that detail it (`part_of`) are never both counted: the one nearest to
money spent is kept. What has no year, axis, funder or territory, and what a stated total holds beyond its
rows, stays in a row of its own, so that the parts always make the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import schema, territories
from ess_analysis.errors import DataError
from ess_analysis.load import Tables

FUNDING_KEYS = ("axis", "funder", "recipient", "operator", "programme", "year", "stage", "kind", "title")
RECORD_KEYS = ("strand", "legal_status")
PLACE_KEYS = ("territory", "commune")
KEYS = (*FUNDING_KEYS, *RECORD_KEYS, *PLACE_KEYS)
APPORTION = ("equal", "population", "whole")

# Between a line and its details, the one nearest to money spent is counted.
_NEAREST = {"paid": 3, "awarded": 2, "planned": 1, "allocated": 0}
_TOTAL_KEYS = ("funder", "year", "stage", "programme", "kind")  # what a stated total can know of itself


def breakdown(
    tables: Tables | pd.DataFrame,
    by: str | Sequence[str],
    *,
    stage: str | Sequence[str] | None = None,
    kind: str | Sequence[str] | None = None,
    apportion: str = "equal",
    gaps: bool = True,
    trace: bool = False,
    **only: Any,
) -> pd.DataFrame:
    """Amounts by the columns `by`: one row per combination, with `amount_eur`, `count`, `share`.

    `by` holds any of KEYS; `only` keeps the rows with these values (year=2013, funder="Ville de Lille"…).
    `amount_eur` is rounded to the cent, missing where no amount is written; `count` is the number of
    amounts; `share` is the part (0 to 1) of the sum of the rows. With `gaps`, what a stated total holds
    beyond its rows is a row « non détaillé » (count 0). With `trace`, `funding_ids` and `total_id` follow
    each row to its cells. A frame of funding rows may stand for the tables: then only funding columns can
    be used, without gaps.

    Raises DataError on an unknown column or value, or when amounts of different stages or kinds would be
    added without being named.
    """
    by = [by] if isinstance(by, str) else list(by)
    if isinstance(tables, pd.DataFrame):
        tables = _as_tables(tables)
    _known_words(by, only, apportion)
    wanted = {key: _listed(value) for key, value in {**only, "stage": stage, "kind": kind}.items()}
    wanted = {key: values for key, values in wanted.items() if values is not None}
    used = set(by) | set(wanted)

    lines = _with_places(_with_records(tables.funding, tables, used), tables, used, apportion)
    lines = _kept(pd.concat([lines, _not_itemised(tables, used)] if gaps else [lines]), wanted, tables)
    _refuse_mixtures(lines, by, wanted)
    lines = _once(lines)
    return _grouped(lines, by, trace=trace)


def consolidated(
    tables: Tables, by: str | Sequence[str] = ("funder", "year"), *, trace: bool = False, **only: Any
) -> pd.DataFrame:
    """Each euro counted once, whatever its stage: the breakdown of cash, of all stages, without the gaps.

    Where a line is detailed elsewhere, only the one nearest to money spent counts (an award rather than the
    envelope it consumes, an award rather than the plan that details it).
    """
    return breakdown(
        tables, by, stage=schema.STAGES, kind=only.pop("kind", "cash"), gaps=False, trace=trace, **only
    )


def _as_tables(funding: pd.DataFrame) -> Tables:
    blank = {name: schema.empty(name) for name in schema.TABLES}
    return Tables(**{**blank, "funding": schema.conform(funding, "funding")})


def _listed(value: Any) -> list[Any] | None:
    if value is None:
        return None
    return [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)


def _known_words(by: Sequence[str], only: Mapping[str, Any], apportion: str) -> None:
    unknown = [key for key in [*by, *only] if key not in KEYS]
    if unknown or not by:
        raise DataError(
            "Colonne de ventilation inconnue." if unknown else "Aucune colonne de ventilation.",
            seen=unknown,
            todo=f"choisissez parmi : {', '.join(KEYS)}.",
        )
    if apportion not in APPORTION:
        raise DataError(
            "Partage inconnu.", seen=[apportion], todo=f"choisissez parmi : {', '.join(APPORTION)}."
        )


# --- The lines to add ----------------------------------------------------------------------------


def _with_records(funding: pd.DataFrame, tables: Tables, used: set[str]) -> pd.DataFrame:
    """The funding lines with the columns of their record that are used."""
    names = [name for name in RECORD_KEYS if name in used]
    lines = funding.assign(total_id=pd.Series(None, index=funding.index, dtype="str"), itemised=True)
    if not names:
        return lines
    facts = tables.records[["record_id", *names]]
    return lines.merge(facts, on="record_id", how="left", validate="many_to_one")


def _with_places(lines: pd.DataFrame, tables: Tables, used: set[str], apportion: str) -> pd.DataFrame:
    """The lines, shared between the territories or communes of their record, to the cent."""
    for name in PLACE_KEYS:
        if name in used:
            lines = _shared(lines, tables, name, apportion)
    return lines


def _shared(lines: pd.DataFrame, tables: Tables, name: str, apportion: str) -> pd.DataFrame:
    places = tables.places.dropna(subset=[name]).drop_duplicates(["record_id", name])
    places = places[["record_id", name, "written_as"]].reset_index(drop=True)
    many = places["record_id"].duplicated(keep=False)
    if apportion == "whole":
        joined = (
            places[many].groupby("record_id", sort=False)[name].agg(" + ".join).rename(name).reset_index()
        )
        if name == "territory":
            joined[name] = joined["record_id"].map(
                places[many].drop_duplicates("record_id").set_index("record_id")["written_as"]
            )
        places = pd.concat([places.loc[~many, ["record_id", name]], joined], ignore_index=True)
        weights = pd.Series(1.0, index=places.index)
    elif apportion == "population" and many.any():
        weights = _populations(places.loc[many, name], name, tables).reindex(places.index, fill_value=1.0)
    else:
        weights = pd.Series(1.0, index=places.index)
    places = places.assign(weight=weights)[["record_id", name, "weight"]]
    lines = lines.assign(line=np.arange(len(lines)))
    spread = lines.merge(places, on="record_id", how="left")
    amounts = _apportioned(spread["amount_eur"], spread["weight"].fillna(1.0), spread["line"])
    return spread.assign(amount_eur=amounts).drop(columns=["line", "weight"])


def _populations(names: pd.Series, name: str, tables: Tables) -> pd.Series:
    """The population of each commune or territory; a territory is the communes its reading gives it."""
    known = territories.communes().set_index("name")["municipal_population"].astype("float64")
    if name == "territory":
        said = (tables.readings or {}).get("territory_communes", {})
        known = pd.Series({territory: known.reindex(towns).sum() for territory, towns in said.items()})
    found = names.map(known).astype("float64")
    if found.isna().any():
        raise DataError(
            "Partage selon la population impossible : population inconnue.",
            seen=names[found.isna()].unique(),
            todo="déclarez les communes de ces territoires dans readings.toml, [territory_communes], "
            "ou partagez à parts égales (equal).",
        )
    return found


def _apportioned(amounts: pd.Series, weights: pd.Series, lines: pd.Series) -> pd.Series:
    """Each amount shared by weight within its line; cents go to the largest remainders, so sums hold."""
    alone = ~lines.duplicated(keep=False)
    total = weights.groupby(lines).transform("sum")
    cents = amounts * 100 * weights / total
    floor = np.floor(cents + 1e-9)
    rest = (amounts * 100 - floor.groupby(lines).transform("sum")).round().fillna(0)
    rank = (cents - floor).groupby(lines).rank(method="first", ascending=False)
    return ((floor + (rank <= rest)) / 100).where(~alone, amounts)


def _not_itemised(tables: Tables, used: set[str]) -> pd.DataFrame:
    """What each stated total of funding holds beyond its rows, as lines without axis, recipient or place."""
    totals = tables.stated_totals
    totals = totals[totals["measure"].eq("funding") & totals["amount_eur"].notna()]
    totals = totals.drop_duplicates(["table_id", "funder", "year"])
    table_of = tables.records.set_index("record_id")["table_id"]
    rows = tables.funding.assign(table_id=tables.funding["record_id"].map(table_of))
    found = []
    for total in totals.to_dict(orient="records"):
        covered = rows[rows["table_id"].eq(total["table_id"])]
        for key in ("funder", "year"):
            if pd.notna(total[key]):
                covered = covered[covered[key].eq(total[key]).fillna(False)]
        gap = round(total["amount_eur"] - covered["amount_eur"].sum(), 2)
        if gap and len(covered):
            alike = {
                key: covered[key].iloc[0] for key in _TOTAL_KEYS if covered[key].nunique(dropna=False) == 1
            }
            detailed = {"part_of": covered["part_of"].iloc[0]}
            found.append({**alike, **detailed, "amount_eur": gap, "total_id": total["total_id"]})
    if not found:
        return pd.DataFrame()
    lines = schema.conform(pd.DataFrame(found), "funding")
    unknown = [
        key for key in (*FUNDING_KEYS, *RECORD_KEYS, *PLACE_KEYS) if key in used and key not in _TOTAL_KEYS
    ]
    return lines.assign(
        **dict.fromkeys(unknown, schema.NOT_ITEMISED),
        total_id=[one["total_id"] for one in found],
        itemised=False,
    )


def _kept(lines: pd.DataFrame, wanted: Mapping[str, list[Any]], tables: Tables) -> pd.DataFrame:
    for key, values in wanted.items():
        values = [int(v) if key == "year" and str(v).isdigit() else v for v in values]
        missing = schema.MISSING_LABELS.get(key, schema.MISSING_LABEL)
        present = set(lines[key].dropna())
        known = present | (
            set(schema.STAGES) if key == "stage" else set(schema.KINDS) if key == "kind" else set()
        )
        unknown = [value for value in values if value not in known and value != missing]
        if unknown:
            offered = sorted(map(str, present - {schema.NOT_ITEMISED}))[:40]
            raise DataError(
                f"Valeur inconnue pour {key} ({schema.labels([key]).get(key, key).lower()}).",
                seen=unknown,
                todo=f"valeurs des données : {', '.join(offered)}.",
            )
        kept = lines[key].isin(values)
        lines = lines[kept | lines[key].isna() if missing in values else kept]
    return lines


def _refuse_mixtures(lines: pd.DataFrame, by: Sequence[str], wanted: Mapping[str, list[Any]]) -> None:
    for key, words, what in (
        ("stage", schema.STAGE_LABELS, "d'étapes différentes"),
        ("kind", schema.KIND_LABELS, "de formes différentes"),
    ):
        found = [word for word in words if (lines.loc[lines["amount_eur"].notna(), key] == word).any()]
        if len(found) > 1 and key not in by and len(wanted.get(key, ())) < 2:
            options = " ou ".join(f"--{key} {word}" for word in found)
            raise DataError(
                f"Ces montants sont {what} : ils ne s'additionnent pas.",
                seen=[f"{word} ({words[word]})" for word in found],
                todo=f"choisissez {options}, ou ventilez aussi par {key} (--by {key}).",
            )


def _once(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines without double counting: of a line and its details, the nearest to money spent.

    At equal nearness the line is kept, since its details may miss some of it.
    """
    rank = lines["stage"].map(_NEAREST).fillna(-1)
    by_id = rank.groupby(lines["funding_id"]).max()
    over = lines["part_of"].map(by_id)  # the nearness of the line that this one details, if it is here
    beaten = rank.gt(over).where(over.notna(), False) & lines["amount_eur"].notna()
    replaced = set(lines.loc[beaten, "part_of"].dropna())
    details = over.notna() & ~beaten
    return lines[~details & ~lines["funding_id"].isin(replaced).where(lines["itemised"], False)]


# --- The sums ------------------------------------------------------------------------------------


def _grouped(lines: pd.DataFrame, by: list[str], *, trace: bool) -> pd.DataFrame:
    labelled = lines.assign(**{key: _labelled(lines[key], key) for key in by})
    if not lines["itemised"].all() and not set(by) - set(_TOTAL_KEYS):
        last = by[0] if "funder" not in by else "funder"
        gap = labelled[last].astype(str) + f", {schema.NOT_ITEMISED}"
        labelled[last] = labelled[last].where(lines["itemised"], gap)
    counted = labelled["amount_eur"].notna() & labelled["itemised"]
    groups = labelled.assign(count=counted.astype("int64")).groupby(
        by, sort=False, dropna=False, observed=True
    )
    # pandas sums floats with Kahan's compensation: exact to the cent up to tens of thousands of billions.
    result = groups.agg(amount_eur=("amount_eur", lambda a: a.sum(min_count=1)), count=("count", "sum"))
    whole = lines["amount_eur"].sum()
    result["share"] = result["amount_eur"] / whole if whole else np.nan
    result["amount_eur"] = result["amount_eur"].round(2)
    if trace:
        result["funding_ids"] = groups["funding_id"].agg(lambda ids: tuple(ids.dropna()))
        result["total_id"] = groups["total_id"].agg(lambda ids: next(iter(ids.dropna()), None))
    result = result.reset_index()
    return result.iloc[_order(result, by)].reset_index(drop=True)


def _labelled(values: pd.Series, key: str) -> pd.Series:
    missing = schema.MISSING_LABELS.get(key, schema.MISSING_LABEL)
    return values.astype("object").where(values.notna(), missing)


def _order(result: pd.DataFrame, by: list[str]) -> list[int]:
    """Rows in the order of the document, years in time order, what is missing then « non détaillé » last."""

    def place(row: int) -> tuple[Any, ...]:
        keys = []
        for name in by:
            value = result[name].iat[row]
            late = 2 if schema.NOT_ITEMISED in str(value) else 1 if value in _MISSING else 0
            keys.append((late, value if isinstance(value, (int, np.integer)) else first[name][value]))
        return tuple(keys)

    first = {name: {value: place for place, value in enumerate(result[name].unique())} for name in by}
    return sorted(range(len(result)), key=place)


_MISSING = {*schema.MISSING_LABELS.values(), schema.MISSING_LABEL}
