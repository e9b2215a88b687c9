"""Classifiers of torchvision with ImageNet weights, their batch norms folded.

Importing this module does not import torchvision.
`python -m models.photos.torchvision_nets vgg16` fetches a checkpoint.
"""

import argparse
import sys
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from models.torchvision_compat import import_torchvision
from models.weights import checkpoints as files
from models.weights.checkpoints import WEIGHTS, Checkpoint, Progress

EDITION = "IMAGENET1K_V1"
"""Of the weights that torchvision offers: the first were all trained by much the same recipe, so maps compare."""

_CATALOGUE = (
    ("vgg11", "VGG-11", "8a719046", 507),
    ("vgg13", "VGG-13", "19584684", 508),
    ("vgg16", "VGG-16", "397923af", 528),
    ("vgg19", "VGG-19", "dcbb9e9d", 548),
    ("vgg11_bn", "VGG-11 with batch norm", "6002323d", 507),
    ("vgg13_bn", "VGG-13 with batch norm", "abd245e5", 508),
    ("vgg16_bn", "VGG-16 with batch norm", "6c64b313", 528),
    ("vgg19_bn", "VGG-19 with batch norm", "c79401a0", 548),
    ("resnet18", "ResNet-18", "f37072fd", 45),
    ("resnet50", "ResNet-50", "0676ba61", 98),
    ("squeezenet1_0", "SqueezeNet 1.0", "b66bff10", 5),
    ("squeezenet1_1", "SqueezeNet 1.1", "b8a52dc0", 5),
    ("mobilenet_v2", "MobileNet v2", "b0353104", 14),
    ("mobilenet_v3_small", "MobileNet v3 small", "047dcff4", 10),
    ("mobilenet_v3_large", "MobileNet v3 large", "8738ca79", 21),
    ("vit_b_16", "ViT-B/16", "c867db91", 330),
)
TITLES = {name: title for name, title, _, _ in _CATALOGUE}
CHECKPOINTS = {
    name: Checkpoint(f"https://download.pytorch.org/models/{name}-{sha256}.pth", f"{name}-{sha256}.pth", sha256, size)
    for name, _, sha256, size in _CATALOGUE
}


def weights(name: str) -> Any:
    """What torchvision knows of a network's weights: `.meta["categories"]`, `.transforms()`, `.url`."""
    _check_name(name)
    return import_torchvision().models.get_model_weights(name)[EDITION]


def obtain(
    name: str,
    progress: Progress | None = None,
    folder: Path = WEIGHTS,
    checkpoints: Mapping[str, Checkpoint] = CHECKPOINTS,
) -> Path:
    """Where the network's checkpoint lies, checked, downloaded if need be. Arguments and errors as of `load`."""
    _check_name(name)
    return files.obtain(checkpoints[name], _remedy(name), progress, folder)


def load(
    name: str,
    progress: Progress | None = None,
    folder: Path = WEIGHTS,
    checkpoints: Mapping[str, Checkpoint] = CHECKPOINTS,
) -> nn.Module:
    """The network with ImageNet weights: float32, eval mode, no gradients, batch norms folded, channels-last.

    A checkpoint on disk is used; one that is not is downloaded into `folder` where the operator allows it.
    `progress` is called in the caller's thread while it waits for a download.
    Raises ValueError for another name, FileNotFoundError (one sentence) where there is no usable checkpoint.
    """
    path = obtain(name, progress, folder, checkpoints)
    with torch.device("meta"):
        net = import_torchvision().models.get_model(name, weights=None)
    _fill(net, path, TITLES[name])
    return fold_batch_norms(net.eval().requires_grad_(False)).to(memory_format=torch.channels_last)


def _fill(net: nn.Module, path: Path, title: str) -> None:
    """Give the network the checkpoint's own tensors: none is copied, and the rest of the file is let go on return."""
    try:
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    except Exception as error:  # whatever unpickling strange bytes may raise
        raise FileNotFoundError(f"{files.place(path)} does not hold the weights of {title}.") from error


def fold_batch_norms(net: nn.Module) -> nn.Module:
    """A copy in which every batch norm is folded into the convolution before it; layers keep their names.

    net: in eval mode, and with each norm registered right behind its convolution, as all networks of the catalogue
    are. It is left as it was; the copy shares with it the memory of every tensor that folding does not change.
    """
    same = {id(tensor): tensor.detach() for tensor in net.buffers()}
    same |= {id(weight): nn.Parameter(weight.detach(), weight.requires_grad) for weight in net.parameters()}
    folded = deepcopy(net, same)  # what its memo holds is not copied
    for (_, conv), (name, norm) in pairwise(list(folded.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            conv.weight, conv.bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
            parent, _, leaf = name.rpartition(".")
            setattr(folded.get_submodule(parent), leaf, nn.Identity().eval())
    return folded


def _check_name(name: str) -> None:
    if name not in CHECKPOINTS:
        raise ValueError(f"There is no torchvision network {name!r}; the names are {', '.join(CHECKPOINTS)}.")


def _remedy(name: str) -> str:
    return f"run `python -m models.photos.torchvision_nets {name}`"


def main(
    arguments: list[str] | None = None, folder: Path = WEIGHTS, checkpoints: Mapping[str, Checkpoint] = CHECKPOINTS
) -> None:
    """Put checkpoints of ImageNet networks into assets/weights/, and check those that are on disk."""
    parser = argparse.ArgumentParser(prog="python -m models.photos.torchvision_nets", description=main.__doc__)
    parser.add_argument("names", nargs="+", choices=CHECKPOINTS, metavar="NAME", help=", ".join(CHECKPOINTS))
    for name in parser.parse_args(arguments).names:
        wanted = checkpoints[name]
        try:
            path = files.find(wanted, folder) or files.download(wanted, partial(_show, wanted), folder)
            files.check(path, wanted, _remedy(name))
        except FileNotFoundError as error:
            sys.exit(f"\n{error}")
        print(f"\n{TITLES[name]} is ready: {files.place(path)}")


def _show(wanted: Checkpoint, part: float) -> None:
    print(f"\r{wanted.file} ({wanted.size} MB) {part:4.0%}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
