"""Remake the shared encoder and the networks that read texts.

    python -m training.text [encoder offensive topics newsgroups sentiment] --source E5_SMALL_Q4.BIN
                            [--data FOLDER] [--passes N] [--checkpoint DIR] [--out DIR] [--measure]

Without names, all of them. The source is the file of the pretrained model; `encoder.py` says where it comes from.
Writes weights and model cards with the figures measured on the written files. The checkpoint folder keeps what the
shared layers make of the texts, some gigabytes, and what is begun: an interrupted run goes on from there; what is to be
made anew needs an empty one. A GPU is used where there is one.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models import text
from models.text import files
from training.text import encoder as source_model
from training.text import tuning
from training.text.batches import encode
from training.text.card import card
from training.text.clauses import clauses
from training.text.data import FOLDER, read
from training.text.encoder import Source
from training.text.lower import Lowered, lowered
from training.text.tuning import RECIPES, Recipe


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def hardware() -> str:
    return torch.cuda.get_device_name() if device() == "cuda" else f"{torch.get_num_threads()} CPU core(s)"


def untrained(name: str, source: Source) -> nn.Module:
    """The network `name` with the source's weights below a fresh head."""
    torch.manual_seed(tuning.SEED)
    rows = source_model.kept(source.pieces)
    net = text.network(name, words=len(rows))
    found = source_model.as_xlm_r(source, rows)
    net.roberta.load_state_dict({key: source_model.weights(tensor) for key, tensor in found.items()})
    return net.eval().requires_grad_(False)


def material(name: str, folder: Path, part: str) -> tuple[list[str], np.ndarray]:
    """The texts of a part, and the wanted probability of each class (N, C); for film reviews, joined ones as well."""
    found = read(name, folder, part)
    if name != "sentiment" or part != "train":
        return found.texts, found.wanted
    texts, positive = clauses(found.texts, found.wanted[:, 1], np.random.default_rng(tuning.SEED))
    return found.texts + texts, np.concatenate((found.wanted, np.stack((1 - positive, positive), 1)))


def made(name: str, arguments: argparse.Namespace, recipe: Recipe) -> tuple[nn.Module, float]:
    """Tune a network and calibrate it; the network, and the temperature that is in its weights."""
    net, any_of = untrained(name, source_model.read(arguments.source)), name == "offensive"
    parts: dict[str, tuple[Lowered, np.ndarray]] = {}
    for part in ("train", "dev"):
        texts, wanted = material(name, arguments.data, part)
        ids = encode(text.tokenizer(arguments.out), texts, text.longest(name))
        parts[part] = lowered(net, ids, arguments.checkpoint / f"{name}_{part}.f16", device()), wanted
    (dev, goals), kept = parts["dev"], arguments.checkpoint / f"{name}.pt"
    net = tuning.train(net, *parts["train"], dev, goals, recipe, any_of, device(), kept)
    found: Tensor = tuning.logits(tuning.Upper(net, 0.0), dev)
    divisor = tuning.temperature(found, torch.from_numpy(goals), any_of)
    net.classifier.out_proj.weight.div_(divisor)
    net.classifier.out_proj.bias.div_(divisor)
    return net, divisor


def remake_encoder(arguments: argparse.Namespace) -> None:
    """Write the shared layers, as they are in the source, and the tokenizer."""
    source = source_model.read(arguments.source)
    rows = source_model.kept(source.pieces)
    files.write_encoder(source_model.as_xlm_r(source, rows), arguments.out)
    source_model.tokenizer(source, rows).save(str(arguments.out / "tokenizer.json"), pretty=False)
    text.tokenizer.cache_clear()


def remake(name: str, arguments: argparse.Namespace) -> None:
    """Tune a network, unless only its card is to be written, and write its card."""
    recipe = replace(RECIPES[name], passes=arguments.passes or RECIPES[name].passes)
    if arguments.measure:
        known = text.model_card(name, arguments.out)
        how = {key: known[key] for key in ("passes", "temperature", "trained_on")}
    else:
        net, divisor = made(name, arguments, recipe)
        files.write_upper(name, net, arguments.out)
        how = {"passes": recipe.passes, "temperature": round(divisor, 3), "trained_on": hardware()}
    written = card(name, text.load(name, arguments.out), arguments.data, arguments.out, how)
    path = arguments.out / f"{name}.json"
    path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(written["measured"], indent=2), flush=True)


def main() -> None:
    names = ("encoder", *text.LABELS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"what to remake: {', '.join(names)} (default: all)")
    parser.add_argument("--source", type=Path, default=Path("e5-small-q4.bin"), help="file of the pretrained model")
    parser.add_argument("--data", type=Path, default=FOLDER, help=f"folder of the texts (default: {FOLDER})")
    parser.add_argument("--passes", type=int, help="over the texts")
    parser.add_argument("--checkpoint", type=Path, default=Path("results"), help="folder that keeps what is begun")
    parser.add_argument("--measure", action="store_true", help="write only the cards anew, of the weights in --out")
    parser.add_argument("--out", type=Path, default=text.ASSETS, help="folder for weights and cards")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(names)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for folder in (arguments.checkpoint, arguments.out):
        folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or names:
        if name == "encoder":
            remake_encoder(arguments)
        else:
            remake(name, arguments)
