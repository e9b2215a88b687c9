"""A language model of Llama's architecture (Touvron 2023), written in the operations that explain it best.

The names of its weights are those of transformers, so that checkpoints fit as they are. What differs is how it is
computed: a norm is one operation in the type of the weights, heads share their keys within one call of attention, and
the turn by the position is one linear map. In float64 it is exact, which transformers' norm is not.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.language.rotary import angles, rotary


@dataclass(frozen=True)
class Shape:
    """vocabulary, width, hidden: sizes of the head, of the stream and within a block. base: of the rotary positions."""

    vocabulary: int
    width: int
    hidden: int
    blocks: int
    heads: int
    key_heads: int
    base: float = 10_000.0
    epsilon: float = 1e-5
    tied: bool = True

    @property
    def head(self) -> int:
        """Size of one attention head."""
        return self.width // self.heads


class Norm(nn.Module):
    """Root-mean-square norm (Zhang 2019)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.width))
        self.epsilon = shape.epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class Attention(nn.Module):
    """Causal attention; several heads share their keys and values (Ainslie 2023)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        keys = shape.key_heads * shape.head
        self.size = shape.head
        self.q_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.k_proj = nn.Linear(shape.width, keys, bias=False)
        self.v_proj = nn.Linear(shape.width, keys, bias=False)
        self.o_proj = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = (self._heads(layer(x)) for layer in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotary(q, cos, sin), rotary(k, cos, sin)
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(found.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (-1, self.size)).transpose(1, 2)


class Gated(nn.Module):
    """The layers between attentions: one decides how much of the other passes (Shazeer 2020)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """What each block reads from the stream it adds to."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = Norm(shape)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = Norm(shape)
        self.mlp = Gated(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Stream(nn.Module):
    """Embeddings, blocks, and the last norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.norm = Norm(shape)

    def forward(self, ids: Tensor, last: int) -> Tensor:
        x = self.embed_tokens(ids)
        cos, sin = angles(ids.shape[1], self.shape.head, self.shape.base, x)
        for block in self.layers:
            x = block(x, cos, sin)
        return self.norm(x[:, -last:])


class Llama(nn.Module):
    """Token ids (B, T) to the logits of the next token (B, V).

    With `last`, those after each of the last so many tokens, (B, last, V).
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = Stream(shape)
        self.lm_head = nn.Linear(shape.width, shape.vocabulary, bias=False)
        if shape.tied:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, ids: Tensor, last: int | None = None) -> Tensor:
        logits = self.lm_head(self.model(ids, last or 1))
        return logits if last else logits[:, -1]
