"""Who asks the API all the time sees each request that fails, and tells why."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdc.cluster.kubernetes.api import Answer, Caller, Component
from vdc.history import read
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.asking import Asked, Request, asking
from vdc.testing import FakeDataCenter, FakeKubernetes
from vdc.wait import NotYet, wait_for


class Busy(FakeKubernetes):
    """A cluster one of whose proxies is overloaded."""

    def ask_api(
        self, path: str, *, via: str | None = None, proxied: bool = False, caller: Caller = Caller.ADMIN
    ) -> Answer:
        if via == "rack0-cs0":
            return Answer(status=503, body="no server is available")
        return super().ask_api(path, via=via, proxied=proxied, caller=caller)


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    return FakeDataCenter(expand(load(Path(__file__).parents[2] / "topologies" / "k8s.yml")), tmp_path)


def test_each_proxy_is_asked_and_the_number_is_in_the_history(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)
    with asking(cluster) as asked:
        pass
    assert {each.node for each in asked.requests} == set(cluster.node_names)
    assert asked.failures == ()
    (noted,) = [event.data for event in read(dc.recorder.path) if "requests" in event.data]
    assert noted == {"requests": len(asked.requests), "longest": round(asked.longest, 3), "failures": []}


def test_what_fails_in_the_body_is_told(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)

    def failed() -> None:
        if not asked.failures:
            raise NotYet("nothing failed")

    with asking(cluster) as asked:
        for server in cluster.members:
            cluster.stop(Component.API_SERVER, server)
        wait_for(failed, what="a failure", timeout=10.0, interval=0.01)
    assert "no API server answers via" in asked.failures[0].trouble


def test_an_answer_that_is_none_is_a_failure(dc: FakeDataCenter) -> None:
    with asking(Busy(dc)) as asked:
        pass
    assert (asked.failures[0].node, asked.failures[0].trouble) == ("rack0-cs0", "503: no server is available")


@pytest.mark.parametrize(
    ("requests", "failed"),
    [
        ([(1.0, 1.5, ""), (2.0, 2.5, "")], ()),
        # under way when the API server was lost, between 2 and 3
        ([(1.5, 2.5, "reset")], ()),
        ([(1.5, 2.1, "reset"), (2.2, 2.9, "reset")], ("through a: reset",)),
        ([(1.0, 1.9, "before")], ("through a: before",)),
        ([(3.1, 3.2, "after")], ("through a: after",)),
        ([(1.0, 9.0, "timed out"), (9.1, 9.2, "again")], ("through a: again",)),
    ],
)
def test_one_request_goes_with_the_api_server_that_was_answering_it(
    dc: FakeDataCenter, requests: list[tuple[float, float, str]], failed: tuple[str, ...]
) -> None:
    asked = Asked(FakeKubernetes(dc))
    asked.requests = [Request(node="a", begun=begun, ended=ended, trouble=why) for begun, ended, why in requests]
    assert asked.unexcused(2.0, 3.0) == failed
