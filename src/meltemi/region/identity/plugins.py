"""Plugins of keystoneauth: every way to log in at Keystone that operators have configured."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any


def load_plugin(auth_type: str, auth: Mapping[str, str]) -> Any:
    """Make a plugin from its name and options; raise ValueError where they are wrong."""
    from keystoneauth1 import exceptions, loading  # noqa: PLC0415 - slow to import
    from keystoneauth1.identity.base import BaseIdentityPlugin  # noqa: PLC0415

    try:
        loader: Any = loading.get_plugin_loader(auth_type)
    except exceptions.NoMatchingPlugin:
        raise ValueError(f"keystoneauth has no plugin {auth_type!r}") from None
    known = sorted(option.dest for option in loader.get_options())
    for name in auth:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            advice = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{auth_type} has no option {name!r}{advice}")
    try:
        plugin = loader.load_from_options(**auth)
    except exceptions.MissingRequiredOptions as error:
        missing = ", ".join(option.dest for option in error.options)
        raise ValueError(f"{auth_type} needs {missing}") from None
    if not isinstance(plugin, BaseIdentityPlugin):
        raise ValueError(f"{auth_type!r} is not a way to log in at Keystone")  # noqa: TRY004
    return plugin
