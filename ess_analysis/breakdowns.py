"""Amounts, counts and shares by any set of columns; the view that counts each euro once.

Three rules hold by default. Amounts of different stages, or of different kinds, are added only for a caller
who names them. A line and the lines that detail it (`part_of`) are never both counted: the one nearest to
money spent is kept; at the same stage the details are kept, with what the line holds beyond them. What has no
year, axis, funder or territory, and what a stated total holds beyond its rows, stays in a row of its own, so
that the parts always make the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import french, schema, territories
from ess_analysis.errors import DataError
from ess_analysis.load import Tables

FUNDING_KEYS = ("axis", "funder", "recipient", "operator", "programme", "year", "stage", "kind", "title")
RECORD_KEYS = ("strand", "legal_status")
PLACE_KEYS = ("territory", "commune")
KEYS = (*FUNDING_KEYS, *RECORD_KEYS, *PLACE_KEYS)
APPORTION = ("equal", "population", "whole")
UNDATED = ("apart", "spread")
_SHARING = {"equal": "à parts égales", "population": "selon la population", "whole": ""}

# Between a line and its details, the one nearest to money spent is counted.
_NEAREST = {"paid": 3, "awarded": 2, "planned": 1, "allocated": 0}
_TOTAL_KEYS = ("funder", "year", "stage", "programme", "kind")  # what a stated total can know of itself
_NO_LINE = -1


def breakdown(
    tables: Tables | pd.DataFrame,
    by: str | Sequence[str],
    *,
    stage: str | Sequence[str] | None = None,
    kind: str | Sequence[str] | None = None,
    apportion: str = "equal",
    undated: str = "apart",
    gaps: bool | pd.DataFrame = True,
    once: bool = False,
    trace: bool = False,
    **only: Any,
) -> pd.DataFrame:
    """Amounts by the columns `by`: one row per combination, with `amount_eur`, `count`, `share`.

    `by` holds any of KEYS; `only` keeps the rows with these values (year=2013, funder="Ville de Lille"…).
    `amount_eur` is exact to the cent, missing where no amount is written; `count` is the number of amounts
    (an amount shared between two territories counts in each); `share` is the part (0 to 1) of the rows'
    sum, within each stage and each kind when they are in `by`, since those are not added.

    `apportion` shares the amount of several territories or communes: equally, by population, or not at all.
    `undated` leaves amounts without year apart, or spreads them over the period their source states (an
    envelope, allocated, is never spread). With `gaps`, what a stated total holds beyond its rows is a row
    « non détaillé » (count 0); give `every_line(tables)` to compute it once for many breakdowns.
    With `trace`, `funding_ids` and `parts_eur` (what each line brings), `total_ids` and `rests_eur` (what
    each total, or line, holds beyond its details) follow each row to its cells.

    With stages in `by`, each stage is told for itself, lines and details alike, unless `once`.
    A frame of funding rows may stand for the tables: then only funding columns can be used, without gaps.

    Raises DataError on an unknown column or value, or when amounts of different stages or kinds would be
    added without being named.
    """
    by = [by] if isinstance(by, str) else list(dict.fromkeys(by))
    asked = {**only, "stage": stage, "kind": kind}
    wanted = {key: _listed(value) for key, value in asked.items() if value is not None}
    _known_words(by, wanted, apportion, undated)
    tables = _as_tables(tables, {*by, *wanted})
    apart: list[str] = [key for key in ("stage", "kind") if key in by and not once]

    lines = _lines(tables, {*by, *wanted}, gaps=gaps, trace=trace)
    for key in ("stage", "kind"):
        lines = _kept(lines, key, wanted.get(key), tables)
    lines = _once(lines, tables.funding, apart)
    if undated == "spread":
        lines = _dated(lines)
    for key in [key for key in KEYS if key in {*by, *wanted}]:
        if key in PLACE_KEYS:
            lines = _placed(lines, tables, key, apportion)
        if key not in ("stage", "kind"):
            lines = _kept(lines, key, wanted.get(key), tables)
    _refuse_mixtures(lines, by, wanted)
    result = _grouped(lines[lines["counted"]], by, apart, trace=trace)
    result.attrs["sharing"] = _SHARING[apportion] if {*by, *wanted} & set(PLACE_KEYS) else ""
    return result


def consolidated(
    tables: Tables, by: str | Sequence[str] = ("funder", "year"), *, trace: bool = False, **only: Any
) -> pd.DataFrame:
    """Each euro counted once, whatever its stage: the breakdown of cash, of all stages.

    Where a line is detailed elsewhere, only the one nearest to money spent counts (an award rather than the
    envelope it consumes, an award rather than the plan that details it). What a stated total holds beyond
    its rows is left out (`gaps=True` shows it): nothing says that it is not counted elsewhere.
    """
    settings = {"stage": schema.STAGES, "kind": "cash", "gaps": False, **only}
    return breakdown(tables, by, once=True, trace=trace, **settings)


def _as_tables(tables: Tables | pd.DataFrame, used: set[str]) -> Tables:
    if isinstance(tables, Tables):
        return tables
    beyond = sorted(used - set(FUNDING_KEYS))
    if beyond:
        raise DataError(
            "Ces colonnes ne sont pas dans la table des financements.",
            seen=beyond,
            todo="donnez les tables entières, telles que load() les rend.",
        )
    blank: dict[str, Any] = {name: schema.empty(name) for name in schema.TABLES}
    return Tables(**{**blank, "funding": schema.conform(tables, "funding")})


def _listed(value: Any) -> list[Any]:
    values = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    return [french.nfc(one) if isinstance(one, str) else one for one in values]


def _known_words(by: Sequence[str], wanted: Iterable[str], apportion: str, undated: str) -> None:
    unknown = [key for key in [*by, *wanted] if key not in KEYS]
    if unknown or not by:
        raise DataError(
            "Colonne de ventilation inconnue." if unknown else "Aucune colonne de ventilation.",
            seen=unknown,
            todo=f"choisissez parmi : {', '.join(KEYS)}.",
        )
    for what, word, words in (("Partage", apportion, APPORTION), ("Datation", undated, UNDATED)):
        if word not in words:
            raise DataError(f"{what} : mot inconnu.", seen=[word], todo=f"au choix : {', '.join(words)}.")


# --- The lines to add ----------------------------------------------------------------------------


def _lines(tables: Tables, used: set[str], *, gaps: bool | pd.DataFrame, trace: bool) -> pd.DataFrame:
    """The amounts with the columns used, what no row itemises last; `line` is the place in funding."""
    names = {"amount_eur", "stage", "kind", "year", "period_start", "period_end", "itemised", "line"}
    names |= used & set(FUNDING_KEYS)
    names |= {"record_id"} if used - set(FUNDING_KEYS) else set()
    names |= {"funding_id", "total_id"} if trace else set()
    names |= {"funding_id", "part_of"} if tables.funding["part_of"].notna().any() else set()
    every = gaps if isinstance(gaps, pd.DataFrame) else every_line(tables, gaps=gaps)
    lines = every[[name for name in every.columns if name in names]]
    for key in [key for key in RECORD_KEYS if key in used]:
        facts = tables.records[["record_id", key]]
        lines = lines.merge(facts, on="record_id", how="left", validate="many_to_one")
    return lines


def every_line(tables: Tables, *, gaps: bool = True) -> pd.DataFrame:
    """The funding lines, then with `gaps` what stated totals hold beyond them: not `itemised`, a `total_id`.

    `line` is the place in funding, -1 for what a total holds beyond its lines.
    """
    lines = tables.funding.assign(itemised=True, line=np.arange(len(tables.funding)))
    missing = beyond_lines(tables) if gaps else pd.DataFrame()
    if missing.empty:
        return lines.assign(total_id=None)
    return pd.concat([lines, missing.assign(itemised=False, line=_NO_LINE)], ignore_index=True)


def beyond_lines(tables: Tables) -> pd.DataFrame:
    """What each stated total of funding holds beyond its rows, with what is known of it: funding, total_id.

    Of two totals of one table, the wider leaves out what the narrower already misses.
    """
    totals = tables.stated_totals
    totals = totals[totals["measure"].eq("funding") & totals["amount_eur"].notna()]
    own = totals["total_id"].str.split("!").str[0].eq(totals["table_id"])
    known = totals[["funder", "year"]].notna().sum(axis=1)
    totals = totals.assign(own=own, known=known).sort_values(["own", "known"], ascending=False, kind="stable")
    totals = totals.drop_duplicates(["table_id", "funder", "year"]).sort_index()
    totals = totals.sort_values("known", ascending=False, kind="stable")
    rows = tables.funding[_in_tables(tables, set(totals["table_id"]))]
    rows = rows.assign(table_id=_tables_of(rows, tables))
    words = rows[["table_id", "funder", "year"]].astype(object)
    held = {str(key): words[key].where(words[key].notna(), None).to_numpy() for key in words}
    amounts = rows["amount_eur"].fillna(0).to_numpy()
    found: list[dict[str, Any]] = []
    for total in totals.to_dict(orient="records"):
        said = {str(key): total[key] for key in held if pd.notna(total[key])}
        covered = np.ones(len(rows), dtype=bool)
        for key, value in said.items():
            covered &= held[key] == value
        narrower = [one for one in found if all(one.get(key) == value for key, value in said.items())]
        taken = amounts[covered].sum() + sum(one["amount_eur"] for one in narrower)
        gap = round(total["amount_eur"] - taken, 2)
        if gap and covered.any():
            lines = rows[covered]
            keys = [key for key in (*_TOTAL_KEYS, "part_of") if lines[key].nunique(dropna=False) == 1]
            alike = {key: lines[key].iloc[0] for key in keys if pd.notna(lines[key].iloc[0])}
            own_name = {key: total[key] for key in ("table_id", "total_id")}
            found.append({**alike, **own_name, "amount_eur": gap})
    frame = pd.DataFrame(found)
    if frame.empty:
        return schema.empty("funding")
    return schema.conform(frame, "funding").assign(total_id=frame["total_id"])


def _in_tables(tables: Tables, wanted: set[str]) -> pd.Series:
    if not wanted:
        return pd.Series(False, index=tables.funding.index)
    records = tables.records.loc[tables.records["table_id"].isin(wanted), "record_id"]
    return tables.funding["record_id"].isin(records)


def _tables_of(rows: pd.DataFrame, tables: Tables) -> pd.Series:
    return rows["record_id"].map(tables.records.set_index("record_id")["table_id"])


def _kept(lines: pd.DataFrame, key: str, values: list[Any] | None, tables: Tables) -> pd.DataFrame:
    if values is None:
        return lines
    values = [int(value) if key == "year" and str(value).isdigit() else value for value in values]
    missing = schema.MISSING_LABELS.get(key, schema.MISSING_LABEL)
    unknown = set(values) - {missing, schema.NOT_ITEMISED} - set(lines[key].dropna().unique())
    if unknown and (unknown := unknown - (present := _present(lines, key, tables))):
        offered = sorted(map(str, present))
        raise DataError(
            f"Valeur inconnue pour {key} ({schema.labels([key]).get(key, key).lower()}).",
            seen=[one for one in values if one in unknown],
            todo=f"valeurs des données : {', '.join(offered[:40])}{', …' if len(offered) > 40 else ''}.",
        )
    kept = lines[key].isin([one for one in values if one not in (missing, schema.NOT_ITEMISED)])
    if missing in values:
        kept |= lines[key].isna() & lines["itemised"]
    if schema.NOT_ITEMISED in values:
        kept |= lines[key].isna() & ~lines["itemised"]
    return lines[kept]


def _present(lines: pd.DataFrame, key: str, tables: Tables) -> set[Any]:
    """The values that can be asked: those of the data, closed lists, years of a stated period."""
    if key in ("stage", "kind"):
        return set(schema.STAGES if key == "stage" else schema.KINDS)
    home = tables.places if key in PLACE_KEYS else tables.records if key in RECORD_KEYS else tables.funding
    present = {*home[key].dropna().unique(), *lines[key].dropna().unique()}
    if key == "year":
        present = {int(year) for year in present}
        periods = tables.funding[["period_start", "period_end"]].dropna().drop_duplicates()
        for start, end in periods.itertuples(index=False):
            present |= set(range(start.year, end.year + 1))
    return present


def _refuse_mixtures(lines: pd.DataFrame, by: Sequence[str], wanted: Mapping[str, list[Any]]) -> None:
    for key, words, what in (
        ("stage", schema.STAGE_LABELS, "d'étapes différentes"),
        ("kind", schema.KIND_LABELS, "de formes différentes"),
    ):
        if key in by or key in wanted:
            continue
        present = set(lines.loc[lines["amount_eur"].notna(), key].unique())
        found = [word for word in words if word in present]
        if len(found) > 1:
            options = " ou ".join(f"--{key} {word}" for word in found)
            together = " ".join(f"--{key} {word}" for word in found[:2])
            raise DataError(
                f"Ces montants sont {what} : ils ne s'additionnent pas.",
                seen=[f"{word} ({words[word]})" for word in found],
                todo=f"choisissez {options}, ventilez aussi par {key} (--by {key}), ou nommez-les pour les "
                f"additionner quand même ({together}).",
            )


# --- A line and its details ----------------------------------------------------------------------


def _once(lines: pd.DataFrame, funding: pd.DataFrame, apart: list[str]) -> pd.DataFrame:
    """The lines with `counted`: of a line and its details, the nearest to money spent.

    At the same stage the details are counted, and a line « non détaillé » for what they leave. Lines that
    differ in a column of `apart` are told apart, hence never double.
    """
    lines = lines.assign(counted=True)
    if "part_of" not in lines or lines.empty:
        return lines
    lines = lines.reset_index(drop=True)
    above = _line_above(lines, funding, apart)
    rank = lines["stage"].map(_NEAREST).fillna(_NO_LINE).to_numpy(dtype="int64")
    rank = np.where(lines["amount_eur"].notna(), rank, _NO_LINE - 1)
    order = _from_details_up(above, lines["funding_id"])
    reach = rank.copy()  # the nearest to money spent among a line and all that details it, directly or not
    below = np.full(len(lines), _NO_LINE - 1)
    for line in order:
        if above[line] >= 0:
            below[above[line]] = max(below[above[line]], reach[line])
            reach[above[line]] = max(reach[above[line]], reach[line])
    counted = np.ones(len(lines), dtype=bool)
    followed = np.ones(len(lines), dtype=bool)  # lines whose details may be counted in their place
    rests: dict[int, float] = {}
    amounts = lines["amount_eur"].fillna(0).to_numpy()
    for line in reversed(order):
        over = above[line]
        if over >= 0:
            followed[line] = followed[over] and below[over] >= rank[over] and reach[line] == below[over]
            counted[line] = followed[line]
            if over in rests and counted[line]:
                rests[over] -= amounts[line]
        if followed[line] and below[line] >= max(rank[line], 0):
            counted[line] = False
            if below[line] == rank[line]:
                rests[line] = amounts[line]
    left = {line: round(rest, 2) for line, rest in rests.items() if round(rest, 2)}
    rest_lines = lines.loc[list(left)].assign(amount_eur=list(left.values()), itemised=False, counted=True)
    return pd.concat([lines.assign(counted=counted), rest_lines]) if left else lines.assign(counted=counted)


def _line_above(lines: pd.DataFrame, funding: pd.DataFrame, apart: list[str]) -> np.ndarray:
    """For each line, the position of the nearest line present that it details; -1 for none."""
    ids = pd.Index(funding["funding_id"])
    parent = ids.get_indexer(funding["part_of"])  # in funding; -1 where part_of is missing or a total
    here = np.full(len(funding) + 1, -1)
    placed = lines["line"].to_numpy()
    here[placed[placed >= 0]] = np.flatnonzero(placed >= 0)
    alike = [funding[key].to_numpy(dtype=object) for key in apart]
    own = [lines[key].to_numpy(dtype=object) for key in apart]
    above = np.full(len(lines), -1)
    at = ids.get_indexer(lines["part_of"])
    for _ in range(len(funding)):
        looking = (above < 0) & (at >= 0)
        if not looking.any():
            return above
        fits = looking & (here[at] >= 0)
        for theirs, mine in zip(alike, own, strict=True):
            fits &= theirs[at] == mine
        above = np.where(fits, here[at], above)
        at = np.where(looking & ~fits, parent[at], -1)
    raise _loop(lines.loc[at >= 0, "funding_id"])


def _loop(ids: pd.Series) -> DataError:
    return DataError(
        "Des montants se détaillent en boucle (part_of).",
        seen=ids.tolist(),
        todo="corrigez part_of dans la fiche source : une ligne ne peut pas détailler ce qui la détaille.",
    )


def _from_details_up(above: np.ndarray, ids: pd.Series) -> list[int]:
    """The positions of the lines that detail or are detailed, details before what they detail."""
    depth = np.zeros(len(above), dtype="int64")
    at = above.copy()
    while (at >= 0).any():
        depth += at >= 0
        if depth.max() > len(above):
            raise _loop(ids[at >= 0])
        at = np.where(at >= 0, above[at], -1)
    involved = np.union1d(np.flatnonzero(above >= 0), above[above >= 0])
    return involved[np.argsort(-depth[involved], kind="stable")].tolist()


# --- One amount for several years or places ------------------------------------------------------


def _dated(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines, those without year spread equally over the period their source states; envelopes are not."""
    open_ = lines["year"].isna() & lines["period_start"].notna() & lines["period_end"].notna()
    open_ &= lines["stage"].ne("allocated")
    if not open_.any():
        return lines
    starts, ends = lines["period_start"].dt.year, lines["period_end"].dt.year
    years = [
        range(int(first), int(last) + 1) if spread else [year]
        for first, last, year, spread in zip(
            starts.fillna(0), ends.fillna(0), lines["year"], open_, strict=True
        )
    ]
    spread = lines.assign(year=pd.Series(years, index=lines.index), one=np.arange(len(lines)))
    spread = spread.explode("year", ignore_index=True).astype({"year": "Int64"})
    return _apportioned(spread, pd.Series(1.0, index=spread.index))


def _placed(lines: pd.DataFrame, tables: Tables, name: str, apportion: str) -> pd.DataFrame:
    """The lines shared between the territories or communes of their record; `name` is missing for none."""
    places = _places_of(tables, name)
    if name == "commune" and "territory" in lines:
        places = _within_territories(places, lines, tables)
    on = [key for key in ("record_id", "territory") if key in places and (key == "record_id" or key != name)]
    if apportion == "whole":
        places = _joined(places, on, name)
    weights = pd.Series(1.0, index=places.index)
    if apportion == "population":
        many = places.duplicated(on, keep=False)
        weights = _populations(places.loc[many, name], name, tables).reindex(places.index, fill_value=1.0)
    places = places.assign(weight=weights)[[*on, name, "weight"]]
    spread = lines.assign(one=np.arange(len(lines))).merge(places, on=on, how="left")
    return _apportioned(spread.drop(columns="weight"), spread["weight"].fillna(1.0))


def _places_of(tables: Tables, name: str) -> pd.DataFrame:
    """The distinct territories or communes of each record; a place that is no known commune stays."""
    places = tables.places
    if name == "territory":
        places = places.dropna(subset=["territory"])
        return places.drop_duplicates(["record_id", name])[["record_id", name, "written_as"]]
    named = places["commune"].notna() | places["territory"].isna()
    places = places[named | ~places["record_id"].isin(places.loc[named, "record_id"])]
    key = places["commune"].fillna(places["written_as"])
    return places.assign(key=key).drop_duplicates(["record_id", "key"])[["record_id", name, "written_as"]]


def _within_territories(places: pd.DataFrame, lines: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """The communes of each record in each of its territories: those that a reading gives it, else all."""
    territory = lines[["record_id", "territory"]].drop_duplicates().dropna(subset=["record_id"])
    pairs = places.merge(territory, on="record_id", how="inner")
    said = (tables.readings or {}).get("territory_communes", {})
    inside = [
        one not in said or commune in said[one]
        for one, commune in zip(pairs["territory"], pairs["commune"], strict=True)
    ]
    return pairs[np.array(inside, dtype=bool)].reset_index(drop=True)


def _joined(places: pd.DataFrame, on: list[str], name: str) -> pd.DataFrame:
    """One place per record, of all its names: territories as the source writes them, communes joined."""
    names = places.assign(**{name: places[name].fillna(places["written_as"])})
    joined = names.groupby(on, sort=False, dropna=False)[name].agg(" + ".join).reset_index()
    if name == "territory":
        alone = ~places.duplicated(on, keep=False)
        written = places.loc[~alone].drop_duplicates("record_id").set_index("record_id")["written_as"]
        joined[name] = joined["record_id"].map(written).fillna(joined[name])
    return joined


def _populations(names: pd.Series, name: str, tables: Tables) -> pd.Series:
    """The population of each commune or territory; a territory is the communes its reading gives it."""
    known = territories.communes().set_index("name")["municipal_population"].astype("float64")
    if name == "territory":
        said = (tables.readings or {}).get("territory_communes", {})
        known = pd.Series(
            {territory: known.reindex(towns).sum() for territory, towns in said.items()}, dtype="float64"
        )
    found = names.map(known).astype("float64")
    if found.isna().any():
        raise DataError(
            "Partage selon la population impossible : population inconnue.",
            seen=names[found.isna()].fillna("lieu non reconnu").unique(),
            todo="déclarez les communes de ces territoires dans readings.toml, [territory_communes], "
            "ou partagez à parts égales (equal).",
        )
    return found


def _apportioned(spread: pd.DataFrame, weights: pd.Series) -> pd.DataFrame:
    """The amounts of the lines `one` shared by weight; cents go to the largest remainders, so sums hold."""
    amounts, lines = spread["amount_eur"], spread["one"]
    shared = lines.duplicated(keep=False) & amounts.notna()
    if not shared.any():
        return spread.drop(columns="one")
    weights, lines, part = weights[shared], lines[shared], amounts[shared]
    cents = part * 100 * weights / weights.groupby(lines).transform("sum")
    floor = np.floor(cents + 1e-6)
    rest = part * 100 - floor.groupby(lines).transform("sum")
    whole = np.floor(rest + 1e-6)
    rank = (cents - floor).groupby(lines).rank(method="first", ascending=False)
    below_a_cent = (rest - whole).where(rank == 1, 0)
    below_a_cent = below_a_cent.where(below_a_cent.abs() > 1e-6, 0)
    parts = (floor + (rank <= whole) + below_a_cent) / 100
    return spread.assign(amount_eur=amounts.where(~shared, parts.reindex(spread.index))).drop(columns="one")


# --- The sums ------------------------------------------------------------------------------------


def _grouped(lines: pd.DataFrame, by: list[str], apart: list[str], *, trace: bool) -> pd.DataFrame:
    group, first = _groups(lines, [*by, "itemised"])
    units, decimals = _whole_units(lines["amount_eur"])
    sums = units.groupby(group).sum()
    filled = np.bincount(group[lines["amount_eur"].notna()], minlength=len(first))
    itemised = lines["itemised"].to_numpy(dtype=bool)[first]
    wholes = sums.groupby(_groups(lines.iloc[first], apart)[0]).transform("sum")
    columns: dict[str, Any] = _labelled(
        {key: lines[key].iloc[first].reset_index(drop=True) for key in by}, itemised
    )
    order = _order(columns)
    columns |= {
        "amount_eur": _euros(sums, decimals).where(filled > 0),
        "count": np.where(itemised, filled, 0),
        "share": (sums / wholes).where(wholes.ne(0) & (filled > 0)),
    }
    columns |= _pieces(lines, group, len(first)) if trace else {}
    return pd.DataFrame(columns).iloc[order].reset_index(drop=True)


def _groups(lines: pd.DataFrame, keys: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The group of each line, numbered as they come, what is missing being a value; each group's first line."""
    group = np.zeros(len(lines), dtype="int64")
    for key in keys:
        codes, values = pd.factorize(lines[key])
        group = pd.factorize(group * (len(values) + 1) + codes)[0]
    return group, np.unique(group, return_index=True)[1]


def _pieces(lines: pd.DataFrame, group: np.ndarray, groups: int) -> dict[str, list[Any]]:
    """For each group: the lines it adds and what each brings; the totals it is the rest of, and how much."""
    order = np.argsort(group, kind="stable")
    places = np.split(order, np.searchsorted(group[order], np.arange(1, groups)))
    rest = ~lines["itemised"].to_numpy(dtype=bool)
    names = np.where(lines["total_id"].notna(), lines["total_id"], lines["funding_id"]).astype(object)
    amounts = lines["amount_eur"].to_numpy(dtype=object)
    pieces: dict[str, list[Any]] = {"funding_ids": [], "parts_eur": [], "total_ids": [], "rests_eur": []}
    for number in range(groups):
        at = places[number]
        for who, what, kept in (
            ("funding_ids", "parts_eur", at[~rest[at]]),
            ("total_ids", "rests_eur", at[rest[at]]),
        ):
            pieces[who].append(tuple(names[kept]))
            pieces[what].append(tuple(amounts[kept]))
    return pieces


def _whole_units(amounts: pd.Series) -> tuple[pd.Series, int]:
    """The amounts as whole cents, or ten-thousandths or millionths, so that sums are exact; the decimals."""
    values = amounts.fillna(0).to_numpy(dtype="float64")
    largest = float(np.abs(values).max(initial=0))
    for decimals in (2, 4, 6):
        scaled = values * 10.0**decimals
        units = np.rint(scaled)
        if largest * 10**decimals * max(len(values), 1) > 2**62:
            break
        if (np.abs(scaled - units) <= 1e-5 + 1e-15 * np.abs(units)).all():
            return pd.Series(units.astype("int64"), index=amounts.index), decimals
    return pd.Series(values, index=amounts.index), 0  # pandas adds floats with Kahan's compensation


def _euros(units: pd.Series, decimals: int) -> pd.Series:
    """Whole units as euros, to the cent, halves away from zero."""
    if decimals == 0:
        return units.astype("float64").round(2)
    per_cent = 10 ** (decimals - 2)
    return np.sign(units) * ((2 * units.abs() + per_cent) // (2 * per_cent)) / 100


def _labelled(keys: dict[str, pd.Series], itemised: np.ndarray) -> dict[str, pd.Series]:
    """The keys with a word where one is missing; one at least says « non détaillé » where it is so."""
    labelled = {}
    for key, values in keys.items():
        absent = values.isna()
        if absent.any():
            missing = schema.MISSING_LABELS.get(key, schema.MISSING_LABEL)
            words = np.where(itemised, missing, schema.NOT_ITEMISED)
            values = values.astype("object").where(~absent, words)
        labelled[key] = values
    if not itemised.all():
        silent = ~itemised
        for values in labelled.values():
            silent &= values.ne(schema.NOT_ITEMISED).to_numpy(dtype=bool)
        last = "funder" if "funder" in keys else next(iter(keys))
        told = labelled[last].astype(str) + f", {schema.NOT_ITEMISED}"
        labelled[last] = labelled[last].astype("object").where(~silent, told)
    return labelled


_MISSING = {*schema.MISSING_LABELS.values(), schema.MISSING_LABEL}


def _order(keys: dict[str, pd.Series]) -> np.ndarray:
    """Rows in the order of the document, years in time order, what is missing then « non détaillé » last."""
    levels: list[Any] = []
    for key, values in keys.items():
        words = [str(value) for value in values]
        first = {word: place for place, word in reversed(list(enumerate(words)))}
        levels.append([2 * (schema.NOT_ITEMISED in word) + (word in _MISSING) for word in words])
        if key == "stage":
            ranks = {stage: rank for rank, stage in enumerate(schema.STAGES)}
            levels.append([ranks.get(word.partition(",")[0], len(ranks)) for word in words])
        elif key == "year":
            levels.append([int(word[:4]) if word[:4].isdecimal() else 0 for word in words])
        else:
            levels.append([first[word] for word in words])
    return np.lexsort(levels[::-1])
