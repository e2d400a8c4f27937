"""What systemctl(1) and kubectl do on the servers of a Kubernetes in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from vdc.cluster.kubernetes.api import Component
from vdc.shell import Completed
from vdc.testing.lies import Lie
from vdc.testing.objects import Objects
from vdc.testing.world import World


class Guests:
    """Programs of the servers of a world."""

    def __init__(self, world: World, objects: Objects, stopped: Set[tuple[Component, str]]) -> None:
        self._lies = world.lies
        self._objects = objects
        self._stopped = stopped
        self._asked = 0

    @property
    def programs(self) -> Mapping[str, Callable[[str, tuple[str, ...]], Completed]]:
        """What they know, by name."""
        return {"systemctl": self._systemctl, "kubectl": self._kubectl}

    def _systemctl(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Say of each unit, as `show` does, which of its runs this is."""
        self._asked += 1
        run = self._asked if Lie.UNITS_RESTART in self._lies else 1
        names = [component for component in Component if (component, server) not in self._stopped]
        blocks = (f"Id={name}.service\nInvocationID={name}-{run}\n" for name in names)
        return Completed(argv=argv, status=0, stdout="\n".join(blocks) if "show" in argv else "", stderr="")

    def _kubectl(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Annotate a node or get a path, with the rights of the kubelet of `server`."""
        match [word for word in argv[1:] if not word.startswith("--") or word == "--raw"]:
            case ["annotate", "node", node, _]:
                allowed = node == server or Lie.NODE_CHANGES_OTHERS in self._lies
            case ["get", "--raw", _]:
                allowed = Lie.NODE_READS_SECRETS in self._lies
            case _:
                return Completed(argv=argv, status=1, stdout="", stderr="error: unknown command")
        refusal = "" if allowed else "Error from server (Forbidden): it is forbidden\n"
        return Completed(argv=argv, status=0 if allowed else 1, stdout="", stderr=refusal)
