"""The agent of a node as files of that node, and what the API lets it do. Pure but for reading the program itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from vdc.cluster.kubernetes.agent.allocator import NAME, NAMESPACE
from vdc.cluster.kubernetes.api import Component, Manifest
from vdc.cluster.kubernetes.paths import DNS_RECORDS, UNITS, certificate, key
from vdc.cluster.kubernetes.pki import AGENTS, ALLOCATORS
from vdc.cluster.kubernetes.spec import PROXY_PORT, ClusterSpec, Node
from vdc.cluster.kubernetes.timers import timers
from vdc.cluster.kubernetes.versions import api_version, minor
from vdc.plan.bird import SERVICE_FILES

_LIBRARY: Final = "/usr/local/lib/vdc"
_PACKAGE: Final = "vdc_agent"
AGENT_PROGRAM: Final = f"{_LIBRARY}/{_PACKAGE}"
"""The folder of the program."""
AGENT_CONFIG: Final = "/etc/vdc-agent/config.json"
ANNOUNCED: Final = SERVICE_FILES.replace("*", "")
"""What it writes for BIRD."""

_COMMAND: Final = f"/usr/bin/python3 -m {_PACKAGE} {AGENT_CONFIG}"

_UNIT: Final = f"""\
[Unit]
Description=agent of vdc: names and addresses of services
After=bird.service haproxy.service
StartLimitIntervalSec=0

[Service]
Environment=PYTHONPATH={_LIBRARY}
ExecStart={_COMMAND}
RuntimeDirectory=vdc-agent
RuntimeDirectoryPreserve=yes
StateDirectory=vdc-agent
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
"""What it announces outlives it, but not the boot, after which nothing runs yet of what was behind it."""

_RBAC: Final = "rbac.authorization.k8s.io"


def agent_files(cluster: ClusterSpec, node: Node) -> Mapping[str, str]:
    """Return the program, its unit and its configuration by path; its credentials come with the node's others."""
    return MappingProxyType(
        {
            **{f"{AGENT_PROGRAM}/{name}": text for name, text in _program().items()},
            f"{UNITS}/{Component.AGENT}.service": _UNIT,
            AGENT_CONFIG: agent_config(cluster, node),
        }
    )


def agent_config(cluster: ClusterSpec, node: Node) -> str:
    """Return what `vdc.cluster.kubernetes.agent.settings` reads. Only IPv4 addresses are served and announced."""
    timing, settings = timers(cluster.slowness), cluster.settings
    taken = [each.ip for server in cluster.topology.servers for each in server.announces]
    said = {
        "node": node.name,
        "addresses": [str(each.ip) for each in node.server.nodes if each.version == 4],
        "domain": settings.domain,
        "host": "127.0.0.1",
        "port": PROXY_PORT,
        "authority": certificate("ca"),
        "certificate": certificate("agent"),
        "key": key("agent"),
        "slices": api_version("EndpointSlice", minor(cluster.version)),
        "hosts": DNS_RECORDS,
        "dns_processes": f"/sys/fs/cgroup/system.slice/{Component.DNS}.service/cgroup.procs",
        "services": ANNOUNCED,
        "bird": "/run/bird/bird.ctl",
        "proxy": settings.proxy,
        "pools": [str(pool) for pool in settings.load_balancers if pool.version == 4],
        "taken": [str(each) for each in taken if any(each in pool for pool in settings.load_balancers)],
        "allocates": node.control_plane,
        "answer_seconds": timing.ping,
        "lease_seconds": timing.lease,
    }
    return json.dumps(said, indent=1) + "\n"


def agent_manifests() -> tuple[Manifest, ...]:
    """Return what agents may do: all may read what they serve, those of control planes give addresses to services."""
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    return (
        *_granted(
            "vdc:agent",
            [
                {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch"]},
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["get", "list", "watch"],
                },
            ],
            AGENTS,
        ),
        *_granted(
            "vdc:load-balancer",
            [
                {"apiGroups": [""], "resources": ["services/status"], "verbs": ["patch", "update"]},
                {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
            ],
            ALLOCATORS,
        ),
        *_granted(
            "vdc:load-balancer",
            [
                {**leases, "verbs": ["create"]},
                {**leases, "resourceNames": [NAME], "verbs": ["get", "update"]},
            ],
            ALLOCATORS,
            namespace=NAMESPACE,
        ),
    )


@cache
def _program() -> Mapping[str, str]:
    """Return the text of each of its modules: it is a part of vdc that is shipped as it is."""
    found = files("vdc.cluster.kubernetes").joinpath("agent").iterdir()
    return {
        each.name: each.read_text(encoding="utf-8")
        for each in sorted(found, key=lambda each: each.name)
        if each.name.endswith(".py")
    }


def _granted(
    name: str, rules: Sequence[Manifest], group: str, *, namespace: str | None = None
) -> tuple[Manifest, Manifest]:
    """Return a role and its binding, of the whole cluster or of one namespace."""
    prefix = "" if namespace else "Cluster"
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    common = {"apiVersion": f"{_RBAC}/v1", "metadata": metadata}
    return (
        {**common, "kind": f"{prefix}Role", "rules": rules},
        {
            **common,
            "kind": f"{prefix}RoleBinding",
            "roleRef": {"apiGroup": _RBAC, "kind": f"{prefix}Role", "name": name},
            "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group}],
        },
    )
