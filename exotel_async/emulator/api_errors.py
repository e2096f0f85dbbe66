"""Error responses: the status, the text and the code of a RestException."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

KYC_CODE = 340030
"""The only code seen in a live body (VOICE_V1 5.1)."""


@attrs.frozen
class Refusal(Exception):
    """A request that is answered with an error. Raised by endpoints, rendered by the app."""

    status: int
    message: str
    code: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Response headers that belong to the error."""

    def document(self) -> dict[str, object]:
        """Return the body; `Code` only where there is one (VOICE_V1 5.1)."""
        body: dict[str, object] = {"Status": self.status, "Message": self.message}
        if self.code is not None:
            body["Code"] = self.code
        return {"RestException": body}


def bad(message: str) -> Refusal:
    """Return a Refusal with status 400."""
    return Refusal(400, message)
