"""Data read and checked ahead: a batch does it once, in the process that its reports are forked from.

`read` is for that process; `tables_of` and `checked_of` then serve `load` and `checked` in each report, as long
as no file of the folder has changed and the tables are those that were read.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from ess_analysis.checks import Checked
    from ess_analysis.load import Tables

MEGABYTES = 50  # beyond, each report reads for itself: the process that is forked must stay small

_Marks = tuple[tuple[str, int, int, int, int], ...]


@dataclass(frozen=True)
class _Known:
    """A folder as it was read: where from, the marks of its files, those that reading opened."""

    here: str
    folder: str
    marks: _Marks
    opened: tuple[str, ...]
    tables: Tables
    checked: Checked


_known: _Known | None = None


def read(data: str | Path, heard: Collection[str], *, any_file: str) -> None:
    """The folder `data` is read and checked; `heard` holds, meanwhile, the files opened.

    `any_file` is found in it when not all of them could be heard. Raises what `load` raises.
    """
    global _known
    from ess_analysis.checks import checked
    from ess_analysis.load import load
    from ess_analysis.traces import texts

    folder = Path(data)
    marks = _marks(folder)
    if _known and (_known.here, _known.folder, _known.marks) == (os.getcwd(), str(folder), marks):
        return
    _known = None
    if sum(size for _, size, *_ in marks) > MEGABYTES * 10**6:
        return
    tables = load(folder)
    found = checked(tables)
    for source in tables.funding["source"].unique():
        texts(folder / source)
    opened = [name for name, *_ in marks if any_file in heard or name in heard]
    _known = _Known(os.getcwd(), str(folder), marks, tuple(opened), tables, found)


def tables_of(folder: str | Path) -> Tables | None:
    """The tables read ahead from this folder, a copy; None where there are none, or a file has changed.

    The files are opened, so that whoever follows what a report reads sees that it reads them.
    """
    if _known is None or (_known.here, _known.folder) != (os.getcwd(), str(folder)):
        return None
    if _marks(Path(folder)) != _known.marks:
        return None
    for name in _known.opened:
        Path(folder, name).open("rb").close()
    frames: dict[str, Any] = {name: frame.copy(deep=False) for name, frame in _frames(_known.tables)}
    return replace(_known.tables, **frames, readings=deepcopy(_known.tables.readings))


def checked_of(tables: Tables) -> Checked | None:
    """What the checks found in the tables read ahead, when these are still the same; else None."""
    if _known is None or tables.sources != _known.tables.sources or tables.readings != _known.tables.readings:
        return None
    same = zip(_frames(tables), _frames(_known.tables), strict=True)
    if not all(name == known and frame.equals(other) for (name, frame), (known, other) in same):
        return None
    return replace(_known.checked, findings=_known.checked.findings.copy(deep=False))


def _frames(tables: Tables) -> list[tuple[str, pd.DataFrame]]:
    found = ((field.name, getattr(tables, field.name)) for field in fields(tables))
    return [(name, value) for name, value in found if isinstance(value, pd.DataFrame)]


def _marks(folder: Path) -> _Marks:
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            name = path.relative_to(folder).as_posix()
            found.append((name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))
    return tuple(found)
