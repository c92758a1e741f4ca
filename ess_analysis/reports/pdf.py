"""PDF of the pages, through a Chromium found on the machine: A4, tagged, with outline, language and title.

The page's own style sheet does the rest (margins, title at the top, « page n / N »), so that printing from a
browser gives the same. Nothing is downloaded; where no Chromium is found, a sentence says what to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ess_analysis.errors import DataError
from ess_analysis.writing import write_whole

VARIABLE = "ESS_CHROMIUM"  # the path of a browser, where it is in no usual place
_NAMES = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge",
    "microsoft-edge", "brave-browser",
)  # fmt: skip
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
_SECONDS = 120  # for one page


def chromium() -> str:
    """The path of a Chromium, Chrome or Edge of this machine. Raises DataError where there is none."""
    given = os.environ.get(VARIABLE)
    found = given or next(filter(None, map(shutil.which, _NAMES)), None)
    found = found or next((place for place in _PLACES if Path(place).is_file()), None)
    if found is None or not shutil.which(found):
        raise DataError(
            "PDF impossible : aucun navigateur Chromium, Chrome ou Edge sur cette machine.",
            seen=[found] if found else [],
            todo=f"installez Chromium, ou indiquez son chemin dans {VARIABLE} ; les pages HTML sont là.",
        )
    return found


def write_pdf(page: Path, pdf: Path) -> Path:
    """The path of the PDF made from a page, written whole. Raises DataError when it cannot be made."""
    browser = chromium()
    with tempfile.TemporaryDirectory(prefix="ess-pdf-", ignore_cleanup_errors=True) as aside:
        made = Path(aside) / "page.pdf"
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-extensions",
            "--disable-background-networking",
            f"--user-data-dir={Path(aside) / 'profile'}",
            "--no-pdf-header-footer",
            "--generate-pdf-document-outline",
            f"--print-to-pdf={made}",
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
            page.resolve().as_uri(),
        ]
        try:
            run = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
            content = made.read_bytes() if made.is_file() else b""
            said = run.stderr.decode(errors="replace").strip()[-300:]
        except subprocess.TimeoutExpired:
            content, said = b"", f"aucune réponse en {_SECONDS} s"
    if not content.startswith(b"%PDF") or b"%%EOF" not in content[-1024:]:
        raise DataError(
            f"PDF non écrit : {pdf}.",
            seen=[said or browser],
            todo="essayez un autre Chromium, ou imprimez la page.",
        )
    write_whole(pdf, content)
    return pdf


def write_pdfs(out: Path, files: Sequence[str]) -> list[Path]:
    """The paths of the PDF of several pages of a folder; one newer than its page is left as it is."""
    pages = [out / file for file in files if (out / file).is_file()]
    stale = [page for page in pages if not _is_fresh(page)]
    if stale:
        chromium()  # say it is absent once, before anything starts
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            list(pool.map(lambda page: write_pdf(page, page.with_suffix(".pdf")), stale))
    return [page.with_suffix(".pdf") for page in pages]


def _is_fresh(page: Path) -> bool:
    pdf = page.with_suffix(".pdf")
    return pdf.is_file() and pdf.stat().st_mtime_ns >= page.stat().st_mtime_ns
