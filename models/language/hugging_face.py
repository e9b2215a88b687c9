"""Language models in Hugging Face's format, from the folders of LRP_LANGUAGE_MODELS or by their id on the Hub.

The files are found, checked and read as those of classifiers are: safetensors alone, no program code. Those of Llama's
plain architecture run as `llama.Llama`, all others as transformers runs them.
"""

import inspect
import os
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.language.llama import Llama, Shape
from models.text import hugging_face as texts
from models.weights import classifier_files as files
from models.weights import folders, hub
from models.weights.checkpoints import Progress
from models.weights.classifier_files import ClassifierFiles
from models.weights.folders import Found

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PREFIX = texts.PREFIX
VARIABLE = "LRP_LANGUAGE_MODELS"

FAMILIES = {
    *(
        "bloom",
        "codegen",
        "cohere",
        "cohere2",
        "falcon",
        "gemma",
        "gemma2",
        "gemma3_text",
        "glm",
        "gpt2",
        "gpt_bigcode",
    ),
    *("gpt_neo", "gpt_neox", "gptj", "granite", "llama", "mistral", "nemotron", "olmo", "olmo2", "opt", "persimmon"),
    *("phi", "phi3", "qwen2", "qwen3", "smollm3", "stablelm", "starcoder2"),
}
"""Kinds, as config.json names them, whose books were seen to close. Any other is refused by its name."""

_HEADS = ("ForCausalLM", "LMHeadModel")


class NextToken(nn.Module):
    """A network of transformers, called as `Llama` is: ids (B, T) to the logits of the next token (B, V).

    With `last`, those after each of the last so many tokens, (B, last, V).
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self._picks = "logits_to_keep" in inspect.signature(net.forward).parameters

    def forward(self, ids: Tensor, last: int | None = None) -> Tensor:
        picked = {"logits_to_keep": last or 1} if self._picks else {}
        logits = self.net(input_ids=ids, use_cache=False, **picked).logits
        return logits[:, -last:] if last else logits[:, -1]


def local_models() -> dict[str, str]:
    """Name and title of every model in the folders of LRP_LANGUAGE_MODELS, usable or not."""
    return {PREFIX + found.title: found.title for found in folders.local(VARIABLE)}


def folder(name: str) -> Found | None:
    """Where the model is, None where it may be downloaded. Raises ValueError where there is no such model."""
    wanted = name.removeprefix(PREFIX)
    for found in folders.local(VARIABLE):
        if found.title == wanted:
            return found
    if not hub.is_id(wanted):
        raise ValueError(f"There is no language model {wanted[:80]!r} here.")
    if os.environ.get("LRP_ALLOW_DOWNLOADS", "").strip() != "1":
        raise ValueError(f"There is no language model {wanted!r} here, and this server downloads none.")
    cached = hub.find(wanted)
    return Found(cached, wanted, hub.cache()) if cached else None


def fetch(name: str, progress: Progress | None = None) -> Found:
    """Where the model is, downloaded if need be.

    progress: called in the caller's thread with 0 to 1 meanwhile. Errors as of `load`.
    """
    title = name.removeprefix(PREFIX)
    return folder(name) or Found(hub.download(title, progress, check), title, hub.cache())


def check(config: dict[str, Any], title: str) -> None:
    """Raise FileNotFoundError (one sentence) where the settings are not those of a model that can be explained."""
    files.check_network(config, title)
    kinds = files.architectures(config)
    if not all(isinstance(kind, str) and kind.endswith(_HEADS) for kind in kinds):
        raise FileNotFoundError(f"{title} does not go on with texts (it is a {kinds[0]}).")
    if config["model_type"] not in FAMILIES:
        raise FileNotFoundError(
            f"{title} is of a kind that was not tried here ({config['model_type']}): take one of Llama, Qwen, GPT-2, "
            "Gemma, Phi or their kin."
        )


def pieces(name: str) -> int:
    """How many tokens the model knows. Errors as of `load`."""
    found = _here(name)
    config = _checked(found).config
    count = config.get("vocab_size")
    if not isinstance(count, int) or count < 1:
        raise FileNotFoundError(f"{found.title}: {files.CONFIG} does not say how many pieces it knows.")
    return count


def tokenizer(name: str) -> "Tokenizer":
    """The model's own, with one special token in front. Errors as of `load`."""
    from tokenizers import Tokenizer, processors

    found = _here(name)
    config = _checked(found).config
    own = texts.open_tokenizer(found)
    if own.encode("a").special_tokens_mask[:1] == [1]:
        return own
    number = next((config[key] for key in ("bos_token_id", "eos_token_id") if isinstance(config.get(key), int)), None)
    start = own.id_to_token(number) if number is not None else None
    if start is None:
        raise FileNotFoundError(f"{found.title}: {files.CONFIG} names no token that a text begins with.")
    own = Tokenizer.from_str(own.to_str())
    own.encode_special_tokens = True
    own.post_processor = processors.TemplateProcessing(single=f"{start} $A", special_tokens=[(start, number)])
    return own


def state(name: str) -> Hashable:
    """Tells one state of a model's settings and tokenizer from another, without reading them. Errors as of `load`."""
    found = _here(name)
    paths = [found.folder / file for file in (files.CONFIG, files.TOKENIZER)]
    try:
        return found.folder, *((path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
    except OSError:  # what is missing is said when it is read
        return found.folder


def load(name: str, progress: Progress | None = None) -> nn.Module:
    """The model: float32, eval mode, no gradients; called as `Llama` is.

    Raises ValueError where there is no such model, FileNotFoundError (one sentence, for visitors) where it cannot be
    used: what is missing, damaged, too large, or no language model.
    """
    checked = _checked(fetch(name, progress))
    files.check_size(checked.size, checked.title)
    shape = llama_shape(checked.config)
    return NextToken(texts.revive(checked, "AutoModelForCausalLM")).eval() if shape is None else _own(checked, shape)


def llama_shape(config: dict[str, Any]) -> Shape | None:
    """The sizes of a network of Llama's plain architecture; None where `Llama` would not compute the same."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    base = rope.get("rope_theta", config.get("rope_theta", 10_000.0))
    heads = config.get("num_attention_heads", 0)
    plain = (
        config.get("model_type") == "llama"
        and kind == "default"
        and config.get("hidden_act", "silu") == "silu"
        and not config.get("attention_bias")
        and not config.get("mlp_bias")
        and config.get("head_dim") in (None, config.get("hidden_size", 0) // max(1, heads))
    )
    if not plain:
        return None
    try:
        return Shape(
            vocabulary=config["vocab_size"],
            width=config["hidden_size"],
            hidden=config["intermediate_size"],
            blocks=config["num_hidden_layers"],
            heads=heads,
            key_heads=config.get("num_key_value_heads") or heads,
            base=float(base),
            epsilon=config.get("rms_norm_eps", 1e-6),
            tied=bool(config.get("tie_word_embeddings", False)),
        )
    except KeyError:
        return None


def _own(checked: ClassifierFiles, shape: Shape) -> nn.Module:
    with texts.one_at_a_time:
        files.check_size(checked.size, checked.title, loading=True)
        weights: dict[str, Tensor] = {}
        for path in sorted(checked.folder.glob("model*.safetensors")):
            weights |= {name: weight.float() for name, weight in load_file(path).items()}
    with torch.device("meta"):
        net = Llama(shape)
    if shape.tied:
        weights.setdefault("lm_head.weight", weights.get("model.embed_tokens.weight", torch.empty(0)))
    weights = {name: weight for name, weight in weights.items() if not name.endswith("rotary_emb.inv_freq")}
    try:
        net.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise FileNotFoundError(f"{checked.title}: its weights do not fit its settings in {files.CONFIG}.") from error
    if shape.tied:
        net.lm_head.weight = net.model.embed_tokens.weight
    return net.eval().requires_grad_(False)


def _checked(found: Found) -> ClassifierFiles:
    return files.inspect(found.folder, found.title, found.within, check)


def _here(name: str) -> Found:
    found = folder(name)
    if found is None:
        raise FileNotFoundError(f"{name.removeprefix(PREFIX)} is not on this server yet: it must be downloaded first.")
    return found
