"""The network that answers questions about scenes: inputs, what LRP makes of it, what the shipped weights can do."""

from random import Random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lrp_core as lrp
from models import scenes
from models.scenes import answerer, questions
from models.scenes.question_grammar import vocabulary
from tests.lrp_core.networks import assert_ledger_closes

ASKED = ("How many red cubes are left of the ball?", "Is there a cone?")
COMPOSITES = (
    lrp.presets.attn_lrp(1e-3),
    lrp.presets.cp_lrp(1e-3),
    lrp.Composite(
        lrp.Epsilon(1e-3),
        by_kind={"conv": lrp.Gamma(0.25)},
        by_name={"eyes.conv1_1": lrp.ZBox(answerer.LOW, answerer.HIGH)},
        attention="cp",
    ),
)


@pytest.fixture(autouse=True)
def one_thread():
    """These tensors are too small to be shared out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def net():
    """With weights, biases and norms drawn at random."""
    torch.manual_seed(0)
    net = answerer.network()
    for layer in net.modules():
        if isinstance(layer, nn.LayerNorm):
            layer.weight.data.uniform_(0.5, 1.5)
            layer.bias.data.normal_(0, 0.2)
    return net.double().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def inputs():
    """Two pictures and two questions, the second one padded."""
    pixels = [scenes.render(scenes.random_scene(seed)).pixels for seed in (1, 2)]
    words = nn.utils.rnn.pad_sequence([answerer.encode(text)[0] for text in ASKED], batch_first=True)
    return answerer.normalise(np.stack(pixels)).double(), words


def test_the_answers_are_as_many_as_the_outputs(net, inputs):
    logits = net(*inputs)
    assert logits.shape == (2, len(answerer.LABELS))
    assert answerer.CELLS == 40 and net.look(inputs[0]).shape == (2, 40, answerer.WIDTH)


def test_pixels_lie_between_the_bounds():
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[0] = 255
    x = answerer.prepare(pixels)
    assert x.shape == (1, 3, 128, 128) and x.dtype == torch.float32
    assert x[0, :, 1, 0].tolist() == pytest.approx(answerer.LOW) and x[0, :, 0, 0].tolist() == pytest.approx(
        answerer.HIGH
    )


@pytest.mark.parametrize("pixels", [np.zeros((3, 128, 128), np.uint8), np.zeros((128, 128, 3)), np.zeros(4, np.uint8)])
def test_other_pixels_are_refused(pixels):
    with pytest.raises(ValueError, match=r"^pixels must be uint8 \(128, 128, 3\), not .*\.$"):
        answerer.prepare(pixels)


def test_words_become_their_numbers():
    ids = answerer.encode("Is there a RED cube?")
    assert ids.shape == (1, 5) and ids.dtype == torch.int64
    assert [vocabulary()[number - 1] for number in ids[0]] == ["is", "there", "a", "red", "cube"]


@pytest.mark.parametrize("text", ["", "  ?", "Is there a zebra?", "is " * 41])
def test_what_cannot_be_read_gets_one_sentence(text):
    with pytest.raises(ValueError, match=r"^[A-Z][^.]*[.?]$"):
        answerer.encode(text)


@pytest.mark.parametrize("composite", COMPOSITES)
def test_relevance_reaches_picture_and_words_and_the_ledger_closes(net, inputs, composite):
    tape = lrp.record(net, *inputs)
    assert tape.unsupported() == ()
    torch.testing.assert_close(tape.output, net(*inputs), rtol=1e-10, atol=1e-12)
    explanation = tape.explain(composite, lrp.Target.top())
    assert_ledger_closes(explanation, 1e-10)
    assert list(explanation.parts) == ["picture", "reader.words", "reader.positions"]
    for part in explanation.parts.values():
        assert part.isfinite().all() and part.flatten(1).abs().sum(1).min() > 0
    assert not explanation.parts["reader.words"][1, 4:].any(), "padding gets nothing"


@pytest.mark.parametrize("composite", COMPOSITES)
def test_a_row_of_a_padded_batch_is_that_row_alone(net, inputs, composite):
    together = lrp.record(net, *inputs).explain(composite, lrp.Target.logit(3))
    picture, words = inputs
    for row, length in enumerate((9, 4)):
        alone = lrp.record(net, picture[row : row + 1], words[row : row + 1, :length])
        explanation = alone.explain(composite, lrp.Target.logit(3))
        for name, part in explanation.parts.items():
            ours = together.parts[name][row : row + 1, : None if name == "picture" else length]
            torch.testing.assert_close(ours, part, rtol=1e-7, atol=1e-9 * part.abs().max().item())


def test_cp_lrp_is_value_times_gradient_with_attention_and_deviations_fixed(net, inputs, monkeypatch):
    """An independent program: what LRP-0 makes of a ReLU network, by autograd."""
    found = lrp.record(net, *inputs).explain(lrp.presets.cp_lrp(0.0), lrp.Target.logit(3)).parts

    def attend(self, x, seen):
        q, k, v = (part(x).unflatten(-1, (4, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q.detach(), k.detach(), v, attn_mask=seen)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def norm(self, x):
        deviation = (x.detach().var(-1, correction=0, keepdim=True) + self.eps).sqrt()
        return (x - x.mean(-1, keepdim=True)) / deviation * self.weight + self.bias

    looked_up = {}

    def look_up(self, ids):
        looked_up[self] = F.embedding(ids, self.weight).detach().requires_grad_()
        return looked_up[self]

    monkeypatch.setattr(answerer.Attention, "forward", attend)
    monkeypatch.setattr(nn.LayerNorm, "forward", norm)
    monkeypatch.setattr(nn.Embedding, "forward", look_up)
    picture = inputs[0].clone().requires_grad_()
    logits = net(picture, inputs[1])
    values = [picture, looked_up[net.reader.words], looked_up[net.reader.positions]]
    gradients = torch.autograd.grad(logits[:, 3].sum(), values)
    for part, value, gradient in zip(found.values(), values, gradients, strict=True):
        expected = (value * gradient).detach()
        torch.testing.assert_close(part, expected, rtol=1e-6, atol=1e-9 * expected.abs().max().item())


def test_without_biases_nothing_is_lost_but_to_learned_tokens(inputs):
    """CP-LRP: picture, words and places of words, with what notes and cells had of their own, are the logit."""
    torch.manual_seed(1)
    net = answerer.network().double().eval().requires_grad_(False)
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
    tape = lrp.record(net, *inputs)
    total = tape.explain(lrp.presets.cp_lrp(0.0), lrp.Target.logit(5)).ledger.total
    torch.testing.assert_close(total.input + total.constant, tape.output[:, 5], rtol=1e-9, atol=1e-9)
    for lost in (total.bias, total.epsilon, total.softmax, total.dropped):
        assert lost.abs().max().item() < 1e-9


# The shipped weights


def held_out(seeds, wordings="train"):
    for seed in seeds:
        scene = scenes.random_scene(seed)
        picture = answerer.prepare(scenes.render(scene).pixels)
        for question in questions.make(scene, Random(seed), wordings=wordings):
            yield question, picture


def test_the_file_is_small_and_holds_plain_numbers():
    assert (answerer.ASSETS / "vqa.safetensors").stat().st_size <= 12e6
    net = answerer.load()
    assert not net.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in net.parameters())


@pytest.mark.parametrize(("wordings", "seeds"), [("train", range(5000, 5020)), ("test", range(5020, 5040))])
def test_held_out_questions_are_answered(wordings, seeds):
    net = answerer.load()
    with torch.inference_mode():
        hits = [
            answerer.LABELS[net(picture, answerer.encode(question.text)).argmax()] == question.answer
            for question, picture in held_out(seeds, wordings)
        ]
    assert np.mean(hits) >= 0.85


def test_the_card_tells_what_was_measured():
    card = answerer.model_card()
    assert card["remade_by"] == answerer.REMAKE["vqa"]
    assert card["parameters"] == sum(p.numel() for p in answerer.load().parameters())
    assert card["file_bytes"] == (answerer.ASSETS / "vqa.safetensors").stat().st_size
    assert list(card["per_family"]) == list(questions.FAMILIES)
    assert card["measured"]["questions"] >= 1000
    shares = [line["right"] for line in (*card["per_family"].values(), *card["per_hops"].values())]
    assert all(0 <= share <= 1 for share in shares)


def test_missing_weights_say_how_to_remake_them(tmp_path):
    for read in (answerer.load, answerer.model_card):
        with pytest.raises(FileNotFoundError, match=r"python -m training\.scenes"):
            read(tmp_path)
