"""The names of services, as dnsmasq reads them."""

from __future__ import annotations

from tests.cluster.kubernetes.agent.fake_api import endpoint, endpoint_slice, service
from vdc.cluster.kubernetes.agent.objects import read_service, read_slice
from vdc.cluster.kubernetes.agent.records import hosts_text

HEADLESS = service("db", clusterIP="None")


def _text(services: list[dict[str, object]], slices: list[dict[str, object]]) -> str:
    return hosts_text(map(read_service, services), map(read_slice, slices), "cluster.local")


def test_a_service_has_its_address() -> None:
    assert _text([service("web", clusterIP="10.96.0.7")], []) == "10.96.0.7 web.vdc.svc.cluster.local\n"


def test_a_headless_service_has_its_ready_endpoints_each_with_a_name_of_its_own() -> None:
    slices = [
        endpoint_slice("db", endpoint("10.80.0.2", hostname="db-0"), endpoint("10.80.0.3", ready=False)),
        endpoint_slice("db", endpoint("10.80.0.4")),
    ]
    assert _text([HEADLESS], slices) == (
        "10.80.0.2 db-0.db.vdc.svc.cluster.local db.vdc.svc.cluster.local\n"
        "10.80.0.4 10-80-0-4.db.vdc.svc.cluster.local db.vdc.svc.cluster.local\n"
    )


def test_what_moves_from_a_slice_to_another_is_there_once() -> None:
    slices = [endpoint_slice("db", endpoint("10.80.0.2", ready=False)), endpoint_slice("db", endpoint("10.80.0.2"))]
    assert _text([HEADLESS], slices).count("10.80.0.2") == 1
    assert _text([HEADLESS], slices[::-1]) == _text([HEADLESS], slices)


def test_what_has_no_address_has_no_name() -> None:
    assert _text([service("out", type="ExternalName", externalName="example.org"), HEADLESS], []) == ""


def test_the_order_is_always_the_same() -> None:
    services = [service(name, clusterIP=f"10.96.0.{number}") for number, name in enumerate("cab", start=1)]
    assert _text(services, []) == _text(services[::-1], [])
