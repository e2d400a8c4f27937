"""A process that sends packets, without namespaces: on loopback, where nobody hears them."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from vdc.errors import VdcError
from vdc.history import read
from vdc.observe.flow_probe import FlowConfig, FlowProbeConfig, FlowProber
from vdc.observe.ledger import PATIENCE, outage_of


def loopback_socket(address: str, _port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind((address, 0))
    return made


def in_each(namespaces: Iterable[str], do: Callable[[str], object]) -> None:
    for each in namespaces:
        do(each)


def test_an_outage_at_the_end_lasts_until_sending_stopped_and_not_until_patience_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdc.observe.flow_probe.udp_socket", loopback_socket)
    monkeypatch.setattr("vdc.observe.flow_probe.inside_each", in_each)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    flow = FlowConfig(
        name="a → b udp", lane="l", protocol="udp", netns="a", near="127.0.0.1", far="127.0.0.1", far_netns="b"
    )
    history = tmp_path / "history.jsonl"
    config = FlowProbeConfig(source="p0", history=str(history), port=9, flows=(flow,), duration=0.1)
    with pytest.raises(VdcError, match="nobody stopped it"):
        FlowProber(config).run()
    events = list(read(history))
    (outage,) = (outage_of(each) for each in events if each.kind == "outage")
    end = next(each.time for each in events if each.data.get("phase") == "end")
    assert end - outage.end > 0.8 * PATIENCE
