"""What authenticates a request: the account's credentials, or the signature of a URL."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from exotel_async.emulator.api_errors import Refusal
from exotel_async.emulator.settings import Settings

_DATE = "X-Amz-Date"
_EXPIRES = "X-Amz-Expires"
SIGNATURE = "X-Amz-Signature"
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"


def is_basic(authorization: bytes, settings: Settings) -> bool:
    """Return whether an Authorization header carries the account's credentials."""
    scheme, _, credentials = authorization.partition(b" ")
    pair = f"{settings.api_key}:{settings.api_token}".encode()
    return scheme.lower() == b"basic" and credentials.strip() == base64.b64encode(pair)


def presigned(path: str, *, minutes: int, now: datetime, settings: Settings) -> str:
    """Return a path with a query that grants anybody access for some minutes, as S3 does."""
    date, expires = now.astimezone(UTC).strftime(_DATE_FORMAT), str(minutes * 60)
    signature = _signature(path, date, expires, settings)
    return f"{path}?{_DATE}={date}&{_EXPIRES}={expires}&{SIGNATURE}={signature}"


def check_presigned(
    path: str, query: Mapping[str, str], *, now: datetime, settings: Settings
) -> None:
    """Raise Refusal, 403, if the signature is wrong or has expired."""
    date, expires = query.get(_DATE, ""), query.get(_EXPIRES, "")
    right = _signature(path, date, expires, settings)
    if not hmac.compare_digest(query[SIGNATURE].encode(), right.encode()):
        raise Refusal(403, "The signature does not match")
    signed = datetime.strptime(date, _DATE_FORMAT).replace(tzinfo=UTC)
    if now >= signed + timedelta(seconds=int(expires)):
        raise Refusal(403, "Request has expired")


def _signature(path: str, date: str, expires: str, settings: Settings) -> str:
    text = f"{path}\n{date}\n{expires}"
    return hmac.new(settings.api_token.encode(), text.encode(), sha256).hexdigest()
