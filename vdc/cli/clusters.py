"""`vdc deploy`, `kubeconfig`, `kubectl`, `node` and `rotate`: the cluster on a running data centre."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vdc.cli.access import Command, Server, plain
from vdc.cli.context import need_root, pick, steps
from vdc.cli.lifecycle import Instance, expect_up
from vdc.errors import HostError, InputError

if TYPE_CHECKING:
    from vdc.cluster.kubernetes.cluster import LiveKubernetes
    from vdc.datacenter.live import LiveDataCenter
    from vdc.settings import Settings
    from vdc.steps import Steps

DeployerName = Annotated[
    str | None,
    typer.Option(
        "--deployer",
        metavar="NAME",
        help="What deploys the cluster; by default what the topology has a section for, else etcd.",
    ),
]
Retain = Annotated[bool, typer.Option("--retain", help="Keep what was installed when it fails, to look into.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to FILE instead.")]
Servers = Annotated[
    list[str] | None, typer.Argument(metavar="[SERVER]…", help="Nodes whose certificates are renewed; by default all.")
]
AuthorityName = Annotated[
    Literal["kubernetes", "etcd", "front-proxy"] | None,
    typer.Option("--authority", help="Replace this authority, and with it all that it issued."),
]
KeyName = Annotated[
    Literal["service-accounts", "secrets"] | None,
    typer.Option("--key", help="Replace the key that signs tokens of service accounts, or encrypts secrets at rest."),
]

FORWARD = "forward.json"
"""The file of a run directory that tells of the forward to the cluster's API."""


class NodeAction(StrEnum):
    """What can be done to a node of a Kubernetes cluster."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"
    PROMOTE = "promote"


Action = Annotated[NodeAction, typer.Argument(help="What to do.")]

_DONE: Mapping[NodeAction, str] = {
    NodeAction.ADD: "is a node of",
    NodeAction.REMOVE: "is no longer a node of",
    NodeAction.REPLACE: "is a node anew of",
    NodeAction.PROMOTE: "is a control-plane node of",
}


def deploy(context: typer.Context, name: Instance, deployer: DeployerName = None, retain: Retain = False) -> None:
    """Put a cluster on a running data centre; returns when it serves.

    A second call changes nothing; one after a crash finishes the job. What failed is taken back.
    """
    settings = need_root(context)
    told = steps()
    dc = _running(name, settings, told)
    start = time.monotonic()
    chosen = deploy_on(dc, deployer, retain=retain)
    typer.echo(f"{chosen} serves on {dc.name} after {time.monotonic() - start:.1f} s")


def kubeconfig(context: typer.Context, name: Instance, output: Output = None) -> None:
    """Print a kubeconfig of the cluster's administrator that works on this host.

    It leads over a port on loopback, which stays open until the data centre is down. After a restore call this again.
    """
    settings = need_root(context)
    text = admin_access(_running(name, settings, steps()))
    if output is None:
        typer.echo(text, nl=False)
        return
    write_private(output, text)
    typer.echo(f"kubectl --kubeconfig={output} get nodes", err=True)


def kubectl(context: typer.Context, name: Instance, command: Command) -> None:
    """Run kubectl of the cluster's release on it, as its administrator; exit with its status."""
    settings = need_root(context)
    from vdc.shell import replace

    dc = _running(name, settings, steps())
    program = find_kubectl(dc, settings)
    path = dc.run_directory / "kubeconfig"
    write_private(path, admin_access(dc))
    # what it remembers of the API goes with the data centre
    replace([program, f"--kubeconfig={path}", f"--cache-dir={dc.run_directory / 'kubectl'}", *plain(command)])


def node(context: typer.Context, name: Instance, action: Action, server: Server) -> None:
    """Change which servers are nodes of a Kubernetes cluster.

    `add` makes a server a node, or a node again; `remove` drains it and takes it out; `replace` gives it a fresh root
    disk and makes it a node anew; `promote` makes a worker a control-plane node.
    """
    settings = need_root(context)
    from vdc.cluster.changing import changing

    dc = _running(name, settings, steps())
    pick("server", server, [each.name for each in dc.topology.members])
    with changing(dc, f"vdc node {name} {action} {server}"):
        cluster = kubernetes_on(dc)
        if action is NodeAction.REPLACE:
            check_image(dc, server, cluster.spec.versions)
        with dc.steps.step(f"{action} {server}"):
            act(cluster, action, server)
    typer.echo(f"{server} {_DONE[action]} {dc.name}")


def rotate(
    context: typer.Context,
    name: Instance,
    servers: Servers = None,
    authority: AuthorityName = None,
    key: KeyName = None,
) -> None:
    """Give the components of a Kubernetes cluster new certificates; or replace an authority or a key.

    API servers start again one after the other. What was cut off is finished by the next call. A kubeconfig of before a
    new authority no longer works, and pods that have tokens signed by an earlier key need new ones.
    """
    settings = need_root(context)
    what = authority or key
    if what and (servers or (authority and key)):
        raise InputError("an authority or a key is that of all nodes", hint="name servers, --authority or --key")
    from vdc.cluster.changing import changing
    from vdc.cluster.kubernetes import rotation

    dc = _running(name, settings, steps())
    with changing(dc, f"vdc rotate {name}"):
        there = kubernetes_on(dc).node_names
        if what:
            rotation.rotate(dc, what)
            typer.echo(f"{dc.name}: {what}: replaced")
            return
        wanted = [pick("node", each, there) for each in servers or there]
        rotation.rotate_certificates(dc, wanted)
    typer.echo(f"{', '.join(wanted)}: components have new certificates")


def deploy_on(dc: LiveDataCenter, deployer: str | None, *, retain: bool) -> str:
    """Deploy a cluster, by default the one that suits the topology; return the name of its deployer.

    Raises InputError, HostError, ClusterError, WaitTimeout: from the deployer, or another cluster is there already.
    """
    from vdc.cluster.deployers import DEPLOYERS, default_deployer
    from vdc.cluster.deploying import deploy as deploy_alone

    chosen = pick("deployer", deployer, DEPLOYERS) if deployer else default_deployer(dc.topology)
    deploy_alone(dc, chosen, DEPLOYERS, what=f"vdc deploy {dc.name}", retain=retain)
    return chosen


def check_image(dc: LiveDataCenter, server: str, versions: Mapping[str, str]) -> None:
    """Pass if a server can have a new root disk, with the Kubernetes that its cluster has.

    Raises HostError: its image is not in the cache, or has another one.
    """
    from vdc.host.images import complete
    from vdc.plan.images import IMAGES

    image, cache = IMAGES[dc.servers[server].release], dc.plan.context.cache_dir
    if not complete(image, cache):
        raise HostError(f"{server}: the image of {image.name} is not in {cache}", hint=f"vdc images build {image.name}")
    has = json.loads(image.manifest(cache).read_text(encoding="utf-8"))["components"].get("kubernetes")
    if has != versions["kubernetes"]:
        raise HostError(
            f"{server}: the image of {image.name} has Kubernetes {has or 'not at all'}, "
            f"the cluster has {versions['kubernetes']}"
        )


def act(cluster: LiveKubernetes, action: NodeAction, server: str) -> None:
    """Do it, and wait until it is so."""
    actions: Mapping[NodeAction, Callable[[], None]] = {
        NodeAction.ADD: lambda: cluster.join(cluster.dc.servers[server]),
        NodeAction.REMOVE: lambda: cluster.remove(server),
        NodeAction.REPLACE: lambda: cluster.replace(server),
        NodeAction.PROMOTE: lambda: cluster.promote(server),
    }
    actions[action]()
    if action is not NodeAction.REMOVE:
        cluster.wait_nodes_ready([server])


def kubernetes_on(dc: LiveDataCenter) -> LiveKubernetes:
    """Return the Kubernetes that was deployed on a data centre. Raises ClusterError: there is none."""
    from vdc.cluster.kubernetes.deployer import KubernetesDeployer

    return KubernetesDeployer().attach(dc)


def admin_access(dc: LiveDataCenter) -> str:
    """Return a kubeconfig of the administrator, and see to it that the forward that it needs runs.

    Raises ClusterError: no Kubernetes is deployed. BuildError, WaitTimeout: the forward does not run.
    """
    from vdc.cluster.clients import client_of
    from vdc.cluster.kubernetes.deployer import admin_kubeconfig, api_targets
    from vdc.host.forward_daemon import ensure

    targets = api_targets(dc)
    netns = dc.plan.context.device_netns(client_of(dc).name)
    port = ensure(netns, dc.run_directory / FORWARD, targets)
    return admin_kubeconfig(dc, server=f"https://127.0.0.1:{port}")


def find_kubectl(dc: LiveDataCenter, settings: Settings) -> str:
    """Return kubectl of the release that the servers run, else the one of this host. Raises HostError."""
    from vdc.host.artifacts import kubectl as of_release
    from vdc.shell import find

    kept = of_release(dc.topology.release, settings)
    found = str(kept) if kept is not None else find("kubectl")
    if found is None:
        raise HostError(
            f"no kubectl: neither of {dc.topology.release} in {settings.cache_dir}, nor on the path",
            hint=f"vdc release fetch {dc.topology.release}",
        )
    return found


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, who is that of its folder: under sudo, that is not who writes it."""
    # of another process's call part is its own
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        folder = path.absolute().parent.stat()
        os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
    part.rename(path)


def _running(name: str, settings: Settings, told: Steps) -> LiveDataCenter:
    from vdc.datacenter.lifecycle import attach

    dc = attach(name, settings, told)
    expect_up(dc)
    return dc
