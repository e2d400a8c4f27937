from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.errors import HostError
from vdc.host import artifacts
from vdc.host.artifacts import debian_source, store
from vdc.host.download import digest_of
from vdc.model.release import Release
from vdc.model.releases import release
from vdc.settings import Settings
from vdc.steps import Steps

from .conftest import Vdc

GOLDEN = Path(__file__).parents[1] / "golden" / "releases"
ROOT = Path(__file__).parents[2]


def test_list_says_what_the_cache_lacks(vdc: Vdc, golden: Golden) -> None:
    golden(GOLDEN / "list", vdc("release", "list").out)


@pytest.mark.parametrize("name", ["kubernetes-1.20", "kubernetes-1.35"])
def test_show_says_where_every_component_comes_from(vdc: Vdc, golden: Golden, name: str) -> None:
    golden(GOLDEN / f"show-{name}", vdc("release", "show", name).out.replace(f"{ROOT}/", ""))


def test_an_unknown_release_is_bad_input(vdc: Vdc) -> None:
    for command in ("show", "verify"):
        said = vdc("release", command, "kubernetes-1.2")
        assert said.status == 2
        assert 'did you mean "kubernetes-1.20"' in said.err


def test_to_fetch_needs_root(vdc: Vdc) -> None:
    assert vdc("release", "fetch").status == 77


def test_what_is_all_of_packages_needs_nothing_fetched(vdc: Vdc) -> None:
    said = vdc("release", "fetch", "debian-12", uid=0)
    assert (said.status, said.out) == (0, "debian-12: 0 files, 0 MiB\n")


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be had of releases with a Kubernetes."""

    def ensure(release: Release, _settings: Settings, _steps: Steps) -> tuple[artifacts.Artifact, ...]:
        if release.kubernetes is None:
            return ()
        raise HostError(f"{release.kubernetes}: https://example.org/kubelet does not answer", hint="set a mirror")

    monkeypatch.setattr(artifacts, "ensure", ensure)


@pytest.mark.usefixtures("refusing")
def test_what_cannot_be_fetched_keeps_no_other_release_from_it_and_is_told_at_the_end(vdc: Vdc) -> None:
    said = vdc("release", "fetch", "kubernetes-1.20", "kubernetes-1.35", "debian-12", uid=0)
    assert (said.status, said.out) == (1, "debian-12: 0 files, 0 MiB\n")
    assert said.err == (
        "error: 2 of 3 releases cannot be had: kubernetes-1.20, kubernetes-1.35\n"
        "  kubernetes-1.20: 1.20.2: https://example.org/kubelet does not answer\n"
        "  hint: set a mirror\n"
        "  kubernetes-1.35: 1.35.0: https://example.org/kubelet does not answer\n"
        "  hint: set a mirror\n"
    )


@pytest.mark.usefixtures("refusing")
def test_a_lone_release_that_cannot_be_fetched_fails_with_its_own_error(vdc: Vdc) -> None:
    said = vdc("release", "fetch", "kubernetes-1.35", uid=0)
    assert said.status == 3
    assert said.err == "error: 1.35.0: https://example.org/kubelet does not answer\n  hint: set a mirror\n"


def test_verify_names_what_is_damaged_and_fails(vdc: Vdc, short_path: Path) -> None:
    said = vdc("release", "verify", "kubernetes-1.20", "debian-12")
    assert said.status == 0
    assert said.out == (
        "kubernetes-1.20: 0 of 1 files are as they should be\n"
        "  kubernetes: kubernetes: not in the cache\n"
        "debian-12: all of packages\n"
    )
    component = next(each for each in release("kubernetes-1.20").components if each.source)
    folder = store.build_place(component, Settings(cache_dir=short_path / "cache"))
    folder.mkdir(parents=True)
    for name in debian_source.PROGRAMS:
        (folder / name).write_text(name)
    digests = {name: digest_of(folder / name, "sha256") for name in debian_source.PROGRAMS}
    (folder / "manifest.json").write_text(json.dumps(digests))
    assert vdc("release", "verify", "kubernetes-1.20").out == "kubernetes-1.20: 6 of 6 files are as they should be\n"
    (folder / "kubelet").write_text("rotten")
    said = vdc("release", "verify", "kubernetes-1.20")
    assert said.status == 1
    assert "5 of 6 files are as they should be" in said.out
    assert "  kubernetes: kubelet: damaged: " in said.out
