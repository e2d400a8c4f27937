"""Loses what devices send to some addresses, by nftables (nft(8)) outside them: in a router's namespace, or at the taps
of a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vdc.host import nft
from vdc.model.ip import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A device that sends: a router in its `netns`, or with `taps` a server whose NICs they are."""

    netns: str
    lost: tuple[Address, ...]
    taps: tuple[str, ...] = ()


def drop(senders: Sequence[Sender], key: str) -> None:
    """Lose what each sends to the addresses; `key` is whose doing it is. Raises BuildError."""
    for netns, group in _by_namespace(senders):
        nft.load(netns, ruleset(group, key), about=f"partition:{netns}")


def undo(senders: Sequence[Sender], key: str) -> None:
    """Undo what `drop` did; if nothing was done that is fine."""
    for netns, group in _by_namespace(senders):
        nft.delete(netns, _table(group, key))


def ruleset(senders: Sequence[Sender], key: str) -> str:
    """Return the rules for the senders of one namespace."""
    lines = [line for number, sender in enumerate(senders) for line in _chains(sender, number)]
    return "".join(f"{line}\n" for line in (f"table {_table(senders, key)} {{", *lines, "}"))


def _chains(sender: Sender, number: int) -> Iterator[str]:
    hooks = [f'hook ingress device "{tap}"' for tap in sender.taps] or ["hook output"]
    for place, hook in enumerate(hooks):
        yield f"  chain from{number}-{place} {{"
        yield f"    type filter {hook} priority {-300 if not sender.taps else 0}"
        for word, version in (("ip", 4), ("ip6", 6)):
            if lost := [str(address) for address in sender.lost if address.version == version]:
                yield f"    {word} daddr {{ {', '.join(lost)} }} drop"
        yield "  }"


def _table(senders: Sequence[Sender], key: str) -> str:
    return f"{'netdev' if senders[0].taps else 'inet'} vdc-drop-{key}"


def _by_namespace(senders: Sequence[Sender]) -> Iterator[tuple[str, Sequence[Sender]]]:
    for netns in dict.fromkeys(sender.netns for sender in senders):
        yield netns, [sender for sender in senders if sender.netns == netns]
