from __future__ import annotations

from vdc.cli.bench.judging import judged


def test_every_checker_of_many_events_is_measured_on_what_it_finds_valid() -> None:
    figures = list(judged(2000))
    assert [figure.what.split()[0] for figure in figures] == [
        "longest_outage",
        "total_outage",
        "availability",
        "recovered_within",
        "no_write_lost",
        "linearizable_register",
        "set_full",
        "no_duplicate",
        "console_clean",
        "log_patterns",
    ]
    assert {figure.most for figure in figures} == {5.0}
    assert figures[0].what == "longest_outage of 2 000 events"
