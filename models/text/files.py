"""The files of our text networks: one with what all share, and one with the upper layers of each.

Names in them are those of transformers' `XLMRobertaForSequenceClassification`; a matrix that is packed lies in two
tensors, `NAME.nibbles` or `NAME.numbers`, and `NAME.scales`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.text.packing import Packed4, Packed8, pack8, unpack4, unpack8

SHARED = 8
"""How many layers of the encoder, from below, all networks share."""

WORDS = "roberta.embeddings.word_embeddings.weight"
_ENCODER, _LAYER = "roberta.", "encoder.layer."


def encoder_file(folder: Path) -> Path:
    """The word table and the shared layers."""
    return folder / "encoder.safetensors"


def upper_file(name: str, folder: Path) -> Path:
    """The upper layers and the head of the network `name`."""
    return folder / "upper" / f"{name}.safetensors"


def write_encoder(tensors: Mapping[str, Packed4 | Tensor], folder: Path) -> None:
    """Write the embeddings and the shared layers of an `XLMRobertaModel`; matrices that come packed stay as they are.

    All other layers may be among the tensors, and are left out.
    """
    shared = {_ENCODER + key: value for key, value in tensors.items() if not _is_upper(key)}
    encoder_file(folder).parent.mkdir(parents=True, exist_ok=True)
    save_file(_laid_out(shared), encoder_file(folder))


def write_upper(name: str, net: nn.Module, folder: Path) -> None:
    """Write the upper layers and the head of a network, matrices in 8 bits."""
    upper = {
        key: pack8(value) if value.dim() == 2 else value
        for key, value in net.state_dict().items()
        if not key.startswith(_ENCODER) or _is_upper(key.removeprefix(_ENCODER))
    }
    upper_file(name, folder).parent.mkdir(parents=True, exist_ok=True)
    save_file(_laid_out(upper), upper_file(name, folder))


def read(path: Path, remake: str, packed: Iterable[str] = ()) -> dict[str, Packed4 | Tensor]:
    """The tensors of a file by name: float32, but for those in 4 bits that are to stay `packed`.

    remake: the command that makes the file anew. Raises FileNotFoundError (one sentence) where it is missing or cannot
    be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing in {path.parent.name}/; remake it with `{remake}`.")
    try:
        return _unpacked(load_file(path), packed)
    except (KeyError, SafetensorError) as error:
        raise FileNotFoundError(f"{path.name} is damaged; remake it with `{remake}`.") from error


def _unpacked(parts: Mapping[str, Tensor], packed: Iterable[str]) -> dict[str, Packed4 | Tensor]:
    """See `read`. Raises KeyError where a part of a matrix is missing."""
    found: dict[str, Packed4 | Tensor] = {}
    for key, value in parts.items():
        name, _, part = key.rpartition(".")
        if part == "nibbles":
            four = Packed4(value, parts[f"{name}.scales"])
            found[name] = four if name in packed else unpack4(four)
        elif part == "numbers":
            found[name] = unpack8(Packed8(value, parts[f"{name}.scales"]))
        elif part != "scales":
            found[key] = value.float()
    return found | {name: found[name] for name in packed}


def _is_upper(key: str) -> bool:
    """Whether a tensor of an `XLMRobertaModel` is of a layer that is not shared."""
    return key.startswith(_LAYER) and int(key.removeprefix(_LAYER).partition(".")[0]) >= SHARED


def _laid_out(tensors: Mapping[str, Packed4 | Packed8 | Tensor]) -> dict[str, Tensor]:
    """As they lie in a file: packed ones in their parts, all others in half precision."""
    found = {}
    for key, value in tensors.items():
        if isinstance(value, Packed4 | Packed8):
            found |= {f"{key}.{part}": tensor.contiguous() for part, tensor in value._asdict().items()}
        else:
            found[key] = value.to(torch.float16).contiguous()
    return found
