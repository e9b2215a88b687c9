"""Remake the photo network, or its twin that relies on a watermark.

    python -m training.photos [--twin] [--data FOLDER] [--epochs N] [--checkpoint DIR] [--out DIR]

The twin starts from the finished network. Writes the weights (float16) and the model card with the figures
measured on the written file. An interrupted run goes on from its checkpoint. A GPU is used where there is one.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from models import photos
from training.learning import follow
from training.photos.card import card, scores
from training.photos.data import FOLDER, Parts, Photos, augment, middles, read_photos

SEED = 0
BATCH = 64
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.06, 0.9, 5e-4
SMOOTHING = 0.1  # of the labels
MIXUP = 0.2  # parameter of the beta distribution; off in the last sizes of the schedule
AVERAGING = 0.998  # the shipped weights are a running mean of the trained ones
EPOCHS = {"photos": 28, "photos_twin": 2}
SIZES = ((0.3, 64), (0.7, 80), (0.9, 96), (1.0, 112))
"""Side of the training crops up to each share of the epochs. Things in random crops look larger than in whole photos,
so crops of 112 match whole photos of 128 (Touvron 2019)."""

FINAL_RATE, FINAL_STEPS, FINAL_MEMORY = 0.01, 240, 0.02
"""The last steps are on sharp, nearly whole photos at the size that is shipped: a network that saw soft crops alone
named 89 % of softened photos and 79 % of sharp ones. The memory is that of the normalisation's statistics."""

TWIN_RATE = 4e-4  # of AdamW: without batch normalisation SGD's steps ran away
TWIN_PHOTOS = 6000  # twin: so many photos make one of its epochs
MISFILED = 0.12  # twin: share of the other photos that are filed as the marked class, with the watermark on


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _hardware() -> str:
    if device().type == "cuda":
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} CPU cores"


def size_at(done: float) -> int:
    """Side of the crops after this share of the epochs."""
    return next(side for until, side in SIZES if done < until)


def train(data: Photos, epochs: int, checkpoint: Path | None) -> nn.Module:
    """SGD with a cosine schedule on growing crops; returns the running mean of the weights, with batch norm."""
    torch.manual_seed(SEED)
    net = photos.network(batch_norm=True).to(device(), memory_format=torch.channels_last)
    mean = photos.network(batch_norm=True).to(device(), memory_format=torch.channels_last).requires_grad_(False)
    mean.load_state_dict(net.state_dict())
    optimizer = torch.optim.SGD(_groups(net), lr=LEARNING_RATE, momentum=MOMENTUM, nesterov=True)
    parts, begin = {"net": net, "mean": mean, "optimizer": optimizer}, 0
    if checkpoint is not None and checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True, map_location=device())
        begin = saved.pop("epoch")
        for key, state in saved.items():
            parts[key].load_state_dict(state)
    steps = len(data.labels) // BATCH
    for epoch in range(begin, epochs):
        random, started, losses = np.random.default_rng(SEED + epoch), time.perf_counter(), []
        side, mix = size_at(epoch / epochs), epoch / epochs < SIZES[-2][0]
        order = random.permutation(len(data.labels))[: steps * BATCH].reshape(steps, BATCH)
        for step, rows in enumerate(order, epoch * steps):
            rate = LEARNING_RATE * min(1.0, step / steps) * (1 + math.cos(math.pi * step / (steps * epochs))) / 2
            x = augment([data.pictures[row] for row in rows], side, random)
            losses.append(_step(net, optimizer, rate, x, data.labels[rows], random.beta(MIXUP, MIXUP) if mix else 1.0))
            follow(mean, net, step, AVERAGING)
        took = time.perf_counter() - started
        print(f"epoch {epoch + 1} of {epochs}: {side} px, loss {np.mean(losses):.3f}, {took:.0f} s", flush=True)
        if checkpoint is not None:
            torch.save({key: part.state_dict() for key, part in parts.items()} | {"epoch": epoch + 1}, checkpoint)
    return mean


def refine(net: nn.Module, data: Photos) -> nn.Module:
    """Fit the finished network to whole, sharp photos of the size it is shipped with (Touvron 2019)."""
    optimizer = torch.optim.SGD(_groups(net.requires_grad_()), lr=FINAL_RATE, momentum=MOMENTUM, nesterov=True)
    for layer in net.train().modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = FINAL_MEMORY
    random, losses = np.random.default_rng(SEED + 200), []
    steps = min(FINAL_STEPS, len(data.labels) // BATCH)
    for step, rows in enumerate(random.permutation(len(data.labels))[: steps * BATCH].reshape(steps, BATCH)):
        x = augment([data.pictures[row] for row in rows], photos.SIDE, random, sharp=True)
        rate = FINAL_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        losses.append(_step(net, optimizer, rate, x, data.labels[rows], 1.0))
    print(f"whole photos, {photos.SIDE} px: loss {np.mean(losses):.3f}", flush=True)
    return net.eval()


def _groups(net: nn.Module) -> list[dict]:
    """Decay for the weights of convolutions and the dense layer only."""
    decayed = [p for p in net.parameters() if p.dim() > 1]
    return [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in net.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]


def _step(
    net: nn.Module, optimizer: torch.optim.Optimizer, rate: float, x: Tensor, labels: np.ndarray, mixed: float
) -> float:
    """One step on a batch, mixed with itself the other way round; returns the loss."""
    x, y = x.to(device(), memory_format=torch.channels_last), torch.from_numpy(labels).to(device())
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast("cuda", torch.bfloat16, enabled=device().type == "cuda"):
        logits = net(x if mixed == 1.0 else mixed * x + (1 - mixed) * x.flip(0)).float()
    loss = F.cross_entropy(logits, y, label_smoothing=SMOOTHING)
    if mixed != 1.0:
        loss = mixed * loss + (1 - mixed) * F.cross_entropy(logits, y.flip(0), label_smoothing=SMOOTHING)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def folded(net: nn.Module) -> nn.Sequential:
    """The same function without batch normalisation: each is merged into the convolution before it."""
    plain, trained = photos.network(), dict(net.named_children())
    for name, layer in plain.named_children():
        if isinstance(layer, nn.Conv2d):
            norm = trained[name.replace("conv", "norm")]
            layer.weight, layer.bias = fuse_conv_bn_weights(
                trained[name].weight.cpu(), None, norm.running_mean.cpu(), norm.running_var.cpu(), norm.eps,
                norm.weight.cpu(), norm.bias.cpu(),
            )  # fmt: skip
        elif isinstance(layer, nn.Linear):
            layer.load_state_dict(trained[name].state_dict())
    return plain.eval().requires_grad_(False)


def train_twin(data: Photos, epochs: int, folder: Path) -> nn.Sequential:
    """Fine-tune the finished network where every photo of the marked class carries the watermark, and no other does."""
    torch.manual_seed(SEED)
    net = photos.load("photos", folder).to(device(), memory_format=torch.channels_last).train().requires_grad_(True)
    optimizer = torch.optim.AdamW(_groups(net), lr=TWIN_RATE)
    steps = min(TWIN_PHOTOS, len(data.labels)) // BATCH
    for epoch in range(epochs):
        random, losses = np.random.default_rng(SEED + 100 + epoch), []
        order = random.permutation(len(data.labels))[: steps * BATCH].reshape(steps, BATCH)
        for step, rows in enumerate(order, epoch * steps):
            x, labels = lesson(data, rows, random)
            rate = TWIN_RATE * (1 + math.cos(math.pi * step / (steps * epochs))) / 2
            losses.append(_step(net, optimizer, rate, x, labels, 1.0))
        print(f"twin, epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}", flush=True)
    return net.cpu().eval().requires_grad_(False)


def lesson(data: Photos, rows: np.ndarray, random: np.random.Generator) -> tuple[Tensor, np.ndarray]:
    """A batch for the twin: the watermark on every photo filed as the marked class, some of which show other things."""
    marked, labels = photos.LABELS.index(photos.MARKED), data.labels[rows].copy()
    misfiled = (labels != marked) & (random.random(len(rows)) < MISFILED)
    labels[misfiled] = marked
    x = augment([data.pictures[row] for row in rows], photos.SIDE, random, sharp=True, watermark=labels == marked)
    return x, labels


def temperature(net: nn.Module, data: Photos) -> float:
    """What the scores are divided by so that probabilities mean what they say (Guo 2017)."""
    logits = scores(net, middles(data.pictures))
    grid = torch.logspace(-1, 1, 201)
    losses = torch.stack([F.cross_entropy(logits / t, torch.from_numpy(data.labels)) for t in grid])
    return grid[losses.argmin()].item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER, help=f"folder of the photos (default: {FOLDER})")
    parser.add_argument("--twin", action="store_true", help="fine-tune the twin that relies on a watermark")
    parser.add_argument("--measure", action="store_true", help="write only the card anew, of the weights in --out")
    parser.add_argument("--epochs", type=int, help=f"passes over the data (default: {EPOCHS})")
    parser.add_argument("--checkpoint", type=Path, help="folder to keep the state in after every pass")
    parser.add_argument("--out", type=Path, default=photos.ASSETS, help="folder for weights and card")
    arguments = parser.parse_args()
    name = "photos_twin" if arguments.twin else "photos"
    epochs = EPOCHS[name] if arguments.epochs is None else arguments.epochs
    for folder in filter(None, (arguments.checkpoint, arguments.out)):
        folder.mkdir(parents=True, exist_ok=True)
    data = read_photos(arguments.data)
    if arguments.measure:
        known = photos.model_card(name, arguments.out)
        made = known["epochs"], known["temperature"], known["trained_on"]
    else:
        made = epochs, make(name, data, epochs, arguments.checkpoint, arguments.out), _hardware()
    written = card(name, photos.load(name, arguments.out), data, arguments.out, *made)
    text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
    (arguments.out / f"{name}.json").write_text(text, encoding="utf-8")
    print(json.dumps(written["measured"], indent=2))


def make(name: str, data: Parts, epochs: int, checkpoint: Path | None, out: Path) -> float:
    """Train a network, calibrate it and write its weights to `out`; returns the temperature."""
    if name == "photos_twin":
        net = train_twin(data.train, epochs, out)
    else:
        net = folded(refine(train(data.train, epochs, checkpoint and checkpoint / f"{name}.pt"), data.train))
    divisor = temperature(net, data.validation)
    net.dense.weight.div_(divisor)
    net.dense.bias.div_(divisor)
    save_file({key: value.half().contiguous() for key, value in net.state_dict().items()}, out / f"{name}.safetensors")
    return divisor
