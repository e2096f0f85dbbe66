"""Latencies that a file can describe."""

from __future__ import annotations

from random import Random

import attrs

Range = tuple[float, float]


def _check(_: object, field: attrs.Attribute[Range], value: Range) -> None:
    low, high = value
    if not 0 <= low <= high:
        raise ValueError(f"{field.name} is a range from low to high, not {value}")


@attrs.frozen(kw_only=True)
class UniformLatency:
    """Latencies drawn uniformly from two ranges of real seconds, lowest and highest."""

    before: Range = attrs.field(default=(0.0, 0.0), validator=_check)
    """On the way in: until a request arrives."""
    after: Range = attrs.field(default=(0.0, 0.0), validator=_check)
    """On the way out: until its response is sent."""

    def __call__(self, random: Random) -> tuple[float, float]:
        """Draw both for one request."""
        return random.uniform(*self.before), random.uniform(*self.after)
