"""How long the relevance of a prompt takes on the language model, beside its forward pass and its gradient.

python -m benchmarks.language.speed                          # 16 and 64 tokens on one thread: a minute on an idle core
python -m benchmarks.language.speed --tokens 128 256 --rounds 3
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

import lrp_core as lrp
from models import language
from models.language.rotary import angles

from ..contest import Job
from ..measure import shortest

FORWARD, GRADIENT = "forward", "forward + gradient of the words (G)"
PRODUCTS = "its transposed products alone"
RECORDED, FIRST, MOVED = "record alone", "AttnLRP, first", "AttnLRP, another word"
MOVED_CP, MOVED_GAMMA = "CP-LRP, another word", "gamma .25, another word"
RIVAL = 20
REACH = {FIRST: "1.0", MOVED: "0.5"}


def jobs(model: Any, tokens: int) -> dict[str, Job]:
    """What is timed, for one text of so many tokens."""
    vocabulary = len(model.lm_head.weight)
    ids = torch.randint(vocabulary, (1, tokens), generator=torch.Generator().manual_seed(0))
    tape = lrp.record(model, ids)
    number = count(1)

    def forward() -> Tensor:
        with torch.inference_mode():
            return model(ids)

    def explained(tape: lrp.Tape, composite: lrp.Composite) -> lrp.Explanation:
        return tape.explain(composite, lrp.Target.difference(vocabulary - next(number) % (vocabulary // 2) - 1, RIVAL))

    def again(composite: lrp.Composite) -> Callable[[], object]:
        return lambda: explained(tape, composite)

    attn = lrp.presets.attn_lrp(1e-6)
    work: dict[str, Callable[[], object]] = {
        FORWARD: forward,
        GRADIENT: lambda: gradient(model, ids, vocabulary - 1, RIVAL),
        PRODUCTS: lambda: products(model, tokens),
        RECORDED: lambda: lrp.record(model, ids),
        FIRST: lambda: explained(lrp.record(model, ids), attn),
        MOVED: again(attn),
        MOVED_CP: again(lrp.presets.cp_lrp(1e-6)),
        MOVED_GAMMA: again(lrp.presets.gamma(0.25)),
    }
    return {name: Job(run) for name, run in work.items()}


def gradient(model: Any, ids: Tensor, word: int, rival: int) -> Tensor:
    """Of the lead of a next word over another, in logits, for the embedding of each token: (1, T, width)."""
    stream = model.model
    words = stream.embed_tokens(ids).detach().requires_grad_()
    cos, sin = angles(ids.shape[1], stream.shape.head, stream.shape.base, words)
    x = words
    for block in stream.layers:
        x = block(x, cos, sin)
    scores = model.lm_head(stream.norm(x[:, -1:]))[0, 0]
    return torch.autograd.grad(scores[word] - scores[rival], words)[0]


def products(model: nn.Module, tokens: int) -> None:
    """One product with every weight below the head, which no walk can do without."""
    with torch.inference_mode():
        for name, layer in model.named_modules():
            if isinstance(layer, nn.Linear) and name != "lm_head":
                torch.mm(layer.weight.new_ones(tokens, len(layer.weight)), layer.weight)


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    try:
        model = language.load(options.model)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    print(f"torch {torch.__version__}, {options.threads} threads; ratios to G, the fastest of {options.rounds}")
    for tokens in options.tokens:
        work = {(name, ""): job for name, job in jobs(model, tokens).items()}
        shortest(work, rounds=1)
        seconds = {name: best for (name, _), best in shortest(work, options.rounds).items()}
        print(f"| {tokens} tokens | ms | G | reach |\n|---|---|---|---|")
        for name, best in seconds.items():
            print(f"| {name} | {best * 1e3:.3g} | {best / seconds[GRADIENT]:.2f} | {REACH.get(name, '')} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__.splitlines()[0])
    parser.add_argument("--model", default=next(iter(language.KNOWN)), help="as the page calls it, of Llama's kind")
    parser.add_argument("--tokens", nargs="+", type=int, default=[16, 64])
    parser.add_argument("--rounds", type=int, default=6, help="timed runs of everything; the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
