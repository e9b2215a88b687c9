"""Sequence classifiers of transformers, unmodified, as small as their configurations allow, with random weights."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import randomise

WIDTH = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SHORT = {"vocab_size": 40, "max_position_embeddings": 32, "pad_token_id": 1, "num_labels": 3}
LONG_NAMES = {**WIDTH, **SHORT}
DECODER = {**LONG_NAMES, "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 2}

CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "xlm-r": ("XLMRoberta", LONG_NAMES),
    "roberta": ("Roberta", LONG_NAMES),
    "bert": ("Bert", LONG_NAMES),
    "distilbert": ("DistilBert", {**SHORT, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}),
    "electra": ("Electra", {**LONG_NAMES, "embedding_size": 8}),
    "albert": ("Albert", {**LONG_NAMES, "embedding_size": 8, "num_hidden_layers": 2}),
    "mpnet": ("MPNet", LONG_NAMES),
    "deberta-v2": (
        "DebertaV2",
        {**LONG_NAMES, "relative_attention": True, "position_buckets": 4, "pos_att_type": ["c2p", "p2c"]},
    ),
    "deberta-v3": (
        "DebertaV2",
        {
            **LONG_NAMES,
            **{"relative_attention": True, "position_buckets": 4, "pos_att_type": ["c2p", "p2c"]},
            **{"share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False},
        },
    ),
    "gpt2": ("GPT2", {**SHORT, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}),
    "llama": ("Llama", DECODER),
    "qwen2": ("Qwen2", DECODER),
}
EAGER_ONLY = ("mpnet", "deberta-v2", "deberta-v3")


def build(name: str, attention: str = "eager", seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    """The model with weights, biases and norms drawn at random."""
    import_torchvision()  # transformers imports it plainly
    kind, settings = CONFIGURATIONS[name]
    module = importlib.import_module("transformers")
    config = getattr(module, f"{kind}Config")(**settings, attn_implementation=attention)
    model = getattr(module, f"{kind}ForSequenceClassification")(config)
    randomise(model, seed)
    generator = torch.Generator().manual_seed(seed)
    for path, parameter in model.named_parameters():
        if parameter.dim() == 1 and "norm" in path.lower().rsplit(".", 2)[-2] and path.endswith("weight"):
            parameter.data.uniform_(0.5, 1.5, generator=generator)
        if parameter.dim() == 2 and "embed" in path.lower():
            parameter.data.normal_(generator=generator)
    return model.to(dtype).eval().requires_grad_(False)


def without_biases(model: nn.Module) -> nn.Module:
    """The same model with every bias at zero."""
    for path, parameter in model.named_parameters():
        if path.endswith("bias"):
            parameter.data.zero_()
    return model


def tokens(*lengths: int) -> dict[str, Tensor]:
    """Rows of so many tokens each, padded to the longest."""
    generator = torch.Generator().manual_seed(sum(lengths))
    ids = torch.randint(3, 40, (len(lengths), max(lengths)), generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return {"input_ids": ids.masked_fill(~mask, 1), "attention_mask": mask.long()}
