"""Arguments as Python users give them: paths of any kind, arrays, options by name."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, TypeVar

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.core.errors import ConfigError, VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from _typeshed import DataclassInstance
    from numpy.typing import NDArray

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def named(
    *kinds: type[DataclassInstance],
) -> Callable[[_Function], _Function]:
    """Return a decorator that shows options as keywords to ``help`` and tab completion.

    Parameters
    ----------
    *kinds
        Settings whose options the function takes as ``**options``.
    """

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind != p.VAR_KEYWORD]
        taken = {p.name for p in own}
        for kind in kinds:
            for name in declared(kind):
                if name in taken:
                    continue
                taken.add(name)
                own.append(
                    inspect.Parameter(
                        name,
                        inspect.Parameter.KEYWORD_ONLY,
                        default=kind.__dataclass_fields__[name].default,
                    )
                )
        function.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
        return function

    return decorate


def options_for(*kinds: type[DataclassInstance], **options: Any) -> list[Any]:
    """Return settings of each kind from options, each taken by the first that has it.

    Parameters
    ----------
    *kinds
        The settings.
    **options
        By name; path-likes as paths.

    Raises
    ------
    ConfigError
        If an option is unknown, or its value is out of range.
    """
    left = {name: _plain(value) for name, value in options.items()}
    found = []
    for kind in kinds[:-1]:
        names = declared(kind) & left.keys()
        found.append(read_settings(kind, {name: left.pop(name) for name in names}))
    found.append(read_settings(kinds[-1], left))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return type(value)(_plain(one) for one in value)
    return value


def path_of(value: Any, name: str = "source") -> str:
    """Return the path of a source: a path, or a Zarr array or group on a disk.

    Parameters
    ----------
    value
        What the user gave.
    name
        Of the argument, for messages.

    Raises
    ------
    VolumeError
        If it is an array in memory, or one whose files are nowhere.
    """
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    store, inner = getattr(value, "store", None), getattr(value, "path", None)
    root = getattr(store, "root", None) or getattr(store, "path", None)
    if store is not None and isinstance(inner, str) and root is not None:
        return os.path.join(os.fspath(root), inner) if inner else os.fspath(root)  # noqa: PTH118
    kind = type(value).__name__
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        message = (
            f"{name} is an array in memory ({kind}), and this works on files: segment it "
            "with blockseg.predict(array), or write it first, as with "
            "zarr.save_array('brain.zarr', array)"
        )
        raise VolumeError(message)
    message = f"{name} is a {kind}; give a path, or a Zarr array on a disk"
    raise ConfigError(message)


def array_of(value: Any) -> NDArray[np.generic]:
    """Return an array in memory: of NumPy, Zarr, Dask, or whatever NumPy can read.

    Raises
    ------
    VolumeError
        If it is none.
    """
    import numpy as np

    if isinstance(value, str | os.PathLike) or not hasattr(value, "shape"):
        message = (
            f"predict takes an array, not a {type(value).__name__}; a file is segmented by "
            "blockseg.run(path)"
        )
        raise VolumeError(message)
    compute = getattr(value, "compute", None)  # of Dask, by its own scheduler
    return np.asarray(compute() if callable(compute) else value[...])
