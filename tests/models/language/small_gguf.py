"""A language model as small as can be, as a GGUF file: what is read from it must not depend on the real one."""

import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from models.language.smollm2 import START
from pages.language.subject import SAMPLES

WIDTH, HIDDEN, BLOCKS, HEADS, KEY_HEADS = 32, 64, 2, 4, 2
F32, F16, Q4_1, Q8_0 = 0, 1, 3, 8
WORDS = "are is were was her his she he cold hot fridge oven Mary John Spain Italy the of to and a cat dog dogs"


@cache
def pieces() -> tuple[list[str], list[str]]:
    """A vocabulary of byte pairs, learned from the samples, and its merges; the token in front is number 0."""
    import json

    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    corpus = [SAMPLES.read_text(encoding="utf-8"), *(f" {word}" for word in WORDS.split())] * 5
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=[START, "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    own.train_from_iterator(corpus, trainer)
    state = json.loads(own.to_str())["model"]
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in state["merges"]]
    return sorted(state["vocab"], key=state["vocab"].__getitem__), merges


def metadata() -> dict[str, Any]:
    vocabulary, merges = pieces()
    return {
        "general.architecture": "llama",
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": HIDDEN,
        "llama.block_count": BLOCKS,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KEY_HEADS,
        "llama.rope.freq_base": 10_000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.tokens": vocabulary,
        "tokenizer.ggml.token_type": [3, 3, *[1] * (len(vocabulary) - 2)],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.add_bos_token": False,
    }


def tensors(seed: int = 0) -> dict[str, tuple[np.ndarray, int]]:
    """Random weights by their names, each with the form in which it is kept."""
    random = np.random.default_rng(seed)

    def weight(*shape: int, form: int = Q4_1) -> tuple[np.ndarray, int]:
        return random.normal(0, 1.5 / np.sqrt(shape[-1]), shape).astype(np.float32), form

    keys = WIDTH // HEADS * KEY_HEADS
    made = {"token_embd.weight": weight(len(pieces()[0]), WIDTH, form=Q8_0)}
    made["output_norm.weight"] = np.ones(WIDTH, np.float32), F32
    for number in range(BLOCKS):
        for name, shape in {
            **{"attn_q": (WIDTH, WIDTH), "attn_k": (keys, WIDTH), "attn_v": (keys, WIDTH)},
            **{"attn_output": (WIDTH, WIDTH), "ffn_gate": (HIDDEN, WIDTH), "ffn_up": (HIDDEN, WIDTH)},
            "ffn_down": (WIDTH, HIDDEN),
        }.items():
            made[f"blk.{number}.{name}.weight"] = weight(*shape)
        for name in ("attn_norm", "ffn_norm"):
            made[f"blk.{number}.{name}.weight"] = np.full(WIDTH, 1.25, np.float32), F16
    return made


def save(path: Path, meta: dict[str, Any] | None = None, weights: dict[str, tuple[np.ndarray, int]] | None = None):
    """Write the file, and return its path."""
    meta = metadata() if meta is None else meta
    weights = tensors() if weights is None else weights
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(meta)))
    for key, value in meta.items():
        head += _string(key) + _value(value)
    body = bytearray()
    for name, (numbers, form) in weights.items():
        shape = numbers.shape[::-1]
        head += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, form, len(body))
        body += packed(numbers, form)
        body += bytes(-len(body) % 32)
    head += bytes(-len(head) % 32)
    path.write_bytes(bytes(head + body))
    return path


def packed(numbers: np.ndarray, form: int) -> bytes:
    if form in (F32, F16):
        return numbers.astype("<f4" if form == F32 else "<f2").tobytes()
    blocks = numbers.reshape(-1, 32)
    if form == Q8_0:
        scale = (np.abs(blocks).max(1, keepdims=True) / 127).astype("<f2")
        whole = np.round(blocks / np.maximum(scale.astype(np.float32), 1e-9)).clip(-127, 127).astype(np.int8)
        return np.concatenate([scale.view(np.uint8), whole.view(np.uint8)], 1).tobytes()
    least = blocks.min(1, keepdims=True).astype("<f2")
    scale = ((blocks.max(1, keepdims=True) - least.astype(np.float32)) / 15).astype("<f2")
    whole = np.round((blocks - least.astype(np.float32)) / np.maximum(scale.astype(np.float32), 1e-9))
    whole = whole.clip(0, 15).astype(np.uint8)
    halves = whole[:, :16] | whole[:, 16:] << 4
    return np.concatenate([scale.view(np.uint8), least.view(np.uint8), halves], 1).tobytes()


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_string, value))
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
