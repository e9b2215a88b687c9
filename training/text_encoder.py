"""The encoder that the text networks grow from: it learns to fill gaps in texts (Devlin 2019), no labels seen."""

import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from models import text
from training.text_batches import Batch, encode, shuffled

SEED = 0
PASSES = 2
LEARNING_RATE, WEIGHT_DECAY, WARM = 1.5e-3, 0.01, 0.06
TOKENS = 4096  # in a batch, padding included
CHUNK_TOKENS = 128
GAPS = 0.15  # share of the tokens that are to be guessed; of these 80 % hidden, 10 % exchanged, 10 % left
SAVE_EVERY = 100  # steps


def network() -> nn.Module:
    """The encoder with the head that guesses tokens, which shares its weights with the embedding."""
    configured = text.configuration()
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


def loss_of(net: nn.Module, batch: Batch, random: torch.Generator) -> Tensor:
    """Mean surprise at the hidden tokens."""
    device = next(net.parameters()).device
    holed, gaps = with_gaps(batch.ids, random)
    hidden = net.roberta(holed.to(device), attention_mask=batch.mask.to(device)).last_hidden_state
    gaps = gaps.to(device)
    return F.cross_entropy(net.lm_head(hidden[gaps]), batch.ids.to(device)[gaps])


def rate_at(step: int, steps: int, peak: float, warm: float = WARM) -> float:
    """The learning rate: up in a line, down to nothing along a cosine."""
    done = step / steps
    return peak * min(done / warm, (1 + math.cos(math.pi * done)) / 2)


def decayed(net: nn.Module, rate: float) -> torch.optim.Optimizer:
    """AdamW that decays matrices only."""
    matrices = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)


def train(lines: list[str], tokenizer: Tokenizer, passes: int, checkpoint: Path | None, device: str) -> nn.Module:
    """Fill gaps in every line `passes` times. Goes on from the checkpoint where there is one."""
    torch.manual_seed(SEED)
    net = network().to(device).train()
    optimizer = decayed(net, LEARNING_RATE)
    begin = 0
    if checkpoint is not None and checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        begin = saved["step"]
    ids = encode(tokenizer, lines, CHUNK_TOKENS)
    steps = [len(shuffled(ids, TOKENS, np.random.default_rng(SEED + number))) for number in range(passes)]
    random, step, losses, started = torch.Generator().manual_seed(SEED + begin), 0, [], time.perf_counter()
    for number in range(passes):
        if step + steps[number] <= begin:
            step += steps[number]
            continue
        for batch in shuffled(ids, TOKENS, np.random.default_rng(SEED + number)):
            step += 1
            if step <= begin:
                continue
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, sum(steps), LEARNING_RATE)
            loss = loss_of(net, batch, random)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            if step % SAVE_EVERY == 0 or step == sum(steps):
                took, started = time.perf_counter() - started, time.perf_counter()
                shown = f"loss {np.mean(losses[-SAVE_EVERY:]):.3f}, {took:.0f} s"
                print(f"encoder, step {step} of {sum(steps)}: {shown}", flush=True)
                if checkpoint is not None:
                    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
                    torch.save(state, checkpoint.with_suffix(".new"))
                    checkpoint.with_suffix(".new").replace(checkpoint)
    return net.eval()
