"""Where the documentation is."""

from __future__ import annotations

from typing import Final

DOCUMENTATION: Final = "https://exotel-async.readthedocs.io"
TUTORIAL: Final = f"{DOCUMENTATION}/en/latest/tutorial.html"
