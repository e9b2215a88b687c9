"""Classifiers in Hugging Face's format, with random weights and a tokenizer of their kind, saved into a folder."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from models.torchvision_compat import import_torchvision
from tests.models.text import small_tokenizers

_WIDTH = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
_NARROW = {**_WIDTH, "embedding_size": 8}
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "xlm-roberta": ("XLMRoberta", "unigram", _WIDTH),
    "roberta": ("Roberta", "byte_level", _WIDTH),
    "bert": ("Bert", "word_piece", _WIDTH),
    "distilbert": ("DistilBert", "word_piece", {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}),
    "electra": ("Electra", "word_piece", _NARROW),
    "albert": ("Albert", "unigram", _NARROW),
    "mpnet": ("MPNet", "word_piece", _WIDTH),
    "deberta-v2": ("DebertaV2", "unigram", {**_WIDTH, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
}
"""Each kind: the name of its classes in transformers, its tokenizer, its settings."""


def save(
    folder: Path,
    kind: str = "xlm-roberta",
    head: str = "ForSequenceClassification",
    dtype: torch.dtype = torch.float32,
    shard: str = "1GB",
    **settings: Any,
) -> torch.nn.Module:
    """Save a classifier of three classes that reads 40 pieces, and return it. shard: how large a file may become."""
    import_torchvision()  # transformers imports it plainly
    import transformers

    family, tokenizer, width = KINDS[kind]
    own: Tokenizer = getattr(small_tokenizers, tokenizer)()
    shape = {"vocab_size": own.get_vocab_size(), "max_position_embeddings": 42, "pad_token_id": 1}
    if "num_labels" not in settings:
        settings = {"id2label": {0: "bad", 1: "so so", 2: "good"}, **settings}
    config = getattr(transformers, f"{family}Config")(**width, **shape | settings)
    torch.manual_seed(0)
    net = getattr(transformers, family + head)(config)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    net.to(dtype).eval().save_pretrained(folder, max_shard_size=shard)
    start, pad, end = (own.id_to_token(i) for i in range(3))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=own, bos_token=start, cls_token=start, pad_token=pad, eos_token=end, sep_token=end
    ).save_pretrained(folder)
    return net


def change(path: Path, **settings) -> None:
    """Change a file of settings; those that are None are taken out."""
    changed = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}))
