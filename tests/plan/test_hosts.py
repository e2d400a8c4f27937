"""`/etc/hosts` of guests: everybody in it, or the rack where that would be too long."""

from __future__ import annotations

from pathlib import Path

from vdc.model.expand import expand
from vdc.model.load import load, parse
from vdc.plan.hosts import MOST, hosts

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"

MANY = """\
name: many
fabric: {{borders: 0, spines: 1, tors: 1}}
racks: [{{count: {racks}, servers: {{cs: 30}}}}]
roles: {{cs: {{memory: 256MiB}}}}
external: {{clients: 0}}
"""


def test_every_server_knows_all_by_name() -> None:
    topology = expand(load(SMALL))
    known = hosts(topology)
    assert list(known) == [server.name for server in topology.servers]
    lines = ["127.0.0.1 localhost", *(f"{server.node.ip} {server.name}" for server in topology.servers)]
    assert set(known.values()) == {"\n".join(lines) + "\n"}


def test_where_all_are_too_many_a_server_knows_its_rack() -> None:
    topology = expand(parse(MANY.format(racks=220), file="many.yml"))
    known = hosts(topology)
    assert len(topology.servers) == 6600
    for server in topology.servers[::100]:
        names = [line.split()[1] for line in known[server.name].splitlines()[1:]]
        assert names == [each.name for each in topology.servers if each.rack == server.rack]


def test_no_text_is_longer_than_it_may_be() -> None:
    known = hosts(expand(parse(MANY.format(racks=100), file="many.yml")))
    assert max(len(text.encode()) for text in known.values()) in range(MOST // 2, MOST)
