"""How much is measured of the replicator."""

from dataclasses import dataclass

from bench.figures import MIB


@dataclass(frozen=True)
class Scale:
    """How much is measured: bytes, counts and runs."""

    large: int = 1024 * MIB
    small: int = 200
    shared: int = 256 * MIB
    listed: int = 2000
    huge: int = 10 * 1024 * MIB
    runs: int = 3
    long_runs: int = 2


QUICK = Scale(64 * MIB, 20, 16 * MIB, 100, 256 * MIB, 2, 1)
