"""A table read → a file in the formats of the field: SCDL and 360Giving; xlsx, csv, parquet for all of it.

Nothing is invented: what a standard requires and the data do not say keeps a row out, and is told. Texts that
a spreadsheet would run get an apostrophe, except in Parquet and JSON, whose texts are never formulas; amounts
stay numbers, negative ones too.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from stdnum.fr import siret

from ess_analysis import french, schema
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid, read_grids
from ess_analysis.load import Tables, load
from ess_analysis.load.headers import header_columns
from ess_analysis.open_data import headers, read
from ess_analysis.schema import TEXT, Column
from ess_analysis.sources import SourceSheet, TableRead
from ess_analysis.workbooks import neutral, new_workbook, saved, table_sheet, text_sheet
from ess_analysis.writing import write_whole

SCDL_SCHEMA = Path(__file__).with_name("standards") / "scdl_subventions_2.1.1.json"
LONGEST_SHEET = 1_048_575  # rows below the header that a workbook can hold

_EXTENSIONS = {
    "scdl": (".csv",),
    "360giving": (".csv", ".xlsx", ".json"),
    "xlsx": (".xlsx",),
    "csv": (".csv",),
    "parquet": (".parquet",),
}
LINES = schema.Table(
    "lines",
    "Financements",
    "Une ligne par montant, avec ses lieux.",
    (
        *schema.FUNDING.columns,
        Column("territory", TEXT, "Territoire", "Territoires de la fiche, tels qu'écrits."),
        Column("commune", TEXT, "Commune", "Communes de la fiche."),
    ),
)


@dataclass(frozen=True)
class Exported:
    """What was written: the file, its rows, their sum by stage and form (never added), what is told."""

    path: Path
    rows: int
    sums: Mapping[tuple[str, str], float]
    currency: str = "EUR"
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        sums = [
            f"{french.money(amount, currency=self.currency)} ({schema.STAGE_LABELS.get(stage, 'étape non dite')}, "
            f"{schema.KIND_LABELS.get(kind, 'forme non dite')})"
            for (stage, kind), amount in self.sums.items()
        ]
        told = " : ".join([french.counted(self.rows, "ligne"), *([french.listing(sums)] if sums else [])])
        return "\n".join([str(self.path), f"{told}.", *self.notes])


def export(source: str | Path, *, to: str, out: str | Path | None = None, partial: bool = False) -> Exported:
    """The file written from a table file or a data folder, in the format `to`.

    `to`: scdl (CSV, schema 2.1.1), 360giving (.csv, .xlsx or .json by the name of `out`), xlsx, parquet, csv.
    Raises DataError where a row lacks what the standard requires, or an amount was not read: with `partial`
    the others are exported, and a file beside lists what is left out.
    """
    source = Path(source)
    if to not in _EXTENSIONS:
        raise DataError("Format d'export inconnu.", seen=[to], todo=f"choisissez {', '.join(_EXTENSIONS)}.")
    path = _target(source, to, out)
    tables = load(source) if source.is_dir() else _one_file(source)
    _refuse_unread(tables, partial)
    if to in ("xlsx", "csv", "parquet"):
        lines = _lines(tables)
        write_whole(path, {"xlsx": _xlsx, "csv": _csv, "parquet": _parquet}[to](lines, tables))
        return Exported(path, len(lines), _sums(lines), _currency(tables))
    rows = _published(tables)
    made = _scdl(rows) if to == "scdl" else _grants(rows, tables)
    written = _standard(path, rows, made, to, partial)
    return replace(written, currency=_currency(tables))


def _currency(tables: Tables) -> str:
    """The currency of the amounts; DataError where files of two currencies would be one table."""
    found = sorted({sheet.currency for sheet in tables.sources if sheet.tables})
    if len(found) > 1:
        raise DataError(
            "Des montants de plusieurs monnaies ne font pas une table.",
            seen=found,
            todo="exportez chaque fichier à part.",
        )
    return found[0] if found else "EUR"


def _one_file(source: Path) -> Tables:
    """The tables of a file, read as the source sheet beside it says where there is one."""
    sheet = source.with_name(f"{source.name}.toml")
    return read(source, source=sheet if sheet.is_file() else None)


def _target(source: Path, to: str, out: str | Path | None) -> Path:
    """The file to write; DataError where its name does not suit, or it is what is read."""
    allowed = _EXTENSIONS[to]
    stem = source.resolve().name if source.is_dir() else source.stem
    path = Path(out) if out else Path(f"{stem}_{to}{allowed[0]}")
    if path.suffix.lower() not in allowed:
        raise DataError(
            f"Nom de fichier qui ne va pas avec le format {to} : {path}.",
            seen=[path.suffix or "aucune extension"],
            todo=f"donnez un nom en {' ou '.join(allowed)}.",
        )
    inside = source.is_dir() and path.resolve().is_relative_to(source.resolve())
    if inside or path.resolve() == source.resolve():
        raise DataError(
            "L'export remplacerait des données lues, ou s'y mêlerait.",
            seen=[path],
            todo="écrivez-le ailleurs, avec --out.",
        )
    return path


def _refuse_unread(tables: Tables, partial: bool) -> None:
    findings = tables.findings
    blocking = findings[findings["severity"].eq("blocking")]
    if len(blocking) and not partial:
        raise DataError(
            "Des montants n'ont pas pu être lus : l'export serait incomplet.",
            seen=(blocking["cell"].fillna("") + " " + blocking["message"]).str.strip(),
            todo="déclarez-les dans une fiche source, ou acceptez un export incomplet avec --partial.",
        )


def _sums(lines: pd.DataFrame) -> dict[tuple[str, str], float]:
    """The exact sum of each stage and form."""
    filled = lines.dropna(subset=["amount_eur"])
    groups = filled.assign(**{key: filled[key].fillna("") for key in ("stage", "kind")})
    return {
        (str(stage), str(kind)): float(sum(map(_exact, same["amount_eur"]), Decimal(0)))
        for (stage, kind), same in groups.groupby(["stage", "kind"], sort=False)
    }


def _exact(amount: float) -> Decimal:
    """The amount as it is written: 0.1 is 0.1."""
    return Decimal(repr(float(amount)))


def _plain(amount: float) -> str:
    """The amount with a decimal point and no useless zero: « 1200 », « 0.5 »."""
    text = format(_exact(amount), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


# --- Everything that was read --------------------------------------------------------------------


def _lines(tables: Tables) -> pd.DataFrame:
    """As `LINES`: each amount with the territories and communes of its record, joined."""
    lines = _worth_telling(tables.funding)
    for name in ("territory", "commune"):
        places = tables.places.dropna(subset=[name]).drop_duplicates(["record_id", name])
        joined = places.groupby("record_id", sort=False)[name].agg(", ".join)
        lines[name] = lines["record_id"].map(joined).astype("str")
    return lines[LINES.names]


def _worth_telling(funding: pd.DataFrame) -> pd.DataFrame:
    """The amounts; of a record that has none, one line that says so."""
    filled = funding["amount_eur"].notna()
    silent = ~funding["record_id"].isin(funding.loc[filled, "record_id"])
    return funding[filled | (silent & ~funding.duplicated("record_id"))].reset_index(drop=True)


def _neutralised(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.assign(**{one.name: neutral(lines[one.name]) for one in LINES.columns if one.dtype == TEXT})


def _csv(lines: pd.DataFrame, _: Tables) -> bytes:
    """UTF-8, commas, decimal points, French headers and words."""
    shown = _neutralised(lines)
    shown["stage"] = shown["stage"].map(schema.STAGE_LABELS).fillna(shown["stage"])
    shown["kind"] = shown["kind"].map(schema.KIND_LABELS).fillna(shown["kind"])
    shown["amount_eur"] = shown["amount_eur"].map(_plain, na_action="ignore")
    for name in ("period_start", "period_end"):
        shown[name] = shown[name].dt.strftime("%Y-%m-%d")
    labels = [column.label for column in LINES.columns]
    return _text(labels, shown.astype("object").where(shown.notna(), "").itertuples(index=False))


def _text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return made.getvalue().encode("utf-8")


def _xlsx(lines: pd.DataFrame, tables: Tables) -> bytes:
    if len(lines) > LONGEST_SHEET:
        raise DataError(
            "Table trop longue pour un classeur.",
            seen=[french.counted(len(lines), "ligne")],
            todo="exportez en csv ou en parquet.",
        )
    book = new_workbook("Financements")
    table_sheet(book, LINES, _neutralised(lines))
    said = [f"{sheet.path.name} : {sheet.title}, {sheet.producer}, {sheet.date}. Licence : {sheet.licence}. "
            f"Empreinte {sheet.sha256}." for sheet in tables.sources]  # fmt: skip
    text_sheet(book, "Sources", neutral(pd.Series(said, dtype=TEXT)))
    return saved(book)


def _parquet(lines: pd.DataFrame, _: Tables) -> bytes:
    """Typed columns under their English names; each carries its French label and unit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(lines, preserve_index=False)
    for place, column in enumerate(LINES.columns):
        about = {"label": column.label, "meaning": column.meaning, "unit": column.unit_shown}
        table = table.set_column(place, table.field(place).with_metadata(about), table.column(place))
    made = io.BytesIO()
    pq.write_table(table, made)
    return made.getvalue()


# --- What a standard publishes -------------------------------------------------------------------


Lacking = dict[int, list[tuple[str, str]]]  # by row: what it lacks, and what is written there


@dataclass(frozen=True)
class _Made:
    """Rows in the form of a standard, in order; what each row lacks, by row; what is told."""

    frame: pd.DataFrame
    lacking: Lacking
    notes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()  # columns of free text
    written: Callable[[pd.DataFrame, Path], bytes] = lambda frame, path: b""


def _published(tables: Tables) -> pd.DataFrame:
    """The amounts with what their rows say for the standards: one column for each SCDL field, as written.

    Columns: those of *funding*, `description`, `currency`, and for each field `raw_<field>`, as written on
    the row, and `all_<field>`, as the source sheet says of every row (missing where nothing is said).
    """
    lines = _worth_telling(tables.funding)
    described = tables.records.set_index("record_id")["description"]
    lines["description"] = lines["record_id"].map(described)
    frames = [_said(sheet, tables, lines) for sheet in tables.sources if sheet.tables]
    said = pd.concat(frames) if frames else pd.DataFrame(index=lines.index[:0])
    columns = [f"{how}_{field}" for how in ("raw", "all") for field in headers.SCDL_FIELDS]
    columns += ["raw_identifier", "raw_description", "currency"]
    return lines.join(said.reindex(columns=columns).astype("str"))


def _said(sheet: SourceSheet, tables: Tables, lines: pd.DataFrame) -> pd.DataFrame:
    """What the rows of a file say for the SCDL fields: its columns, then what its sheet says of every row."""
    frames = []
    for grid in read_grids(sheet.path, sheet.encoding, sheet.delimiter):
        inside = sheet.path.relative_to(tables.data).as_posix()
        source = f"{inside}/{grid.member}" if grid.member else inside
        for table in sheet.tables:
            own = lines["funding_id"].str.startswith(f"{table.id}!") & lines["source"].eq(source)
            own &= lines["sheet"].fillna("").eq(grid.sheet)
            if own.any():
                frames.append(_cells(grid, table, sheet, lines.loc[own, "cell"]))
    said = pd.concat(frames) if frames else pd.DataFrame(index=lines.index[:0])
    said_of_all = {f"all_{field}": value for field, value in sheet.scdl.items()}
    return said.assign(currency=sheet.currency, **said_of_all)


_GRANT_WORDS = {
    "identifier": "identifier",
    "id": "identifier",
    "description": "description",
}  # of 360Giving, beyond SCDL's
_ROLES = {"date": "dateConvention", "recipient_id": "idBeneficiaire", "funder_id": "idAttribuant"}


def _cells(grid: Grid, table: TableRead, sheet: SourceSheet, cells: pd.Series) -> pd.DataFrame:
    """The texts of the SCDL columns of a grid on the rows of these cells."""
    at = cells.str.extract(r"(\d+)$", expand=False).astype("int64") - 1
    declared = {french.nfc(column.header) for column in table.columns} | set(map(french.nfc, table.ignored))
    found: dict[str, pd.Series] = {}
    roles = {french.nfc(column.header): _ROLES.get(column.role, "") for column in table.columns}
    for header, column in header_columns(grid, table.header, table.last_row, said=declared).items():
        field = sheet.scdl_columns.get(header) or headers.meaning(header).field or roles.get(header, "")
        field = _GRANT_WORDS.get(headers.words(header), field)
        texts = grid.values[column].reindex(at).map(_written).set_axis(at.index)
        if field:
            name = f"raw_{field}"
            found[name] = found[name].fillna(texts) if name in found else texts
    return pd.DataFrame(found, index=at.index, dtype="str")


def _written(value: Any) -> str | None:
    """A cell as text: a date is « 2015-06-30 », a whole number has no decimal; None for a blank."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, date):
        return value.isoformat()[:10]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return french.nfc(str(value)).strip() or None


def _lacks(rows: pd.DataFrame) -> Lacking:
    """Why a row is no subsidy given: by position."""
    lacking: Lacking = {place: [] for place in range(len(rows))}
    awarded = set(rows.loc[rows["stage"].eq("awarded"), "record_id"])
    facts = zip(rows["stage"], rows["kind"], rows["amount_eur"], rows["record_id"], strict=True)
    for place, (stage, kind, amount, record) in enumerate(facts):
        if pd.isna(amount):
            lacking[place].append(("montant absent", ""))
        if stage not in ("awarded", "paid"):
            lacking[place].append(("étape qui n'est pas une attribution", schema.STAGE_LABELS.get(stage, "")))
        elif stage == "paid" and record in awarded:
            lacking[place].append(("versement d'une attribution exportée par ailleurs", ""))
        if kind not in ("cash", "in_kind"):
            lacking[place].append(("forme qui n'est pas une subvention", schema.KIND_LABELS.get(kind, "")))
    return lacking


def _standard(path: Path, rows: pd.DataFrame, made: _Made, to: str, partial: bool) -> Exported:
    """The file of a standard; DataError where rows are left out and that was not asked for."""
    out = [place for place, reasons in made.lacking.items() if reasons]
    kept = made.frame.drop(index=out)
    if out and (not partial or kept.empty):
        raise DataError(
            f"Lignes que le format {_NAMES[to]} ne peut pas porter : {french.number(len(out))} sur "
            f"{french.number(len(rows))}.",
            seen=_reasons(rows, made.lacking),
            todo=f"complétez les données, ou la fiche source ([scdl]) ; {_rest(len(kept))}.",
        )
    content = made.written(kept.assign(**{text: neutral(kept[text]) for text in made.texts}), path)
    write_whole(path, content)
    notes = list(made.notes)
    if out:
        left = path.with_name(f"{path.stem}_hors_export.csv")
        listed = [
            (_where(rows.iloc[place]), rows["title"].iloc[place], reason, said)
            for place in out
            for reason, said in made.lacking[place]
        ]
        frame = pd.DataFrame(listed, columns=["Où", "Intitulé", "Pourquoi", "Écrit"]).astype("str")
        write_whole(left, _text(frame.columns, frame.apply(neutral).fillna("").itertuples(index=False)))
        told = "ligne n'est pas exportée" if len(out) == 1 else "lignes ne sont pas exportées"
        notes.append(f"{french.number(len(out))} {told} : {left}")
    return Exported(path, len(kept), _sums(rows.iloc[list(kept.index)]), notes=tuple(notes))


_NAMES = {"scdl": "SCDL", "360giving": "360Giving"}


def _rest(kept: int) -> str:
    if not kept:
        return "aucune ligne n'est exportable en l'état"
    return f"--partial exporte {'l’autre' if kept == 1 else f'les {french.number(kept)} autres'}"


def _reasons(rows: pd.DataFrame, lacking: Lacking) -> list[str]:
    """What the rows lack, the most frequent first: how many, the first place, what is written there."""
    found: dict[str, list[tuple[int, str]]] = {}
    for place, reasons in lacking.items():
        for reason, said in reasons:
            found.setdefault(reason, []).append((place, said))
    ranked = sorted(found.items(), key=lambda one: -len(one[1]))
    return [
        f"{reason} : {french.counted(len(places), 'ligne')}, {_where(rows.iloc[places[0][0]])}"
        + (f" (écrit : {places[0][1]})" if places[0][1] else "")
        for reason, places in ranked
    ]


def _where(row: pd.Series) -> str:
    """« subventions.csv, F12 »."""
    parts = (row["source"], row["sheet"], row["cell"])
    return ", ".join(str(part) for part in parts if pd.notna(part) and part)


# --- SCDL ----------------------------------------------------------------------------------------

_FREE_TEXTS = (
    "nomAttribuant",
    "referenceDecision",
    "nomBeneficiaire",
    "objet",
    "conditionsVersement",
    "idRAE",
    "dispositifAide",
)
LONGEST = 256  # characters of « objet » and « conditionsVersement »


def scdl_fields() -> list[dict[str, Any]]:
    """The fields of the SCDL schema 2.1.1, in order."""
    return json.loads(SCDL_SCHEMA.read_text(encoding="utf-8"))["fields"]


def _scdl(rows: pd.DataFrame) -> _Made:
    """The rows under the fields of SCDL, and what each lacks; every value is read, none is guessed."""
    lacking = _lacks(rows)
    raw = {field: rows[f"raw_{field}"] for field in headers.SCDL_FIELDS}
    made = pd.DataFrame(index=range(len(rows)), columns=list(headers.SCDL_FIELDS), dtype="object")
    for field, reading in _READINGS.items():
        of_all = rows[f"all_{field}"].map(reading)
        made[field] = raw[field].map(reading).fillna(of_all)
    made["nomAttribuant"] = rows["funder"].fillna(made["nomAttribuant"])
    made["nomBeneficiaire"] = rows["recipient"].fillna(made["nomBeneficiaire"])
    made["objet"] = made["objet"].fillna(rows["title"])
    made["montant"] = rows["amount_eur"].map(_plain, na_action="ignore")
    made["rnaBeneficiaire"] = made["rnaBeneficiaire"].fillna(raw["idBeneficiaire"].map(_rna))
    made["nature"] = [_nature(text, kind) for text, kind in zip(raw["nature"], rows["kind"], strict=True)]
    alone = raw["pourcentageSubvention"].isna() & made["pourcentageSubvention"].isna()
    made.loc[alone, "pourcentageSubvention"] = "1"
    cut = 0
    for field in ("objet", "conditionsVersement"):
        texts = made[field].astype("str")
        long = texts.str.len().gt(LONGEST).fillna(False)
        made[field] = texts.where(~long, texts.str[: LONGEST - 1] + "…")
        cut += int(long.sum())
    for place in np.flatnonzero(rows["currency"].ne("EUR")):
        lacking[int(place)].append(("montant qui n'est pas en euros", str(rows["currency"].iloc[place])))
    for field in sorted(set(_required()) - {"montant"}):
        _tell_absent(made[field], raw[field], field, lacking)
    nobody = made["idBeneficiaire"].fillna(made["rnaBeneficiaire"])
    _tell_absent(nobody, raw["idBeneficiaire"], "SIRET ou RNA du bénéficiaire", lacking)
    notes = []
    if alone.any():
        notes.append("pourcentageSubvention : 1 où rien n'est dit, une ligne ayant un seul bénéficiaire.")
    if cut:
        told = french.counted(cut, "texte coupé", "textes coupés")
        notes.append(f"{told} à {LONGEST} caractères, comme le demande le schéma.")
    return _Made(made, lacking, tuple(notes), _FREE_TEXTS, _scdl_written)


def _as_is(text: Any) -> str | None:
    return text if isinstance(text, str) and text else None


def _required() -> list[str]:
    return [field["name"] for field in scdl_fields() if field.get("constraints", {}).get("required")]


def _tell_absent(values: pd.Series, written: pd.Series, name: str, lacking: Lacking) -> None:
    """Tells the rows that have no value: because nothing is written, or because what is cannot be taken."""
    for place in np.flatnonzero(values.isna()):
        said = written.iloc[place]
        told = (f"{name} absent", "") if pd.isna(said) else (f"{name} incorrect", str(said))
        lacking[int(place)].append(told)


def _scdl_written(frame: pd.DataFrame, path: Path) -> bytes:
    """The CSV, once the schema's own validation has passed on its bytes."""
    content = _text(frame.columns, frame.fillna("").itertuples(index=False))
    problems = scdl_problems(content)
    if problems:
        raise DataError(
            "L'export ne passe pas la validation du schéma SCDL 2.1.1 : rien n'est écrit.",
            seen=problems,
            todo="corrigez ces cellules dans les données.",
        )
    return content


def scdl_problems(content: bytes) -> list[str]:
    """What the SCDL schema 2.1.1 finds wrong in a CSV, told by frictionless; nothing when it is valid."""
    from frictionless import Dialect, Resource, Schema

    described = Schema.from_descriptor({"fields": scdl_fields()})
    resource = Resource(content, format="csv", encoding="utf-8", schema=described, dialect=Dialect())
    return [error.message for task in resource.validate().tasks for error in task.errors]


_DAY = re.compile(
    r"(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?|(\d{1,2})/(\d{1,2})/(\d{4})"
)


def _days_of(text: str) -> list[str]:
    """The days written in the text, in ISO form; those that do not exist are left out."""
    found = []
    for year, month, day, day2, month2, year2 in _DAY.findall(text):
        try:
            found.append(date(int(year or year2), int(month or month2), int(day or day2)).isoformat())
        except ValueError:
            return []
    return found


def _day(text: Any) -> str | None:
    found = _days_of(text) if isinstance(text, str) and _DAY.fullmatch(text.strip()) else []
    return found[0] if found else None


def _days(text: Any) -> str | None:
    """A day or a period: « 2015-01-01 », « 2015-01-01/2015-12-31 »."""
    if isinstance(text, str) and re.fullmatch(r"\d{4}-\d\d-\d\d(/\d{4}-\d\d-\d\d)?", text):
        return text  # as the schema asks
    found = _days_of(text) if isinstance(text, str) else []
    rest = _DAY.sub("", text).strip(" /_-").lower() if isinstance(text, str) else ""
    if rest not in ("", "au", "du  au", "et", "à") or not 1 <= len(found) <= 2 or found != sorted(found):
        return None
    return "/".join(found)


def _siret(text: Any) -> str | None:
    """The SIRET, if the text is one: 14 digits and a right key."""
    digits = re.sub(r"[\s.]", "", text) if isinstance(text, str) else ""
    return digits if re.fullmatch(r"\d{14}", digits) and siret.is_valid(digits) else None


def _rna(text: Any) -> str | None:
    found = re.sub(r"\s", "", text).upper() if isinstance(text, str) else ""
    return found if re.fullmatch(r"W\d{9}", found) else None


def _nature(text: Any, kind: str) -> str | None:
    """The nature as the schema writes it: that of the row where it has two, else that of its kind."""
    words = {_bare(word): word for word in ("aide en numéraire", "aide en nature")}
    said = [words.get(_bare(part)) for part in text.split(";")] if isinstance(text, str) else []
    if len(said) == 2 and None not in said and said[0] != said[1]:
        return ";".join(map(str, said))
    return {"cash": "aide en numéraire", "in_kind": "aide en nature"}.get(kind)


def _bare(text: str) -> str:
    return french.strip_accents(text).lower().strip()


def _yes_or_no(text: Any) -> str | None:
    return next((word for word in ("oui", "non") if isinstance(text, str) and _bare(text) == word), None)


def _aid_number(text: Any) -> str | None:
    return text if isinstance(text, str) and len(text) <= 5 else None


def _share(text: Any) -> str | None:
    """The share between 0.01 and 1: « 0,45 », « 45 % », « 100 » (a share above 1 is written in per cent)."""
    number = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*(%?)", text.strip()) if isinstance(text, str) else None
    if number is None:
        return None
    share = Decimal(number[1].replace(",", "."))
    share = share / 100 if number[2] or share > 1 else share
    return format(share.normalize(), "f") if Decimal("0.01") <= share <= 1 else None


_READINGS: dict[str, Callable[[Any], str | None]] = {  # how each field is taken from what is written
    "nomAttribuant": _as_is,
    "idAttribuant": _siret,
    "dateConvention": _day,
    "referenceDecision": _as_is,
    "nomBeneficiaire": _as_is,
    "idBeneficiaire": _siret,
    "rnaBeneficiaire": _rna,
    "objet": _as_is,
    "conditionsVersement": _as_is,
    "datesPeriodeVersement": _days,
    "idRAE": _aid_number,
    "notificationUE": _yes_or_no,
    "pourcentageSubvention": _share,
    "dispositifAide": _as_is,
}


# --- 360Giving -----------------------------------------------------------------------------------

GRANT_COLUMNS = {  # header of the flattened template → path in JSON
    "Identifier": ("id",),
    "Title": ("title",),
    "Description": ("description",),
    "Currency": ("currency",),
    "Amount Awarded": ("amountAwarded",),
    "Award Date": ("awardDate",),
    "Recipient Org:Identifier": ("recipientOrganization", "id"),
    "Recipient Org:Name": ("recipientOrganization", "name"),
    "Funding Org:Identifier": ("fundingOrganization", "id"),
    "Funding Org:Name": ("fundingOrganization", "name"),
    "Grant Programme:Title": ("grantProgramme", "title"),
    "Beneficiary Location:Name": ("beneficiaryLocation", "name"),
}
_GRANT_REQUIRED = tuple(GRANT_COLUMNS)[:10]


def _grants(rows: pd.DataFrame, tables: Tables) -> _Made:
    """The rows under the headers of the 360Giving template, and what each lacks."""
    lacking = _lacks(rows)
    for place, kind in enumerate(rows["kind"]):
        if kind == "in_kind":
            lacking[place].append(("forme qui n'est pas de l'argent", "nature"))
    made = pd.DataFrame(index=range(len(rows)), columns=list(GRANT_COLUMNS), dtype="object")
    ours = rows["raw_identifier"].isna() | rows["raw_identifier"].duplicated(keep=False)
    made["Identifier"] = rows["raw_identifier"].where(~ours, rows["funding_id"])
    made["Title"] = rows["title"].fillna(rows["raw_objet"])
    made["Description"] = rows["raw_description"].fillna(rows["description"]).fillna(made["Title"])
    made["Currency"] = rows["currency"]
    made["Amount Awarded"] = rows["amount_eur"]
    made["Award Date"] = rows["raw_dateConvention"].fillna(rows["all_dateConvention"]).map(_day)
    for who, column, field in (
        ("Recipient", "recipient", "idBeneficiaire"),
        ("Funding", "funder", "idAttribuant"),
    ):
        made[f"{who} Org:Name"] = rows[column]
        known = rows[f"raw_{field}"].map(_identifier).fillna(rows[f"all_{field}"].map(_identifier))
        own = rows[column].map(lambda name: f"ess-{french.slug(name)}", na_action="ignore")
        made[f"{who} Org:Identifier"] = known.fillna(own)
    made["Grant Programme:Title"] = rows["programme"]
    places = tables.places.assign(name=tables.places["commune"].fillna(tables.places["written_as"]))
    places = places.dropna(subset=["name"]).drop_duplicates(["record_id", "name"])
    made["Beneficiary Location:Name"] = rows["record_id"].map(
        places.groupby("record_id", sort=False)["name"].agg(", ".join)
    )
    for column in _GRANT_REQUIRED:
        written = rows["raw_dateConvention"] if column == "Award Date" else made[column]
        if column != "Amount Awarded":
            _tell_absent(made[column], written, column, lacking)
    told = "Identifiants des attributions : ceux de l'outil ; un éditeur y met son préfixe 360Giving."
    return _Made(made, lacking, (told,) if ours.any() else (), (), _grants_written)


def _identifier(text: Any) -> str | None:
    """The identifier of an organisation: a right SIRET, or one that is no number; a destroyed one is none."""
    if not isinstance(text, str) or re.fullmatch(r"[\d\s.,]+(E\+?\d+)?", text, re.IGNORECASE):
        return _siret(text)
    return text


def _grants_written(frame: pd.DataFrame, path: Path) -> bytes:
    suffix = path.suffix.lower()
    if suffix == ".json":
        grants = [_grant(row) for row in frame.to_dict(orient="records")]
        return (json.dumps({"grants": grants}, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    texts = [name for name in GRANT_COLUMNS if name != "Amount Awarded"]
    flat = frame.assign(**{name: neutral(frame[name].astype("str")) for name in texts})
    if suffix == ".csv":
        flat["Amount Awarded"] = flat["Amount Awarded"].map(_plain)
        return _text(flat.columns, flat.fillna("").itertuples(index=False))
    columns = tuple(Column(name, TEXT if name in texts else schema.EURO, name, "") for name in GRANT_COLUMNS)
    book = new_workbook("360Giving")
    table_sheet(book, schema.Table("grants", "grants", "", columns), flat)
    return saved(book)


def _grant(row: Mapping[Any, Any]) -> dict[str, Any]:
    """One grant in JSON: what is missing is left out."""
    grant: dict[str, Any] = {}
    for header, path in GRANT_COLUMNS.items():
        value = row[header]
        if pd.isna(value):
            continue
        if len(path) == 1:
            grant[path[0]] = int(value) if isinstance(value, float) and value.is_integer() else value
        else:
            grant.setdefault(path[0], [{}])[0][path[1]] = value
    return grant
