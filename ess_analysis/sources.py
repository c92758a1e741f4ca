"""Source sheets: what a person declares about a raw file, in a `.toml` beside it.

A sheet says where a file comes from (producer, date, licence, sha256) and how its tables are read: which
rows, which header means what, which headers are ignored and why, which totals the document announces.
Reading is general code; what is particular to a file is here.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ess_analysis import schema
from ess_analysis.errors import DataError

RECORD_ROLES = frozenset(
    {"axis", "number", "title", "description", "partners", "legal_status", "strand", "programme"}
)
FUNDING_ROLES = frozenset({"recipient", "operator", "funder", "year", "date", "stage", "kind", "identifier"})
PLACE_ROLES = frozenset({"places", "territory"})
AMOUNT_ROLES = frozenset({"amount", "delivery", "row_total"})
ROLES = RECORD_ROLES | FUNDING_ROLES | PLACE_ROLES | AMOUNT_ROLES | {"indicators"}


@dataclass(frozen=True)
class ColumnRead:
    """How one column is read: its role and, for an amount, whose it is."""

    header: str
    role: str
    funder: str = ""
    operator: str = ""
    stage: str = ""
    kind: str = ""
    year: int | None = None
    part_of: str = ""
    also: str = ""  # a second role for the same words (the towns named are also the recipient)
    unit: float = 1.0  # 1000 when the column is written in thousands of euros


@dataclass(frozen=True)
class TotalRead:
    """A total that the document announces: on the row labelled `row`, or in the sentence of `cell`.

    A sentence may hold a number of records (`counts`: « 4 projets ») and an amount; `covers` is the table it
    speaks of (by default its own).
    """

    row: str = ""
    cell: str = ""
    counts: str = ""
    covers: str = ""


@dataclass(frozen=True)
class TableRead:
    """One table of the file: where it stands, what its columns mean, what is true of every row."""

    id: str
    title: str = ""
    sheet: str = ""
    header: tuple[int, int] = (1, 1)
    last_row: int | None = None
    record_kind: str = "action"
    programme: str = ""
    funder: str = ""
    recipient: str = ""
    stage: str = ""
    kind: str = "cash"
    year: int | None = None
    period: tuple[int, int] | None = None
    part_of: str = ""
    columns: tuple[ColumnRead, ...] = ()
    ignored: Mapping[str, str] = field(default_factory=dict)
    totals: tuple[TotalRead, ...] = ()
    skip_rows: tuple[str, ...] = ()  # labels of rows that are not data
    no_amount: tuple[str, ...] = ()  # texts of an amount column that say there is no amount

    def column(self, header: str) -> ColumnRead | None:
        """How the column under `header` is read; None when the sheet does not say."""
        return next((column for column in self.columns if column.header == header), None)


@dataclass(frozen=True)
class SourceSheet:
    """A source sheet: the file it speaks of and how it is read; a text kept as proof has no `tables`."""

    path: Path
    sha256: str
    title: str
    producer: str
    date: str
    licence: str
    reliability: str
    currency: str = "EUR"
    encoding: str = ""
    delimiter: str = ""
    note: str = ""
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # column → written → kept
    tables: tuple[TableRead, ...] = ()
    toml: Path | None = None

    def kept_name(self, column: str, written: str) -> str:
        """The one name under which `written` is kept in `column` (« LM » → « Lille Métropole »)."""
        return self.names.get(column, {}).get(written, written)


_FILE_KEYS = {
    "path", "sha256", "title", "producer", "date", "licence", "reliability", "currency", "encoding",
    "delimiter", "note",
}  # fmt: skip
_FILE_REQUIRED = ("path", "sha256", "title", "producer", "date", "licence", "reliability")
_TABLE_KEYS = {
    "id", "title", "sheet", "header", "last_row", "record_kind", "programme", "funder", "recipient", "stage",
    "kind", "year", "period", "part_of", "columns", "ignored", "total", "skip_rows", "no_amount",
}  # fmt: skip
_COLUMN_KEYS = {"role", "also", "funder", "operator", "stage", "kind", "year", "part_of", "unit"}
_TOTAL_KEYS = {"row", "cell", "counts", "covers"}


def read_source_sheet(toml: Path) -> SourceSheet:
    """The source sheet written in `toml`.

    Raises DataError on unreadable TOML, an unknown key, a missing one, or a word outside the closed lists.
    """
    try:
        content = tomllib.loads(toml.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"Fiche source illisible : {toml}.",
            seen=[str(error)],
            todo="corrigez la ligne indiquée ; un texte s'écrit entre guillemets.",
        ) from error
    _known(toml, "la fiche", content, {"file", "names", "table"})
    about = content.get("file", {})
    _known(toml, "[file]", about, _FILE_KEYS)
    missing = [key for key in _FILE_REQUIRED if key not in about]
    if missing:
        raise DataError(
            f"Fiche source incomplète : {toml}, [file].", seen=missing, todo="ajoutez ces lignes à [file]."
        )
    names = {
        column: {variant: kept for kept, variants in groups.items() for variant in variants}
        for column, groups in content.get("names", {}).items()
    }
    return SourceSheet(
        **{key: value for key, value in about.items() if key not in {"path", "date"}},
        path=toml.parent / about["path"],
        date=str(about["date"]),
        names=names,
        tables=tuple(_table(toml, table) for table in content.get("table", [])),
        toml=toml,
    )


def _table(toml: Path, content: Mapping[str, Any]) -> TableRead:
    where = f"[[table]] {content.get('id', '?')}"
    _known(toml, where, content, _TABLE_KEYS)
    if "id" not in content or not content.get("columns"):
        raise DataError(
            f"Fiche source incomplète : {toml}, {where}.",
            seen=sorted(content),
            todo="donnez au moins id et [table.columns].",
        )
    header = content.get("header", 1)
    table = TableRead(
        **{
            key: value
            for key, value in content.items()
            if key not in {"columns", "total", "header", "period", "skip_rows", "ignored", "no_amount"}
        },
        header=(header, header) if isinstance(header, int) else (header[0], header[-1]),
        period=tuple(content["period"]) if "period" in content else None,  # type: ignore[arg-type]
        columns=tuple(_column(toml, where, name, said) for name, said in content["columns"].items()),
        ignored=dict(content.get("ignored", {})),
        totals=tuple(_total(toml, where, said) for said in content.get("total", [])),
        skip_rows=tuple(content.get("skip_rows", ())),
        no_amount=tuple(content.get("no_amount", ())),
    )
    for word, allowed, key in (
        (table.record_kind, schema.RECORD_KINDS, "record_kind"),
        (table.stage, ("", *schema.STAGES), "stage"),
        (table.kind, schema.KINDS, "kind"),
    ):
        _among(toml, where, key, word, allowed)
    return table


def _column(toml: Path, where: str, header: str, said: str | Mapping[str, Any]) -> ColumnRead:
    content = {"role": said} if isinstance(said, str) else dict(said)
    _known(toml, f"{where}, colonne « {header} »", content, _COLUMN_KEYS)
    column = ColumnRead(header=header, **{"role": "", **content})
    _among(toml, f"{where}, colonne « {header} »", "role", column.role, sorted(ROLES))
    _among(toml, f"{where}, colonne « {header} »", "stage", column.stage, ("", *schema.STAGES))
    _among(toml, f"{where}, colonne « {header} »", "kind", column.kind, ("", *schema.KINDS))
    return column


def _total(toml: Path, where: str, content: Mapping[str, Any]) -> TotalRead:
    _known(toml, f"{where}, total", content, _TOTAL_KEYS)
    total = TotalRead(**content)
    if bool(total.row) == bool(total.cell):
        raise DataError(
            f"Fiche source incomplète : {toml}, {where}, total.",
            seen=sorted(content),
            todo="dites où est le total : row (libellé de la ligne) ou cell (adresse), l'un des deux.",
        )
    return total


def _known(toml: Path, where: str, content: Mapping[str, Any], allowed: set[str]) -> None:
    unknown = [key for key in content if key not in allowed]
    if unknown:
        raise DataError(
            f"Fiche source : mot inconnu dans {toml}, {where}.",
            seen=unknown,
            todo=f"corrigez la faute de frappe ; mots admis : {', '.join(sorted(allowed))}.",
        )


def _among(toml: Path, where: str, key: str, word: str, allowed: Any) -> None:
    if word not in allowed:
        raise DataError(
            f"Fiche source : valeur inconnue pour {key} dans {toml}, {where}.",
            seen=[word],
            todo=f"choisissez parmi : {', '.join(value for value in allowed if value)}.",
        )


def sha256(path: Path) -> str:
    """The SHA-256 of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(sheet: SourceSheet) -> None:
    """Nothing, if the raw file is the one that the sheet was written for; DataError otherwise."""
    if not sheet.path.is_file():
        raise DataError(
            f"Fichier de données absent : {sheet.path}.",
            seen=[f"fiche source {sheet.toml}"],
            todo="remettez le fichier à sa place, ou corrigez path dans la fiche.",
        )
    found = sha256(sheet.path)
    if found != sheet.sha256:
        raise DataError(
            f"Le fichier a changé depuis que sa fiche source a été écrite : {sheet.path}.",
            seen=[f"attendu {sheet.sha256}", f"trouvé {found}"],
            todo="remettez le fichier d'origine ; si la nouvelle version est la bonne, relisez-la puis "
            f"mettez sha256 à jour dans {sheet.toml}.",
        )
