"""Data read and checked ahead: a batch does it once, in the process that its reports are forked from.

`remember` is for that process; `tables_of` and `checked_of` then serve `load` and `checked` in each report, as
long as no file of the folder has changed and the tables are those that were read.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

Marks = tuple[tuple[str, int, int, int, int], ...]


@dataclass(frozen=True)
class _Known:
    """A folder as it was read: where from, the marks of its files, those that reading opened, what came of it."""

    here: str
    folder: str
    marks: Marks
    opened: tuple[str, ...]
    tables: Any
    checked: Any


_known: _Known | None = None


def remember(folder: Path, marks: Marks, opened: Collection[str], tables: Any, checked: Any) -> None:
    """What `load` and `checked` gave for this folder, whose files bore these marks; reading opened some."""
    global _known
    _known = _Known(os.getcwd(), str(folder), marks, tuple(opened), tables, checked)


def forget() -> None:
    """Nothing is known any more."""
    global _known
    _known = None


def knows(folder: Path, marks: Marks) -> bool:
    """Whether this folder was read ahead, with these marks."""
    return _known is not None and (_known.here, _known.folder, _known.marks) == (
        os.getcwd(),
        str(folder),
        marks,
    )


def tables_of(folder: str | Path) -> Any:
    """The tables read ahead from this folder, a copy; None where there are none, or a file has changed.

    The files are opened, so that whoever follows what a report reads sees that it reads them.
    """
    if _known is None or _known.folder != str(folder) or not knows(Path(folder), marks_of(Path(folder))):
        return None
    for name in _known.opened:
        Path(folder, name).open("rb").close()
    frames: dict[str, Any] = {name: frame.copy(deep=False) for name, frame in _frames(_known.tables)}
    return replace(_known.tables, **frames, readings=deepcopy(_known.tables.readings))


def checked_of(tables: Any) -> Any:
    """What the checks found in the tables read ahead, when these are still the same; else None."""
    if _known is None or tables.sources != _known.tables.sources or tables.readings != _known.tables.readings:
        return None
    mine, known = _frames(tables), _frames(_known.tables)
    if [name for name, _ in mine] != [name for name, _ in known]:
        return None
    if not all(frame.equals(other) for (_, frame), (_, other) in zip(mine, known, strict=True)):
        return None
    return replace(_known.checked, findings=_known.checked.findings.copy(deep=False))


def _frames(tables: Any) -> list[tuple[str, pd.DataFrame]]:
    found = ((field.name, getattr(tables, field.name)) for field in fields(tables))
    return [(name, value) for name, value in found if isinstance(value, pd.DataFrame)]


def marks_of(folder: Path) -> Marks:
    """The name, the size and the times of each file of the folder: the same as long as none changes."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            name = path.relative_to(folder).as_posix()
            found.append((name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))
    return tuple(found)
