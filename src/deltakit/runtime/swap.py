"""Merge-swap: overwrite a running model's weights in place, so that many models over one base share one skeleton."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from deltakit.errors import MismatchError
from deltakit.runtime.load import rounded
from deltakit.runtime.threads import threads_for
from deltakit.tensors import TensorMap

__all__ = ["swappable", "write_weights"]


def swappable(model: Any, tensors: TensorMap) -> list[str]:
    """What keeps `tensors` from being written into `model` in place; empty if nothing does.

    Every tensor needs a place of its name and shape, every place a tensor; a tied alias needs none of its own.
    """
    places = model.state_dict()
    wrong = [f"no place for {n}" for n in sorted(tensors.specs.keys() - places.keys())]
    filled = {places[n].data_ptr() for n in tensors.specs.keys() & places.keys()}
    for name, place in sorted(places.items()):
        spec = tensors.specs.get(name)
        if spec is None and place.data_ptr() not in filled:
            wrong.append(f"nothing to write into {name}")
        elif spec is not None and spec.shape != tuple(place.shape):
            wrong.append(f"{name} is {list(spec.shape)}, the model holds {list(place.shape)}")
    return wrong + _aliases(places, tensors)


def write_weights(model: Any, tensors: TensorMap) -> None:
    """Overwrite the weights of `model` in place with `tensors`, rounded once to the model's dtype.

    Storage stays where it is. Raises MismatchError, before anything is written, unless `swappable` finds nothing.
    """
    wrong = swappable(model, tensors)
    if wrong:
        raise MismatchError("the weights cannot be swapped in place", remedy="build this model apart", details=wrong)
    places = model.state_dict()
    with torch.no_grad(), threads_for(model.num_parameters()):
        for name in sorted(tensors.specs):
            places[name].copy_(rounded(tensors, name, places[name].dtype))


def _aliases(places: Mapping[str, torch.Tensor], tensors: TensorMap) -> list[str]:
    """Two tensors for one tied place: only equal bytes may share it."""
    first: dict[int, str] = {}
    wrong = []
    for name in sorted(tensors.specs.keys() & places.keys()):
        other = first.setdefault(places[name].data_ptr(), name)
        if other != name and bytes(tensors.buffer(name)) != bytes(tensors.buffer(other)):
            wrong.append(f"{name} and {other} differ, the model ties them")
    return wrong
