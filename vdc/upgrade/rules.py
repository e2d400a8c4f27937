"""What forbids an upgrade: rules of those who make the components, each with its text and where it is written. Pure.

A version of which nothing is known ("") breaks no rule; so does a rebuild of the same minor version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Final, NamedTuple

from vdc.model.release import Minor, Release
from vdc.upgrade.path import Change

Versions = Mapping[str, str]
"""Component to its version, or what that begins with; `debian` is the major version of the operating system."""

DEBIAN: Final = "debian"

_SKEW: Final = "https://kubernetes.io/releases/version-skew-policy/"
_ETCD: Final = "https://etcd.io/docs/v3.5/upgrades/"
_LAST_MINOR: Final[Mapping[tuple[str, int], int]] = MappingProxyType({("containerd", 1): 7, ("etcd", 2): 3})
"""The last minor version of a major one: the next after it is .0 of the next major one."""

_NODE_SKEW, _OLD_NODE_SKEW, _NODE_SKEW_WIDENED = 3, 2, (1, 25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule, in words, and the document that it is from."""

    name: str
    text: str
    source: str


class Breach(NamedTuple):
    """A rule that something would break, and `what` that is."""

    rule: Rule
    what: str

    def __str__(self) -> str:
        return f"{self.what}: {self.rule.text} (rule {self.rule.name}, {self.rule.source})"


class Part(NamedTuple):
    """One process of a Kubernetes: which component on which node, and its version."""

    node: str
    component: str
    version: str

    def __str__(self) -> str:
        return f"{self.component} {self.version} on {self.node}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    """How far a component may go at once, and whether it may go back."""

    component: str
    forward: Rule
    back: Rule
    major: bool = False


_STEPS: Final = (
    _Steps(
        component=DEBIAN,
        forward=Rule(
            name="debian-one-release",
            text="Debian is upgraded from the release before it, and from no other",
            source="https://www.debian.org/releases/trixie/release-notes/upgrading.en.html",
        ),
        back=Rule(
            name="debian-no-downgrade",
            text="Debian does not support going back to an older release",
            source="https://www.debian.org/doc/manuals/debian-reference/ch02.en.html#_emergency_downgrading",
        ),
        major=True,
    ),
    _Steps(
        component="etcd",
        forward=Rule(
            name="etcd-one-minor", text="etcd is upgraded one minor version at a time", source=f"{_ETCD}upgrading-etcd/"
        ),
        back=Rule(
            name="etcd-no-downgrade",
            text="once all members run a minor version, older ones are refused; to downgrade is a procedure of its own",
            source=f"{_ETCD}upgrade_3_5/",
        ),
    ),
    _Steps(
        component="containerd",
        forward=Rule(
            name="containerd-one-minor",
            text="a containerd understands what the minor version before it left, and nothing older",
            source="https://github.com/containerd/containerd/blob/main/RELEASES.md#upgrade-path",
        ),
        back=Rule(
            name="containerd-no-downgrade",
            text="compatibility is promised to newer versions only",
            source="https://github.com/containerd/containerd/blob/main/RELEASES.md#upgrade-path",
        ),
    ),
    _Steps(
        component="kubernetes",
        forward=Rule(
            name="kube-apiserver-one-minor",
            text="API servers are upgraded one minor version at a time, also where there is a single one",
            source=f"{_SKEW}#supported-component-upgrade-order",
        ),
        back=Rule(
            name="kubernetes-no-downgrade",
            text="an older API server may not be able to read what a newer one has stored",
            source=f"{_SKEW}#supported-component-upgrade-order",
        ),
    ),
)

_CRI: Final = Rule(
    name="container-runtime-interface",
    text="kubelets before 1.23 speak CRI v1alpha2, which containerd 2.0 dropped; those from 1.26 on CRI v1 only, which "
    "containerd has from 1.6 on",
    source="https://github.com/containerd/containerd/blob/main/RELEASES.md#kubernetes-support",
)

_API_SERVERS: Final = Rule(
    name="kube-apiserver-skew",
    text="the oldest and the newest API server are at most one minor version apart",
    source=f"{_SKEW}#kube-apiserver",
)
_KUBELET: Final = Rule(
    name="kubelet-skew",
    text="a kubelet is not newer than any API server that it may talk to, and at most 3 minor versions older, or 2 "
    "where it is older than 1.25",
    source=f"{_SKEW}#kubelet",
)
_PROXY: Final = Rule(
    name="kube-proxy-skew",
    text="a kube-proxy is not newer than any API server that it may talk to, and at most 3 minor versions older, or 2 "
    "where it is older than 1.25; nor is it further away, to either side, from the kubelet beside it",
    source=f"{_SKEW}#kube-proxy",
)
_CONTROLLERS: Final = Rule(
    name="kube-controller-manager-skew",
    text="a controller manager or scheduler is not newer than any API server that it may talk to, and at most one "
    "minor version older",
    source=f"{_SKEW}#kube-controller-manager-kube-scheduler-and-cloud-controller-manager",
)
_KUBECTL: Final = Rule(
    name="kubectl-skew",
    text="kubectl is at most one minor version older or newer than any API server that it may talk to",
    source=f"{_SKEW}#kubectl",
)

RULES: Final[tuple[Rule, ...]] = (
    *(rule for each in _STEPS for rule in (each.forward, each.back)),
    *(_CRI, _API_SERVERS, _KUBELET, _PROXY, _CONTROLLERS, _KUBECTL),
)
"""All rules there are."""

API_SERVER: Final = "kube-apiserver"


def versions_of(release: Release) -> Versions:
    """Return of what version the components of a release are; one without a kernel has no operating system."""
    versions = {each.name: each.version for each in release.components}
    return {DEBIAN: release.os.removeprefix("debian-"), **versions} if "kernel" in versions else versions


def changed(old: Versions, new: Versions) -> tuple[Change, ...]:
    """Return the components that are of another version."""
    names = [*old, *(name for name in new if name not in old)]
    changes = (Change(component=name, old=old.get(name, ""), new=new.get(name, "")) for name in names)
    return tuple(each for each in changes if each.old != each.new)


def forbidden(old: Versions, new: Versions) -> tuple[Breach, ...]:
    """Return the rules that forbid to go from one set of versions to another directly, if any."""
    return (*_leaps(old, new), *unfit(new))


def unfit(versions: Versions) -> tuple[Breach, ...]:
    """Return the rules by which components of these versions cannot work together, if any."""
    kubernetes, containerd = (_minor(versions.get(name, "")) for name in ("kubernetes", "containerd"))
    if kubernetes is None or containerd is None:
        return ()
    if (kubernetes < (1, 23) and containerd >= (2, 0)) or (kubernetes >= (1, 26) and containerd < (1, 6)):
        return (Breach(_CRI, f"kubernetes {versions['kubernetes']} with containerd {versions['containerd']}"),)
    return ()


def skewed(parts: Iterable[Part]) -> tuple[Breach, ...]:
    """Return the rules that the processes of one Kubernetes break by running side by side, if any."""
    known = [(part, at) for part in parts if (at := _minor(part.version)) is not None]
    servers = [each for each in known if each[0].component == API_SERVER]
    found = [
        Breach(_API_SERVERS, f"{new} beside {old}")
        for (new, ahead), (old, behind) in product(servers, repeat=2)
        if ahead > _next(old.component, behind)
    ]
    for (part, at), (server, serves) in product(known, servers):
        rule, fits = _BESIDE_API_SERVERS.get(part.component, (None, _anything))
        if rule is not None and not fits(at, serves):
            found.append(Breach(rule, f"{part} with {server}"))
    return (*found, *_proxies(known))


def _leaps(old: Versions, new: Versions) -> Iterator[Breach]:
    for steps in _STEPS:
        at, to = (_minor(each.get(steps.component, ""), major=steps.major) for each in (old, new))
        if at is None or to is None or at == to:
            continue
        what = f"{steps.component} {old[steps.component]} → {new[steps.component]}"
        if to < at:
            yield Breach(steps.back, what)
        elif to > _next(steps.component, at, major=steps.major):
            yield Breach(steps.forward, what)


def _proxies(known: Iterable[tuple[Part, Minor]]) -> Iterator[Breach]:
    here = {(part.node, part.component): (part, at) for part, at in known}
    for (node, component), (proxy, at) in here.items():
        kubelet = here.get((node, "kubelet"))
        if component == "kube-proxy" and kubelet is not None and abs(at[1] - kubelet[1][1]) > _furthest(at):
            yield Breach(_PROXY, f"{proxy} beside {kubelet[0]}")


def _furthest(at: Minor) -> int:
    """Return how many minor versions a kubelet or proxy may be away from what it works with."""
    return _OLD_NODE_SKEW if at < _NODE_SKEW_WIDENED else _NODE_SKEW


def _of_node(at: Minor, server: Minor) -> bool:
    """Whether a kubelet or proxy may talk to an API server."""
    return at <= server and server[0] == at[0] and server[1] - at[1] <= _furthest(at)


def _of_control_plane(at: Minor, server: Minor) -> bool:
    """Whether a controller manager or a scheduler may."""
    return at <= server and server[0] == at[0] and server[1] - at[1] <= 1


def _of_people(at: Minor, server: Minor) -> bool:
    """Whether a kubectl may."""
    return server[0] == at[0] and abs(server[1] - at[1]) <= 1


def _anything(_at: Minor, _server: Minor) -> bool:
    return True


_BESIDE_API_SERVERS: Final[Mapping[str, tuple[Rule, Callable[[Minor, Minor], bool]]]] = MappingProxyType(
    {
        "kubelet": (_KUBELET, _of_node),
        "kube-proxy": (_PROXY, _of_node),
        "kube-controller-manager": (_CONTROLLERS, _of_control_plane),
        "kube-scheduler": (_CONTROLLERS, _of_control_plane),
        "kubectl": (_KUBECTL, _of_people),
    }
)


def _minor(version: str, *, major: bool = False) -> Minor | None:
    """Return major and minor version of "3.4.23" or "12"; None where that is not known."""
    numbers = version.split(".")[:2]
    if not all(each.isdecimal() for each in numbers) or len(numbers) < (1 if major else 2):
        return None
    return int(numbers[0]), 0 if major else int(numbers[1])


def _next(component: str, at: Minor, *, major: bool = False) -> Minor:
    """Return the version after one."""
    if major or _LAST_MINOR.get((component, at[0])) == at[1]:
        return at[0] + 1, 0
    return at[0], at[1] + 1
