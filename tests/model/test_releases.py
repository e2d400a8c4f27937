"""Release files: strict, with every mistake at its place, and the releases that this checkout has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.errors import InputError
from vdc.model import releases
from vdc.model.release import KUBERNETES, SUPPORTED_KUBERNETES, Unpacked, minor
from vdc.model.release_files import read_release, read_releases
from vdc.model.releases import catalogue, names

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios" / "releases"
ERRORS = ROOT / "tests" / "golden" / "releases"

FILES = """\
name: mine
os: debian-13
components:
  kubernetes:
    version: 1.31.4
    tree:
      url: "https://dl.k8s.io/v{version}/bin/linux/amd64/{file}"
      files: {kubelet: {sha256: "%s"}, "all-{version}.tar.gz": {sha512: "%s", unpack: true, strip: 1, into: /opt}}
  agent: {version: "7", files: {agent: {path: bin/agent, into: /usr/local/sbin}}}
"""


@pytest.fixture
def fresh() -> Iterator[None]:
    """The catalogue is read again within the test, and after it."""
    releases.catalogue.cache_clear()
    yield
    releases.catalogue.cache_clear()


@pytest.mark.parametrize("case", sorted(path.stem for path in ERRORS.glob("*.yml")))
def test_every_mistake_of_a_release_is_told_with_its_place(
    case: str, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ERRORS)
    with pytest.raises(InputError) as caught:
        read_release(Path(f"{case}.yml"))
    golden(ERRORS / f"{case}.txt", f"{caught.value}\n")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_every_release_of_the_checkout_names_what_matters(path: Path) -> None:
    found = read_release(path)
    named = [each.name for each in found.components]
    if found.of_routers:
        assert [each.version for each in found.components] == [path.stem.rpartition("-")[2]]
        return
    if found.firmware is not None:
        assert [found.firmware.version] == [path.stem.rpartition("-")[2]]
        return
    assert named[:3] == ["kernel", "bird", "etcd"]
    if found.kubernetes is not None:
        assert {"containerd", "runc", KUBERNETES, "cni", "proxy", "dns", "tools"} <= set(named)
        assert SUPPORTED_KUBERNETES[0] <= minor(found.kubernetes) <= SUPPORTED_KUBERNETES[1]
    assert all(each.version for each in found.components if each.name != "tools")


def test_files_have_urls_and_digests(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "agent").write_bytes(b"program")
    (tmp_path / "mine.yml").write_text(FILES % ("a" * 64, "b" * 128))
    kubernetes, agent = read_release(tmp_path / "mine.yml").components
    kubelet, archive = kubernetes.files
    assert kubelet.url == "https://dl.k8s.io/v1.31.4/bin/linux/amd64/kubelet"
    assert (kubelet.digest, kubelet.into) == (f"sha256:{'a' * 64}", "/usr/local/bin")
    assert archive.url == "https://dl.k8s.io/v1.31.4/bin/linux/amd64/all-1.31.4.tar.gz"
    assert (archive.digest, archive.into, archive.unpack, archive.strip) == (f"sha512:{'b' * 128}", "/opt", True, 1)
    (file,) = agent.files
    assert file.path == str(tmp_path / "bin" / "agent")
    assert file.digest == f"sha256:{hashlib.sha256(b'program').hexdigest()}"


def test_a_file_that_is_not_there_is_no_mistake_before_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(FILES % ("a" * 64, "b" * 128))
    assert read_release(tmp_path / "mine.yml").components[1].files[0].digest == ""


def test_the_mistakes_of_all_files_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        read_releases(ERRORS)
    assert {Path(each.file).name for each in caught.value.problems} == {path.name for path in ERRORS.glob("*.yml")}


@pytest.mark.usefixtures("fresh")
def test_releases_of_a_folder_of_the_users_come_to_those_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yml").write_text(FILES % ("a" * 64, "b" * 128))
    replaced = (FOLDER / "debian-12.yml").read_text().replace('"6.1"', '"6.12"')
    (tmp_path / "debian-12.yml").write_text(replaced)
    monkeypatch.setenv("VDC_RELEASES", str(tmp_path))
    assert {"debian-12", "debian-13", "kubernetes-1.20", "mine"} <= set(releases.catalogue())
    assert releases.release("debian-12").components[0].version == "6.12"
    assert releases.names()[-1] == releases.STOCK


@pytest.mark.usefixtures("fresh")
def test_outside_a_checkout_there_are_those_of_a_folder_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "FOLDER", Path("not", "there"))
    monkeypatch.delenv("VDC_RELEASES", raising=False)
    with pytest.raises(InputError, match=r"no release files here[^$]*set VDC_RELEASES to a folder of them"):
        releases.catalogue()
    (tmp_path / "mine.yml").write_text(FILES % ("a" * 64, "b" * 128))
    monkeypatch.setenv("VDC_RELEASES", str(tmp_path))
    assert set(releases.catalogue()) == {"mine"}


@pytest.mark.usefixtures("fresh")
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VDC_RELEASES", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"VDC_RELEASES=.*nowhere is not a folder"):
        releases.catalogue()


def test_an_unknown_release_is_guessed() -> None:
    with pytest.raises(InputError, match=r'unknown release "kubernetes-1\.2"; did you mean "kubernetes-1\.20"'):
        releases.release("kubernetes-1.2")


def test_packages_of_another_suite_and_those_of_routers_are_unpacked(tmp_path: Path) -> None:
    text = 'name: {}\nos: debian-12\ncomponents:\n  bird: {{version: "2", debian: [bird2]}}\n'
    (tmp_path / "servers.yml").write_text(
        text.format("servers") + '  etcd: {version: "3.5", debian: [etcd-server], suite: trixie}\n'
        '  same: {version: "1", debian: [same], suite: bookworm}\n'
    )
    (tmp_path / "routers.yml").write_text(text.format("routers"))
    servers, routers = (read_release(tmp_path / f"{name}.yml") for name in ("servers", "routers"))
    assert [servers.unpacked(each) for each in servers.components] == [
        None,
        Unpacked(packages=("etcd-server",), suite="trixie"),
        None,
    ]
    assert [routers.unpacked(each) for each in routers.components] == [Unpacked(packages=("bird2",), suite="bookworm")]
    assert (servers.of_routers, routers.of_routers) == (False, True)
    assert not servers.only_packages


def test_a_release_of_firmware_is_unpacked_and_has_no_image() -> None:
    seabios, older, newer = (
        releases.release(f"firmware-{name}") for name in ("seabios-1.16", "ovmf-2022.11", "ovmf-2025.02")
    )
    assert [each.unpacked(each.components[0]) for each in (seabios, older, newer)] == [
        Unpacked(packages=("seabios",), suite="bookworm"),
        Unpacked(packages=("ovmf",), suite="bookworm"),
        Unpacked(packages=("ovmf",), suite="trixie"),
    ]
    assert newer.firmware == newer.components[0]
    assert not newer.has_image
    assert newer.name not in releases.names()
    assert releases.release("debian-12").firmware is None


def test_what_only_routers_run_is_no_release_of_servers() -> None:
    assert "routers-bird-2.17" in catalogue()
    assert "routers-bird-2.17" not in names()
