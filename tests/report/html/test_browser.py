"""The page in a real browser: it zooms, tells what happened, filters, and asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report import browser
from tests.report.run_of import EVIL, ROOT, leave, run_of
from vdc.history import Event
from vdc.report.picture import draw
from vdc.report.stored import REPORT, save
from vdc.testing.histories import history

CRASH = "[...document.querySelectorAll('[data-outage]')].find((e) => e.ariaLabel.includes('rack1-cs0 crashed'))"
SCREENSHOTS = ROOT / "runs" / "test" / "screenshots"

pytestmark = pytest.mark.skipif(browser.find() is None, reason="no Chromium or Chrome is installed")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    events = list(history(seconds=200, period=0.1))
    events.append(Event(time=1060.0, kind="note", source=EVIL, data={"text": EVIL}))
    leave(directory, events)
    save(run_of(events), directory)
    return directory / REPORT


@pytest.fixture(scope="module")
def opened(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.page(tmp_path_factory.mktemp("browser")) as page:
        page.open(report)
        yield page


@pytest.fixture
def page(opened: browser.Page) -> browser.Page:
    """The page as it is opened."""
    opened.size(1280, 1600)
    for field in ("#filter", "#scenario-filter"):
        opened.run(
            f"{{ const e = document.querySelector('{field}'); e.value = ''; e.dispatchEvent(new Event('input')) }}"
        )
    opened.run("document.querySelectorAll('.chip[aria-pressed=false]').forEach((chip) => chip.click())")
    opened.click("#zoom-all")
    return opened


def seen(page: browser.Page) -> float:
    """How many seconds the time line shows."""
    return float(page.run("(() => { const [a, b] = document.getElementById('range').textContent.split(' of ')[0]"
                          ".split(' – ').map((t) => t.split(':').reduce((m, s) => 60 * Number(m) + Number(s)));"
                          " return b - a; })()"))  # fmt: skip


def test_its_top_is_drawn_as_a_picture(report: Path, tmp_path: Path) -> None:
    draw(report, tmp_path / "report.png")
    drawn = (tmp_path / "report.png").read_bytes()
    assert drawn.startswith(b"\x89PNG\r\n")
    assert tuple(int.from_bytes(drawn[at : at + 4]) for at in (16, 20)) == (1280, 1120)  # its header (RFC 2083, 4.1.1)
    assert len(drawn) > 40_000  # more than an empty page


def test_it_asks_nobody_for_anything_and_nothing_in_it_runs_but_its_own_script(
    page: browser.Page, report: Path
) -> None:
    assert [url for url in page.requests if not url.startswith("data:")] == [report.as_uri()]
    assert page.errors == []
    assert page.run("window.broken ?? null") is None
    assert EVIL.replace("\u2028", "")[:9] in page.run("document.querySelector('.why pre').textContent")
    assert page.run("document.querySelectorAll('img').length") == 0


def test_buttons_and_keys_zoom_and_all_shows_the_whole_run(page: browser.Page) -> None:
    whole = seen(page)
    assert whole == pytest.approx(200, abs=3)
    page.click("#zoom-in")
    assert seen(page) == pytest.approx(whole / 2, rel=0.01)
    page.run("document.getElementById('lanes').focus()")
    page.key("+")
    assert seen(page) == pytest.approx(whole / 4, rel=0.01)
    page.key("-")
    page.click("#zoom-out")
    assert seen(page) == pytest.approx(whole, rel=0.01)


def test_dragging_zooms_to_what_was_dragged_over(page: browser.Page) -> None:
    x, y = page.middle("#lanes .row.faults svg")
    before = seen(page)
    page.drag((x - 100, y), (x + 100, y))
    width = page.run("document.querySelector('#lanes .row.faults svg').getBoundingClientRect().width")
    assert seen(page) == pytest.approx(before * 200 / width, rel=0.05)
    page.screenshot(SCREENSHOTS / "zoomed.png")


def test_an_outage_that_is_clicked_tells_what_happened_in_the_second_around_it(page: browser.Page) -> None:
    count = page.run("document.querySelectorAll('[data-outage]').length")
    assert count >= 12
    page.run(f"{CRASH}.classList.add('the-one')")
    page.click(".the-one rect")
    assert "Because of: rack1-cs0 crashed" in page.run("document.getElementById('moment-note').textContent")
    texts = page.run("[...document.querySelectorAll('#events .text')].map((e) => e.textContent)")
    assert any("rack1-cs0 crashed" in text for text in texts)
    assert any("panic" in text for text in texts)
    assert any("timed out" in text for text in texts)
    assert any("lost the TCP streaming connection" in text for text in texts), "a journal"
    assert any("elected leader" in text for text in texts), "the cluster"
    assert any("stopped: destroyed" in text for text in texts), "the hypervisor"
    page.screenshot(SCREENSHOTS / "outage.png")
    times = page.run("[...document.querySelectorAll('#events li[data-time]')].map((e) => Number(e.dataset.time))")
    assert times == sorted(times)
    assert len(times) == len(texts)


def test_the_fabric_shows_what_was_off_at_that_moment(page: browser.Page) -> None:
    broken = "document.getElementById('picture').shadowRoot.querySelectorAll('.is-off').length"
    page.run("document.dispatchEvent(new CustomEvent('vdc:moment', {detail: {track: 0, time: 1, outage: null}}))")
    assert page.run(broken) == 0
    page.run(f"{CRASH}.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true}}))")
    page.settle()
    assert page.run(broken) > 0
    title = "document.getElementById('picture').shadowRoot.querySelector('rect.is-off > title').textContent"
    assert page.run(title).startswith("rack1-cs0")
    assert "rack1-cs0 off" in page.run("document.getElementById('conditions').textContent")


def test_a_filter_leaves_the_lanes_and_events_that_say_so(page: browser.Page) -> None:
    lanes = "[...document.querySelectorAll('#lanes .row:not(.head) .name span')].map((e) => e.textContent)"
    assert "CPUs busy" in page.run(lanes)
    page.write("#filter", "rack1-cs0")
    left = page.run(lanes)
    assert "rack1-cs0" in left
    assert "CPUs busy" not in left
    texts = page.run("[...document.querySelectorAll('#events li[data-time]')].map((e) => e.textContent)")
    assert all("rack1-cs0" in text for text in texts)
    page.write("#filter", "no such thing")
    assert page.run(lanes) == []


def test_the_cluster_and_its_guests_have_lanes(page: browser.Page) -> None:
    lanes = "[...document.querySelectorAll('#lanes .row.cluster .name span')].map((e) => e.textContent)"
    assert {"node-controller", "rack2-cs0"} <= set(page.run(lanes))
    page.click("#groups [data-group=cluster]")
    assert page.run(lanes) == []


def test_lanes_can_be_hidden_by_what_they_are_of(page: browser.Page) -> None:
    page.click("#groups [data-group=load]")
    assert page.run("document.querySelectorAll('#lanes .row.load').length") == 0
    assert page.run("document.querySelectorAll('#lanes .row.probes').length") > 0


def test_scenarios_are_filtered_by_text_and_by_outcome(page: browser.Page) -> None:
    rows = "[...document.querySelectorAll('#scenarios > tbody > tr:not([hidden])')].map((e) => e.dataset.outcome)"
    assert sorted(page.run(rows)) == ["failed", "passed", "passed"]
    page.click("#outcomes [data-outcome=passed]")
    assert page.run(rows) == ["failed"]
    page.click("#outcomes [data-outcome=passed]")
    page.write("#scenario-filter", "LINK")
    assert page.run(rows) == ["passed"]


def test_a_scenario_that_is_clicked_is_shown_on_the_time_line(page: browser.Page) -> None:
    page.click("#scenarios tbody button.title")
    assert seen(page) == pytest.approx(60 * 1.1, rel=0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_a_desk_and_a_telephone(page: browser.Page, *, width: int, dark: bool) -> None:
    page.call(
        "Emulation.setEmulatedMedia",
        features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
    )
    page.size(width, 1600)
    page.settle()
    page.screenshot(SCREENSHOTS / f"{width}-{'dark' if dark else 'light'}.png")
    assert page.run("document.documentElement.scrollWidth") <= width
    ink, paper = page.run(
        "(() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]; })()"
    )
    assert (sum(_rgb(ink)) > sum(_rgb(paper))) is dark


def _rgb(colour: str) -> list[int]:
    return [int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
