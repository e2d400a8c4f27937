from collections.abc import Callable
from pathlib import Path

import pytest

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.topology import Topology
from vdc.testing import FakeDataCenter, Lie

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"

MakeDataCenter = Callable[..., FakeDataCenter]


@pytest.fixture(scope="session")
def small() -> Topology:
    return expand(load(SMALL))


@pytest.fixture
def make_dc(small: Topology, tmp_path: Path) -> MakeDataCenter:
    def make(*lies: Lie) -> FakeDataCenter:
        return FakeDataCenter(small, tmp_path, lies=lies)

    return make
