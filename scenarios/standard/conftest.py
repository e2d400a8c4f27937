"""What the scenarios of an ordinary day share. On a data centre of --dc the pods stay, in the namespace `vdc`."""

from contextlib import suppress

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.errors import VdcError
from vdc.observe.idle import Quiet, quiet
from vdc.observe.ordinary import begin


@pytest.fixture(scope="module", autouse=True)
def _begun(request: pytest.FixtureRequest) -> None:
    """Let all pods start while the first scenarios run, if any scenario of this run is one of Kubernetes.

    Each scenario sees itself that there is what it needs, and fails by itself where the API takes nothing.
    """
    if any("kubernetes" in getattr(item, "fixturenames", ()) for item in request.session.items):
        with suppress(VdcError):
            begin(request.getfixturevalue("kubernetes"))


@pytest.fixture(scope="module", name="quiet")
def _quiet(kubernetes: KubernetesCluster) -> Quiet:
    """A time without changes, which begins with the first scenario of a module that asks for it."""
    return quiet(kubernetes)
