"""Takes a picture of a verified suggestion in Neovim, with the real server and model.

Run from the repository's root: `python -m tests.e2e.neovim.screenshot neovim.png`.
Neovim's grid is rendered as HTML by headless Chromium; the colours are Neovim's own.
"""

from __future__ import annotations

import html
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.e2e.neovim.nvim_driver import REPOSITORY, SERVER, Neovim, neovim
from tests.e2e.neovim.nvim_screen import Cell, Screen

WIDTH, HEIGHT = 104, 20
CELL_WIDTH, CELL_HEIGHT, PADDING = 10, 21, 14  # pixels
GLYPH_WIDTH = 0.602  # of DejaVu Sans Mono, in its font size
SCALE = 2
SECONDS = 120
BOLD_AND_ITALIC = {"bold": "font-weight:bold", "italic": "font-style:italic"}


def main() -> None:
    target = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page = folder / "page.html"
        page.write_text(as_html(take_screen(folder)), encoding="utf-8")
        render(page, target, folder)


def take_screen(folder: Path) -> Screen:
    """The screen once the suggestion's tests have run."""
    examples = folder / "examples"
    shutil.copytree(REPOSITORY / "examples", examples)
    with neovim(folder, WIDTH, HEIGHT) as nvim:
        nvim.api.command("syntax on")
        nvim.api.command("set number laststatus=2 noruler")
        nvim.api.command(f"cd {examples}")
        nvim.setup(cmd=[str(SERVER)], trust=[str(examples)])
        nvim.edit(Path("shop/pricing.py"))
        nvim.keys("Go")
        nvim.wait(lambda: nvim.ghost().summary[:1] in ("✓", "✗"), "the outcome", SECONDS)
        wait_for_screen(nvim)
        return nvim.screen.screen


def wait_for_screen(nvim: Neovim) -> None:
    summary = nvim.ghost().summary
    nvim.wait(lambda: summary in nvim.screen.text(), "the outcome on screen")


def as_html(screen: Screen) -> str:
    foreground, background = screen.default_colours
    font = f'{CELL_WIDTH / GLYPH_WIDTH:.2f}px "DejaVu Sans Mono", monospace'
    rows = "".join(f"<div>{row_html(screen, row)}</div>" for row in range(screen.height))
    return f"""<!doctype html><meta charset="utf-8"><style>
        body {{ margin: 0; padding: {PADDING}px; background: #{background:06x};
               color: #{foreground:06x}; font: {font}; }}
        div {{ height: {CELL_HEIGHT}px; line-height: {CELL_HEIGHT}px; white-space: pre; }}
        span {{ display: inline-block; height: {CELL_HEIGHT}px; vertical-align: top; }}
        </style>{rows}"""


def row_html(screen: Screen, row: int) -> str:
    """One element per cell, so that no glyph of another font shifts the rest."""
    return "".join(
        cell_html(screen, cell, cursor=(row, column) == screen.cursor)
        for column, cell in enumerate(screen.cells[row])
        if cell.text
    )


def cell_html(screen: Screen, cell: Cell, *, cursor: bool) -> str:
    style = [f"width:{CELL_WIDTH}px", *colours(screen, screen.highlights.get(cell.highlight, {}))]
    if cursor:
        style.append("box-shadow:inset 2px 0 currentColor")
    return f'<span style="{";".join(style)}">{html.escape(cell.text)}</span>'


def colours(screen: Screen, attributes: dict[str, Any]) -> list[str]:
    foreground = attributes.get("foreground", screen.default_colours[0])
    background = attributes.get("background", screen.default_colours[1])
    if attributes.get("reverse"):
        foreground, background = background, foreground
    style = [f"color:#{foreground:06x}", f"background:#{background:06x}"]
    return style + [css for name, css in BOLD_AND_ITALIC.items() if attributes.get(name)]


def render(page: Path, target: Path, profile: Path) -> None:
    width = WIDTH * CELL_WIDTH + 2 * PADDING
    height = HEIGHT * CELL_HEIGHT + 2 * PADDING
    subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={profile / 'chromium'}",
            f"--force-device-scale-factor={SCALE}",
            f"--window-size={width},{height}",
            f"--screenshot={target}",
            page.as_uri(),
        ],
        check=True,
        timeout=60,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
