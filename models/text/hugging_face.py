"""Sequence classifiers in Hugging Face's format, from folders that the operator names or by their id on the Hub.

A name is "hf:" and what `local_networks` lists, or, where the environment says LRP_ALLOW_DOWNLOADS=1, an id. No path
is ever made of a name that came from the web: names of folders are compared with those that are there.
"""

import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from models.torchvision_compat import import_torchvision
from models.weights import classifier_files as files
from models.weights import folders, hub
from models.weights.checkpoints import Progress
from models.weights.classifier_files import ClassifierFiles
from models.weights.folders import Found

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedConfig

PREFIX = "hf:"

VARIABLE = "LRP_TEXT_MODELS"
"""Where the environment names the operator's folders."""

LONGEST = 512
"""Pieces that are read at once at most, whatever a network could: a text has at most 2,000 characters."""

_COUNT_FROM_ZERO = {"albert", "bert", "deberta", "deberta-v2", "distilbert", "electra", "gpt2", "llama", "qwen2"}
"""Kinds whose positions begin at 0. RoBERTa's kin begin behind the padding's id, and so have fewer than they say."""

_READ_THE_FIRST = {
    *("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "mpnet", "roberta"),
    *("xlm-roberta", "xlm-roberta-xl"),
}
"""Kinds whose head reads the first piece, which must be the one that the tokenizer adds."""


_NOT_TAKEN = {
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal", "experts_implementation"),
    *("output_attentions", "output_hidden_states", "return_dict", "torchscript", "dtype", "torch_dtype"),
}
"""Settings that are not the network but how somebody ran it; the first may name code to be downloaded."""


@dataclass(frozen=True)
class Description:
    """exclusive: a text is of one class alone; else it may be of several, or of none."""

    title: str
    labels: tuple[str, ...]
    longest: int
    exclusive: bool


def local_networks() -> dict[str, str]:
    """Name and title of every network in the folders of LRP_TEXT_MODELS, usable or not."""
    return {PREFIX + found.title: found.title for found in folders.local(VARIABLE)}


def folder(name: str) -> Found | None:
    """Where the network is, None where it may be downloaded. Raises ValueError where there is no such network."""
    wanted = name.removeprefix(PREFIX)
    for found in folders.local(VARIABLE):
        if found.title == wanted:
            return found
    if not hub.is_id(wanted):
        raise ValueError(f"There is no text network {wanted[:80]!r} here.")
    if os.environ.get("LRP_ALLOW_DOWNLOADS", "").strip() != "1":
        raise ValueError(f"There is no text network {wanted!r} here, and this server downloads none.")
    cached = hub.find(wanted)
    return Found(cached, wanted, hub.cache()) if cached else None


def fetch(name: str, progress: Progress | None = None) -> Found:
    """Where the network is, downloaded if need be.

    progress: called in the caller's thread with 0 to 1 meanwhile. Errors as of `load`.
    """
    title = name.removeprefix(PREFIX)
    return folder(name) or Found(hub.download(title, progress), title, hub.cache())


def describe(name: str) -> Description:
    """What its files say. Raises ValueError as `folder` does, FileNotFoundError (one sentence) as `load` does."""
    found = _here(name)
    checked = files.inspect(found.folder, found.title, found.within)
    tokenizer(name)
    return Description(
        found.title,
        files.labels(checked.config, found.title),
        _longest(checked.config, found),
        checked.config.get("problem_type") != "multi_label_classification",
    )


def tokenizer(name: str) -> "Tokenizer":
    """The network's own: it neither cuts nor pads, and `<s>` typed by a visitor is text like any other."""
    found = _here(name)
    own = open_tokenizer(found)
    config = files.read_settings(found.folder, files.CONFIG, found.title, found.within)
    if config.get("model_type") in _READ_THE_FIRST and own.encode("a").special_tokens_mask[:1] != [1]:
        raise FileNotFoundError(f"{found.title}: its tokenizer does not add the piece that the network decides from.")
    return own


def open_tokenizer(found: Found) -> "Tokenizer":
    """The tokenizer in a folder, if it fits to the network there. Raises FileNotFoundError (one sentence)."""
    path = found.folder / files.TOKENIZER
    try:
        state = path.stat()
        own = _tokenizer(path, state.st_mtime_ns, state.st_size)
    except Exception as error:  # the tokenizers' library raises nothing more special
        raise FileNotFoundError(f"{found.title}: {files.TOKENIZER} is missing or damaged.") from error
    pieces = files.read_settings(found.folder, files.CONFIG, found.title, found.within).get("vocab_size")
    if isinstance(pieces, int) and own.get_vocab_size() > pieces:
        raise FileNotFoundError(f"{found.title}: its tokenizer knows more pieces than the network: they do not fit.")
    return own


def load(name: str, progress: Progress | None = None) -> nn.Module:
    """The network: float32, eval mode, no gradients; called with token ids (1, T). Arguments as of `fetch`.

    Raises ValueError where there is no such network, FileNotFoundError (one sentence, for visitors) where it cannot
    be used: what is missing, damaged, too large, or no classifier.
    """
    found = fetch(name, progress)
    checked = files.inspect(found.folder, found.title, found.within)
    files.check_size(checked.size, checked.title)
    return revive(checked, "AutoModelForSequenceClassification")


def revive(checked: ClassifierFiles, kind: str) -> nn.Module:
    """The network in these files. kind: transformers' class that knows all of its sort. Raises FileNotFoundError."""
    import_torchvision()  # transformers imports it plainly
    import transformers

    auto = getattr(transformers, kind)
    config = _configuration(checked, auto)
    with one_at_a_time:
        files.check_size(checked.size, checked.title, loading=True)
        return _load(checked, config, auto)


one_at_a_time = threading.Lock()  # two that each fit into the free memory may not fit together


def _load(checked: ClassifierFiles, config: "PreTrainedConfig", auto: Any) -> nn.Module:
    try:
        net, report = auto.from_pretrained(
            checked.folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # whatever strange files make of it
        raise FileNotFoundError(_MISFIT.format(checked.title)) from error
    if report["missing_keys"]:
        missing = min(report["missing_keys"])
        raise FileNotFoundError(f"{checked.title} was saved without all that it needs ({missing}).")
    return net.eval().requires_grad_(False)


_MISFIT = "{}: its weights do not fit its settings in " + files.CONFIG + "."


def _configuration(checked: ClassifierFiles, auto: Any) -> "PreTrainedConfig":
    """The settings, without those that change how a network runs; such that its weights are as many as it says."""
    from transformers import CONFIG_MAPPING

    settings = {key: value for key, value in checked.config.items() if key not in _NOT_TAKEN}
    if settings["model_type"] not in CONFIG_MAPPING:
        raise FileNotFoundError(f"{checked.title} is of a kind that is not known here ({settings['model_type']}).")
    try:
        config = CONFIG_MAPPING[settings["model_type"]].from_dict(settings)
        if config.num_hidden_layers > checked.tensors:
            raise ValueError("more layers than weights")
        with torch.device("meta"):
            net = auto.from_config(config, dtype=torch.float32, trust_remote_code=False)
    except Exception as error:  # whatever strange settings make of it
        raise FileNotFoundError(_MISFIT.format(checked.title)) from error
    if sum(4 * weight.numel() for weight in net.parameters()) > checked.size:
        raise FileNotFoundError(_MISFIT.format(checked.title))
    return config


def _longest(config: dict[str, Any], found: Found) -> int:
    """How many pieces the network reads at once."""
    limits = [config.get("max_position_embeddings", config.get("n_positions"))]
    if isinstance(limits[0], int) and config["model_type"] not in _COUNT_FROM_ZERO:
        padding = config.get("pad_token_id", 1)
        limits[0] -= 1 + padding if isinstance(padding, int) else 0
    if (found.folder / files.TOKENIZER_CONFIG).exists():
        settings = files.read_settings(found.folder, files.TOKENIZER_CONFIG, found.title, found.within)
        limits.append(settings.get("model_max_length"))
    longest = int(min([LONGEST, *(limit for limit in limits if isinstance(limit, int | float))]))
    if longest < 3:
        raise FileNotFoundError(f"{found.title}: {files.CONFIG} leaves no room for a text.")
    return longest


@lru_cache(maxsize=4)
def _tokenizer(path: Path, *state: int) -> "Tokenizer":
    """state: the file's time and size, by which the cache knows that it is still the same."""
    from tokenizers import Tokenizer

    own = Tokenizer.from_file(str(path))
    own.no_truncation()
    own.no_padding()
    own.encode_special_tokens = True
    return own


def _here(name: str) -> Found:
    found = folder(name)
    if found is None:
        raise FileNotFoundError(f"{name.removeprefix(PREFIX)} is not on this server yet: it must be downloaded first.")
    return found
