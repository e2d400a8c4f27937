from collections.abc import Callable
from pathlib import Path

import pytest

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.topology import Topology
from vdc.testing import FakeDataCenter, FakeKubernetes, Lie

TOPOLOGIES = Path(__file__).parents[2] / "topologies"

MakeDataCenter = Callable[..., FakeDataCenter]
MakeKubernetes = Callable[..., FakeKubernetes]


@pytest.fixture(scope="session")
def small() -> Topology:
    return expand(load(TOPOLOGIES / "small.yml"))


@pytest.fixture
def make_dc(small: Topology, tmp_path: Path) -> MakeDataCenter:
    def make(*lies: Lie) -> FakeDataCenter:
        return FakeDataCenter(small, tmp_path, lies=lies)

    return make


@pytest.fixture
def make(tmp_path: Path) -> MakeKubernetes:
    def made(*lies: Lie) -> FakeKubernetes:
        topology = expand(load(TOPOLOGIES / "k8s.yml"))
        return FakeKubernetes(FakeDataCenter(topology, tmp_path, lies=lies))

    return made
