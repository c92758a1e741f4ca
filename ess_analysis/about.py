"""What a report is about, and the traced tables its answers are made of.

`about(tables, year=2013)` holds the tables and what is asked; the functions below give frames with a `trace`
beside each number. Amounts of one stage at a time, in money only: loans and gifts in kind are told apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from ess_analysis import figures, french, schema, sentences, territories
from ess_analysis.breakdowns import APPORTION, UNDATED, breakdown, consolidated, every_line
from ess_analysis.checks import Checked, checked
from ess_analysis.display import Number, Sentence
from ess_analysis.errors import DataError
from ess_analysis.traces import (
    Trace,
    amount_trace,
    cells_of,
    cited,
    count_of,
    delivery_trace,
    difference_of,
    share_of,
    stated_trace,
    total_trace,
    traced,
)

if TYPE_CHECKING:
    from ess_analysis.load import Tables

LATEST_FIRST = tuple(reversed(schema.STAGES))
GRAND_TOTAL = "Total général"  # of the rows' own totals, whatever its header
STRONGEST = 10  # the recipients whose share is told, where there are more


@dataclass(frozen=True)
class About:
    """What a report is about: the tables, the years, the territory or the funder; what follows from them."""

    tables: Tables
    first_year: int | None = None
    last_year: int | None = None
    territory: str | None = None
    funder: str | None = None
    widened: bool = False  # over all years, in a report that is about some
    _shared: dict[str, Any] = field(
        default_factory=dict, compare=False, repr=False
    )  # with everywhere, always

    @property
    def years(self) -> list[int] | None:
        """The years asked; None for all of them, undated amounts included."""
        if self.first_year is None:
            return None
        return list(range(self.first_year, (self.last_year or self.first_year) + 1))

    @property
    def when(self) -> str:
        """The period in a sentence: « en 2013 », « en tout », « toutes années confondues »."""
        if self.first_year is None:
            return "toutes années confondues" if self.widened else "en tout"
        return sentences.when(self.first_year, self.last_year)

    @property
    def of_when(self) -> str:
        """The period of a date: « de 2013 »."""
        return self.when.replace("en ", "de ", 1)

    @cached_property
    def everywhere(self) -> About:
        """The same years, for every territory and funder."""
        return replace(self, territory=None, funder=None)

    @cached_property
    def always(self) -> About:
        """The same territory or funder, over all years; itself where no amount is of another year."""
        if len(self.dated) == len(self.lines):
            return self
        widened = self.widened or self.years is not None
        return replace(self, first_year=None, last_year=None, widened=widened)

    @cached_property
    def lines(self) -> pd.DataFrame:
        """The amounts in money of this territory and funder, whatever their year."""
        lines = self.tables.funding
        lines = lines[lines["amount_eur"].notna() & lines["kind"].eq("cash")]
        if self.funder is not None:
            lines = lines[lines["funder"] == self.funder]
        if self.territory is not None:
            places = self.tables.places
            there = places.loc[places["territory"] == self.territory, "record_id"]
            lines = lines[lines["record_id"].isin(there)]
        return lines

    def reading(self, name: str, known: tuple[str, ...]) -> str:
        """The reading followed of an ambiguous point: that of readings.toml, or the first."""
        said = (self.tables.readings or {}).get(name, {}).get("default", known[0])
        if said not in known:
            raise DataError(
                f"Lecture inconnue dans readings.toml : [{name}].",
                seen=[said],
                todo=f"default vaut l'un de : {', '.join(known)}.",
            )
        return str(said)

    @property
    def apportion(self) -> str:
        """How an amount of several territories is shared; one territory alone always shows its share."""
        said = self.reading("shared_territories", APPORTION)
        return "equal" if said == "whole" and self.territory is not None else said

    @property
    def undating(self) -> str:
        """Whether amounts without a year stand apart, or are spread over the period of their source."""
        return self.reading("undated", UNDATED)

    @cached_property
    def _spread(self) -> pd.Series:
        """Which lines without a year are spread over a period, when the reading followed spreads them."""
        lines = self.lines
        known = lines[["period_start", "period_end"]].notna().all(axis=1) & lines["stage"].ne("allocated")
        return lines["year"].isna() & known & (self.undating == "spread")

    @cached_property
    def dated(self) -> pd.DataFrame:
        """The lines of the years asked; all the lines where no year is asked."""
        if self.years is None:
            return self.lines
        first, last = self.years[0], self.years[-1]
        lines = self.lines
        over = lines["period_start"].dt.year.le(last) & lines["period_end"].dt.year.ge(first)
        return lines[lines["year"].isin(self.years) | (self._spread & over)]

    @cached_property
    def undated(self) -> pd.DataFrame:
        """The lines that carry no year, and that no reading spreads over several."""
        return self.lines[self.lines["year"].isna() & ~self._spread]

    @cached_property
    def record_ids(self) -> set[str]:
        """The records of the years asked, those without a year; of a whole report, those without amount."""
        found = {*self.dated["record_id"], *self.undated["record_id"]}
        if self.funder is None and self.territory is None:
            paid = self.tables.funding.dropna(subset=["amount_eur"])["record_id"]
            found |= set(self.tables.records["record_id"]) - set(paid)
        return found

    @cached_property
    def funder_order(self) -> list[str]:
        """Every funder of the tables, the greatest first: the same colour for the same funder everywhere."""
        lines = self.tables.funding[self.tables.funding["kind"].eq("cash")]
        sums = lines.groupby("funder")["amount_eur"].sum()
        return [str(name) for name in sums.sort_values(ascending=False, kind="stable").index]

    @cached_property
    def _checked(self) -> Checked:
        return checked(self.tables)

    @property
    def findings(self) -> pd.DataFrame:
        """What the checks found in the tables."""
        return self._checked.findings

    def finding(self, message: str) -> Sentence:
        """The message of a finding, each of its numbers leading to its cells."""
        parts = self._checked.parts.get(message, (message,))
        return Sentence(
            tuple(
                french.typographic(part)
                if isinstance(part, str)
                else Number(part.text, cited(part.recipe(), self.tables))
                for part in parts
            )
        )

    @cached_property
    def _made(self) -> dict[tuple[Any, ...], pd.DataFrame]:
        return {}  # the breakdowns already made for this report

    @cached_property
    def years_of_the_data(self) -> list[int]:
        """The years asked that the data know: those of an amount, those of a period."""
        lines = self.tables.funding
        known = {int(year) for year in lines["year"].dropna().unique()}
        for start, end in (
            lines[["period_start", "period_end"]].dropna().drop_duplicates().itertuples(index=False)
        ):
            known |= set(range(start.year, end.year + 1))
        return [year for year in self.years or sorted(known) if year in known]

    def _filters(self, undated: bool) -> dict[str, Any]:
        years: Any = None
        if self.years is not None:
            years = sorted(int(year) for year in self.dated["year"].dropna().unique())
            if self._spread[self.dated.index].any():
                years = self.years_of_the_data
            years += [schema.MISSING_LABELS["year"]] if undated and len(self.undated) else []
        asked = {"territory": self.territory, "funder": self.funder, "year": years}
        return {name: value for name, value in asked.items() if value is not None}

    def by(self, *columns: str, stage: str, undated: bool = False) -> pd.DataFrame:
        """The amounts of one stage by these columns, traced: of the years asked, or those without one."""
        asked = (*columns, stage, undated)
        if asked not in self._made:
            lines = self.undated if undated else self.dated
            if lines["stage"].ne(stage).all():
                names = [*columns, "amount_eur", "count", "share", "trace", "share_trace"]
                self._made[asked] = pd.DataFrame(columns=names)
            else:
                only = self._filters(False) | ({"year": schema.MISSING_LABELS["year"]} if undated else {})
                if "lines" not in self._shared:
                    self._shared["lines"] = every_line(self.tables)
                followed: Any = {"apportion": self.apportion, "undated": self.undating}
                followed["gaps"] = self._shared["lines"]
                made = breakdown(
                    self.tables, list(columns), stage=stage, kind="cash", trace=True, **followed, **only
                )
                self._made[asked] = traced(made.dropna(subset=["amount_eur"]), self.tables)
        return self._made[asked]

    def once(self, *columns: str) -> pd.DataFrame:
        """Each euro counted once, by these columns, traced; what carries no year has a row of its own."""
        if columns not in self._made:
            followed: Any = {"apportion": self.apportion, "undated": self.undating}
            only = self._filters("year" in columns)
            made = consolidated(self.tables, list(columns), trace=True, **followed, **only)
            self._made[columns] = traced(made.dropna(subset=["amount_eur"]), self.tables)
        return self._made[columns]

    def stage_that_tells(self, column: str) -> str | None:
        """The stage whose amounts best say `column`: most money with it; the latest stage on a tie."""
        lines = self.dated
        if column in ("territory", "commune"):
            told = lines["record_id"].isin(self.tables.places.dropna(subset=[column])["record_id"])
        else:
            told = lines[column].notna()
        sums = lines[told].groupby("stage")["amount_eur"].sum()
        return max(sums.index, key=lambda stage: (sums[stage], -LATEST_FIRST.index(stage)), default=None)


def about(
    tables: Tables,
    *,
    year: int | None = None,
    first_year: int | None = None,
    last_year: int | None = None,
    territory: str | None = None,
    funder: str | None = None,
) -> About:
    """What the report is about: one year, or a period, or a territory, or a funder, or everything.

    Raises DataError where an amount has no stage: what is awarded and what is paid are never added.
    """
    _staged(tables)
    return About(tables, first_year if year is None else year, last_year, territory, funder)


def _staged(tables: Tables) -> None:
    lines = tables.funding
    silent = lines[lines["stage"].isna() & lines["amount_eur"].notna() & lines["kind"].eq("cash")]
    if not len(silent):
        return
    asked = {
        table.id
        for sheet in tables.sources
        for table in sheet.tables
        if any(one.role == "stage" for one in table.columns)
    }
    blank = silent[silent["funding_id"].str.partition("!")[0].isin(asked)]
    if len(blank):
        cells = ", ".join(blank["cell"].astype("str").head(5)) + ("…" if len(blank) > 5 else "")
        raise DataError(
            f"Étape laissée vide : {french.counted(len(blank), 'montant')}, {blank['source'].iloc[0]}.",
            seen=[f"montants en {cells}"],
            todo="remplissez leur étape dans le classeur : alloué, prévu, accordé ou versé.",
        )
    counts = silent.groupby("source", sort=False).size()
    raise DataError(
        "Étape non précisée : on ne sait si ces montants sont alloués, prévus, accordés ou versés.",
        seen=[f"{source} : {french.counted(int(count), 'montant')}" for source, count in counts.items()],
        todo='dans la fiche source, sous [[table]], ajoutez stage = "allocated" (alloué), "planned" '
        '(prévu), "awarded" (accordé) ou "paid" (versé).',
    )


# --- Frames of traced numbers ------------------------------------------------------------------------


def ranked(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """The sums by `column`, the greatest first, what has no name last.

    Columns: name, amount_eur, share (of the whole frame), trace, share_trace, missing.
    """
    rows: list[dict[str, Any]] = []
    named: dict[str, list[Trace]] = {}
    for name, trace in zip(frame[column].astype("str"), frame["trace"], strict=True):
        named.setdefault(name, []).append(trace)
    for name, traces in named.items():
        trace = total_trace(traces)
        missing = figures.nameless(name)
        rows.append({"name": name, "amount_eur": trace["value"], "trace": trace, "missing": missing})
    whole = total_trace([row["trace"] for row in rows])
    for row in rows:
        row["share_trace"] = share_of(row["trace"], whole)
        row["share"] = row["share_trace"]["value"]
    found = pd.DataFrame(rows, columns=["name", "amount_eur", "share", "trace", "share_trace", "missing"])
    return found.sort_values(
        ["missing", "amount_eur"], ascending=[True, False], kind="stable", ignore_index=True
    )


def stage_sums(asked: About, undated: bool = False) -> pd.DataFrame:
    """stage, amount_eur, trace: the sum of each stage, latest first, with what totals hold beyond lines."""
    rows = []
    for stage in LATEST_FIRST:
        frame = asked.by("funder", stage=stage, undated=undated)
        if len(frame):
            trace = total_trace(frame["trace"])
            rows.append({"stage": stage, "amount_eur": trace["value"], "trace": trace})
    return pd.DataFrame(rows, columns=["stage", "amount_eur", "trace"])


def funders(asked: About, stage: str) -> pd.DataFrame:
    """As `ranked`: the funders of a stage, each with what its stated total holds beyond its lines."""
    frame = asked.by("funder", stage=stage)
    whose = frame["funder"].astype(str).str.removesuffix(f", {schema.NOT_ITEMISED}")
    return ranked(frame.assign(funder=whose), "funder")


def not_itemised(asked: About) -> pd.DataFrame:
    """funder, amount_eur, trace: what stated totals hold beyond their lines."""
    frames = [asked.by("funder", stage=stage) for stage in LATEST_FIRST]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame[frame["funder"].astype(str).str.contains(schema.NOT_ITEMISED)]
    return frame.assign(funder=frame["funder"].astype(str).str.removesuffix(f", {schema.NOT_ITEMISED}"))


def strongest(frame: pd.DataFrame) -> Trace:
    """The trace of the share of the STRONGEST first names of a `ranked` frame, together."""
    named = frame.loc[~frame["missing"], "trace"]
    return share_of(total_trace(named.iloc[:STRONGEST]), total_trace(frame["trace"]))


_READINGS = {
    "annual": {"label": "annuelle", "years": 1},
    "whole": {"label": "pour toute la période", "years": 1000},
}  # where none is declared beside the data


def envelope_readings(asked: About) -> pd.DataFrame:
    """What was awarded from each envelope that awards detail, under each reading of the years it covers.

    Columns: title, reading, amount_eur (awarded), envelope_eur (available over the years of the awards),
    share, each with its trace; one_trace (the envelope as written); default (the reading followed).
    """
    lines = asked.always.lines
    declared = (asked.tables.readings or {}).get("envelope", {})
    rows = []
    for envelope in lines[lines["stage"].eq("allocated")].to_dict(orient="records"):
        awards = lines[lines["part_of"].eq(envelope["funding_id"]) & lines["stage"].eq("awarded")]
        if awards.empty:
            continue
        used = amount_trace(awards["funding_id"].tolist(), asked.tables)
        one = amount_trace([envelope["funding_id"]], asked.tables)
        years = awards["year"].dropna()
        span = int(years.max() - years.min()) + 1 if len(years) else 1
        for name, choice in declared.get("choices", _READINGS).items():
            times = -(-span // int(choice["years"]))  # whole envelopes over the years of the awards
            there = one if times == 1 else total_trace([one] * times)
            part = share_of(used, there)
            rows.append(
                {
                    "title": envelope["title"],
                    "reading": choice["label"],
                    "amount_eur": used["value"],
                    "envelope_eur": there["value"],
                    "share": part["value"],
                    "trace": used,
                    "envelope_eur_trace": there,
                    "share_trace": part,
                    "one_trace": one,
                    "default": name == declared.get("default", "annual"),
                }
            )
    return pd.DataFrame(rows)


def stated_against_lines(asked: About) -> pd.DataFrame:
    """Each total announced for these years against its lines: name, amount_eur, gap_eur, stated_eur."""
    tables = asked.tables
    totals = tables.stated_totals.dropna(subset=["amount_eur"])
    if asked.years is not None:
        totals = totals[totals["year"].isin(asked.years)]
    totals = totals.drop_duplicates(["table_id", "measure", "funder", "operator", "amount_eur"], keep="last")
    table_of = tables.records.set_index("record_id")["table_id"]
    rows = []
    for total in totals.to_dict(orient="records"):
        delivered = total["measure"] == "delivery"
        lines = tables.delivery if delivered else tables.funding
        lines = lines[lines["record_id"].map(table_of).eq(total["table_id"])]
        for key in ("operator",) if delivered else ("funder", "year"):
            if pd.notna(total[key]):
                lines = lines[lines[key].eq(total[key]).fillna(False)]
        found = (
            delivery_trace(lines, tables) if delivered else amount_trace(list(lines["funding_id"]), tables)
        )
        stated = stated_trace(total["total_id"], tables)
        gap = difference_of(stated, found)
        rows.append(
            {
                "name": _total_name(total, several=totals["table_id"].nunique() > 1),
                "table_id": total["table_id"],
                "amount_eur": found["value"],
                "gap_eur": gap["value"],
                "stated_eur": stated["value"],
                "trace": found,
                "gap_eur_trace": gap,
                "stated_eur_trace": stated,
            }
        )
    return pd.DataFrame(rows)


def _total_name(total: dict[Any, Any], several: bool) -> str:
    """What an announced total is called: its column, or its sheet where it covers a whole table."""
    if total["measure"] == "row_total":
        return GRAND_TOTAL
    place = str(total["sheet"] or total["source"])
    if pd.isna(total["funder"]) and pd.isna(total["operator"]):
        return f"{GRAND_TOTAL}, {place}"
    return f"{total['covers']}, {place}" if several else str(total["covers"])


def delivery_by_operator(asked: About) -> pd.DataFrame:
    """What each operator carries out of the actions of these years: name, amount_eur, gap_eur, traces.

    gap_eur is what its announced total holds beyond its lines.
    """
    lines = asked.tables.delivery
    lines = lines[lines["record_id"].isin(asked.dated["record_id"]) & lines["amount_eur"].notna()]
    totals = asked.tables.stated_totals
    totals = totals[totals["measure"].eq("delivery") & totals["amount_eur"].notna()]
    if asked.funder is not None or asked.territory is not None:
        totals = totals.iloc[:0]  # a total covers every funder and territory
    stated = {
        row["operator"]: stated_trace(row["total_id"], asked.tables) for row in totals.to_dict("records")
    }
    rows = []
    for operator, same in lines.groupby("operator"):
        trace = delivery_trace(same, asked.tables)
        gap = difference_of(stated[operator], trace) if operator in stated else None
        rows.append(
            {
                "name": operator,
                "amount_eur": trace["value"],
                "gap_eur": gap["value"] if gap else float("nan"),
                "trace": trace,
                "gap_eur_trace": gap,
            }
        )
    return pd.DataFrame(rows)


def communes_reached(asked: About) -> pd.DataFrame:
    """Every commune of the reference: commune, insee_code, longitude, latitude, count of records."""
    known = territories.communes().rename(columns={"name": "commune"})
    places = asked.tables.places
    places = places[places["record_id"].isin(asked.record_ids) & places["insee_code"].notna()]
    places = places.drop_duplicates(["record_id", "insee_code"])
    cells = {code: cells_of(same, asked.tables) for code, same in places.groupby("insee_code")}
    frame = known[["commune", "insee_code", "longitude", "latitude"]]
    codes = list(frame["insee_code"])
    traces: list[Any] = [count_of(cells[code], "fiche") if code in cells else None for code in codes]
    return frame.assign(count=[len(cells.get(code, ())) for code in codes], count_trace=traces)
