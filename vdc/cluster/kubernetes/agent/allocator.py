"""Giving services of type LoadBalancer their addresses: one agent of a control plane at a time, under a Lease.

The lease (coordination.k8s.io/v1) has in an annotation the record of who has which address. It is changed only together
with the lease's holder, under its resource version, so that one who was taken for dead and comes back cannot give away
an address a second time. Whoever holds the lease renews it only when there is something to do: an idle cluster is left
idle. As in client-go's `leaderelection`, the others go by their own clock since they saw the lease change.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address

from .allocation import Allocation, Pool, Record, Refusal, allocate, needs_work, stale
from .api import Api, RefusedError
from .objects import Json, Service, read_service
from .settings import Settings

NAMESPACE, NAME = "kube-system", "vdc-load-balancer"
RECORD = "vdc.local/addresses"

_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_NOT_FOUND, _CONFLICT = 404, 409

log = logging.getLogger(__name__)


class Allocator:
    """The allocator of a control-plane node."""

    def __init__(self, settings: Settings, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._api = api
        self._clock = clock
        self._pool = Pool(networks=settings.pools, taken=settings.taken)
        self._seen = ("", 0.0)
        self._told: set[tuple[str, Refusal]] = set()

    def step(self, known: tuple[Service, ...]) -> float | None:
        """Do what there is to do for the services as they are `known`.

        Returns after how many seconds to look again, None for not before they change. Raises RefusedError or one of
        `api.UNREACHABLE`: nothing is lost, and the next step does it.
        """
        if not needs_work(known, self._pool):
            return None
        lease = self._lease()
        if (wait := self._others_time(lease)) > 0:
            return wait
        # read after the record: whoever is in the record and not in this list is gone
        said = self._api.get("/api/v1/services")
        services = [read_service(each) for each in said.get("items") or ()]
        record = _record(lease)
        found = allocate(services, record, self._pool)
        if found.record != record or lease["spec"].get("holderIdentity") != self._settings.node:
            self._hold(lease, found.record)
        self._tell(services, found)
        return None

    def _lease(self) -> Json:
        try:
            return self._api.get(f"{_LEASES}/{NAME}")
        except RefusedError as error:
            if error.status != _NOT_FOUND:
                raise
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {},
        }
        return self._api.create(_LEASES, body)

    def _others_time(self, lease: Json) -> float:
        """Return how many seconds longer another holder is taken for alive."""
        version = lease["metadata"]["resourceVersion"]
        if lease["spec"].get("holderIdentity") in (None, "", self._settings.node):
            return 0.0
        if self._seen[0] != version:
            self._seen = version, self._clock()
        return self._seen[1] + self._settings.lease_seconds - self._clock()

    def _hold(self, lease: Json, record: Record) -> None:
        """Write the record, as the holder. Raises RefusedError (409): somebody else was quicker."""
        meta, spec = lease["metadata"], lease["spec"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        new = spec.get("holderIdentity") != self._settings.node
        changed = {
            "holderIdentity": self._settings.node,
            "leaseDurationSeconds": max(1, round(self._settings.lease_seconds)),
            "renewTime": now,
            "acquireTime": now if new else spec.get("acquireTime", now),
            "leaseTransitions": spec.get("leaseTransitions", 0) + new,
        }
        text = json.dumps({str(address): uid for address, uid in sorted(record.items())})
        annotations = {**(meta.get("annotations") or {}), RECORD: text}
        body = {**lease, "metadata": {**meta, "annotations": annotations}, "spec": {**spec, **changed}}
        self._api.replace(f"{_LEASES}/{NAME}", body)
        if new:
            log.info("allocates addresses of %s from now on", self._pool)

    def _tell(self, services: list[Service], found: Allocation) -> None:
        """Let each service show the address that it has, and say why to those that have none."""
        for service in services:
            address = found.address_of(service)
            if service.balanced and service.ingress != address:
                self._show(service, address)
            elif stale(service, self._pool):
                self._show(service, ())
            refusal = found.refused.get(service.uid)
            if refusal is not None and (service.uid, refusal) not in self._told:
                self._complain(service, refusal)
                self._told.add((service.uid, refusal))

    def _show(self, service: Service, addresses: tuple[IPv4Address, ...]) -> None:
        """Change the status of a service that is still as it was read."""
        path = f"/api/v1/namespaces/{service.namespace}/services/{service.name}/status"
        ingress = [{"ip": str(address)} for address in addresses] or None
        body = {
            "metadata": {"uid": service.uid, "resourceVersion": service.version},
            "status": {"loadBalancer": {"ingress": ingress}},
        }
        try:
            self._api.patch(path, body)
        except RefusedError as error:
            if error.status not in (_NOT_FOUND, _CONFLICT):
                raise
            return  # it has changed or is gone: whoever sees that acts upon it
        log.info("service %s has %s", service.key, ", ".join(map(str, addresses)) or "no address any more")

    def _complain(self, service: Service, refusal: Refusal) -> None:
        log.warning("service %s has no address: %s", service.key, refusal.message)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{service.name}.", "namespace": service.namespace},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Service",
                "namespace": service.namespace,
                "name": service.name,
                "uid": service.uid,
            },
            "type": "Warning",
            "reason": refusal.reason,
            "message": refusal.message,
            "source": {"component": "vdc-agent", "host": self._settings.node},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._api.create(f"/api/v1/namespaces/{service.namespace}/events", body)


def _record(lease: Json) -> Record:
    text = (lease["metadata"].get("annotations") or {}).get(RECORD, "{}")
    return {IPv4Address(address): uid for address, uid in json.loads(text).items()}
