"""A text that a model goes on with, token by token, and how that is read: which token is part of which word."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.language.networks import LanguageModel
from models.text.reading import Piece, Reading, Word


@dataclass(frozen=True)
class Said:
    """A token that the model said, how likely it was, and the likeliest other one."""

    token: int
    probability: float
    rival: int


def next_token(net: nn.Module, ids: Sequence[int], temperature: float, seed: int) -> Said:
    """What the model says next: the likeliest token, or above a temperature of 0 one that is drawn.

    The same for the same seed and text. At a temperature of 1 a token is drawn as often as it is likely.
    """
    with torch.inference_mode():
        logits = net(torch.tensor([list(ids)]))[0].float()
    probabilities = logits.softmax(0)
    if temperature > 0:
        generator = torch.Generator().manual_seed(seed * 100_003 + len(ids))
        token = int(torch.multinomial((logits / temperature).softmax(0), 1, generator=generator))
    else:
        token = int(logits.argmax())
    first, second = logits.topk(2).indices.tolist()
    return Said(token, probabilities[token].item(), second if token == first else first)


def read(model: LanguageModel, prompt: Reading, said: Sequence[int]) -> Reading:
    """A prompt and what followed it as one text: read anew where that gives the same tokens, else token by token."""
    ids = [*prompt.ids[0].tolist(), *said]
    text = prompt.text[: prompt.cut] if prompt.cut is not None else prompt.text
    whole = text + _written(model, prompt, said)
    try:
        anew = model.read(whole, len(ids))
    except ValueError:  # nothing can be seen of it, or it is too long
        anew = None
    if anew is not None and anew.ids[0].tolist() == ids:
        return anew
    return _token_by_token(model, prompt, said, text)


def _written(model: LanguageModel, prompt: Reading, said: Sequence[int]) -> str:
    """What the tokens add to the text: some tokenizers write no space in front of what stands by itself."""
    before = prompt.ids[0]
    both = torch.cat((before, torch.tensor(list(said), dtype=torch.int64)))
    return model.written(both)[len(model.written(before)) :]


def _token_by_token(model: LanguageModel, prompt: Reading, said: Sequence[int], text: str) -> Reading:
    """Each token that shows anything is a word of its own; the others belong to the one before them."""
    pieces, words = list(prompt.pieces), list(prompt.words)
    begin = text
    for count, token in enumerate(said, 1):
        whole = begin + _written(model, prompt, said[:count])
        added = whole[len(text) :]
        shown = added.strip()
        start = len(text) + len(added) - len(added.lstrip())
        if "\N{REPLACEMENT CHARACTER}" in added:  # the first bytes of a character that is not whole yet
            shown, start = "", len(text)
        else:
            text = whole
        if shown:
            words.append(Word(shown, start, start + len(shown)))
        pieces.append(Piece(shown or model.labels[token], start, start + len(shown), False, max(0, len(words) - 1)))
    return Reading(text, _ids(prompt, said), tuple(pieces), tuple(words), None)


def _ids(prompt: Reading, said: Sequence[int]) -> Tensor:
    return torch.cat((prompt.ids, torch.tensor([list(said)], dtype=torch.int64)), 1)
