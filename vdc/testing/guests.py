"""What systemctl(1), kubectl, etcdctl and other programs do on the servers of a Kubernetes in memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, MutableSet, Sequence, Set
from dataclasses import dataclass

from vdc.cluster.kubernetes.api import Component
from vdc.cluster.pki import Authority
from vdc.faults.api_server import ALLOW, CUT, REFUSE
from vdc.observe.nodes import PROXY_MODE
from vdc.observe.ordinary import HIDDEN
from vdc.observe.secrecy import ENCRYPTED
from vdc.shell import Completed
from vdc.testing.lies import Lie
from vdc.testing.objects import Objects
from vdc.testing.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that an API server has answered."""

    server: str
    path: str
    who: str
    status: int


class Guests:
    """Programs of the servers of a world."""

    def __init__(
        self,
        world: World,
        objects: Objects,
        stopped: Set[tuple[Component, str]],
        unreachable: MutableSet[str],
        authority: Authority,
        requests: Sequence[Asked],
    ) -> None:
        self._world = world
        self._lies = world.lies
        self._objects = objects
        self._stopped = stopped
        self._unreachable = unreachable
        self._authority = authority
        self._requests = requests
        self._asked = 0

    @property
    def programs(self) -> Mapping[str, Callable[[str, tuple[str, ...]], Completed]]:
        """What they know, by name."""
        return {
            "systemctl": self._systemctl,
            "kubectl": self._kubectl,
            "busybox": self._busybox,
            "cat": self._cat,
            "nft": self._nft,
            "ss": self._ss,
            "etcdctl": self._etcdctl,
            "grep": self._grep,
        }

    def _systemctl(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Say of each unit, as `show` does, which of its runs this is."""
        self._asked += 1
        run = self._asked if Lie.UNITS_RESTART in self._lies else 1
        names = [component for component in Component if (component, server) not in self._stopped]
        blocks = (f"Id={name}.service\nInvocationID={name}-{run}\n" for name in ("bird", *names))
        return Completed(argv=argv, status=0, stdout="\n".join(blocks) if "show" in argv else "", stderr="")

    def _kubectl(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Annotate a node or get a path, with the rights of the kubelet of `server`."""
        match [word for word in argv[1:] if not word.startswith("--") or word == "--raw"]:
            case ["annotate", "node", node, mark]:
                allowed = node == server or Lie.NODE_CHANGES_OTHERS in self._lies
                if allowed and Lie.MARK_IGNORED not in self._lies:
                    self._annotate(node, *mark.split("="))
            case ["get", "--raw", _]:
                allowed = Lie.NODE_READS_SECRETS in self._lies
            case _:
                return Completed(argv=argv, status=1, stdout="", stderr="error: unknown command")
        refusal = "" if allowed else "Error from server (Forbidden): it is forbidden\n"
        return Completed(argv=argv, status=0 if allowed else 1, stdout="", stderr=refusal)

    def _annotate(self, node: str, name: str, value: str) -> None:
        self._objects.apply({"kind": "Node", "metadata": {"name": node, "annotations": {name: value}}})

    def _busybox(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Get the one page that a node has for itself alone."""
        settings = self._world.topology.kubernetes
        if argv[-1] != PROXY_MODE or settings is None or (Component.KUBE_PROXY, server) in self._stopped:
            return Completed(argv=argv, status=1, stdout="", stderr="wget: connection refused\n")
        mode = "userspace" if Lie.PROXY_OF_OTHER_MODE in self._lies else settings.proxy
        return Completed(argv=argv, status=0, stdout=mode, stderr="")

    def _cat(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Show the certificate of a component, the only file there is."""
        issued = self._authority.issue(server, addresses=[str(self._world.topology.server(server).node.ip)], names=[])
        return Completed(argv=argv, status=0, stdout=issued.cert_pem, stderr="")

    def _nft(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Refuse connections to the API server, or let them in again."""
        match argv[-1]:
            case text if text == REFUSE and Lie.FAULT_WITHOUT_EFFECT not in self._lies:
                self._unreachable.add(server)
            case text if text == ALLOW and Lie.NEVER_HEALS not in self._lies:
                self._unreachable.discard(server)
        return Completed(argv=argv, status=0, stdout="", stderr="")

    def _ss(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Reset connections: there are none."""
        del server
        known = argv == CUT
        return Completed(argv=argv, status=0 if known else 1, stdout="", stderr="" if known else "unknown\n")

    def _etcdctl(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Get a secret: all that is kept has the same text."""
        del server
        clear = Lie.SECRETS_IN_THE_CLEAR in self._lies
        value = b"k8s\0" + HIDDEN.encode() if clear else ENCRYPTED + b"key1:" + bytes(32)
        kept = {"kvs": [{"key": argv[-1], "value": base64.b64encode(value).decode()}]}
        return Completed(argv=argv, status=0, stdout=json.dumps(kept), stderr="")

    def _grep(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Search the audit log."""
        found = [each for each in self._requests if each.server == server and argv[2] in each.path]
        if Lie.AUDIT_SILENT in self._lies:
            found = []
        if Lie.AUDIT_LEAVES_OUT_REFUSALS in self._lies:
            found = [each for each in found if each.status < 300]
        told = "".join(f"{json.dumps(self._event(each))}\n" for each in found)
        return Completed(argv=argv, status=0 if found else 1, stdout=told, stderr="")

    def _event(self, asked: Asked) -> Mapping[str, object]:
        contents = {"responseObject": {"items": [HIDDEN]}} if Lie.AUDIT_TELLS_SECRETS in self._lies else {}
        return {
            "requestURI": asked.path,
            "user": {"username": asked.who},
            "responseStatus": {"code": asked.status},
            **contents,
        }
