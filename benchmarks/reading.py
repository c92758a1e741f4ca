"""The published samples: read right, wrong in silence or refused, by us and by what a user would write.

    python benchmarks/reading.py [--samples DIR]

For each file of EXPECTED.csv, each way reads the principal column of amounts and adds it up. The others are
told which column to add, which sheet and how many lines to skip over nothing: they are given more than we are.
Right: the rows and the sum are those expected. Refused: an error, or an amount column that is not a number.
Wrong in silence: another sum, with no error. Each reading is a process of its own: its time and peak memory.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
import time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "samples"
COLUMNS = {  # what a user who looked at the file would add up
    "Montant total (18116 filled of 18148)": "Montant total de la subvention",
    "montant (as published)": "montant",
    "fonctionnement + investissement": "Montant\nde la subvention de fonctionnement\n(1)",
    "Détail (leaf rows)": "Détail des subventions",
    "Montant (detail rows)": "Montant",
    "Amount Awarded (GBP)": "Amount Awarded",
}


def _number(total: Any, rows: Any) -> dict[str, Any]:
    if isinstance(total, str) or total is None:
        raise TypeError("the column is not a number")
    return {"rows": int(rows), "sum": str(round(Decimal(repr(float(total))), 2))}


def ours(path: Path, column: str) -> dict[str, Any]:
    import ess_analysis as ess
    from ess_analysis.open_data import summary

    tables = ess.read(path)
    if (tables.findings["severity"] == "blocking").any():
        raise ValueError("a blocking finding")
    said = summary(path, tables)
    if said["amount_eur"] is None:
        raise ValueError("several stages or kinds")
    return {"rows": said["rows"], "sum": str(round(Decimal(repr(said["amount_eur"])), 2))}


def pandas_read(path: Path, column: str) -> dict[str, Any]:
    """`pd.read_csv` with its own guess of the separator, `pd.read_excel`, `pd.read_json`."""
    import pandas as pd

    if path.suffix == ".csv":
        frame = pd.read_csv(path, sep=None, engine="python")
    elif path.suffix == ".json":
        frame = pd.json_normalize(json.loads(path.read_text(encoding="utf-8"))["grants"])
    else:
        frame = pd.read_excel(path, engine="calamine")
    values = frame[next(name for name in frame if str(name).strip() == column)]
    if not pd.api.types.is_numeric_dtype(values):
        raise TypeError("the column is not a number")
    return _number(values.sum(), values.count())


def duckdb_sniffer(path: Path, column: str) -> dict[str, Any]:
    import duckdb

    if path.suffix != ".csv":
        raise ValueError("not a format that it reads by itself")
    name = str(path).replace("'", "''")
    return _number(*duckdb.sql(f'SELECT sum("{column}"), count("{column}") FROM \'{name}\'').fetchall()[0])


def polars_read(path: Path, column: str) -> dict[str, Any]:
    import polars as pl

    if path.suffix != ".csv":
        raise ValueError("not a format that it reads by itself")
    with path.open("rb") as file:
        head = file.readline()
    frame = pl.read_csv(path, separator=";" if head.count(b";") > head.count(b",") else ",")
    values = frame[column]
    if not values.dtype.is_numeric():
        raise TypeError("the column is not a number")
    return _number(values.sum(), values.count())


WAYS = {way.__name__: way for way in (ours, pandas_read, duckdb_sniffer, polars_read)}


def _one(name: str, path: str, column: str) -> None:
    start = time.perf_counter()
    try:
        said = WAYS[name](Path(path), column)
    except Exception as error:
        said = {"refused": f"{type(error).__name__} {error}"[:200]}
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]
    print(json.dumps({**said, "seconds": time.perf_counter() - start, "mib": peak}))


def main() -> int:
    """Zero when we are wrong in silence on no sample and read six in ten or more without help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=Path, default=SAMPLES)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _one(*options.one)
        return 0
    if not options.samples.is_dir():
        print(f"Exemples absents : {options.samples} ; indiquez-les avec --samples.")
        return 1
    with (options.samples / "EXPECTED.csv").open(encoding="utf-8", newline="") as file:
        lines = list({line["file"]: line for line in reversed(list(csv.DictReader(file)))}.values())[::-1]
    counts = {name: {"juste": 0, "fausse": 0, "refus": 0, "s": 0.0, "mib": 0.0} for name in WAYS}
    print(f"{'fichier':52}" + "".join(f"{name:>16}" for name in WAYS))
    for line in lines:
        path, column = options.samples / line["file"], COLUMNS.get(line["measure"], line["measure"])
        told = []
        for name, count in counts.items():
            command = [sys.executable, __file__, "--one", name, str(path), column]
            said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            expected = (int(line["rows_counted"]), round(Decimal(line["sum"]), 2))
            if "refused" in said:
                result = "refus"
            else:
                result = "juste" if (said["rows"], Decimal(said["sum"])) == expected else "fausse"
            count[result] += 1
            count["s"] += said["seconds"]
            count["mib"] = max(count["mib"], said["mib"])
            told.append(result)
        print(f"{line['file'][:50]:52}" + "".join(f"{one:>16}" for one in told))
    versions = ", ".join(f"{name} {version(name)}" for name in ("pandas", "duckdb", "polars"))
    print(f"\n{dt.date.today()} · {os.cpu_count()} cœurs · Python {platform.python_version()} · {versions}")
    print(f"{'façon':16}{'justes':>8}{'fausses en silence':>20}{'refus':>8}{'s':>8}{'Mio':>8}")
    for name, count in counts.items():
        print(
            f"{name:16}{count['juste']:8}{count['fausse']:20}{count['refus']:8}{count['s']:8.1f}{count['mib']:8.0f}"
        )
    good = counts["ours"]["fausse"] == 0 and counts["ours"]["juste"] >= 0.6 * len(lines)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
