"""A reader of GGUF, the format of llama.cpp: what a file says of itself, and its weights as float32.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Weights may be whole (32 or 16 bits) or in blocks of
32 numbers, each block with a scale of its own: Q8_0 (d * q) and Q4_1 (d * q + m). Nothing is executed, and nothing is
read beyond the end of the file.
"""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

MAGIC, VERSION = b"GGUF", 3

_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_WHOLE = {0: "<f4", 1: "<f2"}
_BLOCK = 32
_BYTES_OF_BLOCK = {3: 20, 8: 34}
_Q4_1 = 3


class Gguf:
    """An open file. metadata: by key, as written there. names: of its tensors.

    Raises ValueError (one sentence) where it is no GGUF of version 3 or ends too early.
    """

    def __init__(self, path: Path) -> None:
        self._bytes = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
        self._at = 0
        try:
            if self._take(4) != MAGIC or self._number("<I") != VERSION:
                raise ValueError("another format")
            tensors, entries = self._number("<Q"), self._number("<Q")
            self.metadata = {self._string(): self._value(self._number("<I")) for _ in range(entries)}
            self._tensors = {self._string(): self._place() for _ in range(tensors)}
        except (ValueError, KeyError, struct.error, MemoryError) as error:
            raise ValueError(f"{path.name} is damaged or no GGUF file of version {VERSION}.") from error
        self._name = path.name
        alignment = self.metadata.get("general.alignment", 32)
        self._start = -(-self._at // alignment) * alignment

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tensors)

    def tensor(self, name: str) -> np.ndarray:
        """The numbers of a tensor, float32, in memory of their own; the last axis runs fastest.

        Raises KeyError for a name that there is not, ValueError for a kind of block that is not known here, and where
        the file ends too early.
        """
        shape, kind, offset = self._tensors[name]
        count, at = math.prod(shape), self._start + offset
        if kind in _WHOLE:
            dtype = np.dtype(_WHOLE[kind])
            return self._part(at, count * dtype.itemsize).view(dtype).astype(np.float32).reshape(shape)
        if kind not in _BYTES_OF_BLOCK or count % _BLOCK:
            raise ValueError(f"{self._name} keeps {name} in a form that is not known here (number {kind}).")
        size = _BYTES_OF_BLOCK[kind]
        blocks = self._part(at, count // _BLOCK * size).reshape(-1, size)
        return (_four_bits(blocks) if kind == _Q4_1 else _eight_bits(blocks)).reshape(shape)

    def _part(self, start: int, size: int) -> np.ndarray:
        if start + size > len(self._bytes):
            raise ValueError(f"{self._name} ends too early.")
        return np.array(self._bytes[start : start + size])

    def _take(self, size: int) -> bytes:
        if self._at + size > len(self._bytes):
            raise ValueError("the file ends too early")
        self._at += size
        return self._bytes[self._at - size : self._at].tobytes()

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _string(self) -> str:
        return self._take(self._number("<Q")).decode("utf-8")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            inner, count = self._number("<I"), self._number("<Q")
            if inner in _NUMBERS:
                dtype = np.dtype(_NUMBERS[inner])
                return np.frombuffer(self._take(count * dtype.itemsize), dtype).tolist()
            return [self._value(inner) for _ in range(count)]
        return self._number(_NUMBERS[kind])

    def _place(self) -> tuple[tuple[int, ...], int, int]:
        """Shape, kind and offset of the next tensor; its axes are written the fastest first."""
        shape = tuple(self._number("<Q") for _ in range(self._number("<I")))[::-1]
        return shape, self._number("<I"), self._number("<Q")


def _half(blocks: np.ndarray, at: int) -> np.ndarray:
    return blocks[:, at : at + 2].copy().view("<f2").astype(np.float32)


def _eight_bits(blocks: np.ndarray) -> np.ndarray:
    return blocks[:, 2:].view(np.int8) * _half(blocks, 0)


def _four_bits(blocks: np.ndarray) -> np.ndarray:
    """Of each byte the low half belongs to the first 16 numbers of the block, the high half to the others."""
    scale, least, halves = _half(blocks, 0), _half(blocks, 2), blocks[:, 4:]
    numbers = np.empty((len(blocks), _BLOCK), np.float32)
    np.multiply(halves & 15, scale, out=numbers[:, : _BLOCK // 2])
    np.multiply(halves >> 4, scale, out=numbers[:, _BLOCK // 2 :])
    return np.add(numbers, least, out=numbers)
