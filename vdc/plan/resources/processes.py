"""What runs: routing daemons, the libvirt daemon, machines, and the recorder of their consoles."""

from __future__ import annotations

from dataclasses import dataclass


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
