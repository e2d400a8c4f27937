"""What will exist on the host, item by item, as data. A plan is a tuple of these in no particular order.

Every resource has an `id` (unique in the plan) and says which others it `requires`; the engine derives the order.
Paths are absolute. To add a kind of resource: a class here, an entry in `RESOURCES`, an executor in `vdc/host`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A network namespace `name`, with its loopback up; `forwarding` makes it a router, of both families.

    Without `ipv6` its kernel does not speak IPv6 at all.
    """

    name: str
    forwarding: bool = False
    ipv6: bool = False

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
    """A Linux bridge without STP in a namespace; up from the start. It has no addresses, not even a link-local one."""

    netns: str
    name: str
    mtu: int = 1500

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

    A MAC that is always the same is what neighbours that wake from a checkpoint remember. IPv6 addresses are there at
    once, without duplicate address detection. `link_local` (CIDR, /64) is its only link-local address: the kernel
    makes none itself, whether there is one here or not.
    """

    netns: str
    name: str
    mac: str | None = None
    addresses: tuple[str, ...] = ()
    bridge: str | None = None
    mtu: int = 1500
    link_local: str | None = None


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
    """A persistent tap on a bridge, which a guest's NIC opens, with a pair of queues for each of `queues`."""

    netns: str
    name: str
    bridge: str
    mtu: int = 1500
    queues: int = 1

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
    """Addresses (CIDR), of either family, on the loopback of a namespace."""

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
    """A default route of a namespace, for each family over its `gateways` (equal cost)."""

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
class Impairment:
    """What a wire does to the packets that leave `interface`, or those that come in over it if they are `incoming`.

    `delay` and `jitter` are in seconds, `loss` from 0 to 1, `rate` in bits per second (0: as fast as can be).
    `far_netns` and `far` are the interface at the other end, if that is on the host.
    """

    netns: str
    interface: str
    incoming: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    rate: int = 0
    far_netns: str | None = None
    far: str | None = None
    after: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`impairment:NETNS/INTERFACE`, with `/in` for packets that come in."""
        return f"impairment:{self.netns}/{self.interface}{'/in' if self.incoming else ''}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The link (`after`) that has the interface."""
        return self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Nat:
    """Network address translation (RFC 3022) between the namespace `netns` and `outside`, or the host's own.

    `inside` is the interface of `netns` to the border, which is reached at `border`; what comes from `sources` leaves
    over `uplink`, with `address` (CIDR). `host_interface` with `host_address` (CIDR) and the nftables table `table` are
    all that is ever made outside.
    """

    netns: str
    inside: str
    border: str
    sources: tuple[str, ...]
    uplink: str
    address: str
    host_interface: str
    host_address: str
    table: str
    outside: str | None
    mtu: int = 1500
    after: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`nat:NETNS`."""
        return f"nat:{self.netns}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The cable to the border (`after`)."""
        return self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Bird:
    """A BIRD daemon in a router's namespace, with its configuration as text.

    A `graceful` one that is started anew takes over the routes that the one before left (RFC 4724).
    """

    router: str
    netns: str
    config: str
    config_path: str
    control: str
    graceful: bool = False

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
    """A root disk: a qcow2 overlay on the disk `backing` of the image `image`: a release, or the user's own."""

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

    The host adds `/etc/hosts` and the server's secrets (SSH host key, authorised key) when it writes the disk.
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
class VolumeDisk:
    """A disk of a server besides those that every server has; `size` in bytes, or 0 for that of its image.

    Its `content` is a qcow2 of an `image` at `source` (an `overlay` on it or a copy), a `raw` file of blocks, or an
    `empty`, sparse qcow2. With `direct`, its file system must do without a cache (open(2): O_DIRECT).
    """

    server: str
    name: str
    path: str
    content: Literal["image", "raw", "empty"]
    size: int
    source: str | None = None
    overlay: bool = True
    direct: bool = False

    @property
    def id(self) -> str:
        """`volume:SERVER/NAME`."""
        return f"volume:{self.server}/{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing; the image is in the cache before a plan is applied."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFolder:
    """A folder of the host, `source`, bound read-only at `path` where only the libvirt daemon and its guests see it."""

    server: str
    name: str
    source: str
    path: str
    libvirt: str

    @property
    def id(self) -> str:
        """`folder:SERVER/NAME`."""
        return f"folder:{self.server}/{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The libvirt daemon."""
        return ("libvirtd",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDisk:
    """A disk labelled `cidata` with `files` (name to text), which cloud-init takes for its source (NoCloud)."""

    server: str
    path: str
    files: Mapping[str, str]

    @property
    def id(self) -> str:
        """`seed:SERVER`."""
        return f"seed:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnitionFile:
    """An Ignition configuration, which QEMU hands over by its firmware configuration device."""

    server: str
    path: str
    text: str

    @property
    def id(self) -> str:
        """`ignition:SERVER`."""
        return f"ignition:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Nvram:
    """The variables of a UEFI firmware: a copy of `template`, written by the guest, kept as long as its disks."""

    server: str
    path: str
    template: str

    @property
    def id(self) -> str:
        """`nvram:SERVER`."""
        return f"nvram:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A libvirt domain, defined and started; `memory` in bytes, `console_log` is written from power-on.

    `after` are its disks, and whatever else of its own must be there before it.
    """

    server: str
    uuid: str
    xml: str
    cpu: int
    memory: int
    console: str
    console_log: str
    taps: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def id(self) -> str:
        """`domain:SERVER`."""
        return f"domain:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The libvirt daemon, its disks and its taps."""
        return ("libvirtd", *self.after, *(f"tap:{tap}" for tap in self.taps))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleRecorder:
    """A daemon that stamps each line of the consoles in `directory` with its time."""

    netns: str
    directory: str

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
    | Impairment
    | Nat
    | Bird
    | Libvirtd
    | Overlay
    | DataDisk
    | ConfigDisk
    | VolumeDisk
    | SharedFolder
    | SeedDisk
    | IgnitionFile
    | Nvram
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
            Impairment,
            Nat,
            Bird,
            Libvirtd,
            Overlay,
            DataDisk,
            ConfigDisk,
            VolumeDisk,
            SharedFolder,
            SeedDisk,
            IgnitionFile,
            Nvram,
            Domain,
            ConsoleRecorder,
        )
    }
)
