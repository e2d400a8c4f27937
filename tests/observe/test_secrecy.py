"""What is read of secrets at rest, and of the audit log; what scenarios make of it is in tests/scenarios."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.api import Caller
from vdc.errors import ClusterError, WaitTimeout
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.secrecy import ENCRYPTED, secret_at_rest, wait_written_down
from vdc.shell import Completed
from vdc.testing import FakeDataCenter, FakeKubernetes, Lie

PLANE = "rack0-cp0"


def made(folder: Path, *lies: Lie) -> FakeKubernetes:
    topology = expand(load(Path(__file__).parents[2] / "topologies" / "k8s.yml"))
    return FakeKubernetes(FakeDataCenter(topology, folder, lies=lies))


def saying(cluster: FakeKubernetes, **texts: Mapping[str, object]) -> None:
    """Let programs of servers say something else."""

    def says(text: str) -> Completed:
        return Completed(argv=(), status=0, stdout=text, stderr="")

    for name, what in texts.items():
        text = json.dumps(what)
        cluster.dc.world.programs[name] = lambda *_, text=text: says(text)


def test_a_secret_is_read_as_etcd_has_it(tmp_path: Path) -> None:
    assert secret_at_rest(made(tmp_path), PLANE, "hidden").startswith(ENCRYPTED)


def test_a_secret_that_etcd_does_not_have_proves_nothing(tmp_path: Path) -> None:
    cluster = made(tmp_path)
    saying(cluster, etcdctl={"header": {"revision": 150}})
    with pytest.raises(ClusterError, match=r"etcd of rack0-cp0 has no /registry/secrets/vdc/hidden"):
        secret_at_rest(cluster, PLANE, "hidden")


def test_an_event_of_the_api_server_is_read(tmp_path: Path) -> None:
    cluster = made(tmp_path)
    # as API servers of 1.20.2 write it
    user = {"username": "system:serviceaccount:default:default", "uid": "b402a031", "groups": ["system:authenticated"]}
    status = {"metadata": {}, "status": "Failure", "reason": "Forbidden", "code": 403}
    event = {"kind": "Event", "level": "Metadata", "stage": "ResponseComplete", "user": user, "responseStatus": status}
    saying(cluster, grep=event)
    said = wait_written_down(cluster, PLANE, Caller.POD)
    assert said == {"answered": 403, "who": user["username"], "status": 403, "contents": []}


def test_a_log_that_says_nothing_of_a_request_is_told(tmp_path: Path) -> None:
    cluster = made(tmp_path, Lie.AUDIT_SILENT)
    with pytest.raises(WaitTimeout, match="it says nothing of it"):
        wait_written_down(cluster, PLANE, Caller.ADMIN)
