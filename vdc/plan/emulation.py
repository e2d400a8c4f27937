"""What guests see of the machine they run on: the firmware, and the CPU where it is emulated (TCG)."""

from __future__ import annotations

from typing import Final

CPU_MODEL: Final = "qemu64"
"""The plainest: whatever more a CPU has, its emulation is slower than doing without."""

CPU_WITHOUT: Final = ("cx16", "svm")
"""Features of it that are off. QEMU 7.2 emulates cmpxchg16b with wrong flags, which Linux 6.12 takes for a double
fault; and a guest that thinks it could run guests loads modules for it."""

FIRMWARE: Final = "/usr/share/seabios/bios-256k.bin"
"""In flash, so that a guest that wakes from a file of its memory alone has it (`vdc.host.freezer`)."""

CMDLINE_EMULATED: Final = " norandmaps mitigations=off"
"""What an emulated guest's kernel is told besides. Emulation translates code anew at every address it is seen at, so
random addresses cost a translation of the libraries at each start of a process; and what mitigations guard against is
not emulated."""
