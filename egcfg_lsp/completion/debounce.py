"""How long to wait after a key before the model is asked. Pure: the caller brings the clock.

After Tabby's adaptive debounce: someone who types steadily is answered at the first pause, someone
who types slowly, begins a line or asks for it is answered at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

LEAST_SECONDS, MOST_SECONDS = 0.06, 0.3
PAUSE_SECONDS = 1.0
"""A longer interval between two keys is a pause and says nothing of the typing."""
FACTOR = 1.5
"""Of the usual interval between keys: after so long no further key is expected."""
SMOOTHING = 0.3
"""Weight of the newest interval in the moving average."""


@dataclass(frozen=True)
class Rhythm:
    """The intervals between the keys of one person, seconds."""

    interval: float | None = None
    last_key: float | None = None

    def with_key(self, now: float) -> Rhythm:
        """The rhythm after a key at a time of a monotonic clock."""
        if self.last_key is None or now - self.last_key > PAUSE_SECONDS:
            return replace(self, last_key=now)
        newest = now - self.last_key
        usual = newest if self.interval is None else self.interval
        return Rhythm(usual + SMOOTHING * (newest - usual), now)


def debounce_seconds(
    rhythm: Rhythm, *, fixed_ms: int | None, starts_line: bool, is_automatic: bool
) -> float:
    """The wait before the model is asked; `fixed_ms` is the user's setting, None: adaptive."""
    if starts_line or not is_automatic:
        return 0.0
    if fixed_ms is not None:
        return fixed_ms / 1000
    if rhythm.interval is None:
        return LEAST_SECONDS
    return min(max(FACTOR * rhythm.interval, LEAST_SECONDS), MOST_SECONDS)
