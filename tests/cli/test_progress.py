from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from vdc.cli.progress import LiveListener, PlainListener, listener_for
from vdc.steps import Steps


def test_a_stream_that_is_no_terminal_gets_plain_lines() -> None:
    assert isinstance(listener_for(io.StringIO()), PlainListener)


def test_plain_lines_tell_when_a_step_begins_and_how_it_ended() -> None:
    stream = io.StringIO()
    steps = Steps(listeners=(PlainListener(stream),))
    with steps.step("up"), steps.step("fabric"):
        pass
    told = re.sub(r"\d+\.\d s", "T", stream.getvalue())
    assert told == "up …\n  fabric …\n  fabric: done (T)\nup: done (T)\n"


def test_a_failed_step_tells_the_first_line_of_the_error() -> None:
    stream = io.StringIO()
    steps = Steps(listeners=(PlainListener(stream),))
    with pytest.raises(ValueError, match="bad"), steps.step("up"):
        raise ValueError("bad news\nof two lines")
    assert "up: failed: ValueError: bad news (" in stream.getvalue()
    assert "of two lines" not in stream.getvalue()


def test_a_terminal_keeps_a_line_for_each_outer_step_and_for_every_failed_one() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)
    steps = Steps(listeners=(LiveListener(console, kept_depth=0),))
    with steps.step("up [small]"):
        with steps.step("inner"):
            pass
        with pytest.raises(ValueError, match="bad"), steps.step("broken"):
            raise ValueError("bad")
    lines = [line.strip() for line in stream.getvalue().replace("\r", "\n").splitlines()]
    kept = [line for line in lines if "✓" in line or "✗" in line]
    assert len(kept) == 2
    assert re.search(r"✗ broken \d", kept[0])
    assert re.search(r"✓ up \[small\] \d", kept[1])
