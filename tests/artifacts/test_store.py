"""Artifacts: fetched once, resumed, checked, kept by their digest; damaged ones are named and made again."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.web import Server
from vdc.errors import HostError, InputError
from vdc.host import artifacts
from vdc.host.artifacts import debian_source, store
from vdc.model.release import Component, DebianSource, Release, ReleaseFile
from vdc.settings import Settings
from vdc.steps import Steps

CONTENT = b"a program" * 1000


def sha(kind: str, content: bytes = CONTENT) -> str:
    return f"{kind}:{hashlib.new(kind, content).hexdigest()}"


def release(*files: ReleaseFile, source: DebianSource | None = None) -> Release:
    made = Component(name="kubernetes", version="1.20.2", files=files, source=source)
    return Release(name="mine", os="debian-12", components=(made,), file="mine.yml")


def kubelet(url: str, digest: str = "") -> ReleaseFile:
    return ReleaseFile(name="kubelet", digest=digest or sha("sha256"), url=url)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")


def ensure(wanted: Release, settings: Settings) -> Path:
    (artifact,) = artifacts.ensure(wanted, settings, Steps())
    return artifact.path


def left(settings: Settings) -> set[str]:
    """What is in the cache besides whole artifacts and locks."""
    names = {path.name for path in (settings.cache_dir / "artifacts").iterdir()}
    return {name for name in names if name.startswith(".") and not name.endswith(".lock")}


def test_what_was_left_of_another_file_is_fetched_from_its_beginning(
    settings: Settings, serve: Callable[..., Server]
) -> None:
    server = serve(CONTENT)
    folder = settings.cache_dir / "artifacts"
    folder.mkdir(parents=True)
    (folder / f".{sha('sha256').replace(':', '-')}.part").write_bytes(b"other")
    assert ensure(release(kubelet(server.url, sha("sha256"))), settings).read_bytes() == CONTENT
    assert server.asked == ["bytes=5-", None]


@pytest.mark.parametrize("kind", ["sha256", "sha512"])
def test_a_file_is_fetched_once_and_kept_by_its_digest(
    settings: Settings, serve: Callable[..., Server], kind: str
) -> None:
    server = serve(CONTENT)
    wanted = release(kubelet(server.url, sha(kind)))
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: ensure(wanted, settings), range(4)))
    (path,) = paths
    assert path.read_bytes() == CONTENT
    assert path.name == sha(kind).replace(":", "-")
    assert server.asked == [None]
    assert left(settings) == set()


def test_a_download_that_breaks_off_goes_on_where_it_stopped(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(CONTENT, breaks=2)
    assert ensure(release(kubelet(server.url)), settings).read_bytes() == CONTENT
    assert server.asked[1:] == [f"bytes={len(CONTENT) // 2}-", f"bytes={len(CONTENT) * 3 // 4}-"]


def test_what_was_given_up_goes_on_at_the_next_start(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(CONTENT, breaks=3)
    wanted = release(kubelet(server.url))
    with pytest.raises(HostError, match=r"kubernetes 1\.20\.2, kubelet: http.* cannot be fetched: .* bytes are miss"):
        ensure(wanted, settings)
    assert ensure(wanted, settings).read_bytes() == CONTENT
    assert None not in server.asked[1:]


def test_a_wrong_checksum_is_refused_and_named_and_the_file_deleted(
    settings: Settings, serve: Callable[..., Server]
) -> None:
    url = serve(CONTENT).url
    with pytest.raises(HostError) as caught:
        ensure(release(kubelet(url, sha("sha512", b"other"))), settings)
    found = sha("sha512").partition(":")[2]
    assert caught.value.message == f"kubernetes 1.20.2, kubelet: {url} is not what its sha512 says; it is {found}"
    expected = sha("sha512", b"other").partition(":")[2]
    assert caught.value.hint == f"expected {expected}; what was fetched is deleted"
    assert left(settings) == set()


def test_a_mirror_stands_in_for_scheme_and_host(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(CONTENT)
    mirrored = replace(settings, release_mirror=f"http://127.0.0.1:{server.server_port}/k8s/")
    wanted = release(kubelet("https://dl.k8s.invalid/v1.20.2/bin/kubelet?x=1"))
    assert ensure(wanted, mirrored).read_bytes() == CONTENT
    assert server.paths == ["/k8s/v1.20.2/bin/kubelet?x=1"]


def test_a_file_of_this_host_is_used_where_it_is(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "kubelet"
    wanted = release(ReleaseFile(name="kubelet", digest=sha("sha256"), path=str(path)))
    (state,) = artifacts.verify(wanted, settings)
    assert (state.wrong, state.damaged) == ("not on this host", True)
    assert artifacts.missing(wanted, settings) == ("kubernetes",)
    with pytest.raises(InputError, match=r"release mine: .*/kubelet cannot be read: No such file"):
        ensure(wanted, settings)
    path.write_bytes(CONTENT)
    assert ensure(wanted, settings) == path
    assert [state.wrong for state in artifacts.verify(wanted, settings)] == [""]
    path.write_bytes(b"other")
    with pytest.raises(InputError, match=f"is not what its sha256 says; it is {sha('sha256', b'other')[7:]}"):
        ensure(wanted, settings)


def test_what_is_damaged_is_named_and_fetched_again(settings: Settings, serve: Callable[..., Server]) -> None:
    wanted = release(kubelet(serve(CONTENT).url))
    (state,) = artifacts.verify(wanted, settings)
    assert (state.wrong, state.damaged) == ("not in the cache", False)
    path = ensure(wanted, settings)
    assert [state.wrong for state in artifacts.verify(wanted, settings)] == [""]
    path.write_bytes(b"rotten")
    (state,) = artifacts.verify(wanted, settings)
    assert state.damaged
    assert state.wrong == f"damaged: {path} is {sha('sha256', b'rotten')}"
    assert ensure(wanted, settings).read_bytes() == CONTENT


def packed(**files: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"kubernetes/server/bin/{name}")
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def test_an_archive_is_unpacked_as_far_as_it_is_wanted(
    settings: Settings, serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(kubelet=b"1", kubectl=b"2", **{"kubelet.tar": b"a container image"})
    wanted = release(
        ReleaseFile(
            name="server.tar.gz",
            digest=sha("sha256", content),
            url=serve(content).url,
            unpack=True,
            strip=3,
            members=("kubernetes/server/bin/kubelet", "kubernetes/server/bin/kubectl"),
        )
    )
    monkeypatch.setattr(store, "find_release", lambda _: wanted)
    assert artifacts.kubectl("mine", settings) is None
    (artifact,) = artifacts.ensure(wanted, settings, Steps())
    artifacts.install(artifact, tmp_path / "root")
    folder = tmp_path / "root" / "usr/local/bin"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"kubelet": b"1", "kubectl": b"2"}
    for _ in range(2):
        program = artifacts.kubectl("mine", settings)
        assert program is not None
        assert program.read_bytes() == b"2"
    assert left(settings) == set()


def test_a_program_is_put_where_it_belongs(settings: Settings, serve: Callable[..., Server], tmp_path: Path) -> None:
    file = replace(kubelet(serve(CONTENT).url), into="/opt/bin")
    (artifact,) = artifacts.ensure(release(file), settings, Steps())
    artifacts.install(artifact, tmp_path)
    program = tmp_path / "opt/bin/kubelet"
    assert program.read_bytes() == CONTENT
    assert program.stat().st_mode & 0o777 == 0o755


SOURCE = DebianSource(package="kubernetes", suite="bookworm", version="1.20.2")


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A build that takes no time; returns what was built."""
    done: list[str] = []

    def build(source: DebianSource, work: Path, *, mirror: str | None, log: Path) -> None:
        del mirror
        log.write_text("building\n")
        out = work / debian_source.OUT
        out.mkdir(parents=True)
        (out / "kubectl").write_bytes(CONTENT)
        (out / "manifest.json").write_text(json.dumps({"kubectl": sha("sha256")}))
        done.append(source.version)

    monkeypatch.setattr(debian_source, "build", build)
    return done


def test_a_source_is_built_once_and_known_by_its_recipe(
    settings: Settings, builds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = release(source=SOURCE)
    monkeypatch.setattr(store, "find_release", lambda _: wanted)
    assert not artifacts.built(SOURCE.digest, settings)
    assert artifacts.missing(wanted, settings) == ("kubernetes",)
    path = ensure(wanted, settings)
    assert ensure(wanted, settings) == path == artifacts.kubectl("mine", settings)
    assert builds == ["1.20.2"]
    assert artifacts.built(SOURCE.digest, settings)
    assert artifacts.missing(wanted, settings) == ()
    assert SOURCE.digest != replace(SOURCE, version="1.20.3").digest
    assert left(settings) == set()


def test_a_damaged_program_is_named_and_built_again(settings: Settings, builds: list[str]) -> None:
    wanted = release(source=SOURCE)
    ensure(wanted, settings).write_bytes(b"rotten")
    assert [state.damaged for state in artifacts.verify(wanted, settings)] == [True]
    assert ensure(wanted, settings).read_bytes() == CONTENT
    (ensure(wanted, settings).parent / "manifest.json").unlink()
    (state,) = artifacts.verify(wanted, settings)
    assert "has no manifest" in state.wrong
    assert artifacts.found(wanted, settings) == ()
    assert ensure(wanted, settings).read_bytes() == CONTENT
    assert len(builds) == 3


def test_a_build_that_fails_names_its_log_and_leaves_nothing_as_does_one_that_is_killed_once_cleaned(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_source: DebianSource, work: Path, **_: object) -> None:
        work.mkdir()
        raise HostError("no compiler")

    def killed(_source: DebianSource, work: Path, **_: object) -> None:
        work.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(debian_source, "build", fail)
    with pytest.raises(HostError, match=r"kubernetes 1\.20\.2 cannot be built from source: no compiler") as caught:
        ensure(release(source=SOURCE), settings)
    assert str(caught.value.hint).endswith(".log")
    assert left(settings) == set()
    with monkeypatch.context() as patch:
        patch.setattr(debian_source, "build", killed)
        with pytest.raises(KeyboardInterrupt):
            ensure(release(source=SOURCE), settings)
    assert len(left(settings)) == 1
    artifacts.clean(settings)
    assert left(settings) == set()


def test_programs_are_told_their_version_by_the_vendor_tree() -> None:
    flags = debian_source.link_flags("1.20.2", "2021-01-13T13:28:09Z")
    vendor = "k8s.io/kubernetes/vendor/k8s.io/component-base/version"
    assert f"-X {vendor}.gitVersion=v1.20.2" in flags
    assert f"-X {vendor}.gitMinor=20" in flags
    assert all(" " not in flag.removeprefix("-X ") for flag in flags)
