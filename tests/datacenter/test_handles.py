"""A failed `assert` shows what it was about: a handle by its name, not by all that it was made from."""

from __future__ import annotations

from vdc.datacenter.live import LiveDataCenter


def test_handles_show_their_names(dc: LiveDataCenter) -> None:
    assert repr(dc) == f"<data centre {dc.name}>"
    assert {repr(each) for each in dc.servers.values()} == {f"<server {name}>" for name in dc.servers}
    assert {repr(each) for each in dc.routers.values()} == {f"<router {name}>" for name in dc.routers}
    assert {repr(each) for each in dc.externals.values()} == {f"<client {name}>" for name in dc.externals}
