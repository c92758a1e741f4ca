"""What several tests share: the browser, the reports of the embedded data, the published samples."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from ess_analysis import french

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("ci", derandomize=True)  # the same cases at each run: a red run can be replayed
if os.environ.get("CI"):
    settings.load_profile("ci")

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = next(
    filter(
        None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
    ),
    None,
)


def absent(what: str) -> None:
    """Skips with a reason on a user's machine; fails where everything must be there."""
    sentence = f"{what} absent : lancez tests/install-browser.sh"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(autouse=True)
def _in_euros() -> None:
    """Each test begins in euros, whatever the data that the one before read last."""
    french.show_in("EUR")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, without network of its own."""
    if CHROMIUM is None:
        absent("Chromium")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    quiet = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, *quiet])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all the reports of the embedded data, rendered once."""
    from ess_analysis.reports import batch

    out = tmp_path_factory.mktemp("reports")
    summary = batch.render(ROOT / "data" / "raw", ROOT / "notebooks", out, quiet=True)
    assert summary.failed == []
    return out


@pytest.fixture(scope="session")
def samples() -> Path:
    """The real published files that stand beside the project; skipped where they are absent."""
    folder = ROOT.parent / "shared" / "samples"
    if not folder.is_dir():
        pytest.skip("les fichiers publiés d'exemple ne sont pas à côté du projet")
    return folder
