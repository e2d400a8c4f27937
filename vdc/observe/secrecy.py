"""What a Kubernetes keeps of secrets: how they stand in etcd, and what is written down of those who asked for them."""

from __future__ import annotations

import base64
import json
import uuid
from functools import partial
from typing import Any, Final

from vdc.cluster.etcd_config import CLIENT_PORT
from vdc.cluster.kubernetes.api import Caller, KubernetesCluster
from vdc.cluster.kubernetes.paths import AUDIT_LOG, ETCD
from vdc.cluster.kubernetes.workloads import NAMESPACE
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError
from vdc.wait import NotYet, wait_for

ENCRYPTED: Final = b"k8s:enc:secretbox:v1:"
"""What stands before a value that an API server has encrypted with XSalsa20 and Poly1305, and before its key's name.

https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#verify-that-data-is-encrypted
"""
SECRETS: Final = f"/api/v1/namespaces/{NAMESPACE}/secrets"
WHO: Final = {Caller.ADMIN: "vdc:admin", Caller.POD: "system:serviceaccount:default:default"}
"""The names under which API servers know callers."""

_SECONDS: Final = 60
_LOG_SECONDS: Final = 60.0
_ASK_ETCD: Final = (
    "etcdctl",
    f"--endpoints=https://127.0.0.1:{CLIENT_PORT}",
    f"--cacert={ETCD}/ca.crt",
    f"--cert={ETCD}/member.crt",
    f"--key={ETCD}/member.key",
    # by default it gives an emulated member two seconds to shake hands
    f"--dial-timeout={_SECONDS}s",
    f"--command-timeout={_SECONDS}s",
    "--write-out=json",
    "get",
)


def secret_at_rest(kubernetes: KubernetesCluster, server: str, name: str) -> bytes:
    """Return a secret as the member of etcd on a control-plane node has it.

    Raises ClusterError: it has none of that name. CommandError: it does not answer.
    """
    key = f"/registry/secrets/{NAMESPACE}/{name}"
    said = kubernetes.dc.servers[server].run([*_ASK_ETCD, key], timeout=_SECONDS + deadline(kubernetes.dc, 30.0)).stdout
    found = json.loads(said).get("kvs", ())
    if not found:
        raise ClusterError(f"etcd of {server} has no {key}")
    return base64.b64decode(found[0]["value"])


def wait_written_down(kubernetes: KubernetesCluster, server: str, caller: Caller) -> dict[str, Any]:
    """Ask a server's API server for all secrets, and return what its audit log says of that.

    Raises:
        WaitTimeout: the log says nothing.
        ClusterError: there was no answer.
    """
    # no API server minds a parameter that it does not know, and all write down the whole request
    path = f"{SECRETS}?asked={uuid.uuid4().hex}"
    status = kubernetes.ask_api(path, via=server, caller=caller).status
    said = wait_for(
        partial(_said_of, kubernetes, server, path),
        what=f"the audit log of {server} to say that {caller} asked for secrets, and was answered {status}",
        timeout=deadline(kubernetes.dc, _LOG_SECONDS),
        interval=0.5,
    )
    return {"answered": status, **said}


def _said_of(kubernetes: KubernetesCluster, server: str, path: str) -> dict[str, Any]:
    # the folder: the log may have been put aside meanwhile, and another one begun
    argv = ["grep", "-rhF", path, AUDIT_LOG.rpartition("/")[0]]
    lines = kubernetes.dc.servers[server].run(argv, check=False).stdout.splitlines()
    if not lines:
        raise NotYet("it says nothing of it")
    event = json.loads(lines[-1])
    return {
        "who": event["user"]["username"],
        "status": event["responseStatus"]["code"],
        "contents": sorted(event.keys() & {"requestObject", "responseObject"}),
    }
