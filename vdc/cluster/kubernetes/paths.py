"""Where things are on a node, and how an address stands in a URL."""

from __future__ import annotations

from typing import Final

from vdc.model.ip import Address

CONFIG: Final = "/etc/kubernetes"
PKI: Final = f"{CONFIG}/pki"
ETCD: Final = f"{CONFIG}/etcd"
UNITS: Final = "/etc/systemd/system"

FIRST_MEMBERS: Final = f"{ETCD}/initial.env"
"""Environment of etcd that a member reads while it keeps nothing: which members there are when it begins."""
ETCD_DATA: Final = "/data/etcd"
VOLUMES: Final = "/data/volumes"
"""Local persistent volumes are folders below it."""
AUDIT_LOG: Final = "/var/log/kubernetes/audit.log"
RUNTIME_SOCKET: Final = "/run/containerd/containerd.sock"
CNI_PLUGINS: Final = "/usr/lib/cni"
CNI_CONFIG: Final = "/etc/cni/net.d"
REGISTRIES: Final = "/etc/containerd/certs.d"
RESOLV_CONF: Final = f"{CONFIG}/resolv.conf"
"""What containers inherit that don't ask the cluster's DNS by themselves: the guest's own has no name server."""

DNS_RECORDS: Final = "/var/lib/vdc-agent/hosts"
"""Names and addresses of the cluster's services as hosts(5), written by the agent, served by dnsmasq."""
PAUSE_IMAGE: Final = "vdc.local/pause:1"


def url_host(address: Address) -> str:
    """Return an address as it stands in a URL (RFC 3986, 3.2.2)."""
    return f"[{address}]" if address.version == 6 else str(address)


def certificate(name: str) -> str:
    """Return where the certificate of that name is."""
    return f"{PKI}/{name}.crt"


def key(name: str) -> str:
    """Return where the private key of that name is."""
    return f"{PKI}/{name}.key"


def kubeconfig(name: str) -> str:
    """Return where the kubeconfig of a component is."""
    return f"{CONFIG}/{name}.kubeconfig"
