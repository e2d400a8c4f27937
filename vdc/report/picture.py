"""A picture of a report, for a page that cannot show HTML: drawn by a browser, which asks nobody for anything."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from vdc.errors import HostError
from vdc.shell import find, run

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_SIZE: Final = (1280, 1120)  # pixels: the verdict, its scenarios, and their time line
_SECONDS: Final = 60.0  # a starved host takes its time
_OPTIONS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND", "--force-prefers-reduced-motion",
)  # fmt: skip


def draw(page: Path, picture: Path) -> None:
    """Draw the top of a page as PNG.

    Raises:
        HostError: there is no browser on this host, or it drew nothing.
        HarnessTimeout: it did not end in a minute.
    """
    browser = next((name for name in BROWSERS if find(name)), None)
    if browser is None:
        raise HostError("no Chromium or Chrome on this host", hint="apt-get install chromium")
    picture.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="vdc-") as profile:
        asked = (f"--user-data-dir={profile}", f"--window-size={_SIZE[0]},{_SIZE[1]}", f"--screenshot={picture}")
        # the sandbox cannot be had by root; the page is ours, and its policy lets nothing in it run but our script
        done = run(
            [browser, *_OPTIONS, *asked, page.absolute().as_uri()], timeout=_SECONDS, check=False, contained=True
        )
    if not picture.exists():
        raise HostError(f"{browser} drew no picture of {page}: {done.stderr.strip()[-500:] or '(it says nothing)'}")
