"""How often documents may be rendered, so that rendering never takes the event loop from everything else."""

from __future__ import annotations


class Governor:
    """Keeps rendering within a share of the event loop, however many documents there are.

    Each document renders no more often than its pace says, and less often when all of them together would take more
    than `SHARE` of the loop: frames then hold more text, and no stream falls behind.
    """

    SHARE = 0.4
    WEIGHT = 0.05  # of the newest cost in the average

    def __init__(self) -> None:
        self._cost = 0.0
        self._documents = 0

    def note(self, seconds: float, documents: int) -> None:
        """Learn what a frame has cost, and how many documents there are."""
        self._cost += self.WEIGHT * (seconds - self._cost)
        self._documents = documents

    def interval(self, frame_seconds: float) -> float:
        """Return the least time between two frames of one document, in seconds; `frame_seconds` is what it wants."""
        return max(frame_seconds, self._cost * self._documents / self.SHARE)


governor = Governor()
