"""What holds for every kind of fault that there is: one that is added has to be added here, too."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from random import Random
from types import MappingProxyType

import pytest

from vdc.cluster.kubernetes.api import Component
from vdc.cluster.pki import Authority
from vdc.datacenter.disks import Operation
from vdc.errors import HarnessTimeout, HostError
from vdc.faults import (
    ApiServerUnreachable,
    BirdFrozen,
    BirdKilled,
    BootStorm,
    CertificateExpired,
    ClockSkewed,
    ClockStepped,
    ComponentsStopped,
    Cordoned,
    CpuStolen,
    DiskDamaged,
    DiskErrors,
    DiskFull,
    DiskGone,
    DiskSlow,
    Fault,
    Feed,
    FeedOff,
    FilesExhausted,
    ForksExhausted,
    GracefulRestart,
    Isolated,
    LinkCut,
    LinkDisturbed,
    LinkFlap,
    MemoryPressure,
    NmiPanic,
    PowerFlap,
    PowerLost,
    RackOff,
    RegistryGone,
    RestartStorm,
    RouteHijacked,
    RoutersOff,
    RouteWithdrawn,
    ServerCrash,
    ServerPaused,
    ServersOff,
    ServersReset,
    ServiceFrozen,
    ServiceKilled,
    ServiceStopped,
    SessionShut,
    SiteDark,
    injected,
    lease,
    partition,
)
from vdc.faults.inside import Unit
from vdc.faults.kinds import KINDS
from vdc.history import read
from vdc.host import keeper
from vdc.host.claims import PLAN
from vdc.model.disturbance import Disturbance
from vdc.model.expand import expand
from vdc.model.ip import Prefix
from vdc.model.load import load
from vdc.shell import Completed
from vdc.testing import FakeDataCenter, FakeKubernetes, Lie

Make = Callable[[FakeKubernetes, str], Fault]

K8S = Path(__file__).parents[2] / "topologies" / "k8s.yml"
SERVER, ROUTER, NOBODY = "rack0-cp0", "spine0", "nobody9"
ETCD, SSH = Unit("vdc-etcd"), Unit("ssh")

AT_A_SERVER: Mapping[str, Make] = MappingProxyType(
    {
        "api-server-unreachable": ApiServerUnreachable,
        "certificate-expired": lambda _, server: CertificateExpired(server, ETCD),
        "clock-skewed": lambda _, server: ClockSkewed(server, 100_000),
        "clock-stepped": lambda _, server: ClockStepped(server, 3600),
        "components-stopped": lambda k8s, server: ComponentsStopped(k8s, (Component.KUBELET,), (server,)),
        "cordoned": lambda k8s, server: Cordoned(k8s, (server,)),
        "cpu-stolen": lambda _, server: CpuStolen(server, 80),
        "disk-damaged": lambda _, server: DiskDamaged(server, "/data/file"),
        "disk-errors": lambda _, server: DiskErrors(server, (Operation.READ,)),
        "disk-full": lambda _, server: DiskFull(server),
        "disk-gone": lambda _, server: DiskGone(server),
        "disk-slow": lambda _, server: DiskSlow(server),
        "files-exhausted": lambda _, server: FilesExhausted(server, ETCD),
        "forks-exhausted": lambda _, server: ForksExhausted(server, ETCD),
        "isolated": lambda _, server: Isolated(server),
        "link-cut": lambda _, server: LinkCut(server, "eth0"),
        "link-disturbed": lambda _, server: LinkDisturbed(server, "eth0", outgoing=Disturbance(loss=0.2)),
        "link-flap": lambda _, server: LinkFlap(server, "eth0", 3, 0.1),
        "memory-pressure": lambda _, server: MemoryPressure(server),
        "nmi-panic": lambda _, server: NmiPanic(server),
        "power-flap": lambda _, server: PowerFlap((server,), 3, 0.1),
        "power-lost": lambda _, server: PowerLost(server),
        "registry-gone": lambda _, server: RegistryGone(server),
        "restart-storm": lambda _, server: RestartStorm(server, SSH),
        "server-crash": lambda _, server: ServerCrash(server),
        "server-paused": lambda _, server: ServerPaused(server),
        "servers-off": lambda _, server: ServersOff((server,)),
        "servers-reset": lambda _, server: ServersReset((server,)),
        "service-frozen": lambda _, server: ServiceFrozen(server, SSH),
        "service-killed": lambda _, server: ServiceKilled(server, SSH),
        "service-stopped": lambda _, server: ServiceStopped(server, SSH),
    }
)
AT_A_ROUTER: Mapping[str, Make] = MappingProxyType(
    {
        "bird-frozen": lambda _, router: BirdFrozen((router,)),
        "bird-killed": lambda _, router: BirdKilled((router,)),
        "graceful-restart": lambda _, router: GracefulRestart(router),
        "route-hijacked": lambda _, router: RouteHijacked(router, ip_network("10.128.0.128/25")),
        "route-withdrawn": lambda k8s, router: RouteWithdrawn(router, _own(k8s)),
        "routers-off": lambda _, router: RoutersOff((router,)),
        "session-shut": lambda _, router: SessionShut(router, "rack0-tor0"),
    }
)
ELSEWHERE: Mapping[str, Make] = MappingProxyType(
    {
        "boot-storm": lambda _, __: BootStorm(),
        "feed-off": lambda _, __: FeedOff(0, Feed.A),
        "partitioned": lambda k8s, _: partition(k8s.dc.topology, "halves", "racks", Random(1)),
        "rack-off": lambda _, __: RackOff(0),
        "site-dark": lambda _, __: SiteDark(),
    }
)
EVERY: Mapping[str, tuple[Make, str]] = MappingProxyType(
    {
        **{kind: (make, SERVER) for kind, make in AT_A_SERVER.items()},
        **{kind: (make, ROUTER) for kind, make in AT_A_ROUTER.items()},
        **{kind: (make, "") for kind, make in ELSEWHERE.items()},
    }
)
every_kind = pytest.mark.parametrize("kind", sorted(EVERY))


def _own(k8s: FakeKubernetes) -> Prefix:
    return k8s.dc.topology.router(ROUTER).loopback.network


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeKubernetes]:
    """Make a Kubernetes on a fabric that restarts gracefully, with registries, authorities, and leases."""

    def keep(file: Path, _seconds: float, _command: object, *, netns: str) -> None:
        keeper.mark_of(file).write_text(netns)

    def made(*lies: Lie) -> FakeKubernetes:
        topology = expand(load(K8S))
        assert topology.kubernetes is not None
        mirrored = dataclasses.replace(topology.kubernetes, registry_mirrors=(("docker.io", "https://192.0.2.5:5000"),))
        routing = dataclasses.replace(topology.routing, graceful_restart=True)
        topology = dataclasses.replace(topology, kubernetes=mirrored, routing=routing)
        dc = FakeDataCenter(topology, tmp_path, lies=lies)
        k8s = FakeKubernetes(dc)
        authority = Authority.load_or_create(tmp_path / "etcd")
        issued = authority.issue(SERVER, addresses=["192.0.2.1"], names=["localhost"])
        shown = dc.world.programs.get("cat")

        def cat(server: str, argv: tuple[str, ...]) -> Completed:
            if "etcd" in argv[-1] or shown is None:
                return Completed(argv=argv, status=0, stdout=issued.cert_pem, stderr="")
            return shown(server, argv)

        dc.world.programs["cat"] = cat
        (dc.run_directory / PLAN).write_text("{}")
        monkeypatch.setattr("vdc.faults.catalogue.deployed", lambda _: iter((k8s,)))
        return k8s

    monkeypatch.setattr("vdc.host.keeping.keep", keep)
    monkeypatch.setattr(lease, "identity", lambda name: (0, len(name)))
    return made


def fault_of(kind: str, k8s: FakeKubernetes) -> Fault:
    of, target = EVERY[kind]
    return of(k8s, target)


def test_every_kind_is_here() -> None:
    assert set(EVERY) == set(KINDS)


@every_kind
def test_the_body_never_runs_where_the_injection_was_sabotaged(
    make: Callable[..., FakeKubernetes], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    k8s = make()
    fault = fault_of(kind, k8s)
    monkeypatch.setattr(type(fault), "inject", lambda *_: None)
    with pytest.raises(HarnessTimeout, match="to bite"), injected(k8s.dc, fault):
        raise AssertionError("the body ran")
    assert k8s.dc.dirty() is None


@every_kind
def test_it_is_healed_by_its_lease_where_whoever_held_it_is_gone(
    make: Callable[..., FakeKubernetes], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    k8s = make()
    fault = fault_of(kind, k8s)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(type(fault), "heal", dies)
        with pytest.raises(KeyboardInterrupt), injected(k8s.dc, fault):
            pass
    assert [each["name"] for each in lease.held(k8s.dc.run_directory)] == [fault.name]
    assert lease.heal_orphans(k8s.dc) == (fault.name,)
    assert lease.held(k8s.dc.run_directory) == ()
    fault.healed(k8s.dc)
    phases = [each.data["phase"] for each in read(k8s.dc.recorder.path) if each.kind == "fault"]
    assert phases[-2:] == ["heal", "healed"]
    assert k8s.dc.leftovers() == ()


@pytest.mark.parametrize("kind", sorted({**AT_A_SERVER, **AT_A_ROUTER}))
def test_on_a_target_that_is_not_there_it_is_refused_before_anything_is_touched(
    make: Callable[..., FakeKubernetes], kind: str
) -> None:
    k8s = make()
    of, _ = EVERY[kind]
    with pytest.raises(HostError, match=NOBODY), injected(k8s.dc, of(k8s, NOBODY)):
        raise AssertionError("the body ran")
    assert [each for each in read(k8s.dc.recorder.path) if each.kind == "fault"] == []
    assert k8s.dc.dirty() is None


@every_kind
def test_it_says_what_it_needs(kind: str) -> None:
    assert KINDS[kind].needs
    assert KINDS[kind].missing is not Fault.missing or kind in {"partitioned", "boot-storm"}
