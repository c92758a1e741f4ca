"""A table → what the terminal shows: aligned French text, CSV or JSON records."""

from __future__ import annotations

import json
import math
import shutil
import textwrap

import pandas as pd

from ess_analysis import french, schema

FORMATS = ("table", "csv", "json")

_NUMBERS = {
    "amount_eur": french.money,
    "stated": None,
    "share": lambda value: french.percent(value, 1),
    "count": french.number,
    "gap": french.number,
}
_WORDS = {
    "stage": schema.STAGE_LABELS,
    "kind": schema.KIND_LABELS,
    "severity": schema.SEVERITY_LABELS,
}
_LABELS = {"amount_eur": "Montant", "share": "Part", "count": "Nombre", "option": "Option", "value": "Valeur"}


def rendered(frame: pd.DataFrame, how: str = "table") -> str:
    """The frame as text in one of FORMATS.

    `json` gives a list of records (missing values are null, amounts rounded to the cent); `csv` is UTF-8,
    comma-separated, formulas neutralised; `table` is for people: French labels, numbers and words.
    """
    if how == "json":
        return json.dumps(records(frame), ensure_ascii=False, indent=2)
    if how == "csv":
        return frame.map(_neutral).to_csv(index=False).rstrip("\n")
    return _aligned(frame)


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """The rows as plain Python dicts, ready for JSON: missing is None, amounts rounded to the cent."""
    return [
        {str(name): _plain(str(name), value) for name, value in row.items()}
        for row in frame.to_dict(orient="records")
    ]


def findings(frame: pd.DataFrame) -> str:
    """The findings for people: a paragraph each, its severity, place and code above; then their numbers."""
    width = min(100, max(60, shutil.get_terminal_size((100, 40)).columns))
    lines = []
    for row in frame.astype(object).where(frame.notna(), "").to_dict(orient="records"):
        place = ", ".join(str(row[name]) for name in ("sheet", "cell") if row[name]) or str(row["source"])
        severity = schema.SEVERITY_LABELS.get(str(row["severity"]), str(row["severity"]))
        lines += [f"{severity.upper()} · {place} · {row['code']}"]
        lines += textwrap.wrap(str(row["message"]), width, initial_indent="  ", subsequent_indent="  ")
    counts = frame["severity"].value_counts()
    told = [
        french.counted(int(counts.get(severity, 0)), noun, plural, feminine=severity != "blocking")
        for severity, (noun, plural) in _SEVERITY_NOUNS.items()
    ]
    return "\n".join([*lines, f"{'' if frame.empty else chr(10)}{french.listing(told).capitalize()}."])


_SEVERITY_NOUNS = {
    "blocking": ("constat bloquant", "constats bloquants"),
    "alert": ("alerte", "alertes"),
    "info": ("information", "informations"),
}


def _plain(name: str, value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_plain(name, item) for item in value]
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and name.endswith("_eur"):
        return round(value, 2)
    return value.isoformat() if isinstance(value, pd.Timestamp) else value


def _neutral(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets a leading apostrophe."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value


def _aligned(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "Aucune ligne."
    known = schema.labels(list(frame.columns))
    shown = pd.DataFrame({name: [_said(name, value) for value in frame[name]] for name in frame.columns})
    right = [pd.api.types.is_numeric_dtype(frame[name]) and name != "year" for name in frame.columns]
    heads = [_LABELS.get(name) or known.get(name) or name for name in frame.columns]
    widths = [
        max(len(head), *(len(text) for text in shown[name])) for head, name in zip(heads, shown, strict=True)
    ]
    widths = _fitted(widths, right)
    lines = [_line(heads, widths, right), "  ".join("─" * width for width in widths)]
    for row in shown.itertuples(index=False):
        cells = [textwrap.wrap(text, width) or [""] for text, width in zip(row, widths, strict=True)]
        for number in range(max(len(cell) for cell in cells)):
            lines.append(_line([cell[number] if number < len(cell) else "" for cell in cells], widths, right))
    return "\n".join(lines)


def _line(texts: list[str], widths: list[int], right: list[bool]) -> str:
    padded = [
        text.rjust(width) if to_right else text.ljust(width)
        for text, width, to_right in zip(texts, widths, right, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _fitted(widths: list[int], right: list[bool]) -> list[int]:
    """The widths reduced, widest text column first, so that a row fits the terminal."""
    room = max(80, shutil.get_terminal_size((120, 40)).columns) - 2 * (len(widths) - 1)
    fitted = list(widths)
    while sum(fitted) > room:
        widest = max((i for i in range(len(fitted)) if not right[i]), key=lambda i: fitted[i], default=None)
        if widest is None or fitted[widest] <= 12:
            break
        fitted[widest] -= 1
    return fitted


def _said(name: str, value: object) -> str:
    plain = _plain("", value)
    if plain is None:
        return ""
    if name in _WORDS:
        return _WORDS[name].get(str(plain), str(plain))
    if isinstance(plain, (int, float)) and not isinstance(plain, bool) and name != "year":
        write = _NUMBERS.get(name) or french.number
        return write(float(plain)).replace(french.THIN, french.SOLID)
    return str(plain)
