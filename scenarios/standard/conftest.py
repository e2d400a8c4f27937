"""What the scenarios of an ordinary day share. On a data centre of --dc the pods stay, in the namespace `vdc`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.errors import VdcError
from vdc.observe.idle import Quiet, quiet
from vdc.observe.ordinary import begin


@pytest.fixture(scope="session", name="aside")
def _aside() -> Iterator[ThreadPoolExecutor]:
    """One thread for what happens while scenarios run."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture(scope="module", autouse=True)
def _begun(request: pytest.FixtureRequest, aside: ThreadPoolExecutor) -> None:
    """Let all pods start while the first scenarios run, if any scenario of this run is one of Kubernetes.

    Each scenario sees itself that there is what it needs, and fails by itself where the API takes nothing.
    """
    if any("kubernetes" in getattr(item, "fixturenames", ()) for item in request.session.items):
        cluster: KubernetesCluster = request.getfixturevalue("kubernetes")
        if cluster.dc.slowness:
            aside.submit(_begin, cluster)
        else:  # in simulated time nothing happens beside anything
            _begin(cluster)


def _begin(cluster: KubernetesCluster) -> None:
    with suppress(VdcError):
        begin(cluster)


@pytest.fixture(scope="module", name="quiet")
def _quiet(kubernetes: KubernetesCluster) -> Quiet:
    """A time without changes, which begins with the first scenario of a module that asks for it."""
    return quiet(kubernetes)
