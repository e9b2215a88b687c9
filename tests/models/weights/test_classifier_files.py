"""Classifiers that are refused: with one sentence, which tells what to do and no path of this machine."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.text import networks as text_networks
from tests.models.text import small_classifiers
from tests.models.text.small_classifiers import change

pytestmark = pytest.mark.usefixtures("operator")


def refusal(name: str = "hf:copy") -> str:
    """The sentence with which the network is refused; the same when it is described, unless that works."""
    with pytest.raises(FileNotFoundError) as refused:
        text_networks.load(name)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert str(Path(os.environ["LRP_TEXT_MODELS"])) not in sentence
    return sentence


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"auto_map": {"AutoModel": "modeling.Own"}}, "copy brings program code of its own, which is never run here."),
        ({"auto_map": {}}, "copy brings program code of its own, which is never run here."),
        (
            {"architectures": ["XLMRobertaForMaskedLM"]},
            "copy does not classify texts (it is a XLMRobertaForMaskedLM).",
        ),
        ({"architectures": ["GPT2LMHeadModel"]}, "copy does not classify texts (it is a GPT2LMHeadModel)."),
        ({"is_encoder_decoder": True}, "both reads and writes texts"),
        ({"quantization_config": {"quant_method": "gptq"}}, "copy is quantised"),
        ({"model_type": None}, "does not say what kind of network"),
        ({"model_type": "unheard-of"}, "copy is of a kind that is not known here (unheard-of)."),
        (
            {"model_type": "bert", "architectures": ["BertForSequenceClassification"]},
            "copy was saved without all that it needs",
        ),
        ({"id2label": {"0": "score"}}, "copy gives one score instead of classes"),
        ({"id2label": None, "num_labels": 1}, "copy gives one score instead of classes"),
        ({"id2label": None, "num_labels": 10**12}, "copy gives one score instead of classes"),
        ({"architectures": 5}, "copy does not classify texts (it is a 5)."),
        ({"architectures": "BertModel"}, "copy does not classify texts (it is a BertModel)."),
        ({"id2label": {"0": "a", "2": "b"}}, "numbers of the classes in config.json have gaps"),
        ({"id2label": {"a": "b", "c": "d"}}, "classes in config.json are not numbered"),
        ({"id2label": ["a", "b"]}, "classes in config.json are not numbered"),
        ({"id2label": {"0": "a", "1": "b"}}, "copy: its weights do not fit its settings in config.json."),
        ({"hidden_size": 32}, "copy: its weights do not fit its settings in config.json."),
        ({"hidden_size": 8}, "copy: its weights do not fit its settings in config.json."),
        ({"num_attention_heads": 3}, "copy: its weights do not fit its settings in config.json."),
        ({"num_hidden_layers": 3}, "copy: its weights do not fit its settings in config.json."),
        ({"num_hidden_layers": 10**9}, "copy: its weights do not fit its settings in config.json."),
        ({"vocab_size": 10**12}, "copy: its weights do not fit its settings in config.json."),
        ({"hidden_size": "wide"}, "copy: its weights do not fit its settings in config.json."),
        ({"vocab_size": 20}, "copy: its weights do not fit its settings in config.json."),
    ],
)
def test_settings_that_are_refused(copy, settings, sentence):
    change(copy / "config.json", **settings)
    assert sentence in refusal()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000, '{"a": "' + "x" * 2**25 + '"}'])
def test_settings_that_cannot_be_read(copy, content):
    (copy / "config.json").write_text(content)
    assert refusal() == "copy: config.json is damaged."


@pytest.mark.parametrize("length", [0, 4, 8, 300, -1, -1000])
def test_weights_that_are_cut_off(copy, length):
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    assert refusal().startswith("copy: model.safetensors is ")


@pytest.mark.parametrize(
    "content", [b"\xff" * 8 + b"{}", b"\x02" + bytes(7) + b"[]", b"\x02" + bytes(7) + b"{}", b"PK\x03\x04" * 9]
)
def test_weights_that_are_no_weights(copy, content):
    (copy / "model.safetensors").write_bytes(content)
    assert refusal() == "copy: model.safetensors is damaged: copy it again."


@pytest.mark.parametrize("shape", [[10**400], [-1, -4], [7, 5], ["a"], 3, None])
def test_a_table_of_contents_that_lies(copy, shape):
    path = copy / "model.safetensors"
    table = {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
    for told, sentence in (([4], "do not fit its settings"), (shape, "damaged: copy it again")):
        table["a"]["shape"] = told
        head = json.dumps(table).encode()
        path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(16))
        assert sentence in refusal()


def test_weights_that_nobody_explains(copy):
    path = copy / "model.safetensors"
    weights = {key: value.to(torch.int8) for key, value in load_file(path).items()}
    save_file(weights, path, {"format": "pt"})
    assert refusal() == "copy keeps its weights as I8, which cannot be explained."


def test_a_pickle_is_never_opened(copy):
    (copy / "model.safetensors").unlink()
    assert refusal() == "copy has no model.safetensors."
    (copy / "pytorch_model.bin").write_bytes(b"would run a program")
    assert refusal() == (
        "copy has no model.safetensors: pytorch_model.bin is never opened, because it may hold a program; "
        "save the network anew with safetensors."
    )


def test_a_network_without_a_head(saved, tmp_path, monkeypatch):
    small_classifiers.save(tmp_path / "copy", head="ForMaskedLM")
    monkeypatch.setenv("LRP_TEXT_MODELS", str(tmp_path))
    assert refusal() == "copy does not classify texts (it is a XLMRobertaForMaskedLM)."
    change(tmp_path / "copy" / "config.json", architectures=["XLMRobertaForSequenceClassification"])
    assert refusal() == "copy was saved without all that it needs (classifier.dense.bias)."


def test_a_weight_is_missing_or_has_another_shape(copy):
    path = copy / "model.safetensors"
    weights = load_file(path)
    whole = weights.pop("classifier.out_proj.bias")
    save_file(weights | {"unknown": whole}, path, {"format": "pt"})
    assert refusal() == "copy was saved without all that it needs (classifier.out_proj.bias)."
    save_file(weights | {"classifier.out_proj.bias": torch.zeros(4)}, path, {"format": "pt"})
    assert refusal() == "copy: its weights do not fit its settings in config.json."


def test_a_tokenizer_is_missing(copy):
    (copy / "tokenizer.json").unlink()
    assert refusal() == (
        "copy has no tokenizer.json, so that its pieces cannot be found in the text: save its fast tokenizer anew."
    )


def test_a_tokenizer_that_does_not_fit(copy, saved):
    shutil.copy(saved / "roberta" / "tokenizer.json", copy / "tokenizer.json")
    with pytest.raises(FileNotFoundError, match="its tokenizer knows more pieces than the network"):
        text_networks.network("hf:copy")


def test_a_tokenizer_that_adds_nothing(copy):
    change(copy / "tokenizer.json", post_processor=None)
    with pytest.raises(FileNotFoundError, match="does not add the piece that the network decides from"):
        text_networks.network("hf:copy")


def test_the_operator_sets_how_large_a_network_may_be(copy, monkeypatch):
    monkeypatch.setenv("LRP_MODEL_BYTES", "10000")
    assert refusal() == "copy needs 0 MB of memory, but 0 MB are allowed (LRP_MODEL_BYTES)."
    for meaningless in ("much", "-1", "0", ""):
        monkeypatch.setenv("LRP_MODEL_BYTES", meaningless)
        text_networks.load("hf:copy")


def test_memory_that_is_not_free(copy, monkeypatch):
    monkeypatch.setattr("models.weights.memory.available", lambda: 20_000)
    assert refusal() == "copy needs 0 MB of memory, but only 0 MB are free on this server."
    monkeypatch.setattr("models.weights.memory.available", lambda: None)
    text_networks.load("hf:copy")


def test_an_index_that_leads_out(copy, saved):
    (copy / "model.safetensors").unlink()
    index = {"weight_map": {"a": "../../networks/model.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copy(saved / "xlm-roberta" / "model.safetensors", copy.parent / "model.safetensors")
    assert "leads out of the folder" in refusal()
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    assert "leads out of the folder" in refusal()
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../none.safetensors"}}))
    assert "leads out of the folder" in refusal(), "it tells which files there are elsewhere"
