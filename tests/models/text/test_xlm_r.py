"""The bundled text networks: their shape, their files, and what they say."""

import pytest
import torch
from safetensors.torch import save_file

from models import text

NAMES = list(text.LABELS)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_has_xlm_r_s_shape_and_its_own_classes(name):
    net = text.network(name).eval()
    assert type(net).__name__ == "XLMRobertaForSequenceClassification"
    ids = torch.tensor([[text.START, *range(4, 4 + text.LONGEST - 2), text.END]])
    with torch.inference_mode():
        assert net(ids).logits.shape == (1, len(text.LABELS[name]))


def test_half_precision_files_become_float32_networks_that_cannot_learn(tmp_path):
    fresh = text.network("sentiment")
    halves = {key: value.half().contiguous() for key, value in fresh.state_dict().items()}
    save_file(halves, tmp_path / "sentiment.safetensors")
    net = text.load("sentiment", tmp_path)
    assert not net.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in net.parameters())
    assert torch.equal(net.classifier.dense.weight, fresh.classifier.dense.weight.half().float())


def test_wrong_name_and_missing_files_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"^There is no network 'mood' here; the names are offensive, .*\.$"):
        text.load("mood", tmp_path)
    sentence = r"^topics\.safetensors is missing in .*/; remake it with `python -m training\.text topics`\.$"
    with pytest.raises(FileNotFoundError, match=sentence):
        text.load("topics", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"^tokenizer\.json is missing in .*training\.text vocabulary`\.$"):
        text.tokenizer(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_and_as_their_card_says(name):
    path, card = text.ASSETS / f"{name}.safetensors", text.model_card(name)
    assert path.stat().st_size == card["file_bytes"] <= 25e6
    assert card["parameters"] == sum(p.numel() for p in text.load(name).parameters())
    assert {"title", "task", "training", "held_out", "measured", "limits", "licence", "remade_by"} <= set(card)


SAID = {
    "sentiment": ("A warm, witty and wonderful film.", "positive"),
    "offensive": ("Good morning, have a nice day!", "neither"),
}


@pytest.mark.parametrize("name", SAID)
def test_the_plainest_texts_are_understood(name):
    line, wanted = SAID[name]
    with torch.inference_mode():
        logits = text.load(name)(torch.tensor([text.tokenizer().encode(line).ids])).logits
    assert text.LABELS[name][logits.argmax()] == wanted
