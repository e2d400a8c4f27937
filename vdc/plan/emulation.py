"""What guests see of the machine they run on: the firmware, and the CPU where it is emulated (TCG)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class UefiFirmware:
    """A build of OVMF: its `code`, and the `variables` that a new machine begins with. Paths of the host."""

    code: str
    variables: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """What a server starts by: the `code`, and its `variables`, None where it keeps none. Paths of the host."""

    code: str
    variables: str | None


UEFI_FIRMWARE: Final = (
    UefiFirmware(code="/usr/share/OVMF/OVMF_CODE_4M.fd", variables="/usr/share/OVMF/OVMF_VARS_4M.fd"),
    UefiFirmware(code="/usr/share/OVMF/OVMF_CODE.fd", variables="/usr/share/OVMF/OVMF_VARS.fd"),
    UefiFirmware(code="/usr/share/edk2/ovmf/OVMF_CODE.fd", variables="/usr/share/edk2/ovmf/OVMF_VARS.fd"),
)
"""Where distributions keep it: Debian from 12 and Ubuntu from 23.04 on; older ones; Fedora. Code and variables of one
build belong together, and 4 MiB builds have another layout than those of 2 MiB."""

CPU_MODEL: Final = "qemu64"
"""The plainest: whatever more a CPU has, its emulation is slower than doing without."""

CPU_WITHOUT: Final = ("cx16", "svm")
"""Features of it that are off. QEMU 7.2 emulates cmpxchg16b with wrong flags, which Linux 6.12 takes for a double
fault; and a guest that thinks it could run guests loads modules for it."""

NEEDS_CX16: Final = frozenset({"haproxy"})
"""Packages whose programs die without cmpxchg16b, though they take what QEMU 7.2 makes of its flags."""

KERNEL_WITHOUT_CX16: Final = " clearcpuid=141"
"""What tells a kernel not to use it where programs do (Linux, admin-guide/kernel-parameters: the number of the feature,
since 6.1 knows no names)."""

SEEN_IN_PARTS: Final = "GenuineIntel"
"""A CPU of AMD tells of threads and dies by features that are not emulated, one of Intel's by plain numbers (CPUID
leaves 0xB and 0x1F)."""

FIRMWARE: Final = "/usr/share/seabios/bios-256k.bin"
"""In flash, so that a guest that wakes from a file of its memory alone has it (`vdc.host.freezer`)."""

CMDLINE_EMULATED: Final = " norandmaps mitigations=off highres=off tsc=reliable"
"""What an emulated guest's kernel is told besides (Linux, admin-guide/kernel-parameters).

Emulation translates code anew at every address it is seen at, so random addresses cost a translation of the libraries
at each start of a process; and what mitigations guard against is not emulated. Each timer that is shorter than a tick
costs QEMU a lot, and programs in Go set thousands in a second. The TSC of all CPUs is the host's: a kernel with several
of them would else not believe it, and read the HPET."""
