"""Files of the networks that come with the project: weights and model card of each, side by side in one folder.

`remake`, in every function: the names that there are, and the command that makes each anew.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def revive(network: Network, name: str, folder: Path, remake: Mapping[str, str]) -> Network:
    """The network with its trained weights: float32, eval mode, no gradients.

    network: of the right architecture; its own weights are dropped, so they may lie on the meta device.
    Raises ValueError for a name that there is not, and FileNotFoundError where the weights are missing.
    """
    weights = load_file(asset(name, "safetensors", folder, remake))
    network.load_state_dict({key: value.float() for key, value in weights.items()}, assign=True)
    return network.eval().requires_grad_(False)


def card(name: str, folder: Path, remake: Mapping[str, str]) -> dict[str, Any]:
    """What the network is, what it was trained on, and its measured figures. Errors as of `revive`."""
    return json.loads(asset(name, "json", folder, remake).read_text(encoding="utf-8"))


def asset(name: str, suffix: str, folder: Path, remake: Mapping[str, str]) -> Path:
    """Where a file of the network lies. Errors as of `revive`."""
    check(name, remake)
    path = folder / f"{name}.{suffix}"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing in {folder.name}/; remake it with `{remake[name]}`.")
    return path


def check(name: str, remake: Mapping[str, str]) -> None:
    """Raises ValueError for a name that there is not."""
    if name not in remake:
        raise ValueError(f"There is no network {name!r} here; the names are {', '.join(remake)}.")
