"""New certificates, authorities and keys for a cluster that goes on serving.

https://kubernetes.io/docs/tasks/tls/manual-rotation-of-ca-certificates/,
https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#rotating-a-decryption-key

What takes rounds has a deployment after each, and what was cut off is finished by the next call: how far it was follows
from the keys that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from vdc.cluster.kubernetes.access import Access
from vdc.cluster.kubernetes.client import CONFLICT, NOT_FOUND, Api, RefusedError
from vdc.cluster.kubernetes.deployer import KubernetesDeployer
from vdc.cluster.kubernetes.flags import signs_tokens
from vdc.cluster.kubernetes.keys import Phase
from vdc.cluster.kubernetes.pki import AUTHORITIES, KEYS, SECRETS, SERVICE_ACCOUNTS
from vdc.cluster.kubernetes.record import Record
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline
from vdc.wait import NotYet, wait_for

_TOKEN: Final = "kubernetes.io/service-account-token"  # noqa: S105 - a type
_TOKEN_SECONDS: Final = 60.0
_MERGE: Final = "application/merge-patch+json"


def rotate_certificates(dc: DataCenter, nodes: Collection[str]) -> None:
    """Renew the certificates of all components of nodes. Raises as a deployment."""
    finish(dc)
    record, access = _known(dc)
    with dc.steps.step(f"renew certificates of {', '.join(nodes)}"):
        for node in record.cluster(dc).nodes:
            if node.name in nodes:
                access.pki.rotate(node)
        _deploy(dc)


def rotate(dc: DataCenter, what: str) -> None:
    """Replace an authority (and all that it has issued), or a key that all share; see `AUTHORITIES` and `KEYS`.

    Where that was cut off before, it is only finished. Raises as a deployment.
    """
    if what not in finish(dc):
        _go_through(dc, what)


def finish(dc: DataCenter) -> tuple[str, ...]:
    """Finish what was cut off, and return what that was."""
    _, access = _known(dc)
    pending = tuple(each for each in (*AUTHORITIES, *KEYS) if access.pki.phase(each) is not Phase.SETTLED)
    for what in pending:
        _go_through(dc, what)
    return pending


def _go_through(dc: DataCenter, what: str) -> None:
    pki = _known(dc)[1].pki
    if pki.phase(what) is not Phase.SUCCEEDED:
        with dc.steps.step(f"{what}: let all know a successor"):
            pki.introduce(what)
            _deploy(dc)
            pki.succeed(what)
    with dc.steps.step(f"{what}: let it be the one in use"):
        _deploy(dc)
        if what in _FOLLOW:
            _FOLLOW[what](dc, _api(dc))
        pki.retire(what)
    with dc.steps.step(f"{what}: forget its predecessor"):
        _deploy(dc)


def _renew_tokens(dc: DataCenter, api: Api) -> None:
    """Let tokens that are in secrets be signed anew: before 1.24, a cluster has one for every service account.

    Nothing is done where nobody would sign: on a slow host, clusters before 1.24 run without the controller of such
    secrets, and one that a user made never had a token of theirs.
    """
    record, _ = _known(dc)
    if not signs_tokens(record.cluster(dc)):
        return

    def tokens() -> dict[str, str]:
        return {_path(each): each.get("data", {}).get("token", "") for each in _secrets(api, type=_TOKEN)}

    with dc.steps.step("let tokens be signed anew"):
        before = tokens()
        for path in before:
            api.request("PATCH", path, body={"data": {"token": None}}, content=_MERGE)

        def signed() -> None:
            if left := [path for path, token in tokens().items() if token in {"", before.get(path)}]:
                raise NotYet(f"{len(left)} of {len(before)} are left, such as {left[0]}")

        wait_for(signed, what="tokens to be signed anew", timeout=deadline(dc, _TOKEN_SECONDS), interval=1.0)


def _rewrite_secrets(dc: DataCenter, api: Api) -> None:
    """Write every secret as it is, which encrypts it by the key now in use; what somebody else has written has been."""
    with dc.steps.step("encrypt all secrets anew"):
        for secret in _secrets(api):
            try:
                api.request("PUT", _path(secret), body=secret)
            except RefusedError as refused:
                if refused.status not in {NOT_FOUND, CONFLICT}:
                    raise


_FOLLOW: Final[Mapping[str, Callable[[DataCenter, Api], None]]] = {
    SERVICE_ACCOUNTS: _renew_tokens,
    SECRETS: _rewrite_secrets,
}
"""What must be done with what the predecessor has made, before it is forgotten."""


def _secrets(api: Api, **fields: str) -> Iterator[Mapping[str, Any]]:
    query = {"fieldSelector": ",".join(f"{name}={value}" for name, value in fields.items())} if fields else {}
    kind = {"apiVersion": "v1", "kind": "Secret"}
    for item in api.get("/api/v1/secrets", **query)["items"]:
        yield {**kind, **item}


def _path(secret: Mapping[str, Any]) -> str:
    metadata = secret["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/secrets/{metadata['name']}"


def _known(dc: DataCenter) -> tuple[Record, Access]:
    record = Record.load(dc)
    return record, Access.of(dc, name=record.name)


def _api(dc: DataCenter) -> Api:
    record, access = _known(dc)
    return access.api(record.cluster(dc).control_planes)


def _deploy(dc: DataCenter) -> None:
    KubernetesDeployer().deploy(dc, retain=True)
