"""The answer of a command, kept while what it depends on is the same: `ess check` twice is instant.

What is kept is the text itself, in the user's cache folder ($XDG_CACHE_HOME, %LOCALAPPDATA%, else ~/.cache),
beside digests of the data, of the library and of the packages installed. Deleting the folder is harmless; so
is one that cannot be written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ess_analysis.reports import plan


def answer(question: str, data: Path, compute: Callable[[], tuple[str, int]]) -> tuple[str, int]:
    """The text and the exit code of a question put to the data; computed only when something changed."""
    if not data.is_dir():  # found elsewhere, or an error: what computes the answer says so
        return compute()
    place = _folder() / f"{hashlib.sha256(f'{data.resolve()} {question}'.encode()).hexdigest()[:32]}.json"
    known = _read(place)
    now = plan.Now(plan.DataFiles(data, known))
    key = [now.files.digest(), now.library, now.environment]
    if known.get("key") == key:
        return str(known["text"]), int(known["code"])
    text, code = compute()
    with suppress(OSError):
        kept = {"key": key, "text": text, "code": code, "stats": now.files.stats}
        plan.write_json(place, kept)
    return text, code


def _read(place: Path) -> dict[str, Any]:
    try:
        known = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(known, dict) and {"key", "text", "code", "stats"} <= set(known)
    return known if whole else {}


def _folder() -> Path:
    """Where this user's programs keep what they can do again."""
    told = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(told) if told else Path.home() / ".cache") / "ess_analysis"
