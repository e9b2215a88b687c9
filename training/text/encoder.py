"""The encoder that the text networks grow from: it learns to fill gaps in texts (Devlin 2019), no labels seen."""

import time
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from models import text
from models.text import xlm_r
from training.learning import decayed, rate_at
from training.text.batches import Batch, encode, shuffled
from training.text.vectors import vectors

SEED = 0
PASSES = 2
LEARNING_RATE, WARM = 1.5e-3, 0.06
TOKENS = 4096  # in a batch, padding included
CHUNK_TOKENS = 128
GAPS = 0.25  # share of the tokens that are to be guessed; of these 80 % hidden, 10 % exchanged, 10 % left
SUMMARY = 0.5  # weight of summing up beside filling gaps
SAVE_EVERY = 50  # steps


def network() -> nn.Module:
    """The encoder with the head that guesses tokens, which shares its weights with the embedding."""
    configured = xlm_r.configuration()
    from transformers import XLMRobertaForMaskedLM

    configured.hidden_dropout_prob = configured.attention_probs_dropout_prob = 0.0  # nothing is seen often enough
    return XLMRobertaForMaskedLM(configured)


def with_gaps(ids: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ids with gaps, and where they are (B, T)."""
    chance = torch.rand(ids.shape, generator=random)
    gaps = (chance < GAPS) & (ids > text.UNKNOWN)
    other = torch.randint(text.UNKNOWN + 1, text.VOCABULARY - 1, ids.shape, generator=random)
    holed = torch.where(gaps & (chance < 0.9 * GAPS), other, ids)
    return torch.where(gaps & (chance < 0.8 * GAPS), text.VOCABULARY - 1, holed), gaps


def loss_of(net: nn.Module, batch: Batch, random: torch.Generator, rarity: Tensor) -> tuple[Tensor, Tensor]:
    """Mean surprise at the hidden tokens, and at the text's words when only the vector of its start is seen.

    The second is what makes the start sum up the text, which the networks that grow from the encoder read there.
    """
    device = next(net.parameters()).device
    holed, gaps = with_gaps(batch.ids, random)
    ids, gaps = batch.ids.to(device), gaps.to(device)
    with torch.autocast(device.type, torch.bfloat16):
        hidden = net.roberta(holed.to(device), attention_mask=batch.mask.to(device)).last_hidden_state
        guesses, summary = net.lm_head(hidden[gaps]).float(), net.lm_head(hidden[:, 0]).float()
    wanted = torch.zeros_like(summary).scatter_(1, ids, 1.0) * rarity
    wanted = wanted / wanted.sum(1, keepdim=True).clamp_min(1e-6)
    return F.cross_entropy(guesses, ids[gaps]), F.cross_entropy(summary, wanted)


def rarities(ids: Sequence[Sequence[int]]) -> Tensor:
    """The weight of each piece in the sum of a text, (V,): the inverse document frequency; none for special ones."""
    texts = torch.bincount(torch.tensor([one for line in ids for one in set(line)]), minlength=text.VOCABULARY)
    found = (len(ids) / texts.clamp_min(1)).log()
    found[: text.UNKNOWN + 1] = found[-1] = 0
    return found


def started_from(net: nn.Module, ids: Sequence[Sequence[int]]) -> None:
    """Give the embedding the vectors that counting neighbours finds."""
    with torch.no_grad():
        net.roberta.embeddings.word_embeddings.weight.copy_(vectors(ids, net.config.hidden_size))


def batches(ids: Sequence[Sequence[int]]) -> Iterator[Batch]:
    """Every text once in each pass, without end."""
    for number in count():
        yield from shuffled(ids, TOKENS, np.random.default_rng(SEED + number))


def train(lines: list[str], tokenizer: Tokenizer, passes: float, checkpoint: Path | None, device: str) -> nn.Module:
    """Read every line `passes` times, the last time perhaps in part. Goes on from the checkpoint where there is one."""
    torch.manual_seed(SEED)
    ids = encode(tokenizer, lines, CHUNK_TOKENS)
    net = network()
    saved = torch.load(checkpoint, weights_only=True) if checkpoint is not None and checkpoint.is_file() else None
    if saved is None:
        started_from(net, ids)
    net = net.to(device).train()
    optimizer, rarity, begin = decayed(net, LEARNING_RATE), rarities(ids).to(device), 0
    if saved is not None:
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        begin = saved["step"]
    steps = round(passes * len(shuffled(ids, TOKENS, np.random.default_rng(SEED))))
    random, losses, started = torch.Generator().manual_seed(SEED + begin), [], time.perf_counter()
    for step, batch in enumerate(islice(batches(ids), begin, steps), begin + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, steps, LEARNING_RATE, WARM)
        guessing, summing = loss_of(net, batch, random, rarity)
        optimizer.zero_grad()
        (guessing + SUMMARY * summing).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append((guessing.item(), summing.item()))
        if step % SAVE_EVERY == 0 or step == steps:
            took, started = time.perf_counter() - started, time.perf_counter()
            gaps, texts = np.mean(losses[-SAVE_EVERY:], axis=0)
            shown = f"loss of gaps {gaps:.3f}, of texts {texts:.3f}, {took:.0f} s"
            print(f"encoder, step {step} of {steps}: {shown}", flush=True)
            if checkpoint is not None:
                state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
                torch.save(state, checkpoint.with_suffix(".new"))
                checkpoint.with_suffix(".new").replace(checkpoint)
    return net.eval()
