"""Remake the vocabulary, the encoder and the networks that read texts.

    python -m training.text [vocabulary encoder offensive topics newsgroups sentiment] [--data FOLDER]
                            [--passes N] [--checkpoint DIR] [--out DIR] [--measure]

Without names, all of them, in this order: the encoder needs the vocabulary, and the networks grow from the encoder,
which is kept in the checkpoint folder. Writes weights (float16) and model cards with the figures measured on the
written files. An interrupted encoder goes on from its checkpoint. A GPU is used where there is one.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from models import text
from training import text_encoder, vocabulary
from training.text_batches import encode, shuffled
from training.text_card import card, scores
from training.text_data import FOLDER, Texts, everything, read
from training.text_encoder import decayed, rate_at

SEED = 0
TOKENS = 4096  # in a batch, padding included
LEARNING_RATE, WARM = 4e-4, 0.1
HIDDEN = 0.1  # share of the tokens that are hidden, so that no word is relied on alone
PASSES = {"offensive": 4, "topics": 5, "newsgroups": 5, "sentiment": 3}


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def hardware() -> str:
    return torch.cuda.get_device_name() if device() == "cuda" else f"{torch.get_num_threads()} CPU core(s)"


def grown(name: str, encoder: nn.Module | None) -> nn.Module:
    """The network `name` with the encoder's weights below a fresh head; without an encoder all of it is fresh."""
    torch.manual_seed(SEED)
    net = text.network(name)
    if encoder is not None:
        net.roberta.load_state_dict(encoder.roberta.state_dict())
    return net


def surprise(logits: Tensor, wanted: Tensor, any_of: bool) -> Tensor:
    """Mean cross entropy; with `any_of` the network may spread what is wanted over its classes as it likes."""
    if not any_of:
        return F.cross_entropy(logits, wanted)
    return (logits.logsumexp(1) - logits.masked_fill(wanted == 0, -torch.inf).logsumexp(1)).mean()


def train(net: nn.Module, data: Texts, tokenizer: Tokenizer, passes: int, any_of: bool) -> nn.Module:
    """AdamW with a cosine schedule on batches of texts of like length."""
    place = device()
    net = net.to(place).train().requires_grad_(True)
    optimizer = decayed(net, LEARNING_RATE)
    ids, wanted = encode(tokenizer, data.texts), torch.from_numpy(data.wanted)
    random, step = torch.Generator().manual_seed(SEED), 0
    steps = len(shuffled(ids, TOKENS, np.random.default_rng(SEED))) * passes
    for number in range(passes):
        losses = []
        for batch in shuffled(ids, TOKENS, np.random.default_rng(SEED + number)):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = rate_at(min(step, steps), steps, LEARNING_RATE, WARM)
            gaps = (torch.rand(batch.ids.shape, generator=random) < HIDDEN) & (batch.ids > text.UNKNOWN)
            holed = batch.ids.masked_fill(gaps, text.VOCABULARY - 1)
            logits = net(holed.to(place), attention_mask=batch.mask.to(place)).logits
            loss = surprise(logits, wanted[batch.rows].to(place), any_of)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        print(f"pass {number + 1} of {passes}: loss {np.mean(losses):.3f}", flush=True)
    return net.cpu().eval().requires_grad_(False)


def temperature(net: nn.Module, data: Texts, tokenizer: Tokenizer, any_of: bool) -> float:
    """What the scores are divided by so that probabilities mean what they say (Guo 2017)."""
    logits, wanted = scores(net, data.texts, tokenizer), torch.from_numpy(data.wanted)
    grid = torch.logspace(-1, 1, 201)
    return grid[torch.stack([surprise(logits / t, wanted, any_of) for t in grid]).argmin()].item()


def make(name: str, folder: Path, out: Path, encoder: nn.Module | None, passes: int) -> float:
    """Train a network, calibrate it and write its weights to `out`; returns the temperature."""
    tokenizer, any_of = text.tokenizer(out), name == "offensive"
    net = train(grown(name, encoder), read(name, folder, "train"), tokenizer, passes, any_of)
    divisor = temperature(net, read(name, folder, "dev"), tokenizer, any_of)
    net.classifier.out_proj.weight.div_(divisor)
    net.classifier.out_proj.bias.div_(divisor)
    save_file({key: value.half().contiguous() for key, value in net.state_dict().items()}, out / f"{name}.safetensors")
    return divisor


def pretrained(folder: Path, out: Path, checkpoint: Path, passes: int) -> None:
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
    parser.add_argument("--passes", type=int, help=f"over the texts (default: {text_encoder.PASSES} and {PASSES})")
    parser.add_argument("--checkpoint", type=Path, default=Path("results"), help="folder that keeps the encoder")
    parser.add_argument("--fresh", action="store_true", help="grow from random weights, to see what the encoder gives")
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
    """Train a network unless only its card is to be written, and write its card."""
    if arguments.measure:
        known = text.model_card(name, arguments.out)
        made = {key: known[key] for key in ("passes", "temperature", "pretrained", "trained_on")}
    else:
        encoder = None if arguments.fresh else encoder_of(arguments.checkpoint)
        passes = arguments.passes or PASSES[name]
        divisor = make(name, arguments.data, arguments.out, encoder, passes)
        made = {
            "passes": passes,
            "temperature": round(divisor, 3),
            "pretrained": encoder is not None,
            "trained_on": torch.cuda.get_device_name()
            if device() == "cuda"
            else f"{torch.get_num_threads()} CPU core(s)",
        }
    written = card(name, text.load(name, arguments.out), arguments.data, arguments.out, made)
    lines = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
    (arguments.out / f"{name}.json").write_text(lines, encoding="utf-8")
    print(json.dumps(written["measured"], indent=2), flush=True)


if __name__ == "__main__":
    main()
