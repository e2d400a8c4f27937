"""What pods are asked, and what they say: pages, names, files. All of it runs inside of them (`exec`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vdc.cluster.clients import client_of
from vdc.cluster.kubernetes.api import Answer, KubernetesCluster, Manifest, Pod
from vdc.cluster.kubernetes.workloads import NAMESPACE, PORT, READY_FILE, SERVICE_PORT
from vdc.datacenter.pace import budget, deadline
from vdc.errors import ClusterError
from vdc.wait import NotYet, wait_for

EACH_PAGE: Final = """\
limit=$1
shift
for url; do timeout "$limit" wget -q -O - "$url" || { echo "$url does not answer" >&2; exit 1; }; done
"""
"""What a shell in a pod does to get pages: its arguments, after the seconds that each may take.

(With -T, Debian 12's static busybox wget crashes.)
"""
EACH_NAME: Final = 'for name; do echo "? $name"; nslookup "$name" 2>&1; done; true'
"""What a shell in a pod does to look names up: its arguments."""
WRITE: Final = 'printf %s "$2" > "$1" && sync'
"""What a shell in a pod does to write a file: its arguments are the path and the text."""

_PODS_SECONDS = 180.0
_SERVED_SECONDS = 60.0
_PAGE_SECONDS = 5.0
_ROUNDS = 4
_OK = 200


@dataclass(frozen=True, slots=True, order=True)
class Page:
    """Who answered: what the page of every web pod says."""

    pod: str
    node: str


def wait_pods(kubernetes: KubernetesCluster, app: str, number: int, *, unlike: str = "") -> tuple[Pod, ...]:
    """Wait until the pods of `app` are so many, all ready, and none has the uid `unlike`; return them.

    Raises WaitTimeout with those there are.
    """

    def check() -> tuple[Pod, ...]:
        found = _pods(kubernetes, app)
        if len(found) != number or not all(pod.ready and pod.address and pod.uid != unlike for pod in found):
            raise NotYet(", ".join(map(_described, found)) or "no pods")
        return found

    return wait_for(
        check, what=f"{number} pods of {app} to be ready", timeout=deadline(kubernetes.dc, _PODS_SECONDS), interval=0.5
    )


def pages(kubernetes: KubernetesCluster, source: Pod, urls: Sequence[str]) -> tuple[Page, ...]:
    """Return who answers at each URL, asked from inside a pod over connections of their own; a URL may be repeated.

    Raises ClusterError where one does not answer.
    """
    limit = round(budget(kubernetes.dc, _PAGE_SECONDS))
    argv = ["sh", "-c", EACH_PAGE, "sh", str(limit), *urls]
    said = kubernetes.run_in(source, argv, timeout=30.0 + (1.0 + _PAGE_SECONDS) * len(urls))
    return tuple(map(_page, said.splitlines()))


def page(answer: Answer) -> Page:
    """Return who answered. Raises ClusterError where it is no page of a web pod."""
    if answer.status != _OK:
        raise ClusterError(f"answered {answer.status}: {answer.body.strip()[:200]}")
    return _page(answer.body)


def page_outside(kubernetes: KubernetesCluster, url: str) -> Page:
    """Return who answers at a URL, asked by the client outside. Raises ClusterError."""
    return page(kubernetes.fetch(url, source=client_of(kubernetes.dc).name))


def wait_all_answer(kubernetes: KubernetesCluster, url: str, source: Pod, pods: Sequence[Pod]) -> None:
    """Ask one URL from inside a pod until every one of `pods` has answered there, and no other has.

    Raises WaitTimeout with those that have not, AssertionError where somebody else answers.
    """
    expected, seen = {Page(pod.name, pod.node) for pod in pods}, set[Page]()

    def check() -> None:
        try:
            seen.update(pages(kubernetes, source, [url] * (_ROUNDS * len(pods))))
        except ClusterError as error:
            raise NotYet(error.message) from error
        assert seen <= expected, f"{url} on {source.node}: answered by {sorted(seen - expected)}"
        if seen != expected:
            raise NotYet(f"never answered by {sorted(expected - seen)}")

    what = f"{url} to be answered by all of {len(pods)} pods on {source.node}"
    wait_for(check, what=what, timeout=deadline(kubernetes.dc, _SERVED_SECONDS), interval=0.5)


def wait_racks_answer(kubernetes: KubernetesCluster, url: str, racks: Collection[int]) -> None:
    """Ask one URL from outside until a pod in each rack has answered. Raises WaitTimeout with those where none did."""
    missing: set[int | None] = set(racks)

    def check() -> None:
        for _ in range(_ROUNDS * len(racks)):
            try:
                node = page_outside(kubernetes, url).node
            except ClusterError as error:
                raise NotYet(error.message) from error
            missing.difference_update([kubernetes.dc.topology.server(node).rack])
            if not missing:
                return
        raise NotYet(f"never answered in {', '.join(f'rack {number}' for number in racks if number in missing)}")

    what = f"{url} to be answered in {len(racks)} racks"
    wait_for(check, what=what, timeout=deadline(kubernetes.dc, _SERVED_SECONDS), interval=0.05)


def ask_steadily(kubernetes: KubernetesCluster, url: str, times: int) -> tuple[Page, ...]:
    """Return who answers a client outside at a URL that is asked so many times. Raises ClusterError: one is lost."""
    answers = []
    for number in range(1, times + 1):
        try:
            answers.append(page_outside(kubernetes, url))
        except ClusterError as error:
            raise ClusterError(f"request {number} of {times} was lost: {error.message}") from error
    return tuple(answers)


def wait_unplaced(kubernetes: KubernetesCluster, app: str, *, placed: int) -> Pod:
    """Wait until `app` has one pod for which the scheduler finds no node, and `placed` others that have one.

    Return that pod. Raises WaitTimeout with the pods there are.
    """

    def check() -> Pod:
        found = _pods(kubernetes, app)
        unplaced = [pod for pod in found if pod.waiting and not pod.node]
        if len(unplaced) != 1 or sum(bool(pod.node) for pod in found) != placed or len(found) != placed + 1:
            raise NotYet(", ".join(map(_described, found)) or "no pods")
        return unplaced[0]

    what = f"a pod of {app} to find no node"
    return wait_for(check, what=what, timeout=deadline(kubernetes.dc, _SERVED_SECONDS), interval=0.5)


def wait_placed(kubernetes: KubernetesCluster, app: str, number: int) -> tuple[Pod, ...]:
    """Wait until `app` has so many pods, and each has a node, where it may still be starting; return them.

    Raises WaitTimeout with the pods there are.
    """

    def check() -> tuple[Pod, ...]:
        found = _pods(kubernetes, app)
        if len(found) != number or not all(pod.node for pod in found):
            raise NotYet(", ".join(map(_described, found)) or "no pods")
        return found

    what = f"{number} pods of {app} to have nodes"
    return wait_for(check, what=what, timeout=deadline(kubernetes.dc, _SERVED_SECONDS), interval=0.5)


def become(kubernetes: KubernetesCluster, pod: Pod, *, ready: bool) -> None:
    """Make a gated pod ready or not, by the file that its probe looks for, and wait until the API says so.

    Raises WaitTimeout.
    """
    kubernetes.run_in(pod, ["touch", READY_FILE] if ready else ["rm", "-f", READY_FILE])

    def check() -> None:
        states = {each.ready for each in _pods(kubernetes) if each.uid == pod.uid}
        if states != {ready}:
            raise NotYet(f"ready: {states or 'it is gone'}")

    what = f"{pod.name} to be {'ready' if ready else 'not ready'}"
    wait_for(check, what=what, timeout=deadline(kubernetes.dc, _SERVED_SECONDS), interval=0.5)


def service_url(kubernetes: KubernetesCluster, name: str) -> str:
    """Return where a service answers inside of the cluster. Raises ClusterError: there is no such service."""
    spec = kubernetes.get("Service", name, namespace=NAMESPACE)["spec"]
    return f"http://{spec['clusterIP']}:{SERVICE_PORT}/"


def wait_balanced(kubernetes: KubernetesCluster, name: str) -> str:
    """Wait until a service has an address for clients outside, and return it. Raises WaitTimeout."""

    def check() -> str:
        try:
            status = kubernetes.get("Service", name, namespace=NAMESPACE).get("status", {})
        except ClusterError as error:
            raise NotYet(error.message) from error
        ingress = status.get("loadBalancer", {}).get("ingress") or ()
        if not ingress:
            raise NotYet("it has none")
        return str(ingress[0]["ip"])

    what = f"an address of the load balancer {name}"
    return wait_for(check, what=what, timeout=deadline(kubernetes.dc, _SERVED_SECONDS), interval=0.5)


def wait_refused(kubernetes: KubernetesCluster, url: str, sources: Sequence[Pod]) -> None:
    """Wait until a URL answers nobody: from inside each of these pods, which get their own pages.

    Raises WaitTimeout.
    """

    def check() -> None:
        for source in sources:
            try:
                pages(kubernetes, source, [f"http://{source.address}:{PORT}/"])
            except ClusterError as error:  # no command runs there: what it reaches is not known
                raise NotYet(error.message) from error
            try:
                answer = kubernetes.fetch(url, source=source)
            except ClusterError:
                continue
            raise NotYet(f"on {source.node}: {answer.body.strip()}")

    what = f"{url} to answer nobody"
    wait_for(check, what=what, timeout=deadline(kubernetes.dc, _SERVED_SECONDS), interval=0.5)


def look_up(kubernetes: KubernetesCluster, source: Pod, names: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """Return the addresses of each name, as a pod finds them in the cluster's DNS; none where it says NXDOMAIN.

    Raises ClusterError where the DNS does not answer.
    """
    said = kubernetes.run_in(source, ["sh", "-c", EACH_NAME, "sh", *names], timeout=30.0 + 10.0 * len(names))
    answers = (section.partition("\n") for section in f"\n{said}".split("\n? ")[1:])
    found = {name.strip(): _addresses(name.strip(), text) for name, _, text in answers}
    if missing := set(names) - set(found):
        raise ClusterError(f"nothing was said of {', '.join(sorted(missing))}: {said.strip()[:200]}")
    return found


def wait_known(kubernetes: KubernetesCluster, source: Pod, names: Mapping[str, frozenset[str]]) -> None:
    """Wait until the DNS that a pod asks gives each of these names its addresses, and no other. Raises WaitTimeout."""

    def check() -> None:
        try:
            found = look_up(kubernetes, source, tuple(names))
        except ClusterError as error:
            raise NotYet(error.message) from error
        wrong = [
            f"{name} is {', '.join(sorted(found[name])) or 'unknown'}, not {', '.join(sorted(wanted)) or 'unknown'}"
            for name, wanted in names.items()
            if found[name] != wanted
        ]
        if wrong:
            raise NotYet("; ".join(wrong))

    what = f"names to be known on {source.node}"
    wait_for(check, what=what, timeout=deadline(kubernetes.dc, _SERVED_SECONDS), interval=0.5)


def write(kubernetes: KubernetesCluster, pod: Pod, path: str, text: str) -> None:
    """Write a file in a pod, and let it reach the disk. Raises ClusterError."""
    kubernetes.run_in(pod, ["sh", "-c", WRITE, "sh", path, text])


def read(kubernetes: KubernetesCluster, pod: Pod, path: str) -> str:
    """Return what a file in a pod holds. Raises ClusterError."""
    return kubernetes.run_in(pod, ["cat", path])


def kill(kubernetes: KubernetesCluster, pod: Pod) -> None:
    """Delete a pod, without grace; what owns it makes another at once."""
    doomed: Manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": pod.namespace, "name": pod.name}}
    kubernetes.delete(doomed, grace=0)


def _pods(kubernetes: KubernetesCluster, app: str = "") -> tuple[Pod, ...]:
    try:
        return kubernetes.pods(namespace=NAMESPACE, labels={"app": app} if app else None)
    except ClusterError as error:  # an API server that starts or is busy
        raise NotYet(error.message) from error


def _described(pod: Pod) -> str:
    return f"{pod.name} on {pod.node or 'no node'}{' ready' if pod.ready else ''}"


def _page(text: str) -> Page:
    words = text.split()
    if len(words) != 2:
        raise ClusterError(f"not the page of a web pod: {text.strip()[:200]!r}")
    return Page(*words)


def _addresses(name: str, said: str) -> frozenset[str]:
    """Return the addresses in what busybox's nslookup says: those below a name, not that of the server."""
    _, answered, records = said.partition("Name:")
    found = frozenset(re.findall(r"^Address(?: \d+)?:\s*([0-9a-f.:]+)", records, re.MULTILINE))
    if not answered and "NXDOMAIN" not in said:
        raise ClusterError(f"{name}: no answer of the DNS: {' '.join(said.split())[:200]}")
    return found
