"""The options that commands share. Each is an environment variable too: MELTEMI_<NAME>."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from meltemi.model.route import Limits, OnConflict, OnSourceDeletion, Policy
from meltemi.model.token import is_token
from meltemi.model.units import parse_bandwidth, parse_duration, parse_size

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

LEGACY_DROPS: Final = "created_at date deleted_at location updated_at"


class Option(click.Option):
    """An option that the environment can give as well."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.envvar is None and self.name:
            self.envvar = f"MELTEMI_{self.name.upper()}"

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """Read the variable; for an option that may be repeated, split it as a shell would."""
        text = self.resolve_envvar_value(ctx)
        if text is None or not self.multiple:
            return super().value_from_envvar(ctx)
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            raise click.BadParameter(
                f"cannot be split into words: {str(error).lower()}", ctx=ctx, param_hint=self.envvar
            ) from None


class Parsed(click.ParamType[object]):
    """A value read by a function of the model, whose ValueError becomes a usage error."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Read what the user or the environment gave; defaults may be read already."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class FilePath(click.Path):
    """The path of a file; the empty one, which would be the folder here, is none."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Read what the user or the environment gave."""
        if value == "":
            self.fail("an empty path; name a file", param, ctx)
        return super().convert(value, param, ctx)


def whole(least: int, most: int | None = None) -> Parsed:
    """Take whole numbers of a range."""
    span = f"of {least} or more" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise ValueError(f"{text!r} is not a whole number {span}")
        return number

    return Parsed("number", parse)


def _parse_silence(text: str) -> timedelta:
    span = parse_duration(text)
    if not span:
        raise ValueError("a library needs some time to answer; give at least 1s")
    return span


def _parse_token(text: str) -> str:
    """Take off the line's end that a token read from a file has; never quote it: it is secret."""
    token = text.rstrip("\r\n")
    if not is_token(token):
        raise ValueError("a token is of ASCII characters, without blanks or line breaks")
    return token


SMALLEST_CHUNK: Final = 64 * 2**10
LARGEST_CHUNK: Final = 16 * 2**20


def _parse_chunk(text: str) -> int:
    size = parse_size(text)
    if not 0 < size <= LARGEST_CHUNK:
        raise ValueError("a chunk has 64k to 16M bytes; less is raised to 64k")
    return max(size, SMALLEST_CHUNK)


CHUNK: Final = Parsed("size", _parse_chunk)
DURATION: Final = Parsed("duration", parse_duration)
BANDWIDTH: Final = Parsed("bandwidth", parse_bandwidth)
SILENCE: Final = Parsed("duration", _parse_silence)
TOKEN: Final = Parsed("token", _parse_token)


def option(*names: str, **kwargs: Any) -> Decorator:
    """Declare an option."""
    return click.option(*names, cls=Option, **kwargs)


def together(*decorators: Decorator) -> Decorator:
    """Combine options, in the order in which the help shows them."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


UNUSED: Final = "Accepted as glance-replicator did; of no effect here."
_LEGACY: Final[Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]]] = {
    "metaonly": (("-m", "--metaonly"), {"is_flag": True}),
    "dontreplicate": (("-D", "--dontreplicate"), {}),
    "sourcetoken": (("--sourcetoken",), {"type": TOKEN}),
    "targettoken": (("--targettoken",), {"type": TOKEN}),
    "chunksize": (("--chunksize",), {"type": CHUNK}),
}

connection_options = together(
    option("--cacert", type=FilePath(), help="Trust these certificates instead."),
    option("--insecure", is_flag=True, help="Do not verify certificates."),
    option(
        "--timeout",
        type=SILENCE,
        default="2m",
        show_default=True,
        help="How long a library may be silent.",
    ),
    option("-d", "--debug", is_flag=True, help="Log everything, and show tracebacks."),
    option("-v", "--verbose", is_flag=True, help="Log what is done."),
)

index_option = option(
    "--index",
    metavar="URL",
    help="The index of an archive in a bucket: sqlite:////path/to/file or "
    "postgresql://user@host/database.",
)


def _token_option(*names: str, of: str) -> Decorator:
    return option(*names, type=TOKEN, help=f"A token for {of} given by URL.")


token_option = _token_option("-t", "--token", of="libraries")
_target_token = _token_option("--targettoken", of="targets")
source_token_options = together(token_option, _token_option("--sourcetoken", of="a source"))
target_token_options = together(token_option, _target_token)
token_options = together(source_token_options, _target_token)


def legacy_options(*names: str) -> Decorator:
    """Accept options of glance-replicator that mean nothing to a command: every verb had them."""
    return together(
        *(option(*_LEGACY[name][0], hidden=True, help=UNUSED, **_LEGACY[name][1]) for name in names)
    )


file_argument = click.argument(
    "file",
    metavar="[FILE]",
    default="meltemi.yaml",
    envvar="MELTEMI_FILE",
    type=FilePath(),
)

selection_options = together(
    option(
        "--match",
        multiple=True,
        metavar="KEY=VALUE",
        help="Carry only these: name (a glob), id, visibility, owner, tag, property:NAME, "
        "disk_format, container_format, status, min_size, max_size, min_age, max_age. "
        "Values of one key are alternatives; different keys must all fit.",
    ),
    option(
        "--exclude",
        multiple=True,
        metavar="KEY=VALUE",
        help="Leave out what fits any of these; keys as above.",
    ),
    option("--where", metavar="CEL", help="Carry only images of which this expression is true."),
)

archiving_options = together(
    option("-m", "--metaonly", is_flag=True, help="Only carry metadata; no data."),
    option(
        "-D",
        "--dontreplicate",
        default=LEGACY_DROPS,
        metavar="NAMES",
        help="Properties to leave behind, separated by spaces or commas.",
    ),
    option("--members", is_flag=True, help="Carry the members of shared images."),
)

policy_options = together(
    archiving_options,
    option(
        "--map-owner",
        multiple=True,
        metavar="PROJECT=PROJECT",
        help="Map a source project to a target project; `*=*` keeps all.",
    ),
    option(
        "--map-value",
        multiple=True,
        metavar="NAME:VALUE=VALUE",
        help="Map a property's value; ids of secrets travel only so.",
    ),
    option(
        "--visibility",
        type=click.Choice(["private", "shared", "community", "public"]),
        help="Give every image this visibility at the target.",
    ),
    option("--replicas", is_flag=True, help="Carry images that are replicas themselves."),
    option(
        "--on-conflict",
        type=click.Choice([choice.value for choice in OnConflict]),
        default=OnConflict.SKIP.value,
        show_default=True,
        help="Where an id or a name is taken by another image.",
    ),
    option(
        "--on-source-deletion",
        type=click.Choice([choice.value for choice in OnSourceDeletion]),
        default=OnSourceDeletion.KEEP.value,
        show_default=True,
        help="What becomes of replicas whose source is gone.",
    ),
    option(
        "--grace",
        type=DURATION,
        default="0s",
        show_default=True,
        help="How long a source must be gone before that.",
    ),
)

engine_options = together(
    option(
        "--transfers",
        type=whole(1, 256),
        default=Limits().transfers,
        show_default=True,
        help="Images under way to each target at once, 1 to 256.",
    ),
    option(
        "--bwlimit",
        type=BANDWIDTH,
        default="off",
        show_default=True,
        metavar="RATE",
        help="Bytes a second, as 10M, or by time of day: '08:00,512k 18:00,off'.",
    ),
    option(
        "--chunksize",
        type=CHUNK,
        default="1M",
        show_default=True,
        help="Bytes to read and hash at once; at most 16M, and raised to 64k where less.",
    ),
)

removal_options = together(
    option(
        "--max-delete",
        type=whole(0),
        default=Policy().max_delete,
        show_default=True,
        help="Hide or delete nothing where it would be more images than this.",
    ),
)


def pairs(texts: Sequence[str], name: str) -> dict[str, str]:
    """Split `KEY=VALUE` words; a key given twice is an error."""
    found: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not (key and separator and value):
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=name)
        if key in found:
            raise click.BadParameter(f"{key!r} is given twice", param_hint=name)
        found[key] = value
    return found


def policy_from(options: Mapping[str, Any]) -> Policy:
    """Make the policy of a command's options."""
    values: dict[str, dict[str, str]] = {}
    for key, value in pairs(options["map_value"], "--map-value").items():
        name, separator, old = key.partition(":")
        if not (separator and old):
            raise click.BadParameter(f"{key!r} is not NAME:VALUE", param_hint="--map-value")
        values.setdefault(name, {})[old] = value
    return Policy(
        owners=pairs(options["map_owner"], "--map-owner"),
        values=values,
        visibility=options["visibility"],
        replicas=options["replicas"],
        on_conflict=OnConflict(options["on_conflict"]),
        on_source_deletion=OnSourceDeletion(options["on_source_deletion"]),
        grace=options["grace"],
        max_delete=options.get("max_delete", Policy().max_delete),
        **_carried(options),
    )


def archiving_policy_from(options: Mapping[str, Any]) -> Policy:
    """Make the policy of writing an archive: everything, as it is."""
    return Policy(replicas=True, **_carried(options))


def _carried(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "drop": frozenset(options["dontreplicate"].replace(",", " ").split()),
        "members": options["members"],
        "metadata_only": options["metaonly"],
    }


def limits_from(options: Mapping[str, Any]) -> Limits:
    """Make the limits of a command's options."""
    return Limits(options["transfers"], options["bwlimit"], options["chunksize"])
