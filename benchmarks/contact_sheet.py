"""Every page at four sizes on one sheet, to be looked at: desktop, phone, dark, print.

    python benchmarks/contact_sheet.py                      # renders all the reports, then photographs them
    python benchmarks/contact_sheet.py --reports reports    # photographs pages already rendered

Writes into --out one picture per page and size, and `sheet.png` with all of them side by side. Needs the
« test » extra and Chromium.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SIZES = {  # name: width in pixels, colours, medium
    "bureau": (1280, "light", "screen"),
    "telephone": (320, "light", "screen"),
    "sombre": (768, "dark", "screen"),
    "papier": (672, "light", "print"),  # the width of an A4 page between its margins, at 96 dots an inch
}
THUMB = 300  # pixels wide on the sheet
LONGEST = 16_000  # pixels of a picture: Chromium takes no longer one
TALLEST = 2400  # pixels of a thumbnail; the rest of a long page is in its own picture


def photographs(browser: Browser, page_file: Path, out: Path) -> list[Path]:
    """The pictures of one page, one per size."""
    taken = []
    for name, (width, scheme, medium) in SIZES.items():
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        page.emulate_media(media=medium, color_scheme=scheme)
        page.goto(page_file.resolve().as_uri())
        picture = out / f"{page_file.stem}.{name}.png"
        height = min(page.evaluate("document.documentElement.scrollHeight"), LONGEST)
        page.screenshot(path=picture, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
        taken.append(picture)
        context.close()
    return taken


def sheet(rows: list[list[Path]], out: Path) -> Path:
    """One picture: a row per page, a column per size."""
    lines = []
    for row in rows:
        thumbs = []
        for path in row:
            with Image.open(path) as whole:
                small = whole.convert("RGB")
                small = small.resize((THUMB, max(1, round(small.height * THUMB / small.width))))
            thumbs.append(small.crop((0, 0, THUMB, min(small.height, TALLEST))))
        lines.append((row[0].name.split(".")[0], thumbs))
    height = sum(max(thumb.height for thumb in thumbs) + 40 for _, thumbs in lines)
    made = Image.new("RGB", ((THUMB + 20) * len(SIZES) + 20, height), "#888888")
    pen, top = ImageDraw.Draw(made), 0
    for name, thumbs in lines:
        pen.text((20, top + 12), name, fill="white")
        for place, thumb in enumerate(thumbs):
            made.paste(thumb, (20 + place * (THUMB + 20), top + 32))
        top += max(thumb.height for thumb in thumbs) + 40
    path = out / "sheet.png"
    made.save(path)
    return path


def main() -> int:
    """Photographs all pages and tells where the sheet is."""
    from playwright.sync_api import sync_playwright

    from ess_analysis.reports import batch
    from ess_analysis.reports.pdf import chromium

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--reports", type=Path, help="folder of pages (default: rendered now)")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "contact_sheet")
    parser.add_argument("--only", default="*", help="pattern of page names")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as aside:
        if options.reports is None:
            batch.render(ROOT / "data" / "raw", ROOT / "notebooks", Path(aside), quiet=True)
        pages = sorted((options.reports or Path(aside)).glob(f"{options.only}.html"))
        flags = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
            rows = [photographs(browser, page, options.out) for page in pages]
            browser.close()
    print(sheet(rows, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
