"""The pictures of the documentation are made of what is there."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.pages import ROOT

pytestmark = pytest.mark.slow(15)


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs/pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_display_of_a_campaign(pictures: ModuleType) -> None:
    made = pictures.live_view(seconds=2)
    kept = (ROOT / "docs/_static/live-view.svg").read_text(encoding="utf-8")
    for picture in (made, kept):
        shown = re.sub(r"<[^>]*>", "", picture).replace("&#160;", " ")
        assert "exotel-async dial leads.csv" in shown
        assert "of 400 contacts" in shown
        assert "of 60 channels in use" in shown
        assert "url(http" not in picture  # it loads nothing


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
async def test_the_emulators_page(pictures: ModuleType, tmp_path: Path) -> None:
    made = tmp_path / "emulator.png"
    await pictures.emulators_page(made)
    kept = ROOT / "docs/_static/emulator.png"
    for picture in (made, kept):
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert picture.stat().st_size > 20_000  # a page that shows nothing is smaller
