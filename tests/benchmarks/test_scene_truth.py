"""Relevance beside the objects that count, with a network that sees what is red and says yes to everything."""

import json
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_core as lrp
from benchmarks import faithfulness, scene_truth
from models import scenes
from models.scenes import answerer, questions

YES = answerer.LABELS.index("yes")


class SeesRed(nn.Module):
    """Says yes, for as much as there is red in the picture; has the names that the methods look for."""

    def __init__(self) -> None:
        super().__init__()
        self.eyes = nn.Sequential()
        self.eyes.add_module("conv1_1", nn.Conv2d(3, 1, 1))
        self.dense = nn.Linear(1, len(answerer.LABELS))
        self.eval().requires_grad_(False)
        red = torch.tensor([1.0, -1.0, -1.0]) * 0.25
        self.eyes.conv1_1.weight.copy_(red[None, :, None, None])
        self.eyes.conv1_1.bias.fill_(-0.6)  # red must be higher than green and blue together by more than that
        self.dense.weight.copy_(torch.eye(len(answerer.LABELS))[YES][:, None] * 1000)
        self.dense.bias.copy_(torch.eye(len(answerer.LABELS))[YES])

    def forward(self, picture: Tensor, words: Tensor) -> Tensor:
        return self.dense(torch.relu(self.eyes(picture)).mean((2, 3)))


@pytest.fixture(scope="module")
def net():
    return SeesRed()


@pytest.fixture(scope="module")
def red_square():
    """Grey noise with a red square, which is relevant, and a blue one, which is touched as well."""
    random = np.random.default_rng(0)
    pixels = random.integers(90, 140, (128, 128, 1)).repeat(3, 2).astype(np.uint8)
    pixels[20:50, 30:60], pixels[80:110, 70:100] = (255, 20, 20), (20, 20, 255)
    relevant = np.zeros((128, 128), bool)
    relevant[20:50, 30:60] = True
    touched = relevant.copy()
    touched[80:110, 70:100] = True
    question = questions.suggested(scenes.random_scene(1), 1)[0]
    return scene_truth.Asked(question, pixels, {"relevant": relevant, "touched": touched}, YES)


def test_a_method_that_is_right_finds_the_object_and_chance_does_not(net, red_square):
    every = scene_truth.of_scenes(0)
    wanted = ("CP-LRP, zB", "gradient x input", "random")
    found = scene_truth.accuracies(net, [red_square] * 2, {name: every[name] for name in wanted})
    assert set(found) == {
        f"{measure}, {truth}, {pooling}"
        for measure in ("mass", "rank")
        for truth in ("relevant", "touched")
        for pooling in scene_truth.POOLINGS
    }
    for key, by_method in found.items():
        assert list(by_method) == list(wanted)
        if key.startswith("mass"):
            assert by_method["CP-LRP, zB"].tolist() == pytest.approx([1, 1])
            assert len(set(by_method["random"].tolist())) == 2, "each question meets noise of its own"
        share = red_square.masks[key.split(", ")[1]].mean()
        assert by_method["random"].tolist() == pytest.approx([share] * 2, abs=0.04)
    assert found["rank, relevant, sum,pos"]["CP-LRP, zB"].tolist() == pytest.approx([1, 1])
    assert found["rank, touched, sum,pos"]["CP-LRP, zB"].tolist() == pytest.approx([0.5, 0.5], abs=0.05)


def test_every_method_can_be_run_on_the_network():
    """None names a layer or a kind that there is not, and none lets everything arrive where nothing is told apart."""
    torch.manual_seed(0)
    net = answerer.network().eval().requires_grad_(False)
    picture, words = scene_truth.inputs(list(scene_truth.asked([3]))[:1])
    tape = lrp.record(net, picture, words)
    maps = {}
    for name, method in scene_truth.of_scenes(0).items():
        if isinstance(method, lrp.Composite):
            maps[name] = tape.explain(method, lrp.Target.top()).relevance
            assert maps[name].isfinite().all() and maps[name].abs().sum() > 0, name
            boxes = [step.name for step, rule in tape.plan(method) if isinstance(rule, lrp.ZBox)]
            assert boxes == ([scene_truth.BOXED] if "zB" in name else []), name
    kept = list(maps.values())
    assert not any(torch.equal(one, other) for place, one in enumerate(kept) for other in kept[:place])


def test_questions_are_those_of_held_out_scenes_with_their_masks():
    some = list(scene_truth.asked([7]))
    scene = scenes.random_scene(7)
    masks = scenes.render(scene).masks
    assert {one.question.family for one in some} <= set(questions.FAMILIES) and len(some) >= 4
    for one in some:
        assert answerer.LABELS[one.answer] == one.question.answer
        assert np.array_equal(one.masks["touched"], masks[list(one.question.touched)].any(0))
        assert not (one.masks["relevant"] & ~masks[list(one.question.relevant)].any(0)).any()
    picture, words = scene_truth.inputs(some)
    assert picture.shape == (len(some), 3, 128, 128)
    assert (words != answerer.PAD).sum(1).tolist() == [len(one.question.text.split()) for one in some]


def test_the_report_is_of_questions_that_are_answered_right(net):
    every = scene_truth.of_scenes(0)
    report = scene_truth.measure(net, 12, {name: every[name] for name in ("CP-LRP, zB", "random")})
    assert report["questions"] == 12 == sum(report["of_each_family"].values())
    assert not {"attribute", "counting"} & {name for name, count in report["of_each_family"].items() if count}
    assert report["answered_right"] < 0.5
    for title, column in scene_truth.columns(report).items():
        assert column.keys() == {"CP-LRP, zB", "random"}, title
        assert all(0 <= figures["mean"] <= 1 for figures in column.values())
    json.dumps(report)


def test_a_network_that_is_never_right_is_refused(net, monkeypatch):
    monkeypatch.setattr(scene_truth, "answered_right", lambda net, some: [])
    monkeypatch.setattr(scene_truth, "ROUNDS", 2)
    with pytest.raises(ValueError, match=r"^The network answers only 0 of \d+ questions right: too few\.$"):
        scene_truth.measure(net, 6, {})


def test_the_command_writes_the_report_and_prints_the_table(net, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(answerer, "load", lambda folder: net)
    methods = scene_truth.of_scenes(0)
    monkeypatch.setattr(scene_truth, "of_scenes", lambda seed: {"CP-LRP": methods["CP-LRP"]})
    out = tmp_path / "new" / "report.json"
    monkeypatch.setattr(sys, "argv", ["faithfulness", "scenes", "--questions", "6", "--out", str(out)])
    faithfulness.main()
    assert json.loads(out.read_text())["questions"] == 6
    assert "| CP-LRP | " in capsys.readouterr().out


def test_missing_weights_are_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["faithfulness", "scenes", "--weights", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"vqa\.safetensors is missing"):
        faithfulness.main()
