"""Images of the user's own: fetched once, checked, unpacked, and another one when their content is another."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.model.strategies import small
from tests.web import Server
from vdc.errors import HostError, InputError
from vdc.host import user_images
from vdc.model.hardware import Hardware, UserImage, Volume
from vdc.model.topology import Topology
from vdc.plan.plan import PlanContext
from vdc.settings import Settings
from vdc.shell import find, run
from vdc.steps import Steps

pytestmark = pytest.mark.skipif(find("qemu-img") is None, reason="qemu-img is not installed (package qemu-utils)")

CONTENT = b"a disk".ljust(3 << 20, b"\0") + b"end".ljust(512, b"\0")
PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.fixture
def context(tmp_path: Path) -> PlanContext:
    return PlanContext(
        instance="a", state_dir=tmp_path / "state", cache_dir=tmp_path / "cache", accelerator="tcg", slowness=1.0
    )


def ensure(image: UserImage, context: PlanContext) -> Path:
    """Get an image that a server has, and return the disk."""
    made = user_images.ensure(with_image(image), context, Settings(cache_dir=context.cache_dir), Steps())
    return context.user_image(made.images[0])


def with_image(image: UserImage) -> Topology:
    base = small()
    first = replace(base.servers[0], image=image.name, sessions=())
    return replace(base, servers=(first, *base.servers[1:]), images=(image,))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def left(context: PlanContext) -> set[str]:
    """What is in the cache besides whole images and locks."""
    names = {path.name for path in (context.cache_dir / "images").iterdir()}
    return {name for name in names if name.startswith(".") and not name.endswith(".lock")}


@pytest.mark.parametrize("compression", [None, *PACK])
def test_a_file_is_unpacked_and_has_holes_where_it_is_zero(
    context: PlanContext, tmp_path: Path, compression: str | None
) -> None:
    source = tmp_path / "disk.packed"
    source.write_bytes(PACK[compression](CONTENT) if compression else CONTENT)
    image = UserImage(name="mine", file=str(source), compression=compression)  # type: ignore[arg-type]
    disk = ensure(image, context)
    assert disk.read_bytes() == CONTENT
    assert disk.stat().st_blocks * 512 < 1 << 20
    manifest = json.loads((disk.parent / user_images.MANIFEST).read_text())
    assert (manifest["format"], manifest["size"]) == ("raw", len(CONTENT))
    assert left(context) == set()


def test_a_file_that_has_changed_is_another_image(context: PlanContext, tmp_path: Path) -> None:
    source = tmp_path / "disk"
    source.write_bytes(CONTENT)
    image = UserImage(name="mine", file=str(source))
    first = ensure(image, context)
    source.write_bytes(CONTENT[::-1])
    second = ensure(image, context)
    assert first != second
    assert (first.read_bytes(), second.read_bytes()) == (CONTENT, CONTENT[::-1])


def test_a_qcow2_stays_one(context: PlanContext, tmp_path: Path) -> None:
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(tmp_path / "x.qcow2"), "16M"], timeout=30)
    disk = ensure(UserImage(name="mine", file=str(tmp_path / "x.qcow2")), context)
    manifest = json.loads((disk.parent / user_images.MANIFEST).read_text())
    assert (manifest["format"], manifest["size"]) == ("qcow2", 16 << 20)


def test_a_qcow2_that_reads_another_file_is_refused(context: PlanContext, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(CONTENT)
    overlay = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(tmp_path / "secret")]
    run([*overlay, str(tmp_path / "x.qcow2")], timeout=30)
    with pytest.raises(InputError, match="whole in itself"):
        ensure(UserImage(name="mine", file=str(tmp_path / "x.qcow2")), context)
    assert left(context) == set()


@pytest.mark.parametrize("compression", PACK)
def test_a_packed_file_that_is_not_said_to_be_packed_is_refused(
    context: PlanContext, tmp_path: Path, compression: str
) -> None:
    """A guest would find no disk in it."""
    (tmp_path / "x").write_bytes(PACK[compression](CONTENT))
    with pytest.raises(InputError, match=f"compression: {compression}"):
        ensure(UserImage(name="mine", file=str(tmp_path / "x")), context)
    assert left(context) == set()


@pytest.mark.parametrize("compression", PACK)
def test_a_file_that_cannot_be_unpacked_is_named(context: PlanContext, tmp_path: Path, compression: str) -> None:
    (tmp_path / "x").write_bytes(PACK[compression](CONTENT)[:-20])
    with pytest.raises(InputError, match=r"image mine: .*/x cannot be unpacked"):
        ensure(UserImage(name="mine", file=str(tmp_path / "x"), compression=compression), context)  # type: ignore[arg-type]
    assert left(context) == set()


def test_a_file_that_is_not_there_or_not_what_it_should_be_is_named(context: PlanContext, tmp_path: Path) -> None:
    source = tmp_path / "x"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        ensure(UserImage(name="mine", file=str(source)), context)
    source.write_bytes(CONTENT)
    with pytest.raises(InputError, match=f"it is {digest(CONTENT)}"):
        ensure(UserImage(name="mine", file=str(source), sha256="0" * 64), context)


def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    context: PlanContext, serve: Callable[..., Server]
) -> None:
    server = serve(CONTENT, breaks=2)
    image = UserImage(name="mine", url=server.url, sha256=digest(CONTENT))
    assert ensure(image, context).read_bytes() == CONTENT
    assert server.asked[0] is None
    starts = [int(str(each)[6:-1]) for each in server.asked[1:]]
    assert starts == [len(CONTENT) // 2, len(CONTENT) // 2 + (len(CONTENT) + 1) // 4]
    assert left(context) == set()


def test_one_that_was_given_up_goes_on_at_the_next_start(context: PlanContext, serve: Callable[..., Server]) -> None:
    server = serve(CONTENT, breaks=3)
    image = UserImage(name="mine", url=server.url, sha256=digest(CONTENT))
    with pytest.raises(HostError, match=r"cannot be fetched: .* bytes are missing"):
        ensure(image, context)
    assert ensure(image, context).read_bytes() == CONTENT
    assert None not in server.asked[1:]


def test_a_server_that_knows_no_ranges_sends_everything_again(
    context: PlanContext, serve: Callable[..., Server]
) -> None:
    server = serve(CONTENT, breaks=1, ranges=False)
    image = UserImage(name="mine", url=server.url, sha256=digest(CONTENT))
    assert ensure(image, context).read_bytes() == CONTENT


def test_a_download_that_is_not_what_it_should_be_is_not_kept(
    context: PlanContext, serve: Callable[..., Server]
) -> None:
    image = UserImage(name="mine", url=serve(CONTENT).url, sha256="0" * 64)
    with pytest.raises(HostError, match=f"is not what its sha256 says; it is {digest(CONTENT)}"):
        ensure(image, context)
    assert left(context) == set()


def test_what_the_cache_has_is_not_fetched_again_and_not_twice_at_once(
    context: PlanContext, serve: Callable[..., Server]
) -> None:
    server = serve(CONTENT)
    image = UserImage(name="mine", url=server.url, sha256=digest(CONTENT))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ensure(image, context), range(4)))
    assert server.asked == [None]


def test_an_image_that_nobody_uses_is_not_fetched(context: PlanContext) -> None:
    nowhere = UserImage(name="other", url="http://127.0.0.1:9/x", sha256="0" * 64)
    topology = replace(small(), images=(nowhere,))
    assert user_images.ensure(topology, context, Settings(cache_dir=context.cache_dir), Steps()) == topology
    volume = Volume(name="x", kind="image", source="other")
    used = replace(topology.servers[0], hardware=Hardware(volumes=(volume,)))
    assert user_images.wanted(replace(topology, servers=(used,))) == {"other"}


def test_images_that_were_used_last_or_are_in_use_stay(
    context: PlanContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_images, "KEPT", 1)
    settings = Settings(cache_dir=context.cache_dir)
    made = []
    for number in range(4):
        (tmp_path / f"{number}").write_bytes(bytes([number]) * 512)
        made.append(ensure(UserImage(name="mine", file=str(tmp_path / f"{number}")), context))
        os.utime(made[-1].parent / user_images.MANIFEST, (number, number))
    ensure(UserImage(name="mine", file=str(tmp_path / "1")), context)  # used again
    user_images.clean(settings, used=[made[0]])
    assert [disk.exists() for disk in made] == [True, True, False, False]
