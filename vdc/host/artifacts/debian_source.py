"""Kubernetes from Debian's source package: complete with all that it needs, so a Debian mirror is enough.

It is built in a folder with a Debian of its own, so the compiler is the one of that suite wherever the harness runs.
The steps are those of the source's own build: `make generated_files`, then `go build` of each command, in GOPATH mode
(https://github.com/kubernetes/kubernetes/blob/v1.20.2/hack/make-rules/build.sh).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from vdc.errors import HostError
from vdc.host import debian
from vdc.host.download import digest_of
from vdc.model.release import DebianSource

OUT: Final = "out"
"""The folder of the programs, below where they are built."""

PROGRAMS: Final = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")

_MANIFEST: Final = "manifest.json"
_RENEWED: Final = "github.com/modern-go/reflect2"
"""What the source has vendored in a version that breaks memory when Go 1.18 or later builds it: an API server dies of
the first custom resource (https://github.com/modern-go/reflect2/issues/26, kubernetes/kubernetes#104949). Debian has
1.0.2, which is for these, as a package."""
_RENEWED_PACKAGE: Final = "golang-github-modern-go-reflect2-dev"
_PACKAGES: Final = ("ca-certificates", "dpkg-dev", "git", "golang-go", _RENEWED_PACKAGE, "make", "rsync")
_TREE: Final = "/go/src/k8s.io/kubernetes"
_VERSION_PACKAGES: Final = ("component-base/version", "client-go/pkg/version")
_STEP_SECONDS: Final = 3600.0
_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "GOPATH": "/go",
        "GO111MODULE": "off",
        "CGO_ENABLED": "0",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        # what the caller's own may say is not meant for this build
        "TMPDIR": "/tmp",  # noqa: S108 - that of the build root
        **dict.fromkeys(("GOARCH", "GOFLAGS", "GOOS", "GOROOT", "GOTMPDIR", "MAKEFLAGS"), ""),
    }
)


def manifest(directory: Path) -> Mapping[str, str]:
    """Return the digest of each program that was built into a directory, by name."""
    found: Mapping[str, str] = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
    return found


def build(source: DebianSource, work: Path, *, mirror: str | None, log: Path) -> None:
    """Build a source in the folder `work`, which is made; its programs and their manifest are in `OUT` below it then.

    Raises CommandError, WaitTimeout, HostError.
    """
    root = work / "root"
    work.mkdir()
    debian.bootstrap(root, source.suite, _PACKAGES, variant="apt", mirror=mirror, log=log)
    _unpack(source, root, log)
    _renew(root)
    _run(root, ["make", "generated_files"], log)
    flags = " ".join(("-s -w", *link_flags(source.version, _changed(root))))
    commands = [f"./cmd/{program}" for program in PROGRAMS]
    _run(root, ["go", "build", "-trimpath", "-ldflags", flags, "-o", f"/{OUT}/", *commands], log)
    (root / OUT).rename(work / OUT)
    digests = {name: digest_of(work / OUT / name, "sha256") for name in PROGRAMS}
    (work / OUT / _MANIFEST).write_text(json.dumps(digests, indent=1), encoding="utf-8")


def link_flags(version: str, changed: str) -> tuple[str, ...]:
    """Return what makes the programs say their version; `changed` is when the source was, as 2021-01-13T13:28:09Z.

    In GOPATH mode a package of the vendor tree is called by where it is.
    """
    major, minor = version.split(".")[:2]
    said = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": f"debian/{version}",
        "gitTreeState": "archive",
        "buildDate": changed,
    }
    return tuple(
        f"-X k8s.io/kubernetes/vendor/k8s.io/{package}.{name}={value}"
        for package in _VERSION_PACKAGES
        for name, value in said.items()
    )


def _unpack(source: DebianSource, root: Path, log: Path) -> None:
    """Fetch the source, which apt checks by the archive's signature, and unpack it."""
    (root / "etc/apt/sources.list.d/source.list").write_text(debian.source_lines(root), encoding="utf-8")
    folder = root / "src"
    for each in (folder, (root / _TREE.lstrip("/")).parent):
        each.mkdir(parents=True, exist_ok=True)
    _run(root, ["apt-get", "-q", "update"], log, folder="/")
    _run(root, ["apt-get", "-q", "source", "--download-only", source.package], log, folder="/src")
    described = [path.name for path in folder.glob(f"{source.package}_*.dsc")]
    if len(described) != 1:
        raise HostError(f"apt fetched {', '.join(described) or 'no source'} where one source was expected")
    found = described[0].removeprefix(f"{source.package}_").removesuffix(".dsc")
    if debian.upstream(found) != source.version.partition("+")[0]:
        raise HostError(
            f"Debian {source.suite} has {source.package} {found}, and the release asks for {source.version}"
        )
    # apt has checked it; the keys of its maintainers are another package
    _run(root, ["dpkg-source", "--no-check", "-x", described[0], _TREE], log, folder="/src")


def _renew(root: Path) -> None:
    """Put Debian's own version of a library in the place of the vendored one. Raises HostError: there is none."""
    new, old = root / "usr/share/gocode/src" / _RENEWED, root / _TREE.lstrip("/") / "vendor" / _RENEWED
    for each in (new, old):
        if not each.is_dir():
            raise HostError(f"{each} is not there")
    shutil.rmtree(old)
    shutil.copytree(new, old)


def _changed(root: Path) -> str:
    """Return when the source was last changed, as its changelog says (RFC 5322 there, RFC 3339 here)."""
    text = (root / _TREE.lstrip("/") / "debian/changelog").read_text(encoding="utf-8")
    match = re.search(r"^ -- .*>  (.+)$", text, flags=re.MULTILINE)
    if match is None:
        raise HostError("the changelog of the source has no date")
    return parsedate_to_datetime(match[1]).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _run(root: Path, argv: list[str], log: Path, *, folder: str = _TREE) -> None:
    debian.inside(root, argv, folder=folder, log=log, timeout=_STEP_SECONDS, env=_ENVIRONMENT)
