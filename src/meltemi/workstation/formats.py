"""Which disk format a file seems to have."""

from io import BytesIO
from typing import Final

from oslo_utils.imageutils import format_inspector

from meltemi.errors import UsageError
from meltemi.workstation.files import PIECE, LocalFile

_NOT_RAW: Final = frozenset({"iso", "qcow2", "vdi", "vhd", "vhdx", "vmdk"})


def check_raw(file: LocalFile) -> None:
    """Raise UsageError where a file that nobody said anything of begins as raw data does not.

    Such an image would be taken, and no server would start from it. What it is has to be said: to
    believe a file would let who writes to a raw disk make another format of it.
    """
    wrapper = format_inspector.InspectWrapper(BytesIO(file.read(0, PIECE)))
    wrapper.read(PIECE)
    wrapper.close()
    for kind in map(str, wrapper.formats or ()):
        if kind in _NOT_RAW:
            raise UsageError(
                f"{file.label}: it looks like {kind}; say what it is: --disk-format {kind}, or raw"
            )
