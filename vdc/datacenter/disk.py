"""A disk of a server, live: QEMU disturbs it from beneath, and the guest says what it finds."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, Protocol

from vdc.datacenter.disks import Loss, Operation, Trial
from vdc.datacenter.sectors import flipped, sectors_of
from vdc.errors import BuildError, CommandError, InputError, WaitTimeout
from vdc.host import processes, write_log
from vdc.host.blocks import Block, write_pieces
from vdc.shell import Completed
from vdc.wait import NotYet, wait_for

_TRIAL_SECONDS: Final = 20.0
_UNFLUSHED_SECONDS: Final = 30.0
_POLL: Final = 0.001
_ENOUGH: Final = 4  # writes, so that some are left if a flush comes before the end
_SPENT: Final = re.compile(r" copied, ([0-9.e-]+) s")

_FIND: Final = """\
disk=; folder=
for each in /sys/block/*; do
    [ "$(cat "$each/serial" 2>/dev/null)" != '{serial}' ] || disk=/dev/${{each##*/}}
done
[ -n "$disk" ] || {{ echo 'there is no disk {serial}' >&2; exit 1; }}
folder=$(findmnt -n -o TARGET --first-only --source "$disk") || {{ echo "$disk is not mounted" >&2; exit 1; }}
trial=$folder/.vdc-trial
export LC_ALL=C
"""

_TRIALS: Final[Mapping[Operation, str]] = {
    Operation.READ: 'dd if="$trial" of=/dev/null bs=4096 count={count} iflag=direct',
    Operation.WRITE: 'dd if=/dev/zero of="$trial" bs=4096 count={count} oflag=direct conv=notrunc',
    Operation.FLUSH: (
        "for n in $(seq {count}); do"
        '    dd if=/dev/zero of="$trial" bs=4096 count=1 oflag=direct conv=notrunc,fsync || exit; done'
    ),
    Operation.GROW: (
        'dd if=/dev/zero of="$trial.new" bs=4096 count={count} conv=fsync; came=$?; rm -f "$trial.new"; exit $came'
    ),
}

# what is measured is the disk, so the blocks that are written over must be there already
_PREPARE: Final = """\
[ "$(stat -c %s "$trial" 2>/dev/null)" = 262144 ] || dd if=/dev/zero of="$trial" bs=4096 count=64 conv=fsync status=none
"""

WHERE: Final = """\
file={file}
[ "$(stat -L -c %d "$file")" = "$(stat -c %d "$folder")" ] || {{ echo "$file is not on $disk" >&2; exit 1; }}
sync; filefrag -e -v "$file"
"""

_FILL: Final = """\
free() { stat -f -c '%f %S' "$folder" | { read blocks size; echo $((blocks * size)); }; }
end=$(stat -c %s "$folder/.vdc-full" 2>/dev/null || echo 0)
size=$(free)
while [ "$size" -ge 4096 ]; do
    if fallocate -o "$end" -l "$size" "$folder/.vdc-full" 2>/dev/null; then
        end=$((end + size)) size=$(free)
    else
        size=$((size / 2 / 4096 * 4096))
    fi
done
"""

_WRITE_ON: Final = """\
(while dd if=/dev/urandom of="$trial" bs=4096 count=64 oflag=direct conv=notrunc status=none; do :; done) \
    >/dev/null 2>&1 </dev/null &
"""


class Guest(Protocol):
    """What runs commands in the guest."""

    def __call__(
        self, argv: list[str], *, timeout: float = ..., check: bool = ..., stdin: str | None = ...
    ) -> Completed:
        """Run one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDisk:
    """Implements `vdc.datacenter.disks.Disk`. `folder` keeps what another process needs to undo something; without a
    `block` the disk cannot be struck, and `why` tells.
    """

    name: str
    serial: str
    block: Block | None
    why: str
    run: Guest
    folder: Path
    process_file: Path
    slowness: float

    def lacks(self) -> str | None:
        """Return why it cannot be struck, or None."""
        return self.lacks_files() if self.block is not None else self.why

    def lacks_files(self) -> str | None:
        """Return why it cannot be filled, or None."""
        if others := self.layers():
            return f"something is done to its disk {self.name} already: {', '.join(others)}"
        try:
            self._script("")
        except (CommandError, WaitTimeout) as error:
            return f"the guest has no file system on its disk {self.name}: {error.message}"
        return None

    def layers(self) -> tuple[str, ...]:
        """Return the keys of what is between the guest and its image now."""
        return self.block.layers() if self.block is not None else ()

    def slow(self, key: str, operations: int) -> None:
        """Serve at most so many reads and writes a second."""
        self._script(_PREPARE)
        self._block().slow(key, operations)

    def fail(self, key: str, operations: Collection[Operation]) -> None:
        """Fail these with an I/O error."""
        self._script(_PREPARE)
        self._block().fail(key, [each.value for each in operations])

    def pull(self) -> None:
        """Pull it out."""
        self._block().pull()

    def fill(self) -> None:
        """Take all that is free in its file system."""
        self._script(_PREPARE + _FILL)

    def empty(self) -> None:
        """Give it back."""
        self._script('rm -f "$folder/.vdc-full"\n')

    def damage(self, key: str, file: str, sectors: int, seed: int) -> None:
        """Flip a bit in each of some sectors of a file. What they had is kept until they are restored."""
        block, dice = self._block(), Random(seed)
        said = self._script(WHERE.format(file=shlex.quote(file))).stdout
        found = sectors_of(said)
        if len(found) < sectors:
            raise InputError(f"{file} on disk {self.name} has {len(found)} sectors on the disk, not {sectors}")
        chosen = sorted(dice.sample(found, sectors))
        with block.still():
            before = {sector: block.read(sector) for sector in chosen}
            after = {sector: flipped(data, dice) for sector, data in before.items()}
            self._kept(key, "damage").write_text(json.dumps({"before": _text(before), "after": _text(after)}))
            block.write(after, self._kept(key, "pieces"))
        self._script("sync; echo 1 > /proc/sys/vm/drop_caches\n")

    def damaged(self, key: str) -> int:
        """Return how many sectors the guest reads as they were damaged."""
        damage = self._damage(key)
        if damage is None:
            return 0
        wanted = damage["after"]
        return sum(1 for sector, data in self._seen(wanted).items() if data == wanted[sector])

    def cut_power(self, key: str, seed: int) -> Loss:
        """Kill QEMU while the guest writes, and write to the image what a disk with a volatile cache would have kept.

        What the guest writes before that is held back from the image, so nothing can be there that was not flushed.
        """
        block, log = self._block(), self._kept(key, "writes")
        block.hold_back(key, self._kept(key, "overlay"), log)
        self._script(_PREPARE + _WRITE_ON)
        try:
            wait_for(
                partial(_expect_unflushed, log),
                what=f"writes to disk {self.name} that are not flushed",
                timeout=_UNFLUSHED_SECONDS * max(1.0, self.slowness),
                interval=_POLL,
            )
        finally:
            self._kill(block)
            loss = self._settle(key, seed)
        return loss

    def restore(self, key: str) -> None:
        """Undo all that has this key; a guest that runs with what it writes held back has lost nothing yet."""
        block, log = self._block(), self._kept(key, "writes")
        if log.exists():
            if key in self.layers():
                self._kill(block)
            if not block.running() or any(write_log.parse(log.read_bytes())):
                self._settle(key, None)
        block.remove(key)
        log.unlink(missing_ok=True)  # of one that was killed before anything was held back
        self._kept(key, "overlay").unlink(missing_ok=True)
        self._repair(key, block)

    def tidy(self, key: str) -> None:
        """Remove the file that trials read and write, and what is kept to put damage right."""
        self._script('rm -f "$trial" "$trial.new"\n')
        self._kept(key, "damage").unlink(missing_ok=True)

    def trial(self, operation: Operation, count: int = 1) -> Trial:
        """Let the guest do something so many times, by 4 KiB. Raises NotYet: it does not answer."""
        script = f"{_PREPARE}{_TRIALS[operation].format(count=count)}\n"
        try:
            done = self._script(script, check=False)
        except (CommandError, WaitTimeout) as error:
            raise NotYet(f"the guest does not tell: {error.message}") from error
        seconds = sum(float(each) for each in _SPENT.findall(done.stderr))
        return Trial(seconds=seconds, error="" if done.status == 0 else _complaint(done.stderr))

    def _kill(self, block: Block) -> None:
        """End QEMU at once, and wait until libvirt knows it."""
        processes.end([int(self.process_file.read_text(encoding="utf-8"))])

        def off() -> None:
            if block.running():
                raise NotYet("libvirt takes it for running")

        wait_for(off, what=f"{block.domain} to be off", timeout=_TRIAL_SECONDS, interval=0.01)

    def _repair(self, key: str, block: Block) -> None:
        """Write what damaged sectors had; those that were written since are as they should be.

        Raises BuildError: some are damaged even so.
        """
        damage = self._damage(key)
        if damage is None:
            return
        self._forget_pages()  # else the guest would write damage that it read with what it writes next
        with block.still():
            damaged = [sector for sector, data in damage["after"].items() if block.read(sector) == data]
            block.write({sector: damage["before"][sector] for sector in damaged}, self._kept(key, "pieces"))
            if left := [sector for sector in damaged if block.read(sector) == damage["after"][sector]]:
                raise BuildError(f"disk:{block.file.name}", f"sectors {left} were written, and are damaged")
        self._forget_pages()

    def _forget_pages(self) -> None:
        """Let the guest write its page cache and forget it; one that does not answer loses it when it starts anew."""
        with suppress(CommandError, WaitTimeout):
            self._script("sync; echo 1 > /proc/sys/vm/drop_caches\n")

    def _settle(self, key: str, seed: int | None) -> Loss:
        """Write to the image what it has in the end; without a seed nothing is lost.

        Raises BuildError: the server was started in between, from an image that lacks all that.
        """
        block, log, overlay = self._block(), self._kept(key, "writes"), self._kept(key, "overlay")
        if block.running():
            raise BuildError(f"disk:{block.file.name}", f"{block.domain} was started before its writes were there")
        entries = tuple(write_log.parse(log.read_bytes()))
        if seed is None:
            entries = (*entries, write_log.Entry(flush=True))
        outcome = write_log.after_power_loss(entries, Random(seed))
        write_pieces(block.file, block.format, dict(write_log.extents(outcome.sectors)), self._kept(key, "pieces"))
        overlay.unlink(missing_ok=True)
        log.unlink()
        return Loss(kept=outcome.kept, unflushed=outcome.unflushed, lost=outcome.lost, torn=outcome.torn)

    def _seen(self, sectors: Collection[int]) -> Mapping[int, bytes]:
        """Return sectors as the guest reads them from the disk, past its page cache."""
        dump = 'dd if="$disk" bs=512 count=1 iflag=direct status=none skip={} | base64 -w0; echo\n'
        said = self._script("".join(dump.format(sector) for sector in sectors)).stdout.splitlines()
        return {sector: base64.b64decode(line) for sector, line in zip(sectors, said, strict=True)}

    def _damage(self, key: str) -> Mapping[str, Mapping[int, bytes]] | None:
        file = self._kept(key, "damage")
        if not file.exists():
            return None
        told = json.loads(file.read_text(encoding="utf-8"))
        return {when: {int(each): base64.b64decode(data) for each, data in told[when].items()} for when in told}

    def _script(self, text: str, *, check: bool = True) -> Completed:
        script = _FIND.format(serial=self.serial) + text
        return self.run(["sh", "-s"], stdin=script, timeout=_TRIAL_SECONDS, check=check)

    def _kept(self, key: str, what: str) -> Path:
        self.folder.mkdir(exist_ok=True)
        return self.folder / f"{key}.{what}"

    def _block(self) -> Block:
        if self.block is None:
            raise InputError(self.why)
        return self.block


def _expect_unflushed(log: Path) -> None:
    found = write_log.unflushed(write_log.parse(log.read_bytes()))
    if found < _ENOUGH:
        raise NotYet(f"{found} writes are not flushed")


def _text(sectors: Mapping[int, bytes]) -> Mapping[str, str]:
    return {str(sector): base64.b64encode(data).decode() for sector, data in sectors.items()}


def _complaint(said: str) -> str:
    """Return what dd(1) complained of, without its figures."""
    lines = [line for line in said.splitlines() if "records " not in line and " copied, " not in line]
    return " ".join(lines)[-300:] or "it failed and says nothing"
