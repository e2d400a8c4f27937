"""What an etcd member needs in its guest, as text. Pure: nothing here touches a machine.

One configuration serves etcd 3.4 and 3.5 alike, so that a member can be upgraded under its data
(https://etcd.io/docs/v3.5/upgrades/upgrade_3_5/: one minor version at a time, same data directory).
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType

from vdc.cluster.pki import Credential
from vdc.model.ip import Address
from vdc.model.topology import Server, Topology

CLIENT_PORT = 2379
PEER_PORT = 2380
UNIT = "vdc-etcd.service"
CONFIG_PATH = "/etc/vdc-etcd.yml"
DATA_DIRECTORY = "/data/etcd"
_PKI = "/etc/vdc-etcd"
_UNIT_PATH = f"/etc/systemd/system/{UNIT}"
_DIGEST_PATH = f"{_PKI}/digest"

_UNIT_TEXT = f"""\
[Unit]
Description=etcd member of a vdc cluster
After=network-online.target bird.service
RequiresMountsFor=/data
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=/usr/bin/etcd --config-file {CONFIG_PATH}
Restart=always
RestartSec=1
TimeoutStartSec=infinity
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


HAND_OVER = f"""\
set -eu
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=https://127.0.0.1:{CLIENT_PORT}
export ETCDCTL_CACERT={_PKI}/ca.crt ETCDCTL_CERT={_PKI}/member.crt ETCDCTL_KEY={_PKI}/member.key
status=$(etcdctl endpoint status | tr , ' ')
set -- $status
case " $status " in *' true '*) ;; *) exit 0;; esac
other=$(etcdctl member list | grep ', started,' | grep -v "^$2," | head -n 1 | cut -d, -f1)
etcdctl move-leader "$other"
"""
"""What a shell in a server runs so that another member leads. etcdctl tells endpoint, member, version, size, leader."""


def client_url(server: Server) -> str:
    """Return where clients reach the member on `server`."""
    return f"https://{_host(server)}:{CLIENT_PORT}"


def peer_url(server: Server) -> str:
    """Return where the other members reach the member on `server`."""
    return f"https://{_host(server)}:{PEER_PORT}"


def addresses(server: Server) -> tuple[Address, ...]:
    """Return the addresses a member's certificate must name.

    etcd compares the source address of a peer's connection with the peer's certificate, so the addresses of
    the ports are among them; its gateway reaches its own server over loopback.
    """
    ports = (address.ip for port in server.ports for address in port.addresses)
    return (server.node.ip, *ports, ip_address("127.0.0.1"))


def _host(server: Server) -> str:
    """Return a server's address as it stands in a URL (RFC 3986, 3.2.2)."""
    address = server.node.ip
    return f"[{address}]" if address.version == 6 else str(address)


ELECTION = 10
"""Heartbeats in an election timeout."""


def heartbeat(slowness: float) -> int:
    """Return the heartbeat interval in milliseconds: 100 (etcd's default) on a fast host, 500 times
    `slowness` on a slow one. The election timeout is ten times that; etcd allows at most 50 s.
    """
    return min(5000, max(100, round(500 * slowness)))


def member_config(topology: Topology, name: str, *, token: str, slowness: float, joins: bool = False) -> str:
    """Return the configuration file (JSON, which YAML includes) of the member on the server `name`.

    One that `joins` takes the place of another in a cluster that there is.
    """
    server = topology.server(name)
    tls = {
        "cert-file": f"{_PKI}/member.crt",
        "key-file": f"{_PKI}/member.key",
        "trusted-ca-file": f"{_PKI}/ca.crt",
        "client-cert-auth": True,
    }
    config = {
        "name": server.name,
        "data-dir": DATA_DIRECTORY,
        "listen-peer-urls": peer_url(server),
        "initial-advertise-peer-urls": peer_url(server),
        "listen-client-urls": f"{client_url(server)},https://127.0.0.1:{CLIENT_PORT}",
        "advertise-client-urls": client_url(server),
        "initial-cluster": ",".join(f"{member.name}={peer_url(member)}" for member in topology.members),
        "initial-cluster-token": token,
        # Read only while the data directory is empty: a member that kept its data simply starts again.
        "initial-cluster-state": "existing" if joins else "new",
        "heartbeat-interval": heartbeat(slowness),
        "election-timeout": ELECTION * heartbeat(slowness),
        # The default from 3.5 on: a member that missed heartbeats asks first whether the others miss the leader too.
        "pre-vote": True,
        "quota-backend-bytes": 256 * 1024 * 1024,
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "snapshot-count": 10000,
        # On by default, but not for a member that is configured by a file (etcd 3.4 and 3.5).
        "enable-grpc-gateway": True,
        "logger": "zap",
        "log-level": "info",
        "client-transport-security": tls,
        "peer-transport-security": tls,
    }
    return json.dumps(config, indent=1) + "\n"


def member_files(config: str, *, authority_pem: str, credential: Credential) -> Mapping[str, str]:
    """Return every file of a member: absolute guest path to text."""
    return MappingProxyType(
        {
            f"{_PKI}/ca.crt": authority_pem,
            f"{_PKI}/member.crt": credential.cert_pem,
            f"{_PKI}/member.key": credential.key_pem,
            CONFIG_PATH: config,
            _UNIT_PATH: _UNIT_TEXT,
        }
    )


def install_script(files: Mapping[str, str]) -> str:
    """Return the shell script that puts `files` in place and starts the member, without waiting for it.

    It does nothing where the same files are already installed and the member is not stopped. One script,
    because every command to a guest under emulation costs half a second. The distribution's own
    etcd.service would hold the client port on loopback, so it is masked.
    """
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    writes = [f"printf %s {shlex.quote(text)} >{shlex.quote(path)}" for path, text in sorted(files.items())]
    return "\n".join(
        [
            "set -eu",
            "umask 077",
            f'if [ "$(cat {_DIGEST_PATH} 2>/dev/null)" = {digest} ]; then',
            f"  case $(systemctl show -P ActiveState {UNIT}) in active|activating|reloading) exit 0;; esac",
            "fi",
            "mountpoint -q /data || { echo '/data is not mounted: data would not survive' >&2; exit 1; }",
            "[ -x /usr/bin/etcd ] || { echo 'etcd is not installed in this release' >&2; exit 1; }",
            f"mkdir -p {_PKI} {DATA_DIRECTORY}",
            *writes,
            f"chmod 644 {CONFIG_PATH} {_UNIT_PATH}",
            "systemctl mask --no-reload etcd.service",
            f"systemctl enable --no-reload {UNIT}",
            "systemctl daemon-reload",
            "systemctl stop etcd.service || :",
            f"systemctl restart --no-block {UNIT}",
            f"printf %s {digest} >{_DIGEST_PATH}",
            # A scenario may cut the power a moment from now, and the files must not be empty afterwards.
            "sync",
            "",
        ]
    )
