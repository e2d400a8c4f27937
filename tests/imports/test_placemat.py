from __future__ import annotations

import pytest

from tests.conftest import Golden
from tests.imports.conftest import GOLDEN, placemat, shown
from vdc.errors import InputError
from vdc.imports.documents import Source
from vdc.imports.placemat import import_placemat
from vdc.model.load import parse

FILES = GOLDEN / "placemat"
CASES = sorted(path.stem for path in FILES.glob("*.yml") if path.stem not in ("seed1", "network"))
BROKEN = sorted(path.stem for path in (GOLDEN / "errors" / "placemat").glob("*.yml"))


@pytest.mark.parametrize("case", CASES)
def test_resources_become_a_topology_that_says_what_it_lacks(case: str, golden: Golden) -> None:
    golden(FILES / f"{case}.txt", shown(placemat(FILES / f"{case}.yml")))


@pytest.mark.parametrize("case", BROKEN)
def test_every_mistake_is_told_with_its_place(case: str, golden: Golden) -> None:
    folder = GOLDEN / "errors" / "placemat"
    with pytest.raises(InputError) as caught:
        placemat(folder / f"{case}.yml")
    golden(folder / f"{case}.txt", str(caught.value).replace(f"{folder}/", "") + "\n")


def test_an_image_may_be_replaced_by_a_release_of_ours(golden: Golden) -> None:
    imported = placemat(FILES / "flat.yml", releases={"ubuntu": "debian-13"})
    spec = parse(imported.text, file=str(FILES / "target.yml"))
    assert spec.release == "debian-13"
    assert set(spec.images) == {"tools"}
    golden(FILES / "flat-release.txt", shown(imported))


@pytest.mark.parametrize(
    ("releases", "message"),
    [
        ({"ubuntoo": "debian-12"}, '--image: there is no Image "ubuntoo"; did you mean "ubuntu"?'),
        ({"ubuntu": "debian-21"}, '--image: unknown release "debian-21"; did you mean "debian-13"?'),
        ({"ubuntu": "debian-12", "tools": "debian-13"}, "--image: all servers have one release"),
    ],
    ids=["image", "release", "two"],
)
def test_what_replaces_an_image_must_be_there(releases: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        placemat(FILES / "flat.yml", releases=releases)
    assert caught.value.message.startswith(message)


def test_resources_may_be_spread_over_files() -> None:
    network = Source("network.yml", "kind: Network\nname: lan\ntype: internal\n")
    node = Source("node.yml", "kind: Node\nname: host\ncpu: 1\ninterfaces: [lan]\n")
    spec = parse(import_placemat([network, node]).text, file="t.yml")
    assert spec.devices["host"].interfaces[0].network == "lan"


def test_a_document_may_be_large() -> None:
    text = f"kind: Network\nname: lan\n# {'x' * (1 << 20)}\ntype: internal\n"
    imported = import_placemat([Source("large.yml", text)])
    assert "lan: {}" in imported.text


def test_anchors_and_merge_keys_are_read() -> None:
    text = """\
kind: Node
name: one
cpu: 2
volumes:
- &disk {kind: raw, name: a, size: 1G}
- {<<: *disk, name: b}
- {<<: [*disk, {name: unused, cache: unsafe}], name: c}
"""
    spec = parse(import_placemat([Source("t.yml", text)]).text, file="t.yml")
    server = spec.devices["one"].server
    assert server is not None
    assert server.volumes is not None
    assert [(each.name, each.size, each.cache) for each in server.volumes] == [
        ("a", 1 << 30, "none"),
        ("b", 1 << 30, "none"),
        ("c", 1 << 30, "unsafe"),
    ]
