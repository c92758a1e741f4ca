"""Big published tables: read + checked + four breakdowns, against the engines doing the four sums alone.

    python benchmarks/tables.py                      1 million rows
    python benchmarks/tables.py --rows 10000000      10 million rows (5 GB in the temporary folder)

A synthetic SCDL-like CSV of 20 columns, amounts drawn in cents and added up exactly while they are written.
Ours reads every line strictly, checks the amounts and the identifiers, and gives four breakdowns by kind; the
others do the four `GROUP BY` a user would write. Each runs in a process of its own, in turn, several times:
the best time and the peak memory are kept. A sum that is not the exact one to the cent is said.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

BLOCK = 250_000  # rows written at a time
KEYS = ("dateConvention", "nature", "nomAttribuant", "dispositifAide")
HEAD = [
    "nomAttribuant", "idAttribuant", "dateConvention", "referenceDecision", "nomBeneficiaire", "idBeneficiaire",
    "rnaBeneficiaire", "objet", "montant", "nature", "conditionsVersement", "datesPeriodeVersement", "idRAE",
    "notificationUE", "pourcentageSubvention", "dispositifAide", "commune", "axe", "observations", "service",
]  # fmt: skip


# --- The file ------------------------------------------------------------------------------------


def _sirets(count: int) -> list[str]:
    """Numbers whose two checksums are right."""
    from stdnum import luhn

    def closed(digits: str) -> str:
        return digits + luhn.calc_check_digit(digits)

    return [closed(closed(f"{20_000_000 + n:08d}") + "0001") for n in range(count)]


def write(path: Path, rows: int) -> Decimal:
    """The exact sum of the amounts of the CSV written at `path`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    draw = np.random.default_rng(2013)
    sirets = np.array(_sirets(60_000))
    names = np.array([f"Association n° {n} pour l'économie sociale et solidaire" for n in range(60_000)])
    days = np.array([str(np.datetime64("2014-01-01") + n) for n in range(3650)])
    goals = np.array(
        [f"Soutien au projet d'animation du quartier {n}, volet {n % 7} ; actions" for n in range(5000)]
    )
    payers, payer_ids = np.array([f"Département {n}" for n in range(100)]), np.array(_sirets(100))
    schemes, axes = (
        np.array([f"Dispositif {n}" for n in range(40)]),
        np.array([f"Axe {n}" for n in range(12)]),
    )
    towns = np.array([f"Commune-sur-Deûle {n}" for n in range(36_000)])
    kinds = np.array(["aide en numéraire", "aide en nature"])
    total = 0
    with path.open("wb") as file:
        for start in range(0, rows, BLOCK):
            size = min(BLOCK, rows - start)
            cents = draw.integers(100_00, 100_000_00, size)
            total += int(cents.sum())
            payer, payee = draw.integers(0, 100, size), draw.integers(0, 60_000, size)
            whole, rest = cents // 100, cents % 100
            columns = [
                payers[payer], payer_ids[payer], days[draw.integers(0, 3650, size)],
                [f"DEL-{n}" for n in range(start, start + size)], names[payee], sirets[payee], [""] * size,
                goals[draw.integers(0, 5000, size)],
                [f"{w}.{r:02d}" for w, r in zip(whole.tolist(), rest.tolist(), strict=True)],
                kinds[(draw.random(size) > 0.95).astype(int)], ["unique"] * size, days[draw.integers(0, 3650, size)],
                [""] * size, ["non"] * size, ["1"] * size, schemes[draw.integers(0, 40, size)],
                towns[draw.integers(0, 36_000, size)], axes[draw.integers(0, 12, size)],
                goals[draw.integers(0, 5000, size)], ["Direction de l’économie sociale"] * size,
            ]  # fmt: skip
            table = pa.table([pa.array(column) for column in columns], names=HEAD)
            options = pa_csv.WriteOptions(
                include_header=start == 0, quoting_style="needed", quoting_header="none"
            )
            pa_csv.write_csv(table, file, options)
    return Decimal(total) / 100


# --- The ways ------------------------------------------------------------------------------------


def ours(path: str) -> str:
    from ess_analysis.open_data import big

    found = big.sums(path, ("year", "kind", "funder", "programme"))
    assert all(sum(frame["amount_eur"], Decimal(0)) == found.total for frame in found.by.values())
    return str(round(found.total, 2))


def whole(path: str) -> str:
    """Ours, every row kept: the tidy tables."""
    import ess_analysis as ess

    funding = ess.read(path).funding
    for key in ("year", "kind", "funder", "programme"):
        funding.groupby([key, "kind"] if key != "kind" else key, dropna=False)["amount_eur"].sum()
    return str(sum(round(funding["amount_eur"] * 100).astype("int64")) / Decimal(100))


def duckdb(path: str) -> str:
    import duckdb as engine

    db = engine.connect()
    columns = ", ".join([*KEYS, "montant"])
    db.execute(f"CREATE TEMP TABLE read AS SELECT {columns} FROM read_csv('{path}')")
    found = [db.execute(f"SELECT {key}, sum(montant) FROM read GROUP BY 1").fetchall() for key in KEYS]
    return str(round(Decimal(repr(sum(row[1] for row in found[1]))), 2))


def polars(path: str) -> str:
    import polars as pl

    rows = pl.scan_csv(path)
    found = pl.collect_all(
        [rows.group_by(key).agg(pl.col("montant").sum()) for key in KEYS], engine="streaming"
    )
    return str(round(Decimal(repr(found[1]["montant"].sum())), 2))


def pandas_pyarrow(path: str) -> str:
    import pandas as pd

    rows = pd.read_csv(path, engine="pyarrow", dtype_backend="pyarrow")
    found = [rows.groupby(key)["montant"].sum() for key in KEYS]
    return str(round(Decimal(repr(float(found[1].sum()))), 2))


WAYS = {way.__name__: way for way in (ours, duckdb, polars, pandas_pyarrow, whole)}


def _one(name: str, path: str) -> None:
    """Runs one way and prints its seconds (imports apart), peak MiB and sum."""
    for module in {
        "duckdb": ["duckdb"],
        "polars": ["polars"],
        "pandas_pyarrow": ["pandas", "pyarrow.csv"],
    }.get(name, ["ess_analysis.open_data.big", "ess_analysis.open_data"]):
        __import__(module)
    used = resource.getrusage(resource.RUSAGE_SELF)
    before = used.ru_utime + used.ru_stime
    start = time.perf_counter()
    total = WAYS[name](path)
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {"seconds": seconds, "mib": peak, "cpu": used.ru_utime + used.ru_stime - before, "sum": total}
        )
    )


def main() -> int:
    """Zero when our sums are exact, in time and in memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3, help="runs of each way, the best is kept")
    parser.add_argument(
        "--ways", nargs="*", default=["ours", "duckdb", "polars", "pandas_pyarrow"], choices=list(WAYS)
    )
    parser.add_argument("--folder", type=Path, help="where to write the CSV (the temporary folder)")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _one(*options.one)
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "scdl.csv"
        exact = write(path, options.rows)
        size = path.stat().st_size / 1e6
        best: dict[str, dict[str, float | str]] = {}
        for _ in range(options.times):
            for name in options.ways:
                run = subprocess.run(
                    [sys.executable, __file__, "--one", name, str(path)], capture_output=True, text=True
                )
                if run.returncode:
                    print(f"{name} : échec\n{run.stderr[-600:]}")
                    continue
                said = json.loads(run.stdout)
                if name not in best or said["seconds"] < best[name]["seconds"]:
                    best[name] = said
    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars", "pandas", "pyarrow"))
    print(f"{dt.date.today()} · {os.cpu_count()} cœurs · Python {platform.python_version()} · {versions}")
    print(f"{options.rows:,} lignes, {size:,.0f} Mo ; somme exacte {exact:,.2f} €".replace(",", " "))
    print(f"{'façon':16}{'s':>8}{'s CPU':>8}{'Mio':>8}   somme")
    for name, said in best.items():
        right = "exacte" if Decimal(str(said["sum"])) == exact else f"fausse : {said['sum']}"
        print(f"{name:16}{said['seconds']:8.2f}{said['cpu']:8.2f}{said['mib']:8.0f}   {right}")
    others = [said["seconds"] for name, said in best.items() if name not in ("ours", "whole")]
    if "ours" not in best or not others:
        return 1
    ratio = float(best["ours"]["seconds"]) / min(map(float, others))
    print(f"ours / le plus rapide des autres : {ratio:.2f} (but : 2 au plus)")
    most = 1536 if options.rows <= 1_000_000 else 4096
    good = Decimal(str(best["ours"]["sum"])) == exact and float(best["ours"]["mib"]) <= most and ratio <= 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
