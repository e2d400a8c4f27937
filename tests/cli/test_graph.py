from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import Golden
from vdc.graph import FORMATS, draw
from vdc.graph.canvas import FACT, HEADING, NAME, PLAIN
from vdc.graph.labels import Quad, overlap
from vdc.graph.mermaid import EDGES
from vdc.model.load import read_topology
from vdc.model.topology import Topology

from .conftest import TOPOLOGIES, Vdc

ROOT = TOPOLOGIES.parent
PICTURES = ROOT / "tests" / "golden" / "pictures"
FILES = {path.stem: path for path in sorted(PICTURES.glob("*.yml"))}
EVERY = {**FILES, **{path.stem: path for path in sorted(TOPOLOGIES.glob("*.yml"))}}
SVG = "{http://www.w3.org/2000/svg}"
FONTS = {font.css: font for font in (HEADING, NAME, PLAIN, FACT)}


def texts(picture: str) -> Iterator[tuple[str, Quad]]:
    """Yield each text of an SVG with the corners of the box it fills."""
    for element in ElementTree.fromstring(picture).iter(f"{SVG}text"):
        font = FONTS[element.attrib["class"].split()[0]]
        x, y = float(element.attrib["x"]), float(element.attrib["y"])
        text = element.text or ""
        width = font.width(text)
        left = {"start": 0.0, "middle": -width / 2, "end": -width}[element.get("text-anchor", "start")]
        turned = re.match(r"rotate\(([-\d.]+)", element.get("transform", ""))
        angle = math.radians(float(turned[1])) if turned else 0.0
        # between the heights of letters and of what hangs below them
        box = ((left, -0.75), (left + width, -0.75), (left + width, 0.15), (left, 0.15))
        sine, cosine = math.sin(angle), math.cos(angle)
        yield (
            text,
            tuple((x + dx * cosine - dy * font.size * sine, y + dx * sine + dy * font.size * cosine) for dx, dy in box),
        )


def overlapping(picture: str) -> list[tuple[str, str]]:
    ordered = sorted(texts(picture), key=lambda each: min(x for x, _ in each[1]))
    found = []
    for at, (text, box) in enumerate(ordered):
        right = max(x for x, _ in box)
        for other, its_box in ordered[at + 1 :]:
            if min(x for x, _ in its_box) >= right:
                break
            if overlap(box, its_box):
                found.append((text, other))
    return found


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", [name for name in FILES if name != "crowd"])
def test_a_picture_is_as_it_was(golden: Golden, name: str, form: str) -> None:
    golden(PICTURES / f"{name}.{form}", draw(read_topology(FILES[name]), form))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EVERY)
def test_no_text_of_an_svg_lies_on_another_or_outside(name: str) -> None:
    picture = draw(read_topology(EVERY[name]), "svg")
    assert overlapping(picture) == []
    root = ElementTree.fromstring(picture)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    outside = [text for text, box in texts(picture) for x, y in box if not (0 <= x <= width and 0 <= y <= height)]
    assert outside == []


def test_what_looks_for_overlapping_texts_finds_them() -> None:
    here = '<text class="name" x="10" y="20">one</text><text class="fact" x="15" y="22">two</text>'
    assert overlapping(f'<svg xmlns="http://www.w3.org/2000/svg">{here}</svg>') == [("one", "two")]


@pytest.mark.parametrize("name", EVERY)
def test_an_svg_shows_every_router_and_rack_and_tells_every_link(name: str) -> None:
    topology = read_topology(EVERY[name])
    root = ElementTree.fromstring(draw(topology, "svg"))
    told = "\n".join(element.text or "" for element in root.iter(f"{SVG}title"))
    shown = {element.text for element in root.iter(f"{SVG}text")}
    assert {f"rack{number}" for number in topology.racks} <= shown
    assert {f"AS{router.asn}" for router in topology.routers} <= shown
    assert {str(router.loopback.ip) for router in topology.routers} <= shown
    assert [router.name for router in topology.routers if f"{router.name}: {router.tier}" not in told] == []
    assert [link for link in topology.links if f"{link.a.device} – {link.b.device}\n" not in told] == []


def test_forty_racks_are_drawn_with_a_count_for_each_role_and_a_dot_for_each_link() -> None:
    topology = read_topology(FILES["crowd"])
    root = ElementTree.fromstring(draw(topology, "svg"))
    shown = [element.text for element in root.iter(f"{SVG}text")]
    assert (shown.count("16 × cs"), shown.count("4 × ss"), shown.count("3 × cs")) == (40, 40, 1)
    dots = [element for element in root.iter(f"{SVG}circle") if "joint" in element.attrib["class"]]
    between = [link for link in topology.links if "tor" in link.b.device]
    assert len(dots) == len(between) + len(topology.tier(topology.router("spine0").tier))
    assert len([dot for dot in dots if "odd" in dot.attrib["class"]]) == 1
    assert "spine1 – rack7-tor1: mtu 1400" in shown


@pytest.mark.parametrize("name", EVERY)
def test_mermaid_is_given_no_more_wires_than_it_draws(name: str) -> None:
    lines = draw(read_topology(EVERY[name]), "mermaid").splitlines()
    assert len([line for line in lines if "---" in line[3:] or "-.-" in line]) <= EDGES
    opened, closed = ([line for line in lines if line.strip().startswith(word)] for word in ("subgraph", "end"))
    assert len(opened) == len(closed)


def test_every_name_in_mermaid_and_dot_that_a_wire_has_is_that_of_a_node() -> None:
    for name in EVERY:
        topology = read_topology(EVERY[name])
        assert _unknown_in_mermaid(draw(topology, "mermaid")) == set(), name
        assert _unknown_in_dot(draw(topology, "dot")) == set(), name


def _unknown_in_mermaid(text: str) -> set[str]:
    nodes = set(re.findall(r"^ +(\w+)[\[(]", text, flags=re.MULTILINE))
    wires = re.findall(r'^ +(\w+) (?:---|-\.-)(?:\|".*?"\|)? (\w+)$', text, flags=re.MULTILINE)
    return {name for wire in wires for name in wire} - nodes


def _unknown_in_dot(text: str) -> set[str]:
    nodes = set(re.findall(r'^ +("[^"]+") \[', text, flags=re.MULTILINE))
    wires = re.findall(r'^ +("[^"]+") -- ("[^"]+") \[', text, flags=re.MULTILINE)
    return {name for wire in wires for name in wire} - nodes


def test_two_pictures_of_a_topology_are_equal(small: Topology) -> None:
    for form in FORMATS:
        assert draw(small, form) == draw(small, form)


@pytest.mark.parametrize("form", FORMATS)
def test_graph_prints_the_picture_with_the_name_given(vdc: Vdc, form: str) -> None:
    said = vdc("graph", str(TOPOLOGIES / "small.yml"), "--format", form, "--name", "mine")
    assert (said.status, said.err) == (0, "")
    assert "mine" in said.out
    assert "rack2-tor1" in said.out


def test_graph_of_a_file_with_a_mistake_exits_2(vdc: Vdc, tmp_path: Path) -> None:
    file = tmp_path / "bad.yml"
    file.write_text("name: bad\nracks: 7\n")
    said = vdc("graph", str(file))
    assert (said.status, said.out) == (2, "")


def test_the_picture_in_the_readme_is_that_of_the_topology(golden: Golden, small: Topology) -> None:
    golden(ROOT / ".github" / "small.svg", draw(small, "svg"))
    assert ".github/small.svg" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def small() -> Topology:
    return read_topology(TOPOLOGIES / "small.yml")
