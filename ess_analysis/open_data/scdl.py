"""The SCDL standard « subventions »: which version a file follows, how it departs from it, its shared grants.

The rules are those of the official schema (OpenDataFrance, embedded under `standards/`), applied by frictionless.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ess_analysis import french
from ess_analysis.delimited import Note
from ess_analysis.grids import Grid

if TYPE_CHECKING:
    from frictionless import Schema

SCHEMA = Path(__file__).resolve().parents[1] / "standards" / "scdl_subventions_2.1.1.json"
LATE_FIELDS = {"rnaBeneficiaire", "dispositifAide"}  # came with 2.1
_WORDS = {  # after a singular, after a plural
    "type-error": ("n'a pas le type attendu", "n'ont pas le type attendu"),
    "pattern": ("n'a pas la forme attendue", "n'ont pas la forme attendue"),
    "enum": ("n'est pas dans la liste fermée", "ne sont pas dans la liste fermée"),
    "maxLength": ("est trop longue", "sont trop longues"),
    "minimum": ("est sous le minimum", "sont sous le minimum"),
    "maximum": ("est au-dessus du maximum", "sont au-dessus du maximum"),
    "required": ("manque alors que le champ est obligatoire", "manquent alors que le champ est obligatoire"),
}


@cache
def schema() -> Schema:
    """The official schema, 2.1.1."""
    from frictionless import Schema  # slow to import, needed for SCDL files alone

    return Schema.from_descriptor(str(SCHEMA))


def version(headers: Mapping[str, str]) -> str:
    """« SCDL 2.1 », by the fields that the headers stand for (header → field)."""
    fields = set(headers.values())
    if any(header.isupper() and "_" in header for header in headers):
        return "SCDL 1.1"
    return "SCDL 2.1" if fields & LATE_FIELDS else "SCDL 2.0"


def departures(
    grid: Grid, columns: Mapping[str, int], fields: Mapping[str, str], rows: pd.Index
) -> Iterator[Note]:
    """What the schema's own validation says of the rows: fields absent, headers written otherwise, values refused."""
    by_field = {field: header for header, field in fields.items()}
    required = [field.name for field in schema().fields if field.constraints.get("required")]
    absent = [name for name in required if name not in by_field]
    if absent:
        yield Note("SCDL-FIELD", "alert", f"Champs obligatoires du SCDL absents : {', '.join(absent)}.")
    other = [f"« {header} » ({field})" for header, field in fields.items() if header != field]
    if other:
        text = f"En-têtes reconnus mais écrits autrement que dans le SCDL : {', '.join(other[:6])}"
        yield Note("SCDL-HEADER", "info", text + ("…" if len(other) > 6 else "") + ".")
    for name, header in by_field.items():
        yield from _values(grid, columns[header], name, rows)


def _values(grid: Grid, column: int, name: str, rows: pd.Index) -> Iterator[Note]:
    """The values of one field that the schema refuses, by rule; each distinct value is judged once."""
    field = schema().get_field(name)
    if field.type == "string" and not field.constraints:
        return
    reader = field.create_cell_reader()
    codes, distinct = pd.factorize(grid.values[column].loc[rows], use_na_sentinel=False)
    wrong: dict[str, list[int]] = {}
    for code, value in enumerate(distinct):
        for rule in reader(_as_text(value))[1] or {}:
            wrong.setdefault("type-error" if rule == "type" else rule, []).append(code)
    for rule, found in wrong.items():
        at = rows[pd.Series(codes).isin(found)]
        first = _as_text(distinct[found[0]])
        said = _WORDS.get(rule, (f"ne suit pas la règle « {rule} »", f"ne suivent pas la règle « {rule} »"))
        shown = f" (« {first[:60]} »)" if first else ""
        text = f"SCDL, {name} : {french.counted(len(at), 'valeur', 'valeurs', feminine=True)} {said[len(at) > 1]}{shown}."
        yield Note(
            "SCDL-VALUE",
            "alert" if rule in {"required", "type-error"} else "info",
            text,
            grid.address(at[0], column),
            first,
        )


def _as_text(value: object) -> str:
    """A cell as the CSV of the standard would hold it."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime):
        value = value.date()
    return str(value).strip()


def shared(
    grid: Grid,
    columns: Mapping[str, int],
    fields: Mapping[str, str],
    rows: pd.Index,
    amounts: pd.Series,
    currency: str,
) -> Iterator[Note]:
    """The grants shared between several recipients: `montant` is the whole grant, before the split."""
    by_field = {field: columns[header] for header, field in fields.items()}
    if "pourcentageSubvention" not in by_field:
        return
    codes, distinct = pd.factorize(
        grid.values[by_field["pourcentageSubvention"]].loc[rows], use_na_sentinel=False
    )
    written = pd.Series([_as_text(value) for value in distinct], dtype="str").take(codes).set_axis(rows)
    share = pd.to_numeric(written.str.replace(",", ".").str.rstrip("% "), errors="coerce")
    if (share > 1).any():
        share = share / 100
    part = share.gt(0) & share.lt(0.9999)
    if not part.any():
        return
    same = [
        by_field[name]
        for name in ("nomAttribuant", "dateConvention", "referenceDecision", "objet", "montant")
        if name in by_field
    ]
    cells = grid.values[same].loc[rows[part]].map(_as_text)
    decision = cells[[at for at in same if at != by_field.get("montant")]].agg("\x1f".join, axis="columns")
    key = decision + "\x1f" + cells[by_field["montant"]].astype("str")
    size = key.map(key.value_counts())
    several = key[size > 1]
    # the parts of a decision make a whole: each line has its own amount
    split = share[part].groupby(decision).transform("sum").between(0.995, 1.005)
    alone = int((~split & size.eq(1)).sum())
    if len(several):
        each = amounts.reindex(several.index)
        twice = each.sum() - each.groupby(several).first().sum()
        text = (
            f"{french.counted(several.nunique(), 'subvention partagée', 'subventions partagées', feminine=True)} entre plusieurs "
            f"bénéficiaires ({len(several)} lignes) : si « montant » est le montant avant partage, "
            f"{french.money(twice, currency=currency)} sont comptés plusieurs fois. Rien n'est réparti."
        )
        yield Note("SCDL-SHARED", "alert", text, grid.address(several.index[0], by_field["montant"]))
    if alone:
        text = f"{french.counted(alone, 'ligne ne porte', 'lignes ne portent', feminine=True)} qu'une part d'une subvention (pourcentage inférieur à 1), sans les autres parts."  # noqa: E501
        yield Note(
            "SCDL-SHARE-ALONE",
            "info",
            text,
            grid.address(part.index[part][0], by_field["pourcentageSubvention"]),
        )
