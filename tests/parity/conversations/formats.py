"""Data of every disk format, declared as what it is and as something else."""

import struct
from collections.abc import Iterator

from tests.parity.asking import Conversation, create, show, talk, upload

_SECTOR = 512


def _qcow2(*, backing: int = 0, features: int = 0, size: int = 1 << 20, version: int = 3) -> bytes:
    fields = (0x514649FB, version, backing, 5 if backing else 0, 16, size, 0, 1, 196608, 0, 1, 0, 0)
    head = struct.pack(">IIQIIQIIQQIIQ", *fields[:13])
    more = struct.pack(">QQQII", features, 0, 0, 4, 104)
    return (head + more).ljust(65536, b"\0") + b"\0" * 65536


def _mbr() -> bytes:
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\1\0", 0x83, b"\0\1\0", 1, 2048)
    return (b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa").ljust(1 << 20, b"\0")


def _gpt() -> bytes:
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, 2047)
    mbr = b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa"
    return (mbr + b"EFI PART" + b"\0\0\1\0").ljust(1 << 20, b"\0")


def _vmdk(kind: str = "monolithicSparse", extent: str = 'RW 2048 SPARSE "disk.vmdk"') -> bytes:
    text = f'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="{kind}"\n'
    text += f"# Extent description\n{extent}\n"
    head = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 1, 3, 2048, 128, 1, 20, 512, 0, 21, 128)
    return (head.ljust(_SECTOR, b"\0") + text.encode().ljust(20 * _SECTOR, b"\0")).ljust(
        1 << 17, b"\0"
    )


def _iso() -> bytes:
    volume = b"\x01CD001\x01\0" + b" " * 72 + struct.pack("<I", 100) + struct.pack(">I", 100)
    volume = volume.ljust(128, b"\0") + struct.pack("<H", 2048) + struct.pack(">H", 2048)
    return (b"\0" * 32768 + volume.ljust(2048, b"\0")).ljust(100 * 2048, b"\0")


def _vdi() -> bytes:
    head = b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0")
    return (
        (head + struct.pack("<I", 0xBEDA107F)).ljust(368, b"\0")
        + struct.pack("<Q", 1 << 20)
        + bytes(4096)
    )


def _vhd() -> bytes:
    fields = struct.pack(
        ">8sIIQI4sI4sQQ", b"conectix", 2, 65536, 512, 0, b"qem2", 0, b"Wi2k", 1 << 20, 1 << 20
    )
    return fields.ljust(_SECTOR, b"\0") + bytes(4096)


DATA: dict[str, bytes] = {
    "qcow2": _qcow2(),
    "qcow2-backing": _qcow2(backing=128),
    "qcow2-data-file": _qcow2(features=4),
    "qcow2-unknown-feature": _qcow2(features=1 << 40),
    "qcow2-version-9": _qcow2(version=9),
    "qcow2-cut": _qcow2()[:50],
    "mbr": _mbr(),
    "gpt": _gpt(),
    "boot-marker": b"\0" * 510 + b"\x55\xaa",
    "vmdk": _vmdk(),
    "vmdk-stream": _vmdk("streamOptimized"),
    "vmdk-flat": _vmdk("monolithicFlat", 'RW 2048 FLAT "/etc/passwd" 0'),
    "vmdk-twogb": _vmdk("twoGbMaxExtentSparse"),
    "iso": _iso(),
    "vdi": _vdi(),
    "vhd": _vhd(),
    "vhdx": b"vhdxfile" + bytes(1 << 18),
    "qed": b"QED\0" + bytes(4096),
    "luks": b"LUKS\xba\xbe\0\1" + bytes(4096),
    "ploop": b"WithoutFreSpacExt\0" + bytes(4096),
    "zeros": bytes(1 << 17),
    "random-text": b"no disk at all " * 9000,
    "short": b"x",
}
_SOME = {
    "vmdk": ("vmdk", "vmdk-stream", "vmdk-flat", "vmdk-twogb", "qcow2", "mbr", "zeros"),
    "iso": ("iso", "mbr", "gpt", "zeros"),
    **{kind: (kind, "qcow2", "zeros") for kind in ("vdi", "vhd", "vhdx", "ploop")},
    **dict.fromkeys(("ami", "ari", "aki"), ("mbr", "qcow2", "zeros")),
}
_DECLARED = ("raw", "qcow2", *_SOME)


def conversations() -> Iterator[Conversation]:
    """Give them."""
    for declared in _DECLARED:
        container = declared if declared in {"ami", "ari", "aki"} else "bare"
        for label in DATA if declared in {"raw", "qcow2"} else _SOME[declared]:
            formats = {"disk_format": declared, "container_format": container}
            yield talk(
                f"formats/{declared}-from-{label}",
                create(formats),
                upload(DATA[label]),
                show(),
            )
    for container in ("ovf", "ova", "docker", "compressed", "ami"):
        formats = {"disk_format": "qcow2", "container_format": container}
        yield talk(f"formats/in-{container}", create(formats), upload(DATA["mbr"]), show())
