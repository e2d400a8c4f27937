"""How nodes differ from the topology, and what their proxies and their credentials are found to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.api import Answer, Caller, Component
from vdc.errors import ClusterError, WaitTimeout
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.nodes import as_node, is_forbidden, node_differences, wait_proxies
from vdc.shell import Completed
from vdc.testing import FakeDataCenter, FakeKubernetes, Lie

Make = Callable[..., FakeKubernetes]


class Flapping(FakeKubernetes):
    """A cluster whose proxies answer each other request, once all have answered."""

    asked = 0

    def ask_api(
        self, path: str, *, via: str | None = None, proxied: bool = False, caller: Caller = Caller.ADMIN
    ) -> Answer:
        self.asked += 1
        if self.asked > len(self.node_names) and self.asked % 2:
            return Answer(status=503, body="no server is available")
        return super().ask_api(path, via=via, proxied=proxied, caller=caller)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(*lies: Lie, kind: type[FakeKubernetes] = FakeKubernetes) -> FakeKubernetes:
        topology = expand(load(Path(__file__).parents[2] / "topologies" / "k8s.yml"))
        return kind(FakeDataCenter(topology, tmp_path, lies=lies))

    return made


def test_nodes_as_planned_differ_in_nothing(make: Make) -> None:
    assert node_differences(make()) == ()


def test_a_missing_and_an_old_node_are_told(make: Make) -> None:
    (missing,) = node_differences(make(Lie.NODE_MISSING))
    assert missing.startswith("rack1-ss0: missing, expected NodeState(")
    (old,) = node_differences(make(Lie.NODE_OF_OTHER_VERSION))
    assert "version='v1.19.0'" in old
    assert "version='v1.20.2'" in old


def test_proxies_are_waited_for_and_those_that_fail_are_named(make: Make) -> None:
    cluster = make()
    wait_proxies(cluster, serving=True, timeout=0.0)
    for server in cluster.members:
        cluster.stop(Component.API_SERVER, server)
    with pytest.raises(WaitTimeout, match="rack0-cs0: no API server answers"):
        wait_proxies(cluster, serving=True, timeout=0.0)
    wait_proxies(cluster, serving=False, timeout=0.0)


def test_proxies_that_go_on_answering_are_told(make: Make) -> None:
    with pytest.raises(WaitTimeout, match="still answered by rack0-cp0"):
        wait_proxies(make(), serving=False, timeout=0.0)


def test_a_proxy_that_answers_only_now_and_then_is_found_out(make: Make) -> None:
    with pytest.raises(ClusterError, match="answered, and then failed: 503 no server is available"):
        wait_proxies(make(kind=Flapping), serving=True, timeout=0.0)


def test_only_what_is_forbidden_is(make: Make) -> None:
    dc = make().dc
    assert as_node(dc, "rack0-cs0", "annotate", "node", "rack0-cs0", "a=b").status == 0
    assert is_forbidden(as_node(dc, "rack0-cs0", "annotate", "node", "rack0-cp0", "a=b"))
    assert not is_forbidden(Completed(argv=(), status=1, stdout="", stderr="The connection was refused"))
    assert not is_forbidden(Completed(argv=(), status=0, stdout="nothing is forbidden", stderr=""))
