"""Reading `--match`, `--exclude` and `--where`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from meltemi.model.provenance import short
from meltemi.model.route import Rules, Selection
from meltemi.replication.selection import Selector

_PROPERTY = "property:"


def adhoc_name(command: str, options: Mapping[str, Any]) -> str:
    """Name the route of a command line: the same for the same selection.

    What one selection has brought is not removed for another one.
    """
    words = [*sorted(options["match"]), *sorted(options["exclude"]), options["where"] or ""]
    return f"{command} {short(words)}" if any(words) else command


def selection_from(options: Mapping[str, Any]) -> Selection:
    """Make the selection of a command's options.

    All of `--match` is one rule: values of one key are alternatives, different keys must all
    fit. Each `--exclude` is a rule by itself. Raise UsageError for a `--where` that cannot work.
    """
    match = options["match"]
    selection = Selection(
        match=(_rules(match, "--match"),) if match else (),
        exclude=tuple(_rules([word], "--exclude") for word in options["exclude"]),
        where=options["where"],
    )
    Selector(selection, now=datetime.now(UTC))  # what is mistyped is told before anything opens
    return selection


def _rules(words: Iterable[str], hint: str) -> Rules:
    from pydantic import ValidationError  # noqa: PLC0415 - slow to import, and seldom needed

    from meltemi.config.schema import RuleEntry  # noqa: PLC0415
    from meltemi.documents.problems import plain  # noqa: PLC0415

    tests: dict[str, Any] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not (separator and value):
            raise click.BadParameter(f"{word!r} is not KEY=VALUE", param_hint=hint)
        if key.startswith(_PROPERTY):
            properties = tests.setdefault("property", {})
            properties.setdefault(key.removeprefix(_PROPERTY), []).append(value)
        elif key == "property":
            raise click.BadParameter("write property:NAME=GLOB", param_hint=hint)
        elif key.startswith(("min_", "max_")):
            if key in tests:
                raise click.BadParameter(f"{key} is given twice", param_hint=hint)
            tests[key] = value
        else:
            tests.setdefault(key, []).append(value)
    try:
        return RuleEntry.model_validate(tests).rules()
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0]) if problem["loc"] else " ".join(words)
        reason = plain(problem)
        if problem["type"] == "extra_forbidden":
            reason = f"unknown key; there are {', '.join(RuleEntry.model_fields)}"
        elif problem["type"] == "literal_error":
            reason = f"{problem['input']!r} is none; it {reason}"
        raise click.BadParameter(f"{key}: {reason}", param_hint=hint) from None
