"""The one error a reader of data can meet, and how it is said."""

from __future__ import annotations

from collections.abc import Iterable


class DataError(Exception):
    """Data or settings that cannot be used: what and where, the values seen, what to do (in French).

    The command shows it without a traceback and ends with exit code 2.
    `seen` keeps five values at most, in the order given.
    """

    def __init__(self, what_where: str, *, seen: Iterable[object] = (), todo: str = "") -> None:
        self.what_where = what_where
        self.seen = [str(value) for value in seen]
        self.todo = todo
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what_where]
        if self.seen:
            shown = " · ".join(f"« {value} »" for value in self.seen[:5])
            rest = f" (et {len(self.seen) - 5} de plus)" if len(self.seen) > 5 else ""
            lines.append(f"  Vu : {shown}{rest}")
        if self.todo:
            lines.append(f"  À faire : {self.todo}")
        return "\n".join(lines)
