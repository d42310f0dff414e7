"""The configuration that is being run, as plain data."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from types import FrameType
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow, create_workflow
from monai.bundle.utils import EXPR_KEY, ID_REF_KEY, ID_SEP_KEY
from monai.utils import ensure_tuple

from pipeline.tracking.keys import MAX_PARAM_LENGTH, cut, hide_credentials, record_key

META_KEY = ConfigParser.meta_key
TARGET_KEY = "_target_"


def current_parser() -> ConfigParser:
    """Return the parser of the bundle whose expression calls this function.

    MONAI evaluates the expressions of a config without a reference to the parser that holds the rest of it, so the
    parser is found among the callers: it is the ``self`` of ``ConfigParser.get_parsed_content``.

    Returns:
        The innermost parser, with all configuration files merged and the overrides of the command line applied.

    Raises:
        RuntimeError: no bundle is being run.
    """
    for frame in _callers(sys._getframe(1)):
        owner = frame.f_locals.get("self")
        if isinstance(owner, ConfigParser):
            return owner
        if isinstance(owner, ConfigWorkflow):
            return owner.parser
    raise RuntimeError(
        "current_parser must be called by an expression of a bundle's configuration, got another caller."
    )


def current_files() -> list[dict[str, Any]]:
    """Return the contents of the configuration files of the bundle that is being run, as they are written.

    The parser holds what came out of them: after overlays and overrides, and with macros (``%id``) replaced. What was
    there before is read again from the files that ``monai.bundle.create_workflow``, a caller of every bundle run from
    the command line, was given.

    Returns:
        A mapping for each file, in their order; empty where the workflow was made otherwise.
    """
    for frame in _callers(sys._getframe(1)):
        if frame.f_code is create_workflow.__code__:
            return [ConfigParser.load_config_file(file) for file in ensure_tuple(frame.f_locals["config_file"])]
    return []


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def resolved_config(parser: ConfigParser) -> dict[str, Any]:
    """Return the configuration as it is run, in values that YAML and JSON can hold.

    Args:
        parser: parser of a bundle; it is not changed, and nothing is instantiated.

    Returns:
        The merged files with overrides, without ``_meta_``. A reference (``@max_epochs``, ``@train#batch_size``) to a
        plain value is replaced by it; references to components and expressions (``$…``) stay as they are written.
        Objects that a caller from Python put in are described by their ``repr``.

    Raises:
        RuntimeError: the configuration is not a mapping of ids.
    """
    if not isinstance(parser.get(), dict):
        raise RuntimeError(f"A bundle's configuration must map ids to values, got {type(parser.get()).__name__}.")
    copy = ConfigParser({key: _plain(value) for key, value in parser.get().items() if key != META_KEY}, globals=False)
    copy.resolve_macro_and_relative_ids()
    return {key: _resolve(value, copy, ()) for key, value in copy.get().items() if key != META_KEY}


def written_config(parser: ConfigParser) -> dict[str, str]:
    """Flatten a configuration as it is written: references stay, so that each setting is there once.

    Args:
        parser: parser of a bundle; it is not changed, and nothing is instantiated.

    Returns:
        As ``config_params``.
    """
    copy = ConfigParser({key: _plain(value) for key, value in parser.get().items() if key != META_KEY}, globals=False)
    copy.resolve_macro_and_relative_ids()
    return config_params({key: value for key, value in copy.get().items() if key != META_KEY})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int | float) else repr(value)


def _resolve(value: Any, parser: ConfigParser, seen: tuple[str, ...]) -> Any:
    """Replace references in ``value``; ``seen`` are the ids on the way here, so that a circle ends."""
    if isinstance(value, dict):
        return {key: _resolve(item, parser, seen) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, parser, seen) for item in value]
    if not is_reference(value):
        return value
    target = value[len(ID_REF_KEY) :]
    if target in seen or target not in parser:
        return value
    found = _resolve(deepcopy(parser[target]), parser, (*seen, target))
    return found if _is_final(found) else value


def is_reference(value: object) -> bool:
    """Tell whether a value of a config is nothing but a reference to another, such as ``@max_epochs``."""
    return isinstance(value, str) and value.startswith(ID_REF_KEY) and value[1:].replace(ID_SEP_KEY, "").isidentifier()


def _is_final(value: Any) -> bool:
    """Plain all the way down: no component, no expression, no reference that is left."""
    if isinstance(value, dict):
        return TARGET_KEY not in value and all(_is_final(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_final(item) for item in value)
    return not (isinstance(value, str) and value.startswith((EXPR_KEY, ID_REF_KEY)))


def config_params(config: Mapping[str, Any]) -> dict[str, str]:
    """Flatten a configuration to parameters of an MLflow run.

    Args:
        config: what ``resolved_config`` returns.

    Returns:
        ``train.trainer.max_epochs: "50"``, a dot for each step down; the items of a list are numbered where one of
        them is itself a container, otherwise the list is one value. Keys keep to the characters that MLflow takes
        on every system and to 250 of them, values to 6000; passwords in addresses are hidden.
    """
    return {record_key(key): cut(hide_credentials(str(value)), MAX_PARAM_LENGTH) for key, value in _leaves(config, "")}


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    items: Sequence[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        items = list(enumerate(value))
    if not items:
        yield key, value
    for name, item in items:
        yield from _leaves(item, f"{key}.{name}" if key else str(name))
