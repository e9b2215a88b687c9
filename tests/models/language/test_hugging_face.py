"""Causal models from folders: read, loaded and explained; what is none, or was never tried, is refused by name."""

import json

import pytest
import torch
from tokenizers import processors

import lrp_core as lrp
from models import language
from models.language import hugging_face
from models.language.llama import Llama
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import assert_ledger_closes
from tests.models.text import small_tokenizers

LLAMA = {
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
    **{"intermediate_size": 24, "max_position_embeddings": 64},
}
GPT = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64}
NEOX = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
KINDS = {
    "llama": ("Llama", LLAMA | {"tie_word_embeddings": True}),
    "mistral": ("Mistral", LLAMA | {"sliding_window": None}),
    "qwen3": ("Qwen3", LLAMA | {"head_dim": 4}),
    "gpt2": ("GPT2", GPT),
    "gpt_neox": ("GPTNeoX", NEOX),
    "phi3": ("Phi3", LLAMA),
}


def save(folder, kind: str, bare: bool = False, **settings) -> torch.nn.Module:
    """Save a causal model with random weights. bare: its tokenizer puts nothing in front."""
    import_torchvision()
    import transformers

    family, shape = KINDS[kind]
    own = small_tokenizers.byte_level()
    if bare:
        own = type(own).from_str(own.to_str())
        own.post_processor = processors.ByteLevel(trim_offsets=False)
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    config = getattr(transformers, f"{family}Config")(vocab_size=own.get_vocab_size(), **shape | ids | settings)
    torch.manual_seed(0)
    name = f"{family}LMHeadModel" if kind == "gpt2" else f"{family}ForCausalLM"
    net = getattr(transformers, name)(config).eval().requires_grad_(False)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    net.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=own).save_pretrained(folder)
    return net


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LRP_LANGUAGE_MODELS", str(tmp_path))
    monkeypatch.delenv("LRP_ALLOW_DOWNLOADS", raising=False)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_read_loaded_and_explained(folder, kind):
    usual = save(folder / kind, kind)
    name = f"hf:{kind}"
    assert language.local_models() == {name: kind} and language.ready(name)
    model, net = language.model(name), language.load(name)
    ids = model.read("I don't love <s> café").ids
    assert ids[0, 0] == 0 and 0 not in ids[0, 1:] and len(model.labels) == usual.config.vocab_size
    torch.testing.assert_close(net(ids), usual(input_ids=ids).logits[:, -1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net(ids, last=2), usual(input_ids=ids).logits[:, -2:], rtol=1e-4, atol=1e-5)
    assert isinstance(net, Llama) == (kind == "llama")
    for composite in (lrp.presets.attn_lrp(), lrp.presets.cp_lrp()):
        explanation = lrp.record(net.double(), ids).explain(composite, lrp.Target.difference(5, 9))
        assert_ledger_closes(explanation)
        assert lrp.tokens.parts(explanation)["word"].shape == (ids.shape[1],)


def test_a_start_token_is_put_in_front_where_the_tokenizer_has_none(folder):
    save(folder / "bare", "gpt2", bare=True)
    assert language.model("hf:bare").read("film").ids[0, 0] == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model_type": "mamba2"}, "not tried here.*mamba2"),
        ({"architectures": ["GPT2ForSequenceClassification"]}, "does not go on with texts"),
        ({"auto_map": {"AutoModel": "evil.py"}}, "program code"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"vocab_size": "many"}, "how many pieces"),
        ({"bos_token_id": None, "eos_token_id": None}, "no token that a text begins with"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(folder, settings, sentence):
    save(folder / "one", "gpt2", bare=True)
    path = folder / "one" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    with pytest.raises(FileNotFoundError, match=sentence) as error:
        language.model("hf:one")
    assert str(error.value).startswith("one")


def test_a_pickle_is_never_opened(folder):
    save(folder / "one", "gpt2")
    (folder / "one" / "model.safetensors").rename(folder / "one" / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="never opened"):
        language.load("hf:one")


def test_weights_that_do_not_fit_are_refused(folder):
    save(folder / "one", "llama")
    path = folder / "one" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 48}))
    with pytest.raises(FileNotFoundError, match="do not fit"):
        language.load("hf:one")


@pytest.mark.parametrize("name", ["hf:../../etc", "hf:nobody/nothing", "hf:"])
def test_nothing_else_is_looked_for(name):
    for call in (language.ready, language.load, language.model):
        with pytest.raises(ValueError, match="There is no language model"):
            call(name)


def test_another_rotation_is_left_to_transformers():
    shape = {"model_type": "llama", "vocab_size": 9, **LLAMA}
    assert hugging_face.llama_shape(shape).heads == 4
    for other in ({"rope_scaling": {"rope_type": "llama3"}}, {"attention_bias": True}, {"head_dim": 8}):
        assert hugging_face.llama_shape(shape | other) is None
