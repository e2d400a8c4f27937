"""What another process brought up goes with this one."""

from __future__ import annotations

import json
import os
from pathlib import Path

from vdc.datacenter.live import UP, boot_id, is_up, process_identity
from vdc.datacenter.ownership import tie


def test_what_is_tied_is_up_as_long_as_this_process_is(tmp_path: Path) -> None:
    (tmp_path / UP).write_text(json.dumps({"boot": boot_id(), "owner": None, "seconds": {"up": 1.0}}))
    tie(tmp_path)
    up = json.loads((tmp_path / UP).read_text())
    assert up == {"boot": boot_id(), "owner": process_identity(os.getpid()), "seconds": {"up": 1.0}}
    assert is_up(tmp_path)
    (tmp_path / UP).write_text(json.dumps({**up, "owner": [up["owner"][0], 0]}))
    assert not is_up(tmp_path), "that process was another one"
