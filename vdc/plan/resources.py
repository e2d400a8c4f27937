"""What will exist on the host, item by item, as data. A plan is a tuple of these in no particular order.

Every resource has an `id` (unique in the plan) and says which others it `requires`; the engine derives the order.
Paths are absolute. To add a kind of resource: a class here, an entry in `RESOURCES`, an executor in `vdc/host`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A network namespace `name`, with its loopback up; `forwarding` makes it a router."""

    name: str
    forwarding: bool = False

    @property
    def id(self) -> str:
        """`namespace:NAME`."""
        return f"namespace:{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A Linux bridge without STP in a namespace; up from the start."""

    netns: str
    name: str

    @property
    def id(self) -> str:
        """`bridge:NAME`."""
        return f"bridge:{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Its namespace."""
        return (f"namespace:{self.netns}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """One end of a veth pair: in `netns`, named `name`, with a `mac` and `addresses` (CIDR) or on a `bridge`; up.

    A MAC that is always the same is what neighbours that wake from a checkpoint remember.
    """

    netns: str
    name: str
    mac: str | None = None
    addresses: tuple[str, ...] = ()
    bridge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Veth:
    """A veth pair between two namespaces."""

    a: Plug
    b: Plug

    @property
    def id(self) -> str:
        """`veth:NETNS/NAME` of end a."""
        return f"veth:{self.a.netns}/{self.a.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Both namespaces, and the bridges its ends sit on."""
        bridges = tuple(f"bridge:{end.bridge}" for end in (self.a, self.b) if end.bridge)
        return (f"namespace:{self.a.netns}", f"namespace:{self.b.netns}", *bridges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A persistent tap on a bridge, which a guest's NIC opens."""

    netns: str
    name: str
    bridge: str

    @property
    def id(self) -> str:
        """`tap:NAME`."""
        return f"tap:{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Its bridge."""
        return (f"bridge:{self.bridge}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loopback:
    """Addresses (CIDR) on the loopback of a namespace."""

    netns: str
    addresses: tuple[str, ...]

    @property
    def id(self) -> str:
        """`loopback:NETNS`."""
        return f"loopback:{self.netns}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Its namespace."""
        return (f"namespace:{self.netns}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRoute:
    """A default route of a namespace over one or more gateways (equal cost)."""

    netns: str
    gateways: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def id(self) -> str:
        """`route:NETNS`."""
        return f"route:{self.netns}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The links (`after`) over which the gateways are reached."""
        return self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Bird:
    """A BIRD daemon in a router's namespace, with its configuration as text."""

    router: str
    netns: str
    config: str
    config_path: str
    control: str

    @property
    def id(self) -> str:
        """`bird:ROUTER`."""
        return f"bird:{self.router}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Its namespace; links may come and go while it runs, but come first here."""
        return (f"namespace:{self.netns}", f"loopback:{self.netns}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Libvirtd:
    """The data centre's own libvirt daemon, in the namespace that holds the taps; `directory` is all its state."""

    netns: str
    directory: str

    @property
    def id(self) -> str:
        """`libvirtd`."""
        return "libvirtd"

    @property
    def requires(self) -> tuple[str, ...]:
        """Its namespace."""
        return (f"namespace:{self.netns}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A root disk: a qcow2 overlay on the root disk of the release image `image`."""

    server: str
    path: str
    backing: str
    image: str

    @property
    def id(self) -> str:
        """`overlay:SERVER`."""
        return f"overlay:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing; the image is in the cache before a plan is applied."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDisk:
    """A sparse qcow2 disk of `size` bytes with an ext4 file system labelled `vdc-data`; outlives reimaging."""

    server: str
    path: str
    size: int

    @property
    def id(self) -> str:
        """`data:SERVER`."""
        return f"data:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDisk:
    """A read-only disk that is a plain tar archive of `files` (absolute guest path to text), unpacked at each boot.

    The host adds the server's secrets (SSH host key, authorised key) when it writes the disk.
    """

    server: str
    path: str
    files: Mapping[str, str]

    @property
    def id(self) -> str:
        """`config:SERVER`."""
        return f"config:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A libvirt domain, defined and started; `memory` in bytes, `console_log` is written from power-on."""

    server: str
    uuid: str
    xml: str
    cpu: int
    memory: int
    console: str
    console_log: str
    taps: tuple[str, ...]

    @property
    def id(self) -> str:
        """`domain:SERVER`."""
        return f"domain:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The libvirt daemon, its disks and its taps."""
        disks = tuple(f"{kind}:{self.server}" for kind in ("overlay", "data", "config"))
        return ("libvirtd", *disks, *(f"tap:{tap}" for tap in self.taps))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleRecorder:
    """A daemon that stamps each console line with its time; `logs` maps server to the raw log."""

    netns: str
    directory: str
    logs: Mapping[str, str]

    @property
    def id(self) -> str:
        """`console-recorder`."""
        return "console-recorder"

    @property
    def requires(self) -> tuple[str, ...]:
        """Its namespace, so that it ends with the data centre."""
        return (f"namespace:{self.netns}",)


Resource = (
    Namespace
    | Bridge
    | Veth
    | Tap
    | Loopback
    | DefaultRoute
    | Bird
    | Libvirtd
    | Overlay
    | DataDisk
    | ConfigDisk
    | Domain
    | ConsoleRecorder
)

RESOURCES: Mapping[str, type[Resource]] = MappingProxyType(
    {
        cls.__name__: cls
        for cls in (
            Namespace,
            Bridge,
            Veth,
            Tap,
            Loopback,
            DefaultRoute,
            Bird,
            Libvirtd,
            Overlay,
            DataDisk,
            ConfigDisk,
            Domain,
            ConsoleRecorder,
        )
    }
)
