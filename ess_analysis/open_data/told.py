"""What `ess read` says to a person: what was understood of a file, what it adds up to, what to beware of."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ess_analysis import french, schema
from ess_analysis.sources import ColumnRead, SourceSheet

FIRST_ROWS = 20  # shown of a table that has many more
MANY_ROWS = 60
_ROLES = {
    "amount": "montant", "axis": "axe", "number": "numéro", "title": "intitulé", "description": "description",
    "partners": "partenaires", "legal_status": "statut", "strand": "volet", "programme": "dispositif",
    "recipient": "bénéficiaire", "operator": "opérateur", "funder": "financeur", "year": "année", "date": "date",
    "stage": "étape", "kind": "nature", "identifier": "identifiant", "funder_id": "identifiant du financeur",
    "recipient_id": "identifiant du bénéficiaire", "places": "communes", "territory": "territoire",
    "delivery": "montant réalisé", "row_total": "total de ligne", "indicators": "indicateurs",
}  # fmt: skip
_DELIMITERS = {"\t": "tabulation"}


def told(said: Mapping[str, Any], sheet: SourceSheet) -> str:
    """The summary of a file (see `reading.summary`) in French, a paragraph of at most 100 columns a fact."""
    lines = [str(said["file"])]
    for fact in _facts(said, sheet):
        whole = fact.replace("« ", f"«{french.SOLID}").replace(" »", f"{french.SOLID}»")
        lines += textwrap.wrap(
            whole, 100, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )
    return "\n".join(lines)


def _facts(said: Mapping[str, Any], sheet: SourceSheet) -> Iterator[str]:
    table, currency = sheet.tables[0], said["currency"]
    delimiter = _DELIMITERS.get(said["delimiter"], said["delimiter"])
    form = [said["standard"], said["encoding"], f"séparateur « {delimiter} »" if delimiter else ""]
    form += [f"feuille « {said['sheet']} »"] if said["sheet"] else []
    form += [f"en-tête à la ligne {said['header_row']}"] if said["header_row"] else []
    yield f"Forme : {', '.join(part for part in form if part)}."
    counted = french.counted(said["rows"], "montant")
    whole = said["amount_eur"]
    yield (
        f"Lu : {counted}, {french.money(whole, currency=currency)}."
        if whole is not None
        else f"Lu : {counted}."
    )
    for key, labels, what in (
        ("by_kind", schema.KIND_LABELS, "forme"), ("by_stage", schema.STAGE_LABELS, "étape"), ("by_year", {}, "année"),
    ):  # fmt: skip
        parts = [
            f"{labels.get(name, name)}{french.SOLID}{_sums(sums, currency)}"
            for name, sums in said[key].items()
        ]
        if parts:
            yield f"Par {what} : {' ; '.join(parts)}."
    yield f"Colonnes lues : {' ; '.join(map(_column, table.columns))}."
    if not table.funder and not any(column.role == "funder" or column.funder for column in table.columns):
        yield "Financeur : aucune colonne ne le dit ; indiquez-le dans une fiche source (funder)."
    if table.ignored:
        yield f"Colonnes laissées : {' ; '.join(f'« {header} » ({why})' for header, why in table.ignored.items())}."
    for finding in sorted(said["findings"], key=_order):
        place = f" ({finding['cell']})" if finding["cell"] else ""
        yield f"{schema.SEVERITY_LABELS[finding['severity']].capitalize()}{place} : {finding['message']}"


def _sums(sums: float | Mapping[str, float], currency: str) -> str:
    """« 3 000 € », or « accordé 3 000 €, versé 1 500 € » where stages are told apart."""
    if not isinstance(sums, Mapping):
        return french.money(sums, currency=currency)
    each = (
        f"{schema.STAGE_LABELS.get(stage, stage)} {french.money(one, currency=currency)}"
        for stage, one in sums.items()
    )
    return ", ".join(each)


def _order(finding: Mapping[str, Any]) -> tuple[int, bool]:
    """Gravest first; what touches the amounts before the form of the standard's other fields."""
    return schema.SEVERITIES.index(finding["severity"]), finding["code"] == "SCDL-VALUE"


def _column(column: ColumnRead) -> str:
    role = _ROLES.get(column.role, column.role)
    if column.role == "amount":
        stage, kind = schema.STAGE_LABELS.get(column.stage, ""), schema.KIND_LABELS.get(column.kind, "")
        year = str(column.year or "")
        unit = f"× {french.number(column.unit)}" if column.unit != 1 else ""
        giver = column.funder if column.funder != column.header else ""
        role = ", ".join(part for part in (role, giver, kind, stage, year, unit) if part)
    return f"« {column.header} » ({role})"


def first_rows(funding: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows that a screen shows, without the columns that say nothing, and what is said of the others."""
    columns = [
        name for name in funding if name not in ("funding_id", "record_id") and funding[name].notna().any()
    ]
    alike = [name for name in ("source", "sheet", "record_kind", "details") if name in columns]
    columns = [name for name in columns if name not in alike or funding[name].nunique() > 1]
    if len(funding) <= MANY_ROWS:
        return funding[columns], ""
    rest = french.counted(len(funding) - FIRST_ROWS, "autre ligne", "autres lignes", feminine=True)
    return funding[columns].head(FIRST_ROWS), f"… et {rest} : « --format csv » les donne toutes."
