"""The model cards of the text networks: what they learned from, what was measured, what they cannot do."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from models import text
from training.calibration import calibration_error
from training.text.batches import encode, in_order
from training.text.data import Texts, read, rows
from training.text.words import BESIDE, ENCODER, LICENCES, LIMITS, TASKS, TITLES, TRAINING

TOKENS = 8192  # in a batch
TRANSFER = text.ASSETS / "transfer.json"
NEITHER = text.LABELS["offensive"].index("neither")


def scores(net: nn.Module, texts: Sequence[str], tokenizer: Tokenizer, longest: int = text.LONGEST) -> Tensor:
    """Logits (N, C), of the first `longest` pieces of each text."""
    ids = encode(tokenizer, texts, longest)
    found, device = torch.empty(len(ids), net.config.num_labels), next(net.parameters()).device
    with torch.inference_mode():
        for batch in in_order(ids, TOKENS):
            found[batch.rows] = net(batch.ids.to(device), attention_mask=batch.mask.to(device)).logits.float().cpu()
    return found


def card(name: str, net: nn.Module, folder: Path, out: Path, made: dict[str, Any]) -> dict[str, Any]:
    """The card of a network, with the figures of `net`, the file that was written. made: how it was trained."""
    test = read(name, folder, "test")
    figures = measure(name, net, test, folder, text.tokenizer(out)) | transfer(name, net, text.tokenizer(out))
    limits = [*LIMITS[name], *beside(name, figures["measured"], out)]
    return {
        "name": name,
        "title": TITLES[name],
        "task": TASKS[name],
        "input": f"(B, T) ids of pieces of words, at most {text.longest(name)} with <s> and </s>, from a vocabulary of"
        f" {text.VOCABULARY:,}.",
        "output": f"(B, {len(text.LABELS[name])}) logits: " + ", ".join(text.LABELS[name]) + ".",
        "architecture": "XLM-R's, with 12 layers of 384 and 12 heads; all four networks share the word table and the"
        " first 8 layers.",
        "encoder": ENCODER,
        **size(name, net, out),
        "training": TRAINING[name],
        **made,
        "held_out": f"{len(test.texts):,} test texts, none of them trained on.",
        **figures,
        "limits": limits,
        "licence": LICENCES[name],
        "remade_by": text.REMAKE[name],
    }


def beside(name: str, measured: dict[str, Any], out: Path) -> list[str]:
    """What counting words reaches, where that was measured."""
    prefix, key = ("offensive_or_not_", "macro_f1") if name == "offensive" else ("", "accuracy")
    path = out / "baseline.json"
    known = json.loads(path.read_text(encoding="utf-8")).get(name) if path.is_file() else None
    if known is None:
        return []
    what = {"macro_f1": "macro-F1", "accuracy": "accuracy"}[key]
    return [
        f"{BESIDE} reaches {what} {known[key]:.3f} on the same test texts, this network {measured[prefix + key]:.3f}."
    ]


def size(name: str, net: nn.Module, out: Path) -> dict[str, int]:
    """How large the network is, and its files: its own, and the one that it shares."""
    words = net.get_input_embeddings()
    table = text.VOCABULARY * net.config.hidden_size - sum(p.numel() for p in words.parameters())
    return {
        "parameters": sum(p.numel() for p in net.parameters()) + table,
        "file_bytes": text.upper_file(name, out).stat().st_size,
        "shared_file_bytes": text.encoder_file(out).stat().st_size,
    }


def measure(name: str, net: nn.Module, test: Texts, folder: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """The figures of a network: overall, per class, per language, and for posts function by function of HateCheck."""
    logits = scores(net, test.texts, tokenizer, text.longest(name))
    probabilities, labels = torch.softmax(logits, 1), test.labels
    languages = np.array(test.languages)
    if name != "offensive":
        calls = probabilities.argmax(1).numpy()
        error = calibration_error(probabilities, torch.from_numpy(labels))
        return {
            "measured": {
                "test_texts": len(labels),
                "accuracy": share(calls == labels),
                "macro_f1": round(macro_f1(calls, labels), 4),
                "expected_calibration_error": round(error, 4),
            },
            "per_class": per_class(calls, labels, text.LABELS[name]),
            "confusions": confusions(calls, labels, text.LABELS[name]),
            **({"per_language": _per_language(calls, labels, languages)} if len(set(test.languages)) > 1 else {}),
        }
    # Which of the two an offensive post is, its source may not say: what all sources tell is whether it is either.
    fine = probabilities[:, NEITHER].numpy()
    calls, offensive = fine < 0.5, labels != NEITHER
    either = torch.stack((torch.from_numpy(fine), 1 - torch.from_numpy(fine)), 1)
    told = ~((test.wanted > 0).sum(1) > 1)
    return {
        "measured": {
            "test_texts": len(labels),
            "offensive_or_not_macro_f1": round(macro_f1(calls, offensive), 4),
            "offensive_or_not_accuracy": share(calls == offensive),
            "three_classes_macro_f1": round(macro_f1(probabilities.argmax(1).numpy()[told], labels[told]), 4),
            "expected_calibration_error": round(
                calibration_error(either, torch.from_numpy(offensive.astype(np.int64))), 4
            ),
        },
        "per_class": per_class(probabilities.argmax(1).numpy()[told], labels[told], text.LABELS[name]),
        "confusions": confusions(probabilities.argmax(1).numpy()[told], labels[told], text.LABELS[name]),
        "per_language": {
            str(language): {
                "texts": int((languages == language).sum()),
                "macro_f1": round(macro_f1(calls[languages == language], offensive[languages == language]), 4),
            }
            for language in sorted(set(languages))
        },
        **hatecheck(net, folder, tokenizer),
    }


def hatecheck(net: nn.Module, folder: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """HateCheck (Röttger 2021, 2022): for each function, in how many cases the answer is right; and per language.

    Right is "offensive or hateful" for a hateful case and "neither" for another one.
    """
    cases = list(rows(folder, "hatecheck_eval_only"))
    neither = torch.softmax(scores(net, [case["text"] for case in cases], tokenizer), 1)[:, NEITHER].numpy()
    hateful = np.array([case["label"] == "hateful" for case in cases])
    right = (neither < 0.5) == hateful
    functions, languages = defaultdict(list), defaultdict(list)
    for row, case in enumerate(cases):
        functions[case["functionality"]].append(row)
        languages[case["lang"]].append(row)
    return {
        "hatecheck": {
            name: {
                "is": "hateful" if hateful[places[0]] else "not hateful",
                "cases": len(places),
                "right": share(right[places]),
                "right_in_english": share(right[[place for place in places if cases[place]["lang"] == "en"]]),
            }
            for name, places in sorted(functions.items())
        },
        "hatecheck_per_language": {
            name: {"cases": len(places), "macro_f1": round(macro_f1(neither[places] < 0.5, hateful[places]), 4)}
            for name, places in sorted(languages.items())
        },
    }


def transfer(name: str, net: nn.Module, tokenizer: Tokenizer) -> dict[str, Any]:
    """How many of our own short texts are called right, language by language; nothing for networks without any.

    Of posts it is asked whether they are offensive or hateful, or neither.
    """
    texts = json.loads(TRANSFER.read_text(encoding="utf-8")).get(name)
    if texts is None:
        return {}
    languages = [language for language, sides in texts.items() for lines in sides.values() for _ in lines]
    sides = np.array([side for known in texts.values() for side, lines in known.items() for _ in lines])
    lines = [line for known in texts.values() for lines in known.values() for line in lines]
    probabilities = torch.softmax(scores(net, lines, tokenizer), 1)
    expected = text.LABELS[name].index("neither" if name == "offensive" else "positive")
    right = (probabilities[:, expected].numpy() >= 0.5) == (sides == text.LABELS[name][expected])
    spoken = np.array(languages)
    return {
        "our_own_texts": {
            language: {"texts": int((spoken == language).sum()), "right": share(right[spoken == language])}
            for language in texts
        },
        "our_own_texts_right": share(right),
    }


def macro_f1(calls: np.ndarray, labels: np.ndarray) -> float:
    """The mean over the classes of the harmonic mean of precision and recall."""
    found = []
    for name in np.unique(labels):
        hits = ((calls == name) & (labels == name)).sum()
        found.append(2 * hits / ((calls == name).sum() + (labels == name).sum()))
    return float(np.mean(found))


def per_class(calls: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """How well each class is known."""
    return {
        name: {
            "texts": int((labels == index).sum()),
            "recall": share(calls[labels == index] == index),
            "precision": share(labels[calls == index] == index),
        }
        for index, name in enumerate(names)
    }


def confusions(calls: np.ndarray, labels: np.ndarray, names: Sequence[str], most: int = 10) -> list[dict[str, Any]]:
    """The pairs that are confused most often: what it was, what it was called, how many texts."""
    wrong = calls != labels
    pairs, counts = np.unique(np.stack([labels[wrong], calls[wrong]]), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return [{"is": names[pairs[0, i]], "called": names[pairs[1, i]], "texts": int(counts[i])} for i in order]


def _per_language(calls: np.ndarray, labels: np.ndarray, languages: np.ndarray) -> dict[str, Any]:
    return {
        str(language): {
            "texts": int((languages == language).sum()),
            "accuracy": share((calls == labels)[languages == language]),
        }
        for language in sorted(set(languages))
    }


def share(hits: np.ndarray) -> float | None:
    """The share of true values; None where there are none."""
    return round(float(np.mean(hits)), 4) if len(hits) else None
