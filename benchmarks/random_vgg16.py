"""Streamlit, where VGG-16 has random weights: `python -m benchmarks.random_vgg16 run app.py`.

What a heatmap costs does not depend on the numbers in the weights, so speed and memory can be measured where ImageNet's
are not at hand. The checkpoint lies in a folder of its own for as long as the server runs, which takes it for real.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from streamlit.web import cli

from models.photos.torchvision_nets import CHECKPOINTS
from models.torchvision_compat import import_torchvision


def make(folder: str) -> None:
    """Let torch look for checkpoints in `folder`, put one there, and its name and hash into the catalogue."""
    torch.hub.set_dir(folder)
    torch.manual_seed(0)
    path = Path(folder) / "checkpoints" / "vgg16-random.pth"
    path.parent.mkdir()
    torch.save(import_torchvision().models.vgg16().state_dict(), path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    CHECKPOINTS["vgg16"] = replace(CHECKPOINTS["vgg16"], file=path.name, sha256=digest)


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        make(place)
        cli.main()
