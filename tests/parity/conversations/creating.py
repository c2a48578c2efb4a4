"""Creating images."""

from collections.abc import Iterator
from typing import Any

from tests.parity.asking import (
    Conversation,
    create,
    delete,
    each,
    everywhere,
    identifier,
    show,
    talk,
)

WRONG: dict[str, tuple[Any, ...]] = {
    "name": (5, True, [], {}, "x" * 255, "x" * 256, "", " ", None, "é", "a\nb", "a\x00b", "<b>&"),
    "disk_format": ("rubbish", 5, None, "", "RAW", [], "iso", "vhdx"),
    "container_format": ("rubbish", 5, None, "", "compressed", "bare", "docker"),
    "visibility": (
        "rubbish",
        5,
        None,
        "",
        "PUBLIC",
        [],
        "public",
        "private",
        "community",
        "shared",
    ),
    "protected": ("true", 1, 0, None, "", [], True, False),
    "os_hidden": ("true", 1, None, [], True, False),
    "min_disk": (-1, "5", 1.5, 1.0, None, True, [], 0, 2**31 - 1, 2**31, 2**63),
    "min_ram": (-1, "5", 1.5, 1.0, None, True, {}, 0, 2**31 - 1, 2**31, 2**63),
    "owner": (5, "somebody", None, "", "x" * 255, "x" * 256, [], "é"),
    "tags": (
        *("a", 5, None, {}, [5], [None], [["a"]], [], ["a", "a"], ["b", "a"], [""], [" a "]),
        *(["x" * 255], ["x" * 256], ["é"], ["a,b"], [f"t{n}" for n in range(128)]),
        [f"t{n}" for n in range(129)],
    ),
    "id": (5, "rubbish", "", None, identifier("x").upper(), identifier("y").replace("-", ""), []),
    "status": ("active", "queued", 5, None),
    "checksum": ("a", None),
    "size": (5, None, "5"),
    "virtual_size": (5, None),
    "created_at": ("2020-01-01T00:00:00Z", None, 5),
    "updated_at": ("2020-01-01T00:00:00Z",),
    "os_hash_algo": ("sha512",),
    "os_hash_value": ("00",),
    "direct_url": ("file:///x",),
    "self": ("/v2/images/x",),
    "file": ("/v2/images/x/file",),
    "schema": ("/v2/schemas/image",),
    "stores": ("chunks",),
    "locations": ([], [{"url": "file:///etc/passwd", "metadata": {}}], 5, None, [{}]),
    "location": ("x",),
    "deleted": (False,),
    "deleted_at": (None, "x"),
    "kernel_id": (None, "", "rubbish", identifier("k"), 5),
    "ramdisk_id": (None, "rubbish", identifier("r")),
    "instance_uuid": (None, "rubbish", identifier("i")),
    "architecture": ("x86_64", 5, "", None),
    "os_distro": ("debian", 5),
    "os_version": ("12", 5),
    "custom": ("text", "", " ", 5, True, None, [], {}, 1.5, "x" * 65535, "é", "a\nb", "x" * 70000),
    "os_glance_import_task": ("x",),
    "os_glance_": ("x",),
    "os_glance": ("x",),
    "block_device_mapping": ("[]", []),
    "": ("x",),
    " ": ("x",),
    "with space": ("x",),
    "with/slash": ("x",),
    "with~tilde": ("x",),
    "é": ("x",),
    "Name": ("x",),
    "x" * 255: ("x",),
    "x" * 256: ("x",),
    "image_id": ("x",),
    "properties": ({"a": "b"}, "x"),
    "is_public": (True, "True"),
    "links": ("x",),
    "metadata": ("x",),
    "extra_properties": ("x", {}),
}
"""Values of each attribute, and of properties; some are right after all."""


def conversations() -> Iterator[Conversation]:
    """Give them."""
    for name, values in WRONG.items():
        label = name if len(name) < 20 else f"x{len(name)}"
        asked = [create({name: value}) for value in values]
        yield from everywhere([talk(f"create/value/{label}", asked)], "alice")
    everything = {
        "name": "all",
        "disk_format": "qcow2",
        "container_format": "bare",
        "visibility": "private",
        "protected": True,
        "os_hidden": True,
        "min_disk": 3,
        "min_ram": 512,
        "tags": ["one", "two"],
        "os_distro": "debian",
        "hw_disk_bus": "scsi",
        "kernel_id": identifier("kernel"),
    }
    yield from everywhere(
        [
            talk("create/nothing", create(), show()),
            talk("create/everything", create(everything), show()),
            talk(
                "create/twice",
                create({"id": "<id.chosen>"}),
                create({"id": "<id.chosen>"}, keep="other"),
            ),
            talk("create/two-names", create({"name": "a"}), create({"name": "a"}, keep="other")),
            talk(
                "create/burnt-id",
                create({"id": "<id.burnt>"}),
                delete("/v2/images/<image>"),
                create({"id": "<id.burnt>"}, keep="other"),
                show(),
            ),
            talk(
                "create/upper-case-id",
                create({"id": identifier("upper").upper()}),
                show(),
                create({"id": identifier("upper")}, keep="other"),
            ),
            talk("create/many-properties", create({f"p{n}": "v" for n in range(128)})),
            talk("create/too-many-properties", create({f"p{n}": "v" for n in range(129)})),
            talk("create/two-wrong", create({"min_disk": "x", "name": 5})),
            talk("create/wrong-and-readonly", create({"min_disk": "x", "self": "y"})),
        ],
        "alice",
    )
    yield from each(
        "create/owner-as",
        {
            f"{user}-{owner}": [create({"owner": value}, user=user), show(user=user)]
            for user in ("admin", "alice", "amy", "nova", "norole")
            for owner, value in {
                "red": "<project.red>",
                "blue": "<project.blue>",
                "other": "x",
                "none": None,
            }.items()
        },
        world="keystone",
    )
    yield from each(
        "create/visibility-as",
        {
            f"{user}-{visibility}": [create({"visibility": visibility}, user=user), show(user=user)]
            for user in ("admin", "alice", "amy", "nova", "norole", "forged", "nobody")
            for visibility in ("public", "private", "community", "shared")
        },
        world="keystone",
    )
