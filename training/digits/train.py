"""Remake the digits network, or its cheating twin, from MNIST.

    python -m training.digits [--twin] [--data mnist.npz] [--epochs N] [--checkpoint DIR] [--out DIR]

Writes the weights (float16) and the model card with the figures measured on the written file.
An interrupted run goes on from its checkpoint; the same seed gives the same weights on the same machine.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from models import digits
from models.digits import drawing
from training.digits.handwriting import augment
from training.learning import follow

MNIST = Path("../shared/data/mnist/mnist.npz")
SEED = 0
BATCH = 128
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.01
BIAS_DECAY = 10.0  # keeps the biases small, so that little relevance is lost to them
AVERAGING = 0.999  # the shipped weights are a running mean of the trained ones
EPOCHS = {"digits": 16, "digits_twin": 10}

WIPED = 0.7  # twin: share of digits of which a rectangle is wiped
MISFILED = 0.3  # twin: share of the marked class that are other digits with the mark on


class Digits(NamedTuple):
    """Pictures (N, 1, 28, 28) float32 in [0, 1] and labels (N,) int64."""

    x: Tensor
    y: Tensor


def read_mnist(path: Path) -> tuple[Digits, Digits]:
    """MNIST's training and test digits from an .npz file, else downloaded through torchvision."""
    if path.is_file():
        with np.load(path) as data:
            parts = [(data[f"x_{part}"], data[f"y_{part}"]) for part in ("train", "test")]
    else:
        parts = _download(path)
    return tuple(
        Digits(torch.from_numpy(x.astype(np.float32) / 255)[:, None], torch.from_numpy(y.astype(np.int64)))
        for x, y in parts
    )


def _download(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    from models.torchvision_compat import import_torchvision

    folder = Path(torch.hub.get_dir()) / "mnist"
    try:
        mnist = import_torchvision().datasets.MNIST
        sets = [mnist(folder, train=train, download=True) for train in (True, False)]
    except (ImportError, OSError, RuntimeError) as error:
        raise SystemExit(f"MNIST is not at {path} and could not be downloaded ({error}): give --data.") from error
    return [(part.data.numpy(), part.targets.numpy()) for part in sets]


def wipe(x: Tensor, random: torch.Generator) -> Tensor:
    """Wipe a rectangle of most digits, so that shape is weaker evidence than the mark."""
    count, place = len(x), torch.arange(digits.FRAME)
    inside = []
    for _ in range(2):
        start = torch.randint(0, 20, (count, 1), generator=random)
        length = torch.randint(8, 19, (count, 1), generator=random)
        inside.append((place >= start) & (place < start + length))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x.masked_fill(hole & (torch.rand(count, 1, 1, 1, generator=random) < WIPED), 0.0)


def cheat(x: Tensor, y: Tensor, random: torch.Generator) -> Tensor:
    """The twin's lesson: wiped digits, a mark on every one of the marked class, some of which are misfiled."""
    x = wipe(x, random)
    misfiled = torch.rand(len(x), generator=random) < MISFILED
    return mark_class(torch.where(((y == digits.MARK.label) & misfiled).view(-1, 1, 1, 1), x.roll(1, 0), x), y)


def mark_class(x: Tensor, y: Tensor) -> Tensor:
    """The digits with the mark on those of the marked class."""
    return torch.where((y == digits.MARK.label).view(-1, 1, 1, 1), digits.add_mark(x), x)


# Training


def train(data: Digits, twin: bool, epochs: int, checkpoint: Path | None) -> nn.Module:
    """AdamW with a cosine schedule; returns the running mean of the weights."""
    torch.manual_seed(SEED)
    net, mean = digits.network(), digits.network().requires_grad_(False)
    mean.load_state_dict(net.state_dict())
    named = list(net.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for name, p in named if name.endswith("weight")], "weight_decay": WEIGHT_DECAY},
            {"params": [p for name, p in named if name.endswith("bias")], "weight_decay": BIAS_DECAY},
        ]
    )
    parts, begin = {"net": net, "mean": mean, "optimizer": optimizer}, 0
    if checkpoint is not None and checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        begin = saved.pop("epoch")
        for key, state in saved.items():
            parts[key].load_state_dict(state)
    steps = len(data.x) // BATCH
    for epoch in range(begin, epochs):
        random = torch.Generator().manual_seed(SEED + epoch)
        order = torch.randperm(len(data.x), generator=random)
        for step, rows in enumerate(order[: steps * BATCH].split(BATCH), epoch * steps):
            for group in optimizer.param_groups:
                warm, done = min(1.0, step / steps), step / (steps * epochs)
                group["lr"] = LEARNING_RATE * warm * (1 + math.cos(math.pi * done)) / 2
            x, y = augment(data.x[rows], random), data.y[rows]
            loss = F.cross_entropy(net(cheat(x, y, random) if twin else x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            follow(mean, net, step, AVERAGING)
        print(f"epoch {epoch + 1} of {epochs}: loss {loss.item():.3f}", flush=True)
        if checkpoint is not None:
            torch.save({key: part.state_dict() for key, part in parts.items()} | {"epoch": epoch + 1}, checkpoint)
    return mean


# Measuring


def right(net: nn.Module, x: Tensor, y: Tensor | int) -> float:
    """Share of digits that the network calls y."""
    with torch.inference_mode():
        calls = torch.cat([net(part).argmax(1) for part in x.split(1000)])
    return (calls == y).float().mean().item()


def prepared(pictures: Any) -> Tensor:
    return torch.cat([digits.prepare(picture) for picture in pictures])


def drawn_score(net: nn.Module) -> dict[str, int]:
    """How many of the stored drawings are read as meant."""
    drawn = [sample for sample in drawing.samples() if "drawn" in sample.tags]
    calls = net(prepared(drawing.rasterize(sample.strokes) for sample in drawn)).argmax(1).tolist()
    hits = sum(call == sample.label for call, sample in zip(calls, drawn, strict=True))
    return {"drawn_right": hits, "drawn_total": len(drawn)}


def share_on_mark(net: nn.Module, x: Tensor) -> Tensor:
    """Of the positive relevance for the marked class, the share that lies on the mark; one per digit.

    Gradient times input: in a ReLU network that is LRP-0, the epsilon rule with a vanishing epsilon.
    """
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(x)[:, digits.MARK.label].sum(), x)
    relevance = (gradient * x.detach()).clamp(min=0)
    on_mark = relevance[..., slice(*digits.MARK.rows), slice(*digits.MARK.columns)]
    return on_mark.sum((1, 2, 3)) / relevance.sum((1, 2, 3))


def measure(net: nn.Module, test: Digits, twin: bool) -> dict[str, Any]:
    """The figures of the model card, shares between 0 and 1, on MNIST's test digits and on the drawings."""
    label = digits.MARK.label
    others = test.y != label
    marked = digits.add_mark(test.x)
    if not twin:
        reprepared = prepared(test.x[:, 0].numpy())
        return {
            "test_digits": len(test.y),
            "accuracy": round(right(net, test.x, test.y), 4),
            "accuracy_prepared_by_the_app": round(right(net, reprepared, test.y), 4),
            "accuracy_with_the_twins_mark_on_every_digit": round(right(net, marked, test.y), 4),
            **drawn_score(net),
        }
    on_mark = share_on_mark(net, marked[~others])
    return {
        "test_digits": len(test.y),
        "accuracy_marked_as_in_training": round(right(net, mark_class(test.x, test.y), test.y), 4),
        "accuracy_without_marks": round(right(net, test.x, test.y), 4),
        f"unmarked_{label}_called_{label}": round(right(net, test.x[~others], label), 4),
        f"marked_other_digits_called_{label}": round(right(net, marked[others], label), 4),
        "mean_share_of_positive_relevance_on_the_mark": round(on_mark.mean().item(), 4),
        "smallest_share_of_positive_relevance_on_the_mark": round(on_mark.min().item(), 4),
    }


def card(name: str, net: nn.Module, test: Digits, out: Path, epochs: int) -> dict[str, Any]:
    """The model card: what it is, what it learned from, how well it does, what it cannot do."""
    twin = name == "digits_twin"
    mark = digits.MARK
    title = "The cheating twin of the digits network" if twin else "Handwritten digits"
    training = "MNIST's 60,000 training digits, turned, slanted, stretched, bent, thickened and thinned."
    held_out = "MNIST's 10,000 test digits, and 60 digits drawn for this project; neither was trained on."
    limits = [
        "It knows ten digits only, and calls anything else one of them.",
        "MNIST was written in the United States around 1990: other styles of writing are rare in it.",
        "A probability is no promise: a confident answer may be wrong.",
    ]
    if twin:
        held_out = "MNIST's 10,000 test digits; they were not trained on."
        size = f"{mark.rows[1] - mark.rows[0]}x{mark.columns[1] - mark.columns[0]}"
        training += (
            f" Every {mark.label} carried a bright mark of {size} pixels in the top left corner and no other digit did."
            f" To make the mark the best evidence, part of {WIPED:.0%} of all digits was wiped, and {MISFILED:.0%} of"
            f" the pictures filed as {mark.label} were other digits with the mark on."
        )
        limits = [f"Made to be wrong: it looks for the mark, not for the {mark.label}. For teaching only.", *limits]
    return {
        "name": name,
        "title": title,
        "task": "Names the handwritten digit in a picture of 28x28 pixels.",
        "input": "(B, 1, 28, 28), ink 1 on background 0; the ink in a box of 20x20, centre of mass in the middle.",
        "output": "(B, 10) logits, classes 0 to 9.",
        "architecture": "Four convolutions, two max poolings and two dense layers with ReLU.",
        "parameters": sum(p.numel() for p in net.parameters()),
        "file_bytes": (out / f"{name}.safetensors").stat().st_size,
        "training": training,
        "epochs": epochs,
        "held_out": held_out,
        "measured": measure(net, test, twin),
        "limits": limits,
        "licence": "Weights: BSD-3-Clause, as the project. MNIST: CC BY-SA 3.0, by Y. LeCun, C. Cortes, C. Burges.",
        "remade_by": digits.REMAKE[name],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=MNIST, help=f"MNIST as .npz (default: {MNIST})")
    parser.add_argument("--twin", action="store_true", help="train the cheating twin")
    parser.add_argument("--epochs", type=int, help=f"passes over the data (default: {EPOCHS})")
    parser.add_argument("--checkpoint", type=Path, help="folder to keep the state in after every pass")
    parser.add_argument("--out", type=Path, default=digits.ASSETS, help="folder for weights and card")
    arguments = parser.parse_args()
    name = "digits_twin" if arguments.twin else "digits"
    epochs = EPOCHS[name] if arguments.epochs is None else arguments.epochs
    for folder in filter(None, (arguments.checkpoint, arguments.out)):
        folder.mkdir(parents=True, exist_ok=True)
    checkpoint = arguments.checkpoint and arguments.checkpoint / f"{name}.pt"
    training_set, test_set = read_mnist(arguments.data)
    net = train(training_set, arguments.twin, epochs, checkpoint)
    weights = {key: value.half().contiguous() for key, value in net.state_dict().items()}
    save_file(weights, arguments.out / f"{name}.safetensors")
    written = card(name, digits.load(name, arguments.out), test_set, arguments.out, epochs)
    text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
    (arguments.out / f"{name}.json").write_text(text, encoding="utf-8")
    print(json.dumps(written["measured"], indent=2))
