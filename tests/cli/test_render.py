from __future__ import annotations

import json

from vdc.cli.render import status_json, status_text
from vdc.datacenter.status import Row, Status

DEGRADED = Status(
    name="mine",
    topology="small",
    state="degraded",
    reasons=("spine0: BIRD does not run",),
    rows=(
        Row(name="spine0", kind="spine", state="degraded", detail="BIRD does not run\nits log: …"),
        Row(name="rack0-cs0", kind="server", state="up", detail="BGP and BFD up with 2 of 2 peers"),
    ),
)


def test_a_degraded_data_centre_is_told_with_its_reasons_and_a_line_for_each_device() -> None:
    assert status_text(DEGRADED).splitlines() == [
        "mine (small): degraded",
        "  spine0: BIRD does not run",
        "",
        "device     kind    state     detail",
        "spine0     spine   degraded  BIRD does not run",
        "rack0-cs0  server  up        BGP and BFD up with 2 of 2 peers",
    ]


def test_the_state_as_json_holds_all_of_it() -> None:
    told = json.loads(json.dumps(status_json(DEGRADED)))
    assert told["state"] == "degraded"
    assert told["reasons"] == ["spine0: BIRD does not run"]
    assert [device["name"] for device in told["devices"]] == ["spine0", "rack0-cs0"]
    assert told["devices"][0]["detail"] == "BIRD does not run\nits log: …"
