"""What is compared on texts: presets of `lrp_core` for transformers, gradients by autograd, and chance.

Relevance of a word is the sum over its pieces of what their word embeddings got, as on the page; what positions, types,
`<s>` and `</s>` got counts nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

import lrp_core as lrp
from models import text
from models.text import reading
from models.text.reading import Reading

Baseline = Callable[[Any, Tensor, lrp.Target], Tensor]
"""A network, token ids (B, T) and a target to relevance of the tokens (B, T)."""

Methods = Mapping[str, lrp.Composite | Baseline]
"""By the name in the table, in its order."""

GAMMAS = (0.05, 0.25, 1.0)
EPSILONS = (0.01, 0.1)
TOKENS_AT_ONCE = 1024

RELEVANCE = "the sum over its pieces of what their word embeddings got"
"""What counts as the relevance of a word, in words."""


def of_texts(seed: int) -> Methods:
    """Every method that is compared. What shares denominators on a tape stands together.

    Ignored biases are not among them: over twelve layers, relevance that skips them grows beyond all numbers.
    """
    presets = lrp.presets
    return {
        "AttnLRP": presets.attn_lrp(),
        "CP-LRP": presets.cp_lrp(),
        **{f"epsilon {epsilon:g}, relative": presets.epsilon(epsilon, relative=True) for epsilon in EPSILONS},
        "CP-LRP, epsilon 0.1, relative": presets.epsilon(0.1, relative=True).with_(attention="cp"),
        **{f"gamma {gamma:g}": presets.gamma(gamma) for gamma in GAMMAS},
        **{f"CP-LRP, gamma {gamma:g}": presets.gamma(gamma).with_(attention="cp") for gamma in GAMMAS[:2]},
        "gradient x input": gradient_times_input,
        "gradient norm": gradient_norm,
        "random": noise(seed),
    }


def word_relevance(
    net: Any,
    readings: Sequence[Reading],
    target: Callable[[Sequence[int]], lrp.Target],
    methods: Methods,
    sign: float = 1.0,
) -> dict[str, list[Tensor]]:
    """Relevance of the words of each text, per method, (W,) float64 each. target: of the texts with these numbers.

    sign: -1 where it is the target's opposite that is explained; the length of a gradient stays as it is.
    """
    found: dict[str, list[Tensor]] = {name: [torch.empty(0)] * len(readings) for name in methods}
    for rows in alike([one.ids.shape[1] for one in readings]):
        ids, asked = torch.cat([readings[row].ids for row in rows]), target(rows)
        tape = lrp.record(net, ids)
        for name, method in methods.items():
            if isinstance(method, lrp.Composite):
                relevance = tape.explain(method, asked).relevance.sum(2)
            else:
                relevance = method(net, ids, asked)
            for row, tokens in zip(rows, relevance, strict=True):
                relevance_of_words = of_words(tokens, readings[row])
                found[name][row] = relevance_of_words if method is gradient_norm else sign * relevance_of_words
    return found


def alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The numbers of texts of one length, so many that they have about `TOKENS_AT_ONCE` tokens: nothing is padded."""
    groups: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        groups.setdefault(length, []).append(row)
    for length, rows in sorted(groups.items()):
        some = max(1, TOKENS_AT_ONCE // length)
        yield from (rows[begin : begin + some] for begin in range(0, len(rows), some))


def of_words(tokens: Tensor, one: Reading) -> Tensor:
    """The sum over the pieces of each word: (T,) to (W,) float64."""
    owned = [(place, piece.word) for place, piece in enumerate(one.pieces) if piece.word is not None]
    places, words = torch.tensor(owned).reshape(-1, 2).unbind(1)
    return torch.zeros(len(one.words), dtype=torch.float64).index_add_(0, words, tokens[places].double())


def read(line: str) -> Reading:
    """What our networks get for a text. Raises ValueError where they know nothing of it."""
    return reading.read(line, text.tokenizer(), text.LONGEST)


def probabilities(net: Any, ids: Sequence[Sequence[int]]) -> Tensor:
    """Of the classes, (N, C), for texts as token ids."""
    found: list[Tensor] = [torch.empty(0)] * len(ids)
    with torch.inference_mode():
        for rows in alike([len(one) for one in ids]):
            for row, one in zip(rows, net(torch.tensor([ids[row] for row in rows])).logits.softmax(1), strict=True):
                found[row] = one
    return torch.stack(found)


def gradient_times_input(net: Any, ids: Tensor, target: lrp.Target) -> Tensor:
    """Of the word embeddings, summed over their features."""
    words, slopes = _gradient(net, ids, target)
    return (words * slopes).sum(2)


def gradient_norm(net: Any, ids: Tensor, target: lrp.Target) -> Tensor:
    """How long the gradient of each word embedding is: it has no sign."""
    return _gradient(net, ids, target)[1].norm(dim=2)


def _gradient(net: Any, ids: Tensor, target: lrp.Target) -> tuple[Tensor, Tensor]:
    """The word embeddings and the score's gradient there, (B, T, D) each."""
    with torch.enable_grad():
        words = net.get_input_embeddings()(ids).detach().requires_grad_()
        logits = net(inputs_embeds=words).logits
        score = (target.on(logits.detach()) * logits).sum()
        return words.detach(), torch.autograd.grad(score, words)[0]


def noise(seed: int) -> Baseline:
    """Normal numbers for relevance, other ones at every call."""
    generator = torch.Generator().manual_seed(seed)
    return lambda net, ids, target: torch.randn(ids.shape, generator=generator)
