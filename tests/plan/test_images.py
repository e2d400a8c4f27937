from __future__ import annotations

from configparser import ConfigParser
from dataclasses import replace

import pytest

from vdc.model.release import Release
from vdc.model.releases import catalogue, release
from vdc.plan.images import IMAGES, Image, image_of, recipe
from vdc.plan.oci import CONTAINER_IMAGES

LEAN = [image for image in IMAGES.values() if not image.stock]
EVERY = pytest.mark.parametrize("image", IMAGES.values(), ids=lambda image: image.name)


def units(image: Image) -> dict[str, ConfigParser]:
    """Return the units and drop-ins that an image brings, by path below systemd's folder."""
    found = {}
    for path, text in image.files:
        if path.startswith("/etc/systemd/system/"):
            found[path.removeprefix("/etc/systemd/system/")] = parser = ConfigParser(
                strict=False, interpolation=None, delimiters=("=",)
            )
            parser.read_string(text)
    return found


@EVERY
def test_no_file_is_brought_twice(image: Image) -> None:
    paths = [path for path, _ in image.files]
    assert paths
    assert len(paths) == len(set(paths))


@EVERY
def test_every_service_of_vdc_is_started_and_brought_along(image: Image) -> None:
    brought = {name for name in units(image) if name.startswith("vdc-")}
    wanted = {unit for _, starts in image.wanted for unit in starts if unit.startswith("vdc-")}
    assert brought == wanted
    assert "vdc-network.service" in wanted


@pytest.mark.parametrize("image", LEAN, ids=lambda image: image.name)
def test_what_is_waited_for_waits_for_nothing_that_is_late(image: Image) -> None:
    brought = units(image)
    late = {name.split(".d/")[0] for name in brought if name.endswith(".d/late.conf")}
    assert "systemd-journald.service" in late
    for name in ("qemu-guest-agent.service", "bird.service.d/early.conf", "vdc-network.service"):
        assert brought[name]["Unit"]["DefaultDependencies"] == "no"
        assert late.isdisjoint(brought[name]["Unit"].get("After", "").split())


def test_a_changed_recipe_is_another_image() -> None:
    image = IMAGES["debian-12"]
    others = [
        replace(image, stock=True),
        replace(image, masked=()),
        replace(image, wanted=()),
        replace(image, files=()),
    ]
    assert len({image.digest, *(other.digest for other in others)}) == 1 + len(others)
    assert replace(image, cmdline="", boot_seconds=9.0).digest == image.digest


def changed(release: Release, name: str, **changes: object) -> Release:
    """Return a release with another component of that name."""
    components = (replace(each, **changes) if each.name == name else each for each in release.components)  # type: ignore[arg-type]
    return replace(release, components=tuple(components))


@pytest.mark.parametrize("name", [name for name, each in catalogue().items() if each.has_image])
def test_an_image_has_the_packages_of_its_release_that_are_installed(name: str) -> None:
    image, made = IMAGES[name], release(name)
    for component in made.components:
        installed = made.unpacked(component) is None
        there = set(component.packages) & set(image.packages)
        assert there == (set(component.packages) if installed else set())
    assert list(image.packages) == sorted(set(image.packages))
    assert image.suite == {"debian-12": "bookworm", "debian-13": "trixie"}[release(name).os]


def test_a_release_that_differs_is_another_image() -> None:
    before = release("kubernetes-1.20")
    (source,) = (each.source for each in before.components if each.source)
    others = [
        changed(before, "etcd", version="3.5"),
        changed(before, "etcd", suite="trixie"),
        changed(before, "kubernetes", source=replace(source, version="1.20.3")),
        changed(before, "tools", packages=("python3",)),
        replace(before, components=before.components[:-1]),
    ]
    assert len({image_of(each).digest for each in (before, *others)}) == 1 + len(others)


def test_where_a_file_comes_from_does_not_change_an_image() -> None:
    before = release("kubernetes-1.35")
    (component,) = (each for each in before.components if each.name == "kubernetes")
    (file,) = component.files
    mirrored = changed(before, "kubernetes", files=(replace(file, url="https://mirror.example.org/x"),))
    assert image_of(mirrored).digest == image_of(before).digest
    other = changed(before, "kubernetes", files=(replace(file, digest="sha512:0"),))
    assert image_of(other).digest != image_of(before).digest


def test_a_release_with_kubernetes_has_room_and_lets_the_cluster_bring_its_units() -> None:
    plain, kubernetes = IMAGES["debian-12"], IMAGES["kubernetes-1.20"]
    assert kubernetes.size > 2 * plain.size
    assert "etcd.service" in plain.masked
    assert {"etcd.service", "containerd.service", "haproxy.service"}.isdisjoint(kubernetes.masked)


@EVERY
def test_an_image_is_known_by_the_containers_that_it_brings(image: Image) -> None:
    brings = image.release is not None and image.release.kubernetes is not None
    wanted = {name: (each.name, each.links, each.command) for name, each in CONTAINER_IMAGES.items()}
    assert recipe(image).get("containers") == (wanted if brings else None)
