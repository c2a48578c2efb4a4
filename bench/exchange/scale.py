"""How much is measured of the exchange."""

from dataclasses import dataclass

from bench.figures import MIB


@dataclass(frozen=True)
class Scale:
    """Bytes and runs."""

    disk: int | None = None
    """Bytes taken of each disk image; None for all."""
    streamed: int = 256 * MIB
    """Bytes of which is measured how long they take as they are."""
    runs: int = 3


QUICK = Scale(disk=96 * MIB, streamed=16 * MIB, runs=1)
