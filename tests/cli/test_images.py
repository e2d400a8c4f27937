from __future__ import annotations

import pytest

from .conftest import Vdc


def test_building_all_images_leaves_out_what_is_only_for_comparison(vdc: Vdc, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr("vdc.host.images.ensure", lambda release, _settings, _steps: built.append(release))
    assert vdc("images", "build", uid=0).status == 0
    assert built == ["debian-12", "debian-13"]
    vdc("images", "build", "debian-12-stock", uid=0)
    assert built[2:] == ["debian-12-stock"]
