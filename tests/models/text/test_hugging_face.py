"""Classifiers from folders that can be used. For those that cannot see test_classifier_files.py; by id, test_hub.py."""

import os
import shutil

import pytest
import torch

import lrp_core as lrp
from models.text import networks as text_networks
from models.torchvision_compat import import_torchvision
from models.weights import classifier_files
from tests.models.text.small_classifiers import KINDS, change

pytestmark = pytest.mark.usefixtures("operator")

TYPED = "I don't love café,  <s>天 film</s>!"


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
    monkeypatch.setattr("models.weights.hub.find", lambda wanted: None)  # whatever this machine's cache holds
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


def test_how_somebody_ran_it_does_not_matter(copy):
    wish = {"_attn_implementation": "somebody/kernels", "attn_implementation": "somebody/kernels"}
    change(copy / "config.json", **wish, output_attentions=True, return_dict=False, dtype="float16", torchscript=True)
    net = text_networks.load("hf:copy")
    assert next(net.parameters()).dtype == torch.float32
    assert lrp.record(net, text_networks.network("hf:copy").read("film").ids).output.shape == (1, 3)
