"""The deployer `kubernetes`: the release's own Kubernetes on every server, etcd and control plane on some of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from vdc.cluster.clients import check_reachable
from vdc.cluster.kubernetes.access import Access, checked_targets_of
from vdc.cluster.kubernetes.cluster import LiveKubernetes
from vdc.cluster.kubernetes.config_control import kubeconfig_inline
from vdc.cluster.kubernetes.installing import Installer
from vdc.cluster.kubernetes.lifecycle import dismiss, forget
from vdc.cluster.kubernetes.record import Record, directory
from vdc.cluster.kubernetes.steps import STEPS, Work, perform, work_on
from vdc.cluster.kubernetes.timers import timers
from vdc.cluster.kubernetes.versions import check_versions
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError, CommandError, InputError, VdcError
from vdc.host.forward import Target
from vdc.model.releases import release
from vdc.model.topology import Topology

_RELEASE = "/usr/lib/vdc/release.json"


class KubernetesDeployer:
    """Implements `vdc.cluster.api.Deployer`."""

    speaks = "kubernetes"

    def timers(self, dc: DataCenter) -> Mapping[str, str]:
        """Return what is not as Kubernetes has it by default."""
        return timers(Record.load(dc).pace(dc)).described()

    def check(self, topology: Topology) -> None:
        """Pass if a topology has a control plane, versions that go together, and a client that reaches it.

        Raises InputError, HostError: with what it lacks.
        """
        if topology.kubernetes is None:
            raise InputError(f"{topology.name} has no Kubernetes", hint="give the topology a section `kubernetes: {}`")
        check_versions({each.name: each.version for each in release(topology.release).components if each.version})
        check_reachable(topology)

    def deploy(self, dc: DataCenter, *, retain: bool = False) -> LiveKubernetes:
        """Deploy step by step, and wait until all nodes are Ready.

        Raises:
            ClusterError, WaitTimeout: with the step, the node and the reason. What was installed is taken back from
                servers that were no nodes before, unless `retain`.
        """
        self.check(dc.topology)
        record = _begun(dc)
        cluster = record.cluster(dc)
        access = Access.of(dc, name=record.name)
        installer = Installer(dc=dc, cluster=cluster, access=access)
        live = LiveKubernetes(dc, access)
        names = frozenset(node.name for node in cluster.nodes)
        with dc.steps.step("deploy Kubernetes"):
            work = _founding(work_on(installer, record, cluster.nodes))
            record = work.record
            if record.joined >= names and not work.nodes:
                with dc.steps.step("wait until Kubernetes serves"):
                    live.wait_serving()
                return live
            record.save(dc)
            try:
                perform(work, STEPS)
            except VdcError as error:
                if not retain:
                    _take_back(installer, record, error)
                raise
        Record.load(dc).with_joined(names).save(dc)
        return live

    def begun(self, dc: DataCenter) -> bool:
        """Return whether there is a Kubernetes, or a part of one."""
        return bool(Record.load(dc).name)

    def attach(self, dc: DataCenter) -> LiveKubernetes:
        """Return the handle of the deployed cluster; raises ClusterError where there is none."""
        return LiveKubernetes(dc, Access.of(dc, name=_deployed(dc).name))


def admin_kubeconfig(dc: DataCenter, *, server: str) -> str:
    """Return a kubeconfig of the administrator, for an API server at the URL `server`.

    Raises ClusterError: no Kubernetes is deployed.
    """
    access = Access.of(dc, name=_deployed(dc).name)
    credential = access.pki.admin()
    return kubeconfig_inline(
        ca=access.pki.trusted("kubernetes"), certificate=credential.cert_pem, key=credential.key_pem, server=server
    )


def api_targets(dc: DataCenter) -> tuple[Target, ...]:
    """Return ways from outside to an API server that is ready. Raises ClusterError: no Kubernetes is deployed."""
    return checked_targets_of(_deployed(dc).cluster(dc).control_planes)


def _take_back(installer: Installer, record: Record, error: VdcError) -> None:
    """Remove what was put on servers that were no nodes before; a failure is noted with the error that led here."""
    fresh = [node for node in installer.cluster.nodes if node.name not in record.joined]
    if not fresh:
        return
    try:
        with installer.dc.steps.step("take back what was installed"):
            others = [node for node in installer.cluster.nodes if node not in fresh]
            for node in fresh if record.joined else ():
                dismiss(installer, node, others)
            installer.tear_down(fresh)
            for node in fresh if record.joined else ():
                forget(installer, node, others)
        if not record.joined:
            shutil.rmtree(directory(installer.dc))
        error.add_note("what was installed was taken back; --retain keeps it")
    except VdcError as second:
        error.add_note(f"not all that was installed could be taken back: {second.message}")


def _founding(work: Work) -> Work:
    """Return work that founds an etcd anew, where the first one was taken back, but not its record."""
    if work.record.joined or any(seen.data for seen in work.seen.values()):
        return work
    return replace(work, record=replace(work.record, founded=False))


def _begun(dc: DataCenter) -> Record:
    """Return the record of a cluster that is there, perhaps half-way, or that is to be."""
    record = Record.load(dc)
    return record if record.name else Record(name=dc.name, slowness=dc.slowness, versions=_versions(dc))


def _deployed(dc: DataCenter) -> Record:
    record = Record.load(dc)
    if not record.joined:
        raise ClusterError(f"no Kubernetes is deployed on {dc.name}")
    return record


def _versions(dc: DataCenter) -> Mapping[str, str]:
    """Return the versions of the release that the servers have, by component. Raises ClusterError: it has none."""
    settings = dc.topology.kubernetes
    machine = dc.servers[settings.control_planes[0]] if settings else next(iter(dc.servers.values()))
    with suppress(CommandError, ValueError, KeyError):
        versions: dict[str, str] = json.loads(machine.run(["cat", _RELEASE]).stdout)["components"]
        if "kubernetes" in versions:
            return versions
    raise ClusterError(f"{machine.name}: its release has no Kubernetes")
