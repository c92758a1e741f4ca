"""The list of the checks, and what they find in the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from ess_analysis import ahead, schema
from ess_analysis.checks import balance, cells, details, gaps, keys, references, spelling, years
from ess_analysis.checks.recipes import Cited
from ess_analysis.checks.view import Found, View

if TYPE_CHECKING:
    from ess_analysis.load import Tables


@dataclass(frozen=True)
class Check:
    """A check: its code, its severity, what it verifies (in French), and what it finds."""

    code: str
    severity: str
    sentence: str
    find: Callable[[View], Iterable[Found]]


CHECKS: tuple[Check, ...] = (
    Check("REPEATED-KEY", "blocking", "Un identifiant ne désigne qu'une ligne.", keys.repeated_keys),
    Check(
        "MIXED-TOTAL",
        "blocking",
        "Un total annoncé couvre une seule étape, une seule forme.",
        balance.mixed_totals,
    ),
    Check(
        "COLUMN-TOTAL", "alert", "Les lignes font le total annoncé de chaque colonne.", balance.column_totals
    ),
    Check(
        "ROW-BALANCE", "alert", "Sur chaque ligne, financeurs = réalisation = total.", balance.rows_balance
    ),
    Check(
        "TOTALS-BALANCE",
        "alert",
        "Les totaux annoncés s'accordent entre eux.",
        balance.totals_against_each_other,
    ),
    Check("GAPS-TOGETHER", "alert", "Les écarts d'une table s'expliquent ensemble.", gaps.gaps_together),
    Check("GAP-LEAD", "info", "Un écart correspond à une erreur de frappe usuelle.", gaps.leads),
    Check(
        "STATED-COUNT",
        "alert",
        "Le nombre de fiches annoncé est celui des fiches lues.",
        balance.stated_counts,
    ),
    Check(
        "REPEATED-STATEMENT",
        "alert",
        "Un même total est annoncé partout avec la même valeur.",
        balance.repeated_statements,
    ),
    Check("DETAIL", "alert", "Le détail d'un montant fait ce montant.", details.detailed_amounts),
    Check(
        "ENVELOPE", "alert", "Les montants accordés tiennent dans l'enveloppe.", details.awards_and_envelope
    ),
    Check("STAGES", "info", "Des étapes différentes ne s'ajoutent pas.", details.stages_side_by_side),
    Check("NO-TOTAL", "info", "Chaque table annonce son total.", details.without_total),
    Check("UNDATED", "alert", "Chaque montant a une année.", years.undated_amounts),
    Check("YEAR-OUTSIDE", "alert", "Une année est dans la période de sa table.", years.years_out_of_period),
    Check("YEAR-SILENT", "alert", "Chaque année de la période a un montant daté.", years.silent_years),
    Check("SAME-YEAR-TWICE", "alert", "Une cellule n'a qu'un montant par année.", years.same_year_twice),
    Check("REPEATED-LINE", "alert", "Une ligne n'est pas écrite deux fois.", keys.repeated_lines),
    Check("NUMBER-ORDER", "alert", "Les numéros se suivent dans chaque axe.", keys.number_order),
    Check("NUMBER-RESTART", "info", "Les numéros désignent une seule action.", keys.restarting_numbers),
    Check("SELF-REFERENCE", "alert", "Un renvoi mène ailleurs qu'à lui-même.", references.self_references),
    Check("LOST-REFERENCE", "alert", "Un renvoi mène quelque part.", references.lost_references),
    Check("FUNDED-TWICE", "alert", "Un projet n'est pas financé deux fois.", references.funded_twice),
    Check("NEGATIVE-AMOUNT", "alert", "Un montant n'est pas négatif.", cells.negative_amounts),
    Check("ZERO-AMOUNT", "alert", "Une cellule sans montant est vide, et non nulle.", cells.zero_amounts),
    Check("BLANK-CELL", "info", "Chaque cellule est remplie.", cells.blank_cells),
    Check("LABEL-VARIANT", "info", "Un nom s'écrit partout de la même façon.", spelling.label_variants),
    Check("ACCENT", "info", "Un mot garde ses accents.", spelling.unaccented_words),
    Check("CUT-TEXT", "info", "Un texte ne finit pas par un séparateur.", spelling.trailing_separators),
    Check("SHARED-AMOUNT", "info", "Un montant va à un seul territoire.", cells.shared_amounts),
    Check("FUNDER-PARTNER", "info", "Un financeur n'est pas aussi partenaire.", cells.funders_among_partners),
)


@dataclass(frozen=True)
class Checked:
    """The findings, and the numbers of their messages: message → texts and cited numbers in turn."""

    findings: pd.DataFrame
    parts: Mapping[str, tuple[str | Cited, ...]] = field(default_factory=dict)


def check(tables: Tables) -> pd.DataFrame:
    """The findings of reading and of every check, as the *findings* table: blocking first, then by place."""
    return checked(tables).findings


def checked(tables: Tables) -> Checked:
    """The findings (see `check`), with what each number of their messages was computed from."""
    if (known := ahead.checked_of(tables)) is not None:
        return known
    view = View(tables)
    rows, parts = [], {}
    for one in CHECKS:
        for found in one.find(view):
            told = view.parts_of(found.message)
            message = "".join(part if isinstance(part, str) else part.text for part in told)
            parts[message] = told
            rows.append((one.code, found.severity or one.severity, message, *found[1:-1]))
    computed = schema.conform(pd.DataFrame(rows, columns=schema.FINDINGS.names), "findings")
    read = schema.conform(tables.findings, "findings")
    findings = (
        pd.concat([read, computed] if len(read) else [computed], ignore_index=True)
        .drop_duplicates()
        .assign(rank=lambda t: t["severity"].map(schema.SEVERITIES.index).astype("int64"))
        .sort_values(["rank", "source", "sheet", "cell"], key=_in_reading_order, kind="stable")
        .drop(columns="rank")
        .reset_index(drop=True)
    )
    return Checked(findings, parts)


def _in_reading_order(column: pd.Series) -> pd.Series:
    """Cells sort by line then column: G9 before A10."""
    if column.name != "cell":
        return column
    parts = column.fillna("").str.extract(r"^([A-Z]*)(\d*)")
    return parts[1].str.rjust(8).str.cat(parts[0].str.rjust(4))
