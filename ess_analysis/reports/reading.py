"""The data of a batch, read and checked once in the process that its reports are forked from."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ess_analysis import ahead
from ess_analysis.checks import checked
from ess_analysis.load import load
from ess_analysis.traces import texts

MEGABYTES = 50  # beyond, each report reads for itself: the process that is forked must stay small


def read_ahead(data: str, heard: Collection[str], *, any_file: str) -> None:
    """The folder `data` is read and checked; `heard` holds, meanwhile, the files opened.

    `any_file` is found in it when not all of them could be heard. Raises what `load` raises.
    """
    folder = Path(data)
    marks = ahead.marks_of(folder)
    if ahead.knows(folder, marks):
        return
    ahead.forget()
    if sum(size for _, size, *_ in marks) > MEGABYTES * 10**6:
        return
    tables = load(folder)
    found = checked(tables)
    for source in tables.funding["source"].unique():
        texts(folder / source)
    opened = [name for name, *_ in marks if any_file in heard or name in heard]
    ahead.remember(folder, marks, opened, tables, found)
