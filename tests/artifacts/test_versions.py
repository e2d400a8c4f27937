"""The exact version of each component of an image: the upstream part of a package's, which the release must ask for."""

from __future__ import annotations

import pytest

from vdc.errors import BuildError
from vdc.host.images import versions
from vdc.model.release import Component, DebianSource, Release


def release(version: str) -> Release:
    components = (
        Component(name="runc", version=version, packages=("libseccomp2", "runc")),
        Component(name="kubernetes", version="1.20.2", source=DebianSource(package="k", suite="s", version="1.20.2")),
        Component(name="tools", packages=("socat",)),
    )
    return Release(name="mine", os="debian-12", components=components, file="mine.yml")


@pytest.mark.parametrize(
    ("package", "upstream"),
    [
        ("1.1.5+ds1-1+deb12u1", "1.1.5"),
        ("1:1.1-2", "1.1"),
        ("1.1.20~ds1-1+b2", "1.1.20"),
        ("1.1", "1.1"),
        ("1:1.20+really1.1.5-1", "1.1.5"),
    ],
)
def test_the_version_of_a_package_is_its_upstream_part(package: str, upstream: str) -> None:
    found = versions(release("1.1"), {"runc": package, "libseccomp2": "2.5.4-1", "socat": "1.7"})
    assert found == {"runc": upstream, "kubernetes": "1.20.2"}


@pytest.mark.parametrize("package", ["1.2.0-1", "1.10.0-1", "1-1"])
def test_a_mirror_that_has_another_version_is_refused(package: str) -> None:
    with pytest.raises(BuildError, match=f"it asks for runc 1.1, and Debian has runc {package}") as caught:
        versions(release("1.1"), {"runc": package})
    assert caught.value.hint == "change the version in mine.yml"
