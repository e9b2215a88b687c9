"""Remake the vocabulary, the encoder and the networks that read texts.

    python -m training.text [vocabulary encoder offensive topics newsgroups sentiment] [--data FOLDER]
                            [--passes N] [--checkpoint DIR] [--out DIR] [--measure] [--fresh]

Without names, all of them, in this order: the encoder needs the vocabulary, and the networks grow from the encoder,
which is kept in the checkpoint folder. Writes weights (float16) and model cards with the figures measured on the
written files. What is interrupted goes on from its checkpoint; what is to be made anew needs an empty checkpoint
folder. A GPU is used where there is one.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from models import text
from training.text import encoder as text_encoder
from training.text import vocabulary
from training.text.card import card, measure
from training.text.data import FOLDER, everything, read
from training.text.tuning import RECIPES, Recipe, grown, temperature, train


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def hardware() -> str:
    return torch.cuda.get_device_name() if device() == "cuda" else f"{torch.get_num_threads()} CPU core(s)"


def made(
    name: str, arguments: argparse.Namespace, encoder: nn.Module | None, recipe: Recipe
) -> tuple[nn.Module, float]:
    """Train a network and calibrate it; the network, and the temperature that is in its weights."""
    tokenizer, any_of = text.tokenizer(arguments.out), name == "offensive"
    data, dev = (read(name, arguments.data, part) for part in ("train", "dev"))
    kept = arguments.checkpoint / f"{name}{'_fresh' if encoder is None else ''}.pt"
    net = train(grown(name, encoder), data, dev, tokenizer, recipe, any_of, device(), kept)
    divisor = temperature(net, dev, tokenizer, any_of)
    net.classifier.out_proj.weight.div_(divisor)
    net.classifier.out_proj.bias.div_(divisor)
    return net, divisor


def pretrained(folder: Path, out: Path, checkpoint: Path, passes: float) -> None:
    """Train the encoder and keep it in the checkpoint folder."""
    tokenizer = text.tokenizer(out)
    net = text_encoder.train(everything(folder), tokenizer, passes, checkpoint / "encoder.pt", device())
    torch.save(net.cpu().state_dict(), checkpoint / "encoder_done.pt")


def encoder_of(checkpoint: Path) -> nn.Module | None:
    """The finished encoder; None where there is none."""
    path = checkpoint / "encoder_done.pt"
    if not path.is_file():
        return None
    net = text_encoder.network()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net


def main() -> None:
    names = ("vocabulary", "encoder", *text.LABELS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"what to remake: {', '.join(names)} (default: all)")
    parser.add_argument("--data", type=Path, default=FOLDER, help=f"folder of the texts (default: {FOLDER})")
    parser.add_argument("--passes", type=float, help="over the texts")
    parser.add_argument("--checkpoint", type=Path, default=Path("results"), help="folder that keeps what is begun")
    parser.add_argument("--fresh", action="store_true", help="from random weights: write only figures, to fresh.json")
    parser.add_argument("--measure", action="store_true", help="write only the cards anew, of the weights in --out")
    parser.add_argument("--out", type=Path, default=text.ASSETS, help="folder for weights and cards")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(names)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for folder in (arguments.checkpoint, arguments.out):
        folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or names:
        if name == "vocabulary":
            vocabulary.learn(everything(arguments.data)).save(str(arguments.out / "tokenizer.json"))
            text.tokenizer.cache_clear()
        elif name == "encoder":
            pretrained(arguments.data, arguments.out, arguments.checkpoint, arguments.passes or text_encoder.PASSES)
        else:
            remake(name, arguments)


def remake(name: str, arguments: argparse.Namespace) -> None:
    """Train a network unless only its card is to be written, and write its card; a fresh one is only measured."""
    recipe = replace(RECIPES[name], passes=int(arguments.passes or RECIPES[name].passes))
    if arguments.fresh:
        net, _ = made(name, arguments, None, recipe)
        test, tokenizer = read(name, arguments.data, "test"), text.tokenizer(arguments.out)
        figures = measure(name, net, test, arguments.data, tokenizer)["measured"]
        path = arguments.out / "fresh.json"
        written = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        write(path, written | {name: {"passes": recipe.passes, **figures}})
        print(json.dumps(figures, indent=2), flush=True)
        return
    weights = arguments.out / f"{name}.safetensors"
    if arguments.measure:
        known = text.model_card(name, arguments.out)
        how = {key: known[key] for key in ("passes", "temperature", "pretrained", "trained_on")}
    else:
        encoder = encoder_of(arguments.checkpoint)
        net, divisor = made(name, arguments, encoder, recipe)
        save_file({key: value.half().contiguous() for key, value in net.state_dict().items()}, weights)
        how = {
            "passes": recipe.passes,
            "temperature": round(divisor, 3),
            "pretrained": encoder is not None,
            "trained_on": hardware(),
        }
    written = card(name, text.load(name, arguments.out), arguments.data, arguments.out, how)
    write(arguments.out / f"{name}.json", written)
    print(json.dumps(written["measured"], indent=2), flush=True)


def write(path: Path, found: dict[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
