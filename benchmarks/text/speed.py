"""How long the relevance of a text takes on a network of XLM-R base's size, beside gradient and modified gradients.

python -m benchmarks.text.speed                          # 64 and 256 tokens, twelve layers: minutes on two idle cores
python -m benchmarks.text.speed --tokens 64 --layers 2 --rounds 3
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

import lrp_core as lrp
from models.torchvision_compat import import_torchvision

from .. import modified_gradients
from ..contest import Job
from ..measure import shortest

FORWARD, GRADIENT = "forward", "forward + gradient of the words (FG)"
MODIFIED, MODIFIED_CP = "AttnLRP by modified gradients", "CP-LRP by modified gradients"
FIRST, FIRST_CP = "AttnLRP, first", "CP-LRP, first"
MOVED, SWITCHED, RECORDED = "target moved", "switched to CP-LRP", "record alone"
REACH = {MODIFIED: "", FIRST: "0.95", MOVED: "0.5", SWITCHED: "0.4"}


def xlm_r(layers: int, seed: int = 0) -> nn.Module:
    """XLM-R base with random weights and a small vocabulary, which costs no time."""
    import_torchvision()  # transformers imports it plainly
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=1000,
        max_position_embeddings=514,
        type_vocab_size=1,
        num_hidden_layers=layers,
        num_labels=3,
    )
    return XLMRobertaForSequenceClassification(config).eval().requires_grad_(False)


def jobs(model: Any, tokens: int) -> dict[str, Job]:
    """What is timed, for one text without padding."""
    ids = torch.randint(3, 1000, (1, tokens), generator=torch.Generator().manual_seed(0))
    text = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    attn, cp = lrp.presets.attn_lrp(1e-6), lrp.presets.cp_lrp(1e-6)
    tape = lrp.record(model, **text)
    number = count()

    def forward() -> Tensor:
        with torch.inference_mode():
            return model(**text).logits

    def gradient() -> Tensor:
        words = model.roberta.embeddings.word_embeddings(ids).requires_grad_()
        logit = model(inputs_embeds=words, attention_mask=text["attention_mask"]).logits[0, 0]
        return torch.autograd.grad(logit, words)[0]

    def explain_again(composite: lrp.Composite) -> Callable[[], object]:
        return lambda: tape.explain(composite, lrp.Target.logit(next(number) % 3))

    work: dict[str, Callable[[], object]] = {
        FORWARD: forward,
        GRADIENT: gradient,
        MODIFIED: lambda: modified_gradients.explain(model, **text, target=0, attention="attnlrp"),
        MODIFIED_CP: lambda: modified_gradients.explain(model, **text, target=0, attention="cp"),
        RECORDED: lambda: lrp.record(model, **text),
        FIRST: lambda: lrp.record(model, **text).explain(attn, lrp.Target.top()),
        FIRST_CP: lambda: lrp.record(model, **text).explain(cp, lrp.Target.top()),
        MOVED: explain_again(attn),
        SWITCHED: explain_again(cp),
    }
    return {name: Job(run) for name, run in work.items()}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    model = xlm_r(options.layers)
    kept = "kept" if "MALLOC_TRIM_THRESHOLD_" in os.environ else "as the C library likes, which costs a first map time"
    print(f"torch {torch.__version__}, {options.threads} threads, {options.layers} layers; ratios to FG")
    print(f"freed memory: {kept} (benchmarks/README.md)")
    for tokens in options.tokens:
        work = {(name, ""): job for name, job in jobs(model, tokens).items()}
        shortest(work, rounds=1)
        seconds = {name: best for (name, _), best in shortest(work, options.rounds).items()}
        print(f"| {tokens} tokens | ms | FG | reach |\n|---|---|---|---|")
        for name, best in seconds.items():
            print(f"| {name} | {best * 1e3:.3g} | {best / seconds[GRADIENT]:.2f} | {REACH.get(name, '')} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__.splitlines()[0])
    parser.add_argument("--tokens", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=6, help="timed runs of everything; the fastest counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


if __name__ == "__main__":
    main()
