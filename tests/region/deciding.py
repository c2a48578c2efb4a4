"""Whoever may ask, what they may ask about, and what Glance says to that."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lab import venvs
from meltemi.region.context import Context

CONTEXTS: Final[Sequence[Mapping[str, Any]]] = [
    {"user_id": "u", "project_id": "p", "roles": []},
    {"user_id": "u", "project_id": "p", "roles": ["reader"]},
    {"user_id": "u", "project_id": "p", "roles": ["member", "reader"]},
    {"user_id": "u", "project_id": "p", "roles": ["admin", "member", "reader"]},
    {"user_id": "u", "project_id": "p", "roles": ["service"]},
    {"user_id": "u", "project_id": "p", "roles": ["member"], "service_roles": ["service"]},
    {"user_id": "v", "project_id": "q", "roles": ["member", "reader", "billing"]},
    {"user_id": "u", "domain_id": "d", "roles": ["admin", "member", "reader"]},
    {"user_id": "u", "system_scope": "all", "roles": ["admin", "reader"]},
    {"user_id": "u", "roles": ["member", "reader"]},
]

TARGETS: Final[Sequence[Mapping[str, Any]]] = [
    {},
    *(
        {"project_id": "q", "owner": "q", "member_id": member, "visibility": visibility}
        for member in ("p", None)
        for visibility in ("private", "shared", "community", "public")
    ),
    {"project_id": "p", "owner": "p", "member_id": None, "visibility": "private"},
    {"project_id": None, "owner": None, "member_id": None, "visibility": "private"},
    {"project_id": "p", "owner": "q", "visibility": "private", "hw_disk_bus": "scsi"},
]


def contexts() -> list[Context]:
    """Give those who may ask, as a region knows them."""
    return [
        Context(
            user=facts.get("user_id"),
            project=facts.get("project_id"),
            domain=facts.get("domain_id"),
            system_scope=facts.get("system_scope"),
            roles=frozenset(facts["roles"]),
            service_roles=frozenset(facts.get("service_roles", ())),
        )
        for facts in CONTEXTS
    ]


def ask_glance(
    *,
    policy_file: Path | None = None,
    protections: Path | None = None,
    format: str = "roles",  # noqa: A002 - the question's own word
    properties: Sequence[str] = (),
) -> dict[str, Any]:
    """Have Glance's own code decide."""
    question = {
        "policy_file": str(policy_file or ""),
        "protections": str(protections or ""),
        "format": format,
        "contexts": CONTEXTS,
        "targets": TARGETS,
        "properties": properties,
    }
    python = venvs.environment("glance") / "bin" / "python"
    script = Path(__file__).with_name("asking_glance.py")
    done = subprocess.run(
        [str(python), "-I", str(script)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
