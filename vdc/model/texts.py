"""How values of a topology are written for people: sizes, times, shares, what a wire does, what a server has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from vdc.model.ip import Address
from vdc.model.topology import Impairment, Server

_SIZES: Final = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_TIMES: Final = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
_RATES: Final = (("Gbit", 10**9), ("Mbit", 10**6), ("kbit", 10**3))


def size_text(size: int) -> str:
    """Return `640 MiB` for bytes, in the largest unit of which there is one, with at most one decimal."""
    unit, of = next(((unit, of) for unit, of in _SIZES if size >= of), ("B", 1))
    return f"{_short(size / of)} {unit}"


def duration_text(seconds: float) -> str:
    """Return `20 ms` for seconds."""
    unit, of = next(((unit, of) for unit, of in _TIMES if seconds >= of), _TIMES[-1])
    return f"{_plain(seconds / of)} {unit}"


def rate_text(rate: int) -> str:
    """Return `100 Mbit` for bits per second."""
    unit, of = next(((unit, of) for unit, of in _RATES if rate >= of), ("bit", 1))
    return f"{_plain(rate / of)} {unit}"


def impairment_text(impairment: Impairment) -> str:
    """Return `delay 10 ms, jitter 2 ms, loss 1 %, rate 1 Gbit`: what of it there is."""
    return ", ".join(_impairments(impairment))


def _impairments(impairment: Impairment) -> Iterator[str]:
    if impairment.delay:
        yield f"delay {duration_text(impairment.delay)}"
    if impairment.jitter:
        yield f"jitter {duration_text(impairment.jitter)}"
    if impairment.loss:
        yield f"loss {_plain(impairment.loss * 100)} %"
    if impairment.rate:
        yield f"rate {rate_text(impairment.rate)}"


def hardware_text(server: Server) -> str:
    """Return `1 vCPU, 640 MiB` and what else a server has that an ordinary one has not."""
    return ", ".join((f"{count_text(server.cpu, 'vCPU')}, {size_text(server.memory)}", *_extras(server)))


def _extras(server: Server) -> Iterator[str]:
    hardware = server.hardware
    if hardware.numa:
        yield count_text(hardware.numa, "NUMA node")
    if hardware.queues > 1:
        yield f"{hardware.queues} queues"
    if hardware.firmware != "bios":
        yield hardware.firmware.upper()
    if hardware.volumes:
        yield count_text(len(hardware.volumes), "volume")
    if server.image is not None:
        yield f"image {server.image}"


def count_text(number: int, what: str) -> str:
    """Return `1 rack` or `2 racks`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def range_text(addresses: Sequence[Address]) -> str:
    """Return `10.64.0.1–16` for addresses of one family that follow each other, else `10.64.0.1 … 31`."""
    if len(addresses) == 1:
        return str(addresses[0])
    numbers = [int(address) for address in addresses]
    between = "–" if all(after == before + 1 for before, after in pairwise(numbers)) else " … "
    first, last = str(addresses[0]), str(addresses[-1])
    separator = "." if addresses[0].version == 4 else ":"
    head, _, tail = last.rpartition(separator)
    return f"{first}{between}{tail if first.rpartition(separator)[0] == head else last}"


def asns_text(asns: Sequence[int]) -> str:
    """Return `AS4200100000`, `AS4200100000–15` for numbers that follow each other, else `AS4200100000 … 31`."""
    if len(set(asns)) == 1:
        return f"AS{asns[0]}"
    between = "–" if all(after == before + 1 for before, after in pairwise(asns)) else " … "
    first, last = str(asns[0]), str(asns[-1])
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return f"AS{first}{between}{last[same:] if len(first) == len(last) else last}"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _plain(number: float) -> str:
    return f"{round(number, 6):g}"
