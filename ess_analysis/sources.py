"""Source sheets: what a person declares about a raw file, in a `.toml` beside it.

A sheet says where a file comes from (producer, date, licence, sha256) and how its tables are read: which
rows, which header means what, which headers are ignored and why, which totals the document announces.
Reading is general code; what is particular to a file is here.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ess_analysis import schema
from ess_analysis.errors import DataError
from ess_analysis.french import nfc

RECORD_ROLES = frozenset(
    {"axis", "number", "title", "description", "partners", "legal_status", "strand", "programme"}
)
FUNDING_ROLES = frozenset(
    {
        "recipient",
        "operator",
        "funder",
        "year",
        "date",
        "stage",
        "kind",
        "identifier",
        "funder_id",
        "recipient_id",
    }
)
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
    carried: bool = (
        False  # a title (or number) left blank, or repeated, is a further line of the record above
    )
    strip: str = ""  # words that every cell of the column may carry around its amount


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
    skip_lines: tuple[int, ...] = ()  # numbers of such rows, where no label tells them
    no_amount: tuple[str, ...] = ()  # texts of an amount column that say there is no amount
    doubts: str = "stop"  # a cell that cannot be read: "stop", or "report" it among the findings
    # "axis": a row with one filled cell alone gives the axis of the rows below;
    # "header": the header is repeated in the data, and the words in brackets of each give that axis
    section_rows: str = ""
    skip_without_amount: bool = (
        False  # rows that hold no amount are not data (parents, footnotes, references)
    )

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
    thousands: str = ""  # a sign between thousands that no rule of French knows: « 12'500 »
    decimal: str = ""  # the decimal sign, where « 1.234 » could be read in two ways
    note: str = ""
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # column → written → kept
    tables: tuple[TableRead, ...] = ()
    toml: Path | None = None
    scdl: Mapping[str, str] = field(default_factory=dict)  # field of the standard → value true of every row
    scdl_columns: Mapping[str, str] = field(default_factory=dict)  # header → field of the standard
    standard: str = ""  # « SCDL 2.1 », « 360Giving », where the headers follow one
    sealed: bool = True  # whether the sheet says which bytes it was written for

    def kept_name(self, column: str, written: str) -> str:
        """The one name under which `written` is kept in `column` (« LM » → « Lille Métropole »)."""
        return self.names.get(column, {}).get(written, written)


_TOP_KEYS = {"file", "names", "table", "scdl"}
_FILE_KEYS = {
    "path", "sha256", "title", "producer", "date", "licence", "reliability", "currency", "encoding",
    "delimiter", "decimal", "thousands", "note", "standard", "questions",
}  # fmt: skip
_FILE_REQUIRED = ("path", "sha256", "title", "producer", "date", "licence", "reliability")
_TABLE_KEYS = {
    "id", "title", "sheet", "header", "last_row", "record_kind", "programme", "funder", "recipient", "stage",
    "kind", "year", "period", "part_of", "columns", "ignored", "total", "skip_rows", "no_amount",
    "doubts", "section_rows", "skip_lines", "skip_without_amount",
}  # fmt: skip
_READ_APART = {"columns", "total", "header", "period", "ignored", "skip_rows", "skip_lines", "no_amount"}
_COLUMN_KEYS = {
    "role",
    "also",
    "funder",
    "operator",
    "stage",
    "kind",
    "year",
    "part_of",
    "unit",
    "strip",
    "carried",
}
_TOTAL_KEYS = {"row", "cell", "counts", "covers"}
UNSEALED = "à sceller"  # sha256 of a file that is still being filled in: its bytes are not checked
OUTSIDE = "hors référence"  # [names.place]: the names written under it are no commune of the reference


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_whole, value)) and value[0] <= value[1]


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


# The form of each value; a key that is not here is a text.
_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "date": (lambda value: value is not None, "une date"),
    "header": (
        lambda value: (_whole(value) and value >= 0) or _pair(value),
        "une ligne (3), deux ([3, 4]), ou 0 pour une table sans en-tête",
    ),
    "last_row": (_whole, "un numéro de ligne"),
    "year": (_whole, "une année, sans guillemets"),
    "period": (_pair, "deux années : [2012, 2013]"),
    "no_amount": (_texts, 'une liste de textes : ["Moyens humains"]'),
    "skip_rows": (_texts, 'une liste de textes : ["Sous-total"]'),
    "skip_lines": (
        lambda value: isinstance(value, list) and all(map(_whole, value)),
        "une liste de lignes : [12, 40]",
    ),
    "carried": (lambda value: isinstance(value, bool), "true ou false"),
    "unit": (lambda value: isinstance(value, (int, float)) and value > 0, "un nombre : 1000 pour des k€"),
    "columns": (lambda value: isinstance(value, dict), "un tableau [table.columns]"),
    "ignored": (
        lambda value: (
            isinstance(value, dict) and all(isinstance(said, str) and said for said in value.values())
        ),
        '"en-tête" = "raison", pour chacun',
    ),
    "total": (lambda value: isinstance(value, list), "un ou des [[table.total]]"),
    "cell": (lambda value: bool(re.fullmatch(r"[A-Z]{1,3}[1-9]\d*", str(value))), "une adresse : A9"),
    "sha256": (
        lambda value: value == UNSEALED or bool(re.fullmatch(r"[0-9a-f]{64}", str(value))),
        f"64 chiffres hexadécimaux, ou « {UNSEALED} » tant que le fichier se remplit",
    ),
    "currency": (
        lambda value: bool(re.fullmatch(r"[A-Z]{3}", str(value))),
        "les trois lettres de la norme ISO 4217 : EUR, GBP",
    ),
    "questions": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        'questions = ["…", "…"], ou [] quand il n\'y en a plus',
    ),
    "decimal": (lambda value: value in ("", ",", "."), "« , » ou « . »"),
    "delimiter": (lambda value: isinstance(value, str) and len(value) <= 1, "un seul caractère"),
    "thousands": (lambda value: isinstance(value, str) and len(value) <= 1, "un seul caractère"),
    "doubts": (lambda value: value in ("stop", "report"), "« stop » ou « report »"),
    "section_rows": (lambda value: value in ("", "axis", "header"), "« axis » ou « header »"),
    "skip_without_amount": (lambda value: isinstance(value, bool), "true ou false"),
}
_TEXT: tuple[Callable[[Any], bool], str] = (lambda value: isinstance(value, str), "un texte entre guillemets")


def read_source_sheet(toml: Path) -> SourceSheet:
    """The source sheet written in `toml`.

    Raises DataError on unreadable TOML, an unknown key, a missing one, or a word outside the closed lists.
    """
    try:
        content = tomllib.loads(toml.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        headings = re.findall(r"^\[+(\w+)", toml.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        unknown = [f"[{heading}]" for heading in dict.fromkeys(headings) if heading not in _TOP_KEYS]
        raise DataError(
            f"Fiche source illisible : {toml}.",
            seen=[str(error), *unknown],
            todo="corrigez la ligne indiquée ; un texte s'écrit entre guillemets.",
        ) from error
    _known(toml, "la fiche", content, _TOP_KEYS)
    about = content.get("file", {})
    _known(toml, "[file]", about, _FILE_KEYS)
    missing = [key for key in _FILE_REQUIRED if key not in about]
    if missing:
        raise DataError(
            f"Fiche source incomplète : {toml}, [file].", seen=missing, todo="ajoutez ces lignes à [file]."
        )
    unfinished = [f"{key} = {value}" for key, value in about.items() if str(value).startswith("à compléter")]
    if unfinished:
        raise DataError(
            f"Fiche source à finir : {toml}, [file].",
            seen=unfinished,
            todo="remplacez « à compléter » par ce que vous savez, ou par « non précisée ».",
        )
    if about.get("questions"):
        raise DataError(
            f"La fiche source a encore des questions : {toml}.",
            seen=about["questions"],
            todo="répondez à chacune dans la fiche, puis retirez-la de « questions ».",
        )
    if Path(about["path"]).name != about["path"]:
        raise DataError(
            f"Fiche source : {toml}, [file].",
            seen=[f"path = {about['path']}"],
            todo="placez le fichier à côté de sa fiche, et écrivez son nom seul.",
        )
    scdl, scdl_columns = _scdl(toml, content.get("scdl", {}))
    return SourceSheet(
        **{key: value for key, value in about.items() if key not in {"path", "date", "questions"}},
        path=toml.parent / about["path"],
        date=str(about["date"]),
        names=_names(toml, content.get("names", {})),
        tables=tuple(_table(toml, table) for table in content.get("table", [])),
        toml=toml,
        sealed=about["sha256"] != UNSEALED,
        scdl=scdl,
        scdl_columns=scdl_columns,
    )


def _scdl(toml: Path, content: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What the sheet says for the SCDL standard: constants by field, and the field that each column holds."""
    constants = {key: value for key, value in content.items() if key != "columns"}
    columns = content.get("columns", {})
    for where, said in (("[scdl]", constants), ("[scdl.columns]", columns)):
        wrong = [f"{key} = {value}" for key, value in said.items() if not isinstance(value, str)]
        if wrong:
            raise DataError(
                f"Fiche source : valeur mal écrite dans {toml}, {where}.",
                seen=wrong,
                todo="écrivez un texte entre guillemets.",
            )
    return constants, columns


def _names(toml: Path, groups: Any) -> dict[str, dict[str, str]]:
    """For each column, the name kept for each variant; a variant of two names is a DataError."""
    names: dict[str, dict[str, str]] = {}
    for column, kept_names in groups.items():
        found = names.setdefault(column, {})
        pairs: list[tuple[str, Any]] = list(kept_names.items()) if isinstance(kept_names, dict) else [("", 0)]
        for kept, variants in pairs:
            if not _texts(variants) or _taken(variants, found):
                raise DataError(
                    f"Fiche source : {toml}, [names.{column}].",
                    seen=[f"{kept} = {variants}"],
                    todo='écrivez "nom retenu" = ["variante", …] ; une variante n’a qu’un nom retenu.',
                )
            found |= dict.fromkeys(map(nfc, variants), kept)
    return names


def _taken(variants: list[str], found: Mapping[str, str]) -> bool:
    """Whether one of the variants already stands for a name."""
    return any(nfc(variant) in found for variant in variants)


def _table(toml: Path, content: Mapping[str, Any]) -> TableRead:
    where = f"[[table]] {content.get('id', '?')}"
    _known(toml, where, content, _TABLE_KEYS)
    if "id" not in content or not content["id"] or not content.get("columns"):
        raise DataError(
            f"Fiche source incomplète : {toml}, {where}.",
            seen=sorted(content),
            todo="donnez au moins id et [table.columns].",
        )
    header = content.get("header", 1)
    table = TableRead(
        **{key: value for key, value in content.items() if key not in _READ_APART},
        header=(header, header) if isinstance(header, int) else (header[0], header[-1]),
        period=tuple(content["period"]) if "period" in content else None,
        columns=tuple(_column(toml, where, name, said) for name, said in content["columns"].items()),
        ignored=dict(content.get("ignored", {})),
        totals=tuple(_total(toml, where, said) for said in content.get("total", [])),
        skip_rows=tuple(content.get("skip_rows", ())),
        skip_lines=tuple(content.get("skip_lines", ())),
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
    if allowed == _TOP_KEYS:
        return
    for key, value in content.items():
        right, form = _FORMS.get(key, _TEXT)
        if not right(value):
            raise DataError(
                f"Fiche source : valeur mal écrite pour {key} dans {toml}, {where}.",
                seen=[value],
                todo=f"écrivez {form}.",
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


def verify(sheet: SourceSheet) -> SourceSheet:
    """The sheet with the checksum of its raw file; DataError if the sheet was written for other bytes."""
    if not sheet.path.is_file():
        raise DataError(
            f"Fichier de données absent : {sheet.path}.",
            seen=[f"fiche source {sheet.toml}"],
            todo="remettez le fichier à sa place, ou corrigez path dans la fiche.",
        )
    found = sha256(sheet.path)
    if sheet.sealed and found != sheet.sha256:
        raise DataError(
            f"Le fichier a changé depuis que sa fiche source a été écrite : {sheet.path}.",
            seen=[f"attendu {sheet.sha256}", f"trouvé {found}"],
            todo="remettez le fichier d'origine ; si la nouvelle version est la bonne, relisez-la puis "
            f"mettez sha256 à jour dans {sheet.toml}.",
        )
    return replace(sheet, sha256=found)
