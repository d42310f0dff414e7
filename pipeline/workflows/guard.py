"""Settings that nothing would use: MONAI passes over them in silence."""

from __future__ import annotations

import difflib
import inspect
import pydoc
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from monai.bundle import ConfigComponent, ConfigExpression, ConfigParser
from monai.bundle.properties import InferProperties, TrainProperties
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS, EXPR_KEY, ID_REF_KEY, ID_SEP_KEY, MACRO_KEY
from monai.utils import BundlePropertyConfig

from pipeline.errors import InputError
from pipeline.workflows.config import META_KEY, TARGET_KEY, current_files

ENTRY_POINTS = frozenset({"imports", "run", "initialize", "finalize", "training", "evaluating"})
TRAINING_SECTION = "train"
RERUN_KEY = "_rerun_of_"
"""Id that marks a recorded configuration: references to plain values were replaced by these, so many seem unused."""
MISSPELT_RATIO = 0.85
"""Similarity (difflib) from which an id that nothing uses is taken for a misspelt one: ``max_epoch`` has 0.95."""
# what `--tracking mlflow` of monai.bundle adds
_TRACKING_IDS = frozenset({*cast("dict[str, Any]", DEFAULT_MLFLOW_SETTINGS["configs"]), "save_execute_config"})
_REFERENCE = re.compile(rf"[{ID_REF_KEY}{MACRO_KEY}](\w+(?:{ID_SEP_KEY}\w+)*)")
_COMPONENT_KEYS = frozenset({*ConfigComponent.non_arg_keys, "_debug_"})


def check_overrides(parser: ConfigParser, entry_points: Sequence[str] = ()) -> None:
    """Refuse settings that nothing uses, such as the misspelt ``--max_epoch 3``, which MONAI silently ignores.

    An id is used when something refers to it or to a part of it (``@id``, ``$@id + 1``, ``%id``), be it in a file where
    an overlay or an override has replaced that; when it is one of MONAI's entry points or properties; when its name
    begins with an underscore; or when ``entry_points`` names it. A section without ``_target_`` that is used only in
    parts is checked part by part. An argument of a component must be in the signature of its target, where that has
    no ``**kwargs``.

    Where the files are not known (see ``current_files``: a workflow made in Python), an unused id is refused only if
    it looks like one that exists.

    Args:
        parser: parser of the bundle, with all files merged and the overrides applied.
        entry_points: more ids that are used from outside, such as another ``run_id``.

    Raises:
        InputError: names every such setting, and the nearest one that exists.
    """
    config = {key: value for key, value in parser.get().items() if key != META_KEY}
    refused = _unknown_arguments(config, parser)
    unused = [] if RERUN_KEY in config else _unused_ids(config, entry_points, set(refused))
    problems = [*unused, *refused.values()]
    if problems:
        problems.append(
            "Settings are the ids of the configuration files; a nested one is written with '#', "
            f"as in --{TRAINING_SECTION}#trainer#max_epochs 3."
        )
        raise InputError("\n".join(problems))


def _unused_ids(config: Mapping[str, Any], entry_points: Sequence[str], refused: set[str]) -> list[str]:
    files = current_files()
    known = {*_references([config, *files]), *ENTRY_POINTS, *_TRACKING_IDS, *entry_points, *_property_ids(config)}
    unused = list(_find_unused(config, "", known))
    choices = [id_ for id_ in _all_ids(config) if id_ not in refused.union(unused)]
    complaint = "nothing in the configuration uses it."
    return [
        f"unknown setting '{_shown(id_)}': {complaint}{_suggestion(id_, choices)}"
        for id_ in unused
        if files or _is_misspelt(id_, choices)
    ]


def _is_misspelt(id_: str, choices: Sequence[str]) -> bool:
    name, names = _last_name(id_), {_last_name(choice) for choice in choices}
    return name not in names and bool(difflib.get_close_matches(name, names, n=1, cutoff=MISSPELT_RATIO))


def _property_ids(config: Mapping[str, Any]) -> Iterator[str]:
    """The ids through which MONAI and its applications look into a bundle of this kind."""
    properties = TrainProperties if TRAINING_SECTION in config else InferProperties
    for item in properties.values():
        yield str(item[BundlePropertyConfig.ID])


def _find_unused(section: Mapping[str, Any], prefix: str, used: set[str]) -> Iterator[str]:
    for key, value in section.items():
        id_ = f"{prefix}{key}"
        if str(key).startswith("_") or id_ in used or _is_entry(value):
            continue
        inside = f"{id_}{ID_SEP_KEY}"
        if not any(other.startswith(inside) for other in used):
            yield id_
        elif isinstance(value, dict) and TARGET_KEY not in value:
            yield from _find_unused(value, inside, used)


def _is_entry(value: Any) -> bool:
    """Import statements act wherever they stand, and a list of expressions can be given as ``run_id``."""
    if ConfigExpression.is_expression(value):
        return bool(ConfigExpression.is_import_statement(value))
    return isinstance(value, list) and bool(value) and all(ConfigExpression.is_expression(item) for item in value)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        text = value.replace("#", ID_SEP_KEY)
        if text.startswith((ID_REF_KEY, EXPR_KEY, MACRO_KEY)):
            yield from _REFERENCE.findall(text)
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _references(child)


def _all_ids(section: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in section.items():
        if str(key).startswith("_"):
            continue
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _all_ids(value, f"{prefix}{key}{ID_SEP_KEY}")


def _suggestion(id_: str, choices: Sequence[str]) -> str:
    """The id whose last name is nearest: ``--max_epoch`` may mean ``train#trainer#max_epochs``."""
    section = id_.rpartition(ID_SEP_KEY)[0]
    # of several with one name: the one in the same section, else the first
    ranked = sorted(choices, key=lambda choice: choice.rpartition(ID_SEP_KEY)[0] != section)
    by_name = {_last_name(choice): choice for choice in reversed(ranked)}
    near = difflib.get_close_matches(_last_name(id_), by_name, n=1)
    return f" Did you mean '{_shown(by_name[near[0]])}'?" if near else ""


def _last_name(id_: str) -> str:
    return id_.rpartition(ID_SEP_KEY)[2]


def _shown(id_: str) -> str:
    return id_.replace(ID_SEP_KEY, "#")


def _unknown_arguments(config: Mapping[str, Any], parser: ConfigParser) -> dict[str, str]:
    """Map the id of each argument that its component does not take to the message."""
    refused = {}
    for id_, component in _components(config, ""):
        accepted = _accepted_arguments(component, parser)
        given = component.keys() - _COMPONENT_KEYS
        for key in given.difference(given if accepted is None else accepted):
            argument = f"{id_}{ID_SEP_KEY}{key}"
            complaint = f"{component[TARGET_KEY]} takes no such argument."
            refused[argument] = f"unknown setting '{_shown(argument)}': {complaint}{_suggestion(key, accepted or ())}"
    return refused


def _components(value: Any, id_: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if ConfigComponent.is_instantiable(value):
        yield id_, value
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _components(child, f"{id_}{ID_SEP_KEY}{key}" if id_ else str(key))


def _accepted_arguments(component: Mapping[str, Any], parser: ConfigParser) -> list[str] | None:
    """Names of the arguments of a component's target; None where they cannot be told or any is taken."""
    target = _locate(component, parser)
    if target is None:
        return None
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # of some functions written in C
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.POSITIONAL_ONLY]


def _locate(component: Mapping[str, Any], parser: ConfigParser) -> Callable[..., Any] | None:
    """The class or function that MONAI would call; None where MONAI will complain of it, or never call it."""
    item = ConfigComponent(component, locator=parser.locator)
    name = component[TARGET_KEY]
    if not isinstance(name, str) or name.startswith((EXPR_KEY, ID_REF_KEY)) or item.is_disabled():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that occur twice: MONAI tells when it uses one
        try:
            target = pydoc.locate(str(item.resolve_module_name()))
        except pydoc.ErrorDuringImport:
            return None
    return target if callable(target) else None
