"""Classifiers from folders. Those by id are in test_hub.py."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import lrp_core as lrp
from models import classifier_files, text_networks
from models.torchvision_compat import import_torchvision
from tests.models import small_classifiers
from tests.models.small_classifiers import KINDS

TYPED = "I don't love café,  <s>天 film</s>!"


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A folder with one classifier of each kind, and with the first as 16-bit numbers and in several files."""
    root = tmp_path_factory.mktemp("networks")
    for kind in KINDS:
        small_classifiers.save(root / kind, kind)
    small_classifiers.save(root / "team" / "halves", dtype=torch.bfloat16)
    small_classifiers.save(root / "team" / "shards", shard="4KB")
    return root


@pytest.fixture(autouse=True)
def operator(monkeypatch, saved):
    """What the operator set."""
    monkeypatch.setenv("LRP_TEXT_MODELS", str(saved))
    for variable in ("LRP_ALLOW_DOWNLOADS", "LRP_MODEL_BYTES"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def copy(monkeypatch, saved, tmp_path) -> Path:
    """A classifier called "copy" that may be damaged."""
    shutil.copytree(saved / "xlm-roberta", tmp_path / "root" / "copy")
    monkeypatch.setenv("LRP_TEXT_MODELS", str(tmp_path / "root"))
    return tmp_path / "root" / "copy"


def change(path: Path, **settings) -> None:
    """Change a file of settings; those that are None are taken out."""
    changed = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}))


def refusal(name: str = "hf:copy") -> str:
    """The sentence with which the network is refused; the same when it is described, unless that works."""
    with pytest.raises(FileNotFoundError) as refused:
        text_networks.load(name)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert str(Path(os.environ["LRP_TEXT_MODELS"])) not in sentence
    return sentence


def test_what_is_there_is_listed(saved):
    expected = [*KINDS, "team/halves", "team/shards"]
    assert text_networks.local_networks() == {f"hf:{name}": name for name in sorted(expected)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_is_read_loaded_and_explained(kind, saved):
    name = f"hf:{kind}"
    assert text_networks.ready(name)
    network = text_networks.network(name)
    assert (network.name, network.title, network.languages) == (name, kind, ())
    assert network.labels == ("bad", "so so", "good")
    assert network.exclusive
    reading, net = network.read(TYPED), text_networks.load(name)
    assert not net.training
    assert all(weight.dtype == torch.float32 and not weight.requires_grad for weight in net.parameters())
    tape = lrp.record(net, reading.ids)
    parts = lrp.tokens.parts(tape.explain(lrp.presets.attn_lrp(), lrp.Target.top()))
    assert all(values.shape == (len(reading.pieces),) for values in parts.values())

    import_torchvision()
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    usual = AutoModelForSequenceClassification.from_pretrained(saved / kind).eval()
    with torch.inference_mode():
        assert torch.allclose(tape.output, usual(reading.ids).logits, atol=1e-5)
    plain = "I don't love café,  天 film!"
    assert network.read(plain).ids.tolist() == [AutoTokenizer.from_pretrained(saved / kind)(plain)["input_ids"]]


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_pieces_are_read_as_there_are_positions(kind):
    network = text_networks.network(f"hf:{kind}")
    assert network.longest == (40 if kind in ("xlm-roberta", "roberta", "mpnet") else 42)
    reading = network.read("film " * 60)
    assert reading.ids.shape == (1, network.longest)
    assert reading.cut is not None
    with torch.inference_mode():
        text_networks.load(f"hf:{kind}")(reading.ids)


def test_the_tokenizer_may_read_less_and_no_more_than_can_be_shown(copy):
    change(copy / "tokenizer_config.json", model_max_length=20)
    assert text_networks.network("hf:copy").longest == 20
    change(copy / "tokenizer_config.json", model_max_length=int(1e30))
    change(copy / "config.json", max_position_embeddings=100_000)
    assert text_networks.network("hf:copy").longest == 512
    (copy / "tokenizer_config.json").unlink()
    assert text_networks.network("hf:copy").longest == 512


def test_a_tokenizer_that_cuts_and_pads_does_neither_here(copy):
    from tokenizers import Tokenizer

    usual = Tokenizer.from_file(str(copy / "tokenizer.json"))
    usual.enable_truncation(4)
    usual.enable_padding(length=30)
    usual.save(str(copy / "tokenizer.json"))
    reading = text_networks.network("hf:copy").read("film film film film")
    assert 4 < reading.ids.shape[1] < 30
    assert reading.cut is None


@pytest.mark.parametrize("name", ["hf:team/halves", "hf:team/shards"])
def test_weights_in_other_forms(name, saved):
    net, same = text_networks.load(name), text_networks.load("hf:xlm-roberta")
    ids = text_networks.network(name).read(TYPED).ids
    with torch.inference_mode():
        assert net(ids).logits.dtype == torch.float32
        assert torch.allclose(net(ids).logits, same(ids).logits, rtol=0.05, atol=0.2 if "halves" in name else 0)


def test_size_is_that_of_32_bit_numbers(saved):
    halves, whole = (classifier_files.inspect(saved / f, f, saved) for f in ("team/halves", "xlm-roberta"))
    assert halves.size == whole.size == 4 * sum(w.numel() for w in text_networks.load("hf:xlm-roberta").parameters())


def test_outputs_of_several_classes_at_once_are_told(copy):
    change(copy / "config.json", problem_type="multi_label_classification")
    assert not text_networks.network("hf:copy").exclusive


@pytest.mark.parametrize(
    ("id2label", "expected"),
    [
        ({"2": "c", "0": "a", "1": "b"}, ("a", "b", "c")),
        ({"0": "same", "1": "same", "2": "<b>"}, ("same (0)", "same (1)", "<b>")),
        ({"0": 0, "1": 1, "2": None}, ("0", "1", "None")),
        (None, ("LABEL_0", "LABEL_1")),
    ],
)
def test_labels(copy, id2label, expected):
    change(copy / "config.json", id2label=id2label)
    assert text_networks.network("hf:copy").labels == expected


@pytest.mark.parametrize(
    "name",
    [
        *("hf:../xlm-roberta", "hf:..", "hf:.", "hf:", "hf:/", "hf:/etc", "hf:../../etc/passwd", "hf:team/../bert"),
        *("hf:./bert", "hf:bert/", "hf:bert/.", "hf:bert\x00", "hf:team", "hf:team\\halves", "hf:C:/bert", "hf:BERT"),
        *("hf:bert/config.json", "hf:~", "hf:team//halves", "hf:hf:bert", "hf: bert", "hf:%2e%2e/bert", "hf:no/such"),
    ],
)
@pytest.mark.parametrize("downloads", ["", "1"])
def test_no_other_path_can_be_reached(name, downloads, monkeypatch):
    monkeypatch.setenv("LRP_ALLOW_DOWNLOADS", downloads)
    monkeypatch.setattr("models.hub.find", lambda wanted: None)  # whatever this machine's cache holds
    for ask in (text_networks.network, text_networks.load, text_networks.ready):
        if downloads and name in ("hf:team", "hf:BERT", "hf:no/such"):
            continue  # well-formed ids, looked for on the Hub
        if downloads and name == "hf:bert/config.json":
            continue
        with pytest.raises(ValueError, match="There is no text network"):
            ask(name)


def test_links_that_lead_out_are_not_followed(copy, saved, tmp_path):
    root = copy.parent
    (root / "away").symlink_to(saved / "bert", target_is_directory=True)
    (root / "up").symlink_to(tmp_path, target_is_directory=True)
    (root / "same").symlink_to(copy, target_is_directory=True)
    assert list(text_networks.local_networks()) == ["hf:copy", "hf:same"]
    with pytest.raises(ValueError, match="no text network 'away'"):
        text_networks.load("hf:away")


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json", "tokenizer_config.json"])
def test_files_that_lead_out_are_not_read(copy, saved, file):
    (copy / file).unlink()
    (copy / file).symlink_to(saved / "xlm-roberta" / file)
    with pytest.raises(FileNotFoundError, match=f"copy: {file} leads out of the folder of networks"):
        text_networks.network("hf:copy")


def test_an_index_that_leads_out(copy, saved):
    (copy / "model.safetensors").unlink()
    index = {"weight_map": {"a": "../../networks/model.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copy(saved / "xlm-roberta" / "model.safetensors", copy.parent / "model.safetensors")
    assert "is missing" in refusal()
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    assert "leads out of the folder" in refusal()


def test_several_folders_and_none(saved, tmp_path, monkeypatch):
    shutil.copytree(saved / "bert", tmp_path / "mine")
    monkeypatch.setenv("LRP_TEXT_MODELS", os.pathsep.join([str(tmp_path), str(tmp_path / "gone"), str(saved)]))
    assert {"hf:mine", "hf:bert"} <= set(text_networks.local_networks())
    monkeypatch.setenv("LRP_TEXT_MODELS", "")
    assert text_networks.local_networks() == {}


def test_a_damaged_network_is_repaired_without_a_restart(copy):
    whole = (copy / "tokenizer.json").read_text()
    (copy / "tokenizer.json").write_text(whole[:500])
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json is missing or damaged"):
        text_networks.network("hf:copy")
    (copy / "tokenizer.json").write_text(whole)
    assert text_networks.network("hf:copy").read("film").words


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
            "copy was saved without all that a classifier",
        ),
        ({"id2label": {"0": "score"}}, "copy gives one score instead of classes"),
        ({"id2label": None, "num_labels": 1}, "copy gives one score instead of classes"),
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


def test_how_somebody_ran_it_does_not_matter(copy):
    wish = {"_attn_implementation": "somebody/kernels", "attn_implementation": "somebody/kernels"}
    change(copy / "config.json", **wish, output_attentions=True, return_dict=False, dtype="float16", torchscript=True)
    net = text_networks.load("hf:copy")
    assert next(net.parameters()).dtype == torch.float32
    assert lrp.record(net, text_networks.network("hf:copy").read("film").ids).output.shape == (1, 3)


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
    assert refusal() == "copy was saved without all that a classifier needs (classifier.dense.bias)."


def test_a_weight_is_missing_or_has_another_shape(copy):
    path = copy / "model.safetensors"
    weights = load_file(path)
    whole = weights.pop("classifier.out_proj.bias")
    save_file(weights | {"unknown": whole}, path, {"format": "pt"})
    assert refusal() == "copy was saved without all that a classifier needs (classifier.out_proj.bias)."
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
    monkeypatch.setattr("models.memory.available", lambda: 20_000)
    assert refusal() == "copy needs 0 MB of memory, but only 0 MB are free on this server."
    monkeypatch.setattr("models.memory.available", lambda: None)
    text_networks.load("hf:copy")
