"""A network that is a list of words: what each word is worth to it is known."""

from types import SimpleNamespace

import torch
from torch import nn

from benchmarks.text import methods as text_methods
from models import text

TOXIC_WORDS, GOOD, BAD = ("idiot", "stupid", "crap"), ("good", "great", "best"), ("bad", "worst", "poor")
EXACT = ("AttnLRP", "CP-LRP", "gradient x input")


class WordList(nn.Module):
    """Logits are sums over what each word is worth for each class, and a bias."""

    def __init__(self, worth: dict[str, tuple[float, ...]], bias: tuple[float, ...]) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(text.VOCABULARY, len(bias))
        self.out = nn.Linear(len(bias), len(bias))
        nn.init.zeros_(self.word_embeddings.weight)
        nn.init.eye_(self.out.weight)
        self.out.bias.data.copy_(torch.tensor(bias))
        for word, values in worth.items():
            (piece,) = text_methods.read(word).ids[0, 1:-1].tolist()
            self.word_embeddings.weight.data[piece] = torch.tensor(values)
        self.eval().requires_grad_(False)

    def get_input_embeddings(self) -> nn.Module:
        return self.word_embeddings

    def forward(self, input_ids=None, inputs_embeds=None):
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        return SimpleNamespace(logits=self.out(words.sum(1)))


def of_toxic_words() -> nn.Module:
    return WordList(dict.fromkeys(TOXIC_WORDS, (-1.0, 1.0, 1.0)), (0.7, 0.1, 0.1))


def of_sentiment() -> nn.Module:
    worth = dict.fromkeys(GOOD, (-1.0, 1.0)) | dict.fromkeys(BAD, (1.0, -1.0))
    return WordList(worth | {"best": (-1.5, 1.5), "film": (0.0, 0.1)}, (0.0, 0.05))
