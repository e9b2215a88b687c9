"""The files of a classifier in Hugging Face's format: which are read, and whether they can be, before any is loaded.

Whatever keeps them from being used is a FileNotFoundError of one sentence that a visitor may read. Weights are read
from safetensors alone: the older format is a program in disguise.
"""

import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.weights import memory

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
WANTED = (CONFIG, TOKENIZER, TOKENIZER_CONFIG, WHOLE, INDEX, "model-*.safetensors")
"""What is read of a classifier, and what is downloaded; patterns of file names."""

MODEL_BYTES = 4_000_000_000
"""What the weights of one classifier may take in memory, unless the operator sets LRP_MODEL_BYTES."""

_MOST_LABELS = 10_000  # that nobody named
_SMALL = 2**24  # bytes of a file of settings or of the table of contents of the weights
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "BOOL": 1}  # whole numbers: of positions


Check = Callable[[dict[str, Any], str], None]
"""Raises FileNotFoundError (one sentence) where settings are not those of a network that is wanted; with its title."""


@dataclass(frozen=True)
class ClassifierFiles:
    """A folder whose files fit together. config: as saved. size: bytes of the weights once they are float32."""

    folder: Path
    title: str
    config: dict[str, Any]
    size: int
    tensors: int


def inspect(folder: Path, title: str, within: Path, check: Check | None = None) -> ClassifierFiles:
    """What is there. title: what visitors call it. within: the folder that no file may lead out of.

    check: whether its settings are those of a network that is wanted; by default of a classifier.
    Reads settings and tables of contents only. Raises FileNotFoundError (one sentence, for visitors).
    """
    config = read_settings(folder, CONFIG, title, within)
    (check or check_config)(config, title)
    if not (folder / TOKENIZER).exists():
        raise FileNotFoundError(no_tokenizer(title))
    _inside(folder, TOKENIZER, title, within)
    tables = [_contents(folder, name, title, within) for name in _weights(folder, title, within)]
    size = sum(math.prod(tensor["shape"]) * 4 for table in tables for tensor in table.values())
    return ClassifierFiles(folder, title, config, size, sum(map(len, tables)))


def check_network(config: dict[str, Any], title: str) -> None:
    """Raise FileNotFoundError (one sentence) where the settings are not those of a network that can be explained."""
    if "auto_map" in config:
        raise FileNotFoundError(f"{title} brings program code of its own, which is never run here.")
    if config.get("quantization_config"):
        raise FileNotFoundError(f"{title} is quantised, which cannot be explained: take the original weights.")
    if not isinstance(config.get("model_type"), str):
        raise FileNotFoundError(f"{title}: {CONFIG} does not say what kind of network it is.")


def architectures(config: dict[str, Any]) -> list[Any]:
    """What the settings say the network is, by the names of transformers' classes."""
    kinds = config.get("architectures") or []
    return kinds if isinstance(kinds, list) else [kinds]


def check_config(config: dict[str, Any], title: str) -> None:
    """Raise FileNotFoundError (one sentence) where the settings are not those of a classifier that can be explained."""
    check_network(config, title)
    kinds = architectures(config)
    if not all(isinstance(kind, str) and kind.endswith("ForSequenceClassification") for kind in kinds):
        raise FileNotFoundError(f"{title} does not classify texts (it is a {kinds[0]}).")
    if config.get("is_encoder_decoder"):
        raise FileNotFoundError(f"{title} both reads and writes texts; only networks that read can be explained here.")
    if len(labels(config, title)) < 2:
        raise FileNotFoundError(f"{title} gives one score instead of classes, so there is nothing to choose from.")


def no_weights(title: str, names: Iterable[str]) -> str:
    """The sentence for a classifier without safetensors. names: of the files that it has."""
    old = next((name for name in names if name.endswith((".bin", ".pt", ".ckpt"))), None)
    reason = f": {old} is never opened, because it may hold a program; save the network anew with safetensors"
    return f"{title} has no {WHOLE}{reason if old else ''}."


def no_tokenizer(title: str) -> str:
    """The sentence for a classifier without a fast tokenizer."""
    return f"{title} has no {TOKENIZER}, so that its pieces cannot be found in the text: save its fast tokenizer anew."


def labels(config: dict[str, Any], title: str) -> tuple[str, ...]:
    """The classes, in the order of the outputs, none twice. Raises FileNotFoundError where their numbers have gaps."""
    found = config.get("id2label")
    if found is None:
        count = config.get("num_labels", 2)
        found = {number: f"LABEL_{number}" for number in range(count if count in range(_MOST_LABELS) else 0)}
    try:
        by_number = {int(number): str(label) for number, label in found.items()}
    except (AttributeError, ValueError) as error:
        raise FileNotFoundError(f"{title}: the classes in {CONFIG} are not numbered.") from error
    if sorted(by_number) != list(range(len(by_number))):
        raise FileNotFoundError(f"{title}: the numbers of the classes in {CONFIG} have gaps.")
    names = [by_number[number] for number in range(len(by_number))]
    return tuple(f"{name} ({number})" if names.count(name) > 1 else name for number, name in enumerate(names))


def check_size(size: int, title: str, loading: bool = False) -> None:
    """Raise FileNotFoundError (one sentence) where weights of so many bytes are more than the operator lets in.

    loading: they are to be loaded now, so that they must fit into the memory that is free, too.
    """
    limit = _limit()
    if size > limit:
        raise FileNotFoundError(
            f"{title} needs {_written(size)} of memory, but {_written(limit)} are allowed (LRP_MODEL_BYTES)."
        )
    free = memory.available() if loading else None
    if free is not None and size > 0.8 * free:
        raise FileNotFoundError(
            f"{title} needs {_written(size)} of memory, but only {_written(free)} are free on this server."
        )


def read_settings(folder: Path, name: str, title: str, within: Path) -> dict[str, Any]:
    """What a JSON file of the folder says. Raises FileNotFoundError (one sentence) where it is none."""
    path = _inside(folder, name, title, within)
    try:
        if path.stat().st_size > _SMALL:
            raise ValueError("too long")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FileNotFoundError(f"{title}: {name} is damaged.") from error
    if not isinstance(found, dict):
        raise FileNotFoundError(f"{title}: {name} is damaged.")
    return found


def _weights(folder: Path, title: str, within: Path) -> Iterable[str]:
    """The names of the files of weights that transformers will read."""
    if (folder / WHOLE).exists():
        return [WHOLE]
    if not (folder / INDEX).exists():
        raise FileNotFoundError(no_weights(title, sorted(path.name for path in folder.iterdir())))
    names = read_settings(folder, INDEX, title, within).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise FileNotFoundError(f"{title}: {INDEX} is damaged.")
    return sorted(set(names.values()))


def _inside(folder: Path, name: str, title: str, within: Path) -> Path:
    """The path of a file of the folder, which it is, and not one elsewhere."""
    path = folder / name
    if os.path.basename(name) != name or not path.resolve().is_relative_to(within.resolve()):
        raise FileNotFoundError(f"{title}: {name} leads out of the folder of networks.")
    if not path.is_file():
        raise FileNotFoundError(f"{title}: {name} is missing.")
    return path


def _contents(folder: Path, name: str, title: str, within: Path) -> dict[str, Any]:
    """The tensors of a safetensors file by name: type, shape, place. The file is as long as they need."""
    path = _inside(folder, name, title, within)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            table = json.loads(file.read(length)) if length <= _SMALL else {}
        table.pop("__metadata__", None)
        kinds = {tensor["dtype"] for tensor in table.values()}
        places = [tensor["data_offsets"] for tensor in table.values()]
        sizes = [math.prod(tensor["shape"]) * _BYTES.get(tensor["dtype"], 0) for tensor in table.values()]
        whole = path.stat().st_size == 8 + length + max(end for _, end in places)
        fitting = all(end - start == size for (start, end), size in zip(places, sizes, strict=True))
        fitting = fitting and all(side >= 0 for tensor in table.values() for side in tensor["shape"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FileNotFoundError(f"{title}: {name} is damaged: copy it again.") from error
    if strange := sorted(kinds - set(_BYTES)):
        raise FileNotFoundError(f"{title} keeps its weights as {strange[0]}, which cannot be explained.")
    if not whole or not fitting:
        raise FileNotFoundError(f"{title}: {name} is incomplete or damaged: copy it again.")
    return table


def _limit() -> int:
    """LRP_MODEL_BYTES, or the default where it means nothing."""
    chosen = os.environ.get("LRP_MODEL_BYTES", "").strip()
    return int(chosen) if chosen.isdecimal() and int(chosen) else MODEL_BYTES


def _written(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
