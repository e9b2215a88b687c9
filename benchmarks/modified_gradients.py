"""AttnLRP and CP-LRP on XLM-R by modified gradients, as their papers' code does it: the peer that `lrp_core` is timed
against, and an oracle for its tests.

Relevance is value times gradient once the gradients are what LRP wants: deviations detached, activations fixed slopes,
and each product of two signals half the gradient for each (or, in CP-LRP, none for the attention weights).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def explain(model: Any, input_ids: Tensor, attention_mask: Tensor, target: int, attention: str) -> list[Tensor]:
    """Relevance of the words, positions and types, (B, L, E) each, for one logit of XLM-R for sequence classification.

    ``attention`` is "attnlrp" or "cp". Biases take what they take by LRP-0.
    """
    table = model.roberta.embeddings
    positions = attention_mask.cumsum(1) * attention_mask + table.padding_idx
    ids = ((table.word_embeddings, input_ids), (table.position_embeddings, positions))
    ids += ((table.token_type_embeddings, torch.zeros_like(input_ids)),)
    with torch.enable_grad():
        parts = [lookup(numbers).detach().requires_grad_() for lookup, numbers in ids]
        score = logits(model, parts, attention_mask, attention)[:, target].sum()
        gradients = torch.autograd.grad(score, parts)
    return [part.detach() * gradient for part, gradient in zip(parts, gradients, strict=True)]


def logits(model: Any, parts: list[Tensor], attention_mask: Tensor, attention: str) -> Tensor:
    """What the model computes from its embeddings, with gradients that are not its own."""
    x = _norm(model.roberta.embeddings.LayerNorm, parts[0] + parts[1] + parts[2])
    mask = None if bool(attention_mask.all()) else attention_mask.bool()[:, None, None]
    for layer in model.roberta.encoder.layer:
        own, heads = layer.attention.self, model.config.num_attention_heads
        q, k, v = (m(x).unflatten(-1, (heads, -1)).transpose(1, 2) for m in (own.query, own.key, own.value))
        if attention == "cp":
            seen = F.scaled_dot_product_attention(q.detach(), k.detach(), v, attn_mask=mask)
        else:
            seen = _half(F.scaled_dot_product_attention(_half(q), _half(k), v, attn_mask=mask))
        z = layer.attention.output.dense(seen.transpose(1, 2).flatten(2))
        x = _norm(layer.attention.output.LayerNorm, z + x)
        z = layer.output.dense(_slope(F.gelu, layer.intermediate.dense(x)))
        x = _norm(layer.output.LayerNorm, z + x)
    head = model.classifier
    return head.out_proj(_slope(torch.tanh, head.dense(x[:, 0])))


def _half(x: Tensor) -> Tensor:
    """The value of x with half its gradient."""
    return x * 0.5 + x.detach() * 0.5


def _slope(activation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """activation(x) = x * slope, with the slope as a constant."""
    fixed = x.detach()
    slope = activation(fixed) / fixed.masked_fill(fixed == 0, 1.0)
    return x * slope


def _norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    """Layer norm with its deviation as a constant."""
    variance, _ = torch.var_mean(x.detach(), -1, correction=0, keepdim=True)
    return (x - x.mean(-1, keepdim=True)) * torch.rsqrt(variance + layer.eps) * layer.weight + layer.bias
