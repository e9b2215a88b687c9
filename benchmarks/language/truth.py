"""Does the map of a prompt show the word that decides, and does the answer follow when relevant words are deleted?

The prompts are ours (`assets/language/prompts.json`): each names two words that may come next and, where grammar or the
pattern says so, the word of the prompt that decides between them. A prompt counts where the model is right: with the
token in front of the text, and without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import lrp_core as lrp
from lrp_core.evaluation import pictures as evaluation
from lrp_core.evaluation import words as word_evaluation
from models.language import LanguageModel
from models.text.reading import Reading

from ..figures import described

PROMPTS = Path(__file__).parents[2] / "assets" / "language" / "prompts.json"
GAMMAS = (0.05, 0.25)
STEPS = 6
TOKENS_AT_ONCE = 512

COLUMNS = {
    "pointing": ("with_start", "pointing"),
    "deletion": ("with_start", "deletion"),
    "pointing, no start": ("without_start", "pointing"),
    "deletion, no start": ("without_start", "deletion"),
}
"""The columns of the table: which variant, which measure."""


@dataclass(frozen=True)
class Prompt:
    """text: as it was read. word, rival: tokens. mark: the number of the word that decides, None where nobody says."""

    kind: str
    reading: Reading
    word: int
    rival: int
    mark: int | None


def prompts(model: LanguageModel, path: Path = PROMPTS, most: int | None = None) -> list[Prompt]:
    """The prompts as the model reads them; `most`: of each kind in turn, about so many."""
    given = json.loads(path.read_text(encoding="utf-8"))
    given = given if most is None else given[:: max(1, -(-len(given) // most))]
    return [_prompt(model, one) for one in given]


def _prompt(model: LanguageModel, one: Mapping[str, str]) -> Prompt:
    reading = model.read(one["text"])
    words = [word.text for word in reading.words]
    mark = words.index(one["mark"]) if "mark" in one else None
    return Prompt(one["kind"], reading, model.word(one["word"]), model.word(one["rival"]), mark)


def methods(seed: int) -> dict[str, lrp.Composite | torch.Generator]:
    """What is compared, by the name in the table; a generator stands for chance."""
    presets = lrp.presets
    return {
        "AttnLRP": presets.attn_lrp(),
        "CP-LRP": presets.cp_lrp(),
        **{f"AttnLRP, gamma {gamma:g}": presets.gamma(gamma) for gamma in GAMMAS},
        "gradient x input": presets.gradient_times_input(),
        "random": torch.Generator().manual_seed(seed),
    }


def measure(net: Any, model: LanguageModel, given: Sequence[Prompt], seed: int) -> dict[str, Any]:
    """The report: pointing and deletion per method, with the token in front of the text and without it."""
    right = {start: [one for one in given if _gap(net, [_ids(one.reading, start)], one)[0] > 0] for start in (1, 0)}
    report: dict[str, Any] = {"prompts": len(given)}
    for start, name in ((1, "with_start"), (0, "without_start")):
        report[name] = {"right": len(right[start])} | _variant(net, model, right[start], start, seed)
    return report


def _variant(net: Any, model: LanguageModel, given: Sequence[Prompt], start: int, seed: int) -> dict[str, Any]:
    compared = methods(seed)
    shares: dict[str, list[float]] = {name: [] for name in compared}
    areas: dict[str, list[float]] = {name: [] for name in compared}
    sinks: dict[str, list[float]] = {"first token": [], "attention weights": []}
    kinds: list[str] = []
    for one in given:
        ids = _ids(one.reading, start)
        tape = lrp.record(net, torch.tensor([ids]))
        target = lrp.Target.difference(one.word, one.rival)
        of_words = {}
        for name, method in compared.items():
            if isinstance(method, torch.Generator):
                of_words[name] = torch.randn(len(one.reading.words), generator=method)
                continue
            explanation = tape.explain(method, target)
            tokens = explanation.relevance[0].double().sum(1)
            of_words[name] = _of_words(tokens, one.reading, start)
            if name == "AttnLRP":
                sinks["first token"].append((tokens[0].abs() / tokens.abs().sum()).item())
                total = explanation.ledger.total
                sinks["attention weights"].append((total.softmax / total.start).item())
        if one.mark is not None:
            kinds.append(one.kind)
            for name, values in of_words.items():
                shares[name].append(_share(values, one.mark))
        for name, value in zip(compared, _deleted(net, model, one, list(of_words.values()), start), strict=True):
            areas[name].append(value)
    return {
        "pointing": described({name: torch.tensor(values) for name, values in shares.items()}),
        "deletion": described({name: torch.tensor(values) for name, values in areas.items()}),
        "pointing_by_kind": {
            kind: {
                name: round(sum(v for v, k in zip(values, kinds, strict=True) if k == kind) / kinds.count(kind), 4)
                for name, values in shares.items()
            }
            for kind in dict.fromkeys(kinds)
        },
        "sinks_of_attnlrp": {
            name: round(torch.tensor(values).median().item(), 4) for name, values in sinks.items() if values
        },
    }


def _share(values: Tensor, mark: int) -> float:
    """How much of what speaks for the word lies on the one that decides."""
    positive = values.double().clamp(min=0)
    return (positive[mark] / positive.sum()).item() if positive.any() else 0.0


def _of_words(tokens: Tensor, reading: Reading, start: int) -> Tensor:
    pieces = reading.pieces if start else reading.pieces[1:]
    groups = [piece.word for piece in pieces]
    return torch.from_numpy(lrp.tokens.by_group(tokens, groups, len(reading.words)))


def _ids(reading: Reading, start: int) -> list[int]:
    return reading.ids[0].tolist()[0 if start else 1 :]


def _deleted(net: Any, model: LanguageModel, one: Prompt, ranked: Sequence[Tensor], start: int) -> list[float]:
    """For each relevance, how far the difference of the two words falls sooner with the most relevant words first."""
    words = len(one.reading.words)
    counts = [count for count in evaluation.flip_counts(words, min(STEPS, words)) if count < words]
    most = evaluation.ranking(torch.stack([values.double() for values in ranked]))
    kept = word_evaluation.left_over(torch.cat((most, most.flip(1))), counts).flatten(0, 1)
    texts = [_shortened(one.reading, row.tolist()) for row in kept]
    different = list(dict.fromkeys(texts))
    ids = [_ids(model.read(text), start) for text in different]
    gaps = dict(zip(different, _gap(net, ids, one), strict=True))
    curves = torch.tensor([gaps[text] for text in texts], dtype=torch.float64).reshape(2, len(ranked), len(counts))
    return evaluation.area_between(curves[0], curves[1], counts).tolist()


def _shortened(reading: Reading, kept: Sequence[bool]) -> str:
    parts, done = [], 0
    for word, stays in zip(reading.words, kept, strict=True):
        if not stays:
            parts.append(reading.text[done : word.start])
            done = word.end
    return " ".join("".join((*parts, reading.text[done:])).split())


def _gap(net: Any, ids: Sequence[Sequence[int]], one: Prompt) -> list[float]:
    """By how much the word is ahead of its rival after each of these texts, in logits."""
    found = [0.0] * len(ids)
    with torch.inference_mode():
        for rows in _alike([len(row) for row in ids]):
            logits = net(torch.tensor([ids[row] for row in rows]))
            for row, gap in zip(rows, (logits[:, one.word] - logits[:, one.rival]).tolist(), strict=True):
                found[row] = gap
    return found


def _alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The numbers of texts of one length, so that nothing is padded."""
    groups: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        groups.setdefault(length, []).append(row)
    for length, rows in groups.items():
        some = max(1, TOKENS_AT_ONCE // length)
        yield from (rows[begin : begin + some] for begin in range(0, len(rows), some))


def columns(report: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the table, by their titles."""
    return {title: report[variant][measure] for title, (variant, measure) in COLUMNS.items()}
