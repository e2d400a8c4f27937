"""Which accelerator works here, and how slow the host is: found by booting a kernel, never by opening a device.

`/dev/kvm` can exist, answer every ioctl and still never finish booting an ordinary kernel. So the probe boots one
under KVM with a deadline, and under TCG where that fails. The kernel has no root disk: it runs all its
initialisation, panics for want of one, and QEMU exits, which is the fact waited for. The seconds it took are the
measure of the host's speed.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from vdc.errors import HostError, WaitTimeout
from vdc.host.locks import exclusive
from vdc.plan.emulation import CPU_MODEL, CPU_WITHOUT
from vdc.plan.images import IMAGES, Image
from vdc.settings import Settings
from vdc.shell import run

_KVM_SECONDS = 10.0
_TCG_SECONDS = 120.0
_PROOF = "Unable to mount root fs"

_KVM = ["-accel", "kvm", "-cpu", "host"]
_TCG = ["-accel", "tcg", "-cpu", ",".join((CPU_MODEL, *(f"-{feature}" for feature in CPU_WITHOUT)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceleration:
    """What the probe found: `kind`, the `seconds` a kernel took, the `slowness` they mean, and why in words."""

    kind: Literal["kvm", "tcg"]
    slowness: float
    seconds: float
    reason: str


def probe(settings: Settings) -> Acceleration:
    """Return the accelerator of this host, probed once per host boot; an image must be in the cache.

    Raises:
        HostError: no image, or the kernel boots under neither.
    """
    known = cached(settings)
    if known is not None:
        return known
    image = next((each for each in IMAGES.values() if each.kernel(settings.cache_dir).exists()), None)
    if image is None:
        raise HostError("no kernel to probe the accelerator with", hint="vdc images build")
    with exclusive(settings.cache_dir / ".accelerator.lock"):  # two at once would each find a slower host
        if (known := cached(settings)) is not None:
            return known
        found = _probe(image, settings)
        _cache_file(settings).write_text(json.dumps({"boot": _boot_id(), **asdict(found)}))
    return found


def cached(settings: Settings) -> Acceleration | None:
    """Return what a probe found since this host booted, or None."""
    try:
        known = json.loads(_cache_file(settings).read_text())
        return Acceleration(**known) if known.pop("boot") == _boot_id() else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def hardware(kind: Literal["kvm", "tcg"]) -> dict[str, str]:
    """Return what a frozen guest can only go on with: QEMU's version, and the host's CPU.

    Under TCG only its model counts: a guest has measured how fast the TSC counts, and its clock follows that.
    """
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    seen = ("model name", "flags") if kind == "kvm" else ("model name",)
    return {
        "accelerator": kind,
        "qemu": run(["qemu-system-x86_64", "--version"], timeout=30).stdout,
        "cpu": "\n".join(sorted({line for line in lines if line.startswith(seen)})),
    }


def _probe(image: Image, settings: Settings) -> Acceleration:
    kernel, reference = image.kernel(settings.cache_dir), image.boot_seconds
    if not Path("/dev/kvm").exists():
        why = "/dev/kvm is not there"
    else:
        try:
            seconds = _boot(kernel, _KVM, _KVM_SECONDS)
            return Acceleration(
                kind="kvm", seconds=seconds, slowness=seconds / reference, reason="a kernel boots under KVM"
            )
        except WaitTimeout:
            why = f"/dev/kvm opens, but a kernel had not booted under it after {_KVM_SECONDS:.0f} s"
        except HostError as error:
            why = f"/dev/kvm opens, but a kernel does not boot under it: {error.message}"
    try:
        seconds = _boot(kernel, _TCG, _TCG_SECONDS)
    except WaitTimeout as error:
        raise HostError(f"no kernel boots here, not even emulated: {error.message}") from error
    return Acceleration(kind="tcg", seconds=seconds, slowness=seconds / reference, reason=why)


def _boot(kernel: Path, accelerator: list[str], deadline: float) -> float:
    with tempfile.TemporaryDirectory(prefix="vdc-probe-") as folder:
        console = Path(folder) / "console"
        start = time.monotonic()
        done = run(
            [
                *("qemu-system-x86_64", "-machine", "q35", *accelerator, "-m", "256"),
                *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
                *("-serial", f"file:{console}", "-kernel", str(kernel)),
                *("-append", "console=ttyS0 panic=-1 quiet"),
            ],
            timeout=deadline,
            check=False,
        )
        seconds = time.monotonic() - start
        said = console.read_text(errors="replace") if console.exists() else ""
    if _PROOF not in said:
        raise HostError(f"the kernel did not boot: {(done.stderr or said).strip()[-300:]}")
    return round(seconds, 2)


def _cache_file(settings: Settings) -> Path:
    return settings.cache_dir / "accelerator.json"


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
