"""The CPU that guests see where they are emulated (TCG)."""

from __future__ import annotations

from typing import Final

CPU_MODEL: Final = "qemu64"
"""The plainest: whatever more a CPU has, its emulation is slower than doing without."""

CPU_WITHOUT: Final = ("cx16", "svm")
"""Features of it that are off. QEMU 7.2 emulates cmpxchg16b with wrong flags, which Linux 6.12 takes for a double
fault; and a guest that thinks it could run guests loads modules for it."""
