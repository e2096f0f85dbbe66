"""The `ClaimStore` over Redis or Valkey that the documentation has: the protocol must bear one."""

from __future__ import annotations

from typing import Any

from tests.docs.pages import files

_NAMES: dict[str, Any] = {}
exec(files("how-to/callbacks")["claims.py"], _NAMES)  # noqa: S102 - our own page
RedisClaims: Any = _NAMES["RedisClaims"]
