from __future__ import annotations

from pathlib import Path

import pytest

from vdc.errors import InputError
from vdc.settings import Settings

MIB = 1024**2


def test_an_empty_environment_decides_nothing() -> None:
    assert Settings.from_environment({"VDC_STATE_DIR": "", "VDC_QUOTA": ""}) == Settings()


def test_the_environment_decides() -> None:
    environment = {
        "VDC_STATE_DIR": "/a",
        "VDC_CACHE_DIR": "/b",
        "VDC_DEBIAN_MIRROR": "http://mirror/",
        "VDC_QUOTA": "20GiB",
        "VDC_ADMISSION_WAIT": "30",
        "VDC_VCPUS_PER_CORE": "2",
        "VDC_RELEASES": "/r",
        "VDC_RELEASE_MIRROR": "http://mirror/k8s",
        "VDC_UPGRADE_PATHS": "/p.yml",
    }
    assert Settings.from_environment(environment) == Settings(
        state_dir=Path("/a"),
        cache_dir=Path("/b"),
        debian_mirror="http://mirror/",
        quota=20 * 1024 * MIB,
        admission_wait=30,
        vcpus_per_core=2,
        releases=Path("/r"),
        release_mirror="http://mirror/k8s",
        upgrade_paths=Path("/p.yml"),
    )


@pytest.mark.parametrize(
    ("text", "size"), [("1000", 1000), ("512M", 512 * MIB), ("2 GiB", 2048 * MIB), ("1T", 1024 * 1024 * MIB)]
)
def test_a_size_is_bytes_or_has_a_unit(text: str, size: int) -> None:
    assert Settings.from_environment({"VDC_QUOTA": text}).quota == size


@pytest.mark.parametrize(
    ("name", "value"),
    [("VDC_STATE_DIR", "a/b"), ("VDC_QUOTA", "much"), ("VDC_ADMISSION_WAIT", "-1"), ("VDC_VCPUS_PER_CORE", "two")],
)
def test_what_is_none_is_refused_with_its_name_and_value(name: str, value: str) -> None:
    with pytest.raises(InputError, match=f"{name}={value} is not a"):
        Settings.from_environment({name: value})


def test_what_is_no_url_and_no_absolute_path_is_named() -> None:
    with pytest.raises(InputError, match="VDC_RELEASE_MIRROR=mirror is not a URL"):
        Settings.from_environment({"VDC_RELEASE_MIRROR": "mirror"})
    with pytest.raises(InputError, match="VDC_RELEASES=mine is not an absolute path"):
        Settings.from_environment({"VDC_RELEASES": "mine"})
