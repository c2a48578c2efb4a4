"""Where the lab keeps what it builds once, and the locks that guard it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".lab"


def folder(*parts: str) -> Path:
    """Return a folder under the lab's state, made if it is absent."""
    path = STATE.joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the lock of that name against every other process and thread."""
    with (folder("locks") / f"{name}.lock").open("w") as handle:
        # Released by the kernel when the holder dies, so it is never stale.
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
