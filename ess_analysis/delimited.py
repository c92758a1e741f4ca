"""Delimited text → rows of texts, with the reasons: encoding, delimiter, what the bytes have lost.

The whole file is looked at, not its head. Nothing is repaired: a byte that belongs to no encoding stays a
« \\ufffd », and is told. A table that could be cut into columns in two ways is refused.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
from charset_normalizer import from_bytes
from clevercsv.detect import Detector

from ess_analysis.errors import DataError

DELIMITERS = ";,\t|"
LEGACY = ("cp1252", "mac_roman", "cp850", "iso8859_15")  # one byte a character, as French offices wrote them
LONGEST_FIELD = 1_000_000  # characters; a longer field is a quote never closed
MOST_COLUMNS = 16_384  # as many as a spreadsheet
SAMPLE = 1 << 18  # bytes or characters from which the libraries guess
BIG = 8 << 20  # characters above which the rows are cut by Arrow rather than by `csv`


@dataclass(frozen=True)
class Note:
    """One thing to tell about how a file reads: code, severity, sentence, cell, words written."""

    code: str
    severity: str
    message: str
    cell: str = ""
    stated: str = ""


@dataclass(frozen=True)
class Delimited:
    """The rows of a text file (columns from 0, every value a text), and how the file was understood."""

    rows: pd.DataFrame
    encoding: str
    delimiter: str
    notes: tuple[Note, ...]


def read_delimited(content: bytes, name: str, encoding: str = "", delimiter: str = "") -> Delimited:
    """The rows of the file `name`; `encoding` and `delimiter`, where given, are those declared for it.

    Raises DataError on an encoding that does not fit, on lines of unequal widths, on a quote never closed,
    on a text without columns.
    """
    text, encoding, notes = decoded(content, name, encoding)
    delimiter = delimiter or delimiter_of(text, name)
    rows, more = _rows(text, name, delimiter)
    return Delimited(rows, encoding, delimiter, (*notes, *more))


# --- Encoding ------------------------------------------------------------------------------------

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DOUBLE = re.compile(r"[ÃÂ][\u0080-\u00bf‚ƒ„…†‡ˆ‰Š‹Œ‘’“”•–—˜™š›œžŸ ]|â€[™œ\u009d“”¦\u0093\u0094]|â‚¬")
_LOST = re.compile(r"\ufffd|(?<=[^\W\d_])\?(?=[^\W\d_])|(?<=[^\W\d_]{2})\?(?=\s[a-z])")


def decoded(content: bytes, name: str, encoding: str = "") -> tuple[str, str, list[Note]]:
    """The text of the bytes, its encoding, and what is told of it."""
    mark = next(((mark, known) for mark, known in _MARKS if content.startswith(mark)), None)
    if encoding:
        try:
            bare = content.removeprefix(codecs.BOM_UTF8) if mark and mark[1] == "utf-8-sig" else content
            return bare.decode(encoding).removeprefix("\ufeff"), encoding, []
        except (UnicodeDecodeError, LookupError) as error:
            raise DataError(
                f"Le fichier n'est pas écrit dans l'encodage déclaré : {name}.",
                seen=[encoding, _where(error)],
                todo="corrigez encoding dans la fiche source.",
            ) from error
    if mark and mark[1] != "utf-8-sig":
        try:
            return content.decode(mark[1]), mark[1], []
        except UnicodeDecodeError as error:
            raise _unreadable(name, error) from error
    if wide := _wide(content):
        text = f"Fichier en {wide} sans marque au début : reconnu à ses octets nuls."
        return content.decode(wide), wide, [Note("READ-ENCODING", "alert", text)]
    if b"\0" in content:
        raise DataError(
            f"Ce n'est pas un fichier texte : {name}.",
            seen=["des octets nuls"],
            todo="exportez-le en CSV (UTF-8), ou déclarez encoding dans une fiche source.",
        )
    body = content.removeprefix(codecs.BOM_UTF8) if mark else content
    text, found, notes = _bytes_of_unknown_encoding(body, name, marked=bool(mark))
    return text, found, [*notes, *_told_of_text(text)]


def _wide(content: bytes) -> str:
    """utf-16-le or -be, where one byte in two is nul as it is for Latin letters; empty otherwise."""
    head = content[: SAMPLE // 2 * 2]
    if len(content) % 2 or b"\0" not in head:
        return ""
    odd, even = head[1::2].count(0) / len(head) * 2, head[0::2].count(0) / len(head) * 2
    found = "utf-16-le" if odd > 0.8 and even < 0.05 else "utf-16-be" if even > 0.8 and odd < 0.05 else ""
    try:
        content.decode(found or "ascii")
    except UnicodeDecodeError:
        return ""
    return found


def _bytes_of_unknown_encoding(body: bytes, name: str, marked: bool) -> tuple[str, str, list[Note]]:
    try:
        return body.decode("utf-8"), "utf-8-sig" if marked else "utf-8", []
    except UnicodeDecodeError:
        text = body.decode("utf-8", errors="replace")
    stray = text.count("\ufffd")
    good = len(re.findall(rb"[\xc3-\xf4][\x80-\xbf]", body))
    if good > stray:
        at = [number for number, line in enumerate(text.split("\n"), 1) if "\ufffd" in line]
        lines = ", ".join(map(str, at[:5])) + ("…" if len(at) > 5 else "")
        message = f"Fichier UTF-8 où {stray} octets n'en sont pas (lignes {lines}) : caractères perdus."
        return text, "utf-8", [Note("READ-ENCODING", "alert", message)]
    found = _legacy(body)
    notes = []
    if marked:
        message = f"Le fichier commence par une marque UTF-8 mais le reste est en {found} ; il est lu ainsi."
        notes.append(Note("READ-ENCODING", "alert", message))
    elif found != "cp1252":
        notes.append(Note("READ-ENCODING", "alert", f"Fichier lu en {found}, d'après ses accents."))
    try:
        return body.decode(found), found, notes
    except UnicodeDecodeError as error:
        raise _unreadable(name, error) from error


def _legacy(body: bytes) -> str:
    """The one-byte encoding in which the accented lines read best as words."""
    lines = [line for line in body.split(b"\n") if not line.isascii()]
    sample = b"\n".join(lines)[:SAMPLE]
    best = from_bytes(sample, cp_isolation=list(LEGACY[:3]), threshold=1.0).best()
    french = {encoding: _french(sample, encoding) for encoding in LEGACY}
    most = max(french.values())
    agreed = [encoding for encoding in LEGACY if french[encoding] == most]
    return best.encoding if best and best.encoding in agreed else agreed[0]


def _french(sample: bytes, encoding: str) -> float:
    """The share of the accented characters that French uses, where it uses them: « 1 500 Ç » is no word."""
    text = sample.decode(encoding, errors="replace")
    accents = [c for c in text if ord(c) > 127]
    french = sum(c in "àâäçéèêëîïôöùûüÿœæÀÂÇÉÈÊËÎÏÔÙÛŒ’‘“”«»°€–…²\u00a0\u202f" for c in accents)
    alone = len(re.findall(r"(?<![^\W\d_])[ÂÇÊËÎÏÔÙÛ](?![^\W\d_])", text))
    return (french - alone) / max(1, len(accents))


def _where(error: object) -> str:
    """The byte at which decoding stopped, in French."""
    if isinstance(error, UnicodeDecodeError):
        return f"octet {error.object[error.start]:#04x} à la position {error.start}"
    return "encodage inconnu"


def _unreadable(name: str, error: object) -> DataError:
    return DataError(
        f"Encodage du fichier non reconnu : {name}.",
        seen=[_where(error)],
        todo="enregistrez-le en UTF-8, ou déclarez encoding dans une fiche source.",
    )


def _told_of_text(text: str) -> list[Note]:
    """What the characters say of their past: encoded twice, or accents already lost before publication."""
    notes: list[Note] = []
    if text.isascii() and "?" not in text:
        return notes
    double = _DOUBLE.findall(text) if any(sign in text for sign in ("Ã", "Â", "â€", "â‚")) else []
    if len(double) >= 2:
        message = (
            f"Texte encodé deux fois ({len(double)} endroits, « {double[0]} »…) : laissé tel quel. "
            "Demandez un nouvel export au producteur."
        )
        notes.append(Note("READ-DOUBLE-ENCODING", "alert", message, stated=double[0]))
    lost = len(_LOST.findall(text)) if "?" in text or "\ufffd" in text else 0
    if (lost and "\ufffd" in text) or lost >= 3:
        message = f"Caractères perdus avant la publication ({lost} « ? » ou « \ufffd ») : ils ne sont pas restitués."
        notes.append(Note("READ-LOST-CHARACTERS", "alert", message))
    return notes


# --- Delimiter -----------------------------------------------------------------------------------


def delimiter_of(text: str, name: str) -> str:
    """The one delimiter that cuts the text into a table; DataError when none does, or two do."""
    sample = text[:SAMPLE]
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1] or sample
    shapes = {delimiter: _shape(sample, delimiter) for delimiter in DELIMITERS if delimiter in sample}
    good = {delimiter: shape for delimiter, shape in shapes.items() if shape and shape[0] >= 2}
    if not good:
        raise DataError(
            f"Aucune colonne reconnue : {name}.",
            seen=sample.splitlines()[:2] or ["fichier vide"],
            todo="vérifiez que c'est une table, ou déclarez delimiter dans une fiche source.",
        )
    regular = {delimiter: shape for delimiter, shape in good.items() if shape[1] >= 0.9}
    if len(regular) == 1:
        return next(iter(regular))
    kept = regular or good
    wide = sorted(kept, key=lambda delimiter: kept[delimiter][0] * kept[delimiter][1], reverse=True)
    much_wider = len(wide) == 1 or kept[wide[0]][0] >= 2 * kept[wide[1]][0]
    if regular and much_wider:
        return wide[0]
    try:
        guessed = Detector().detect(sample[:20_000], delimiters=sorted(kept))
    except Exception:  # the detector is a guess, not a judge
        guessed = None
    if guessed and guessed.delimiter in kept:
        widest = max(kept, key=lambda delimiter: kept[delimiter])
        if guessed.delimiter == widest or not regular:
            return guessed.delimiter
    if much_wider:
        return wide[0]
    raise DataError(
        f"Deux séparateurs possibles : {name}.",
        seen=[f"{_shown(one)} : {kept[one][0]} colonnes" for one in wide],
        todo="déclarez delimiter dans une fiche source.",
    )


def _shown(delimiter: str) -> str:
    return "tabulation" if delimiter == "\t" else delimiter


def _shape(sample: str, delimiter: str) -> tuple[int, float] | None:
    """The most usual number of fields of a line, and the share of lines that have it."""
    try:
        widths = Counter(
            len(row) for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row
        )
    except csv.Error:
        return None
    if not widths:
        return None
    width, lines = max(widths.items(), key=lambda one: (one[1], one[0]))
    return width, lines / sum(widths.values())


# --- Rows ----------------------------------------------------------------------------------------


def _rows(text: str, name: str, delimiter: str) -> tuple[pd.DataFrame, list[Note]]:
    if len(text) > BIG:
        try:
            return _rows_by_arrow(text, name, delimiter), []
        except pa.ArrowInvalid:
            pass  # unequal lines: read one by one, and told
    quoting, notes = csv.QUOTE_MINIMAL, []
    try:
        rows = list(_cut(text, name, delimiter, quoting))
    except csv.Error as error:
        rows = list(_cut(text, name, delimiter, csv.QUOTE_NONE))
        widths = {len(row) for row in rows if any(row)}
        if len(widths) > 1:
            raise DataError(
                f"Guillemets mal fermés : {name}.",
                seen=[error],
                todo="doublez les guillemets à l'intérieur des textes, ou exportez à nouveau.",
            ) from error
        message = "Guillemets mal fermés : ils sont lus comme des caractères du texte."
        notes.append(Note("READ-QUOTES", "alert", message))
    width = _width(rows, name)
    short = [row + [""] * (width - len(row)) if len(row) < width else row[:width] for row in rows]
    if _cut_short(text, rows, width):
        message = "La dernière ligne est coupée : il manque la fin du fichier."
        notes.append(Note("READ-TRUNCATED", "blocking", message, f"A{len(rows)}"))
    columns = [pd.array([row[at] for row in short], dtype="str") for at in range(width)]
    return pd.DataFrame(dict(enumerate(columns))), notes


def _cut_short(text: str, rows: list[list[str]], width: int) -> bool:
    """Whether the last line has no end and holds fewer values than all the others, if not one alone, as footers do."""
    whole = all(len(row) == width for row in rows[:-1])
    return not text.endswith(("\n", "\r")) and len(rows) > 2 and whole and 1 < len(rows[-1]) < width


def _cut(text: str, name: str, delimiter: str, quoting: int) -> Iterator[list[str]]:
    """The fields of each line, one list per line of the file; a field over several lines is checked."""
    csv.field_size_limit(LONGEST_FIELD)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
    try:
        for row in reader:
            if len(row) > MOST_COLUMNS:
                raise DataError(
                    f"Trop de colonnes : {name}.",
                    seen=[f"ligne {reader.line_num} : {len(row)} colonnes"],
                    todo="vérifiez le séparateur, ou exportez à nouveau la table.",
                )
            if len(row) > 1 and any("\n" in field and swallows(field, delimiter, len(row)) for field in row):
                raise DataError(
                    f"Un guillemet ouvert avale plusieurs lignes : {name}, avant la ligne {reader.line_num}.",
                    seen=[max(row, key=len)[:120]],
                    todo="fermez le guillemet dans le fichier, ou exportez à nouveau.",
                )
            yield row
    except csv.Error as error:
        if "field larger" in str(error):
            raise DataError(
                f"Un champ n'a pas de fin : {name}, ligne {reader.line_num}.",
                seen=[f"plus de {LONGEST_FIELD} caractères"],
                todo="un guillemet n'est sans doute pas fermé : corrigez le fichier.",
            ) from error
        raise


def swallows(field: str, delimiter: str, width: int) -> bool:
    """Whether a field over several lines holds a whole line of the table: a quote was left open."""
    inside = field.split("\n")
    if width == 2 and any(
        re.fullmatch(rf'.*{re.escape(delimiter)}[ \d.,€"]*\d[ \d.,€"]*', line.strip()) for line in inside
    ):
        return True  # « Les Amis du livre;1500 » inside one text
    return any(line.count(delimiter) >= width - 1 for line in inside[1:-1]) or (
        width > 2 and (inside[0].count(delimiter) + inside[-1].count(delimiter)) >= width - 1
    )


def _width(rows: list[list[str]], name: str) -> int:
    """The number of columns; DataError on a line that holds more values than the others have columns."""
    filled = [_last_filled(row) for row in rows]
    lengths = Counter(len(row) for row in rows if any(row))
    if not lengths:
        raise DataError(f"Fichier vide : {name}.", seen=["aucune valeur"], todo="vérifiez le fichier.")
    usual = max(lengths.items(), key=lambda one: (one[1], one[0]))[0]
    header = next(
        (row for row, last in zip(rows[:60], filled, strict=False) if last >= max(2, 0.6 * usual)), []
    )
    width = len(header) or usual
    long = [number for number, last in enumerate(filled, 1) if last > width]
    if long:
        at = long[0]
        raise DataError(
            f"Colonnes décalées : {name}, ligne {at}.",
            seen=[f"{filled[at - 1]} valeurs pour {width} en-têtes", *rows[at - 1][-3:]],
            todo="un séparateur ou une virgule décimale n'est pas entre guillemets : corrigez ces lignes "
            f"({len(long)} en tout), ou exportez à nouveau.",
        )
    return width


def _last_filled(row: list[str]) -> int:
    return next((at for at in range(len(row), 0, -1) if row[at - 1].strip()), 0)


def _rows_by_arrow(text: str, name: str, delimiter: str) -> pd.DataFrame:
    """The rows of a big file, every value a text; ArrowInvalid where its lines are of unequal widths."""
    first = text[: text.find("\n") + 1]
    if len(first) > LONGEST_FIELD or not first:
        raise pa.ArrowInvalid("a line without end")
    width = len(next(csv.reader([first], delimiter=delimiter)))
    names = [str(at) for at in range(width)]
    table = pa_csv.read_csv(
        pa.py_buffer(text.encode()),
        read_options=pa_csv.ReadOptions(column_names=names, block_size=1 << 24),
        parse_options=pa_csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False
        ),
    )
    frame = pd.DataFrame({at: pd.array(table.column(at), dtype="str") for at in range(width)})
    for column in frame:
        folded = frame[column][frame[column].str.contains("\n", regex=False)]
        if any(swallows(field, delimiter, width) for field in folded):
            raise DataError(
                f"Un guillemet ouvert avale plusieurs lignes : {name}.",
                seen=[str(folded.iloc[0])[:120]],
                todo="fermez le guillemet dans le fichier, ou exportez à nouveau.",
            )
    return frame
