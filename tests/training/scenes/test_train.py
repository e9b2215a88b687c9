"""How the network that answers questions is taught, on a few scenes."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from models import scenes
from models.scenes import KINDS, MOST, answerer, questions
from models.scenes.question_grammar import vocabulary
from models.scenes.question_programs import facts, members
from models.scenes.questions import FAMILIES
from training.scenes import card as vqa_card
from training.scenes import data as vqa_data
from training.scenes import train as training
from training.scenes.lessons import FILLERS, batch_of, compared, forgetful, together


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(training, "QUESTIONS", 16)
    monkeypatch.setattr(training, "PICTURES", 2)
    monkeypatch.setattr(training, "SCENES", 2)
    monkeypatch.setattr(training, "CHECKED", 4)
    for name, seeds in (("TEST", range(6)), ("NEW_WORDINGS", range(6, 12)), ("CALIBRATION", range(12, 16))):
        monkeypatch.setattr(vqa_card, name, seeds)


@pytest.fixture(scope="module")
def pack():
    return vqa_data.make(range(12), (*FAMILIES, "place", "place", "place"))


@pytest.fixture
def lessons():
    return training.fresh()


@pytest.mark.parametrize("seed", [0, 1, 68, 125])
def test_every_object_has_a_cell_of_its_own(seed):
    """In scenes 68 and 125 two objects have their middle in the same cell."""
    scene = scenes.random_scene(seed)
    features, cells = vqa_data.described(scene, scenes.render(scene).masks)
    number = len(scene.things)
    assert len(set(cells.tolist())) == MOST and cells.min() >= 0 and cells.max() < answerer.CELLS
    assert features[:number, 0].tolist() == [1] * number and not features[number:].any()
    for thing, row, cell in zip(scene.things, features, cells, strict=False):
        told = {vqa_data.VALUES[place] for place in np.flatnonzero(row[1:-2])}
        assert told == {getattr(thing, kind) for kind in KINDS}
        middle = np.array([cell % answerer.COLUMNS, cell // answerer.COLUMNS + answerer.ROWS.start]) + 0.5
        at = (middle + row[-2:]) * answerer.CELL
        assert at.tolist() == pytest.approx(scenes.project(thing.x, thing.y), abs=1e-3)
        assert np.abs(row[-2:]).max() < 2.5, "an object stands near the middle of what is seen of it"


def test_the_groups_of_a_question_are_the_objects_it_names(pack):
    """Against the truth that questions come with."""
    row, hops = 0, set()
    for seed in range(12):
        scene = scenes.random_scene(seed)
        asked = questions.make(scene, questions.Random(seed), (*FAMILIES, "place", "place", "place"))
        for question in asked:
            inside = [set(np.flatnonzero(group)) for group in pack.members[row]]
            relevant = set(question.relevant)
            assert set.union(*inside) <= set(question.touched)
            if inside[-1]:
                assert inside[-1] <= relevant
            assert relevant <= set.union(*inside) or not inside[-1]
            assert answerer.LABELS[pack.answer[row]] == question.answer
            assert FAMILIES[pack.family[row]] == question.family and pack.hops[row] == question.hops
            assert (pack.links[row] > 0).sum() == question.hops + ("same(" in str(question.program))
            hops.add(question.hops)
            row += 1
    assert row == len(pack.answer) and hops == {0, 1, 2}


def test_what_is_said_of_a_group_singles_out_its_members(pack):
    for row in range(len(pack.answer)):
        known = facts(scenes.random_scene(int(pack.scene[row])))
        for values, link, group in zip(pack.values[row], pack.links[row], pack.members[row], strict=True):
            pairs = zip(KINDS.items(), values, strict=True)
            said = {kind: choice[number - 1] for (kind, choice), number in pairs if number}
            having = set(members(known.those(said)))
            if said and not link:
                assert having == set(np.flatnonzero(group))
            elif link:
                assert set(np.flatnonzero(group)) <= having


def test_a_pack_is_made_once_and_never_of_held_out_scenes(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        vqa_data, "make", lambda seeds, families, make=vqa_data.make: asked.append(seeds) or make(seeds[:2], families)
    )
    first, again = (vqa_data.pack(3, tmp_path, 4) for _ in range(2))
    assert len(asked) == 1 and min(asked[0]) == vqa_data.FIRST_SEED + 12 and len(asked[0]) == 4
    for name, values in vars(first).items():
        assert np.array_equal(values, getattr(again, name))
    held_out = (vqa_card.TEST, vqa_card.NEW_WORDINGS, vqa_card.CALIBRATION)
    assert max(max(seeds) for seeds in held_out) < vqa_data.FIRST_SEED


def test_only_fillers_are_forgotten():
    torch.manual_seed(0)
    words = answerer.encode("Is there a red cube to the left of the ball?").repeat(400, 1)
    kept = (forgetful(words) == words).float().mean(0)
    for number, share in zip(words[0].tolist(), kept.tolist(), strict=True):
        filler = vocabulary()[number - 1] in FILLERS
        assert 0.8 < share < 0.97 if filler else share == 1


def test_members_are_told_where_their_cells_are(pack):
    batch = batch_of(pack, torch.arange(20), pictures=False)
    right = torch.full((20, vqa_data.GROUPS, answerer.CELLS), -20.0)
    for row, place, thing in batch.members.nonzero().tolist():
        right[row, place, batch.cells[batch.scene[row], thing]] = 20.0
    assert together(right, batch).item() < 1e-6 < 1 < together(-right, batch).item()
    few = torch.nn.functional.pad((batch.members.float() * 2 - 1) * 20, (0, 2), value=-20)
    assert together(few, batch).item() < 1e-6 < 1 < together(-few, batch).item()


@pytest.mark.parametrize("everywhere", [True, False])
def test_who_is_like_the_second_groups_object_is_told_where_that_is_asked(pack, everywhere):
    """Against the scenes themselves."""
    batch = batch_of(pack, torch.arange(len(pack.answer)), pictures=False)
    values = torch.zeros(len(batch.answer), len(vqa_data.VALUES))
    alike = torch.full((len(batch.answer), answerer.CELLS if everywhere else MOST + 2), -20.0)
    asked = 0
    for row, (number, (form, kind), links) in enumerate(zip(pack.scene, pack.asked, pack.links, strict=True)):
        things = scenes.random_scene(int(number)).things
        second = np.flatnonzero(pack.members[row, 1])
        if len(second) != 1:
            continue
        one = things[second[0]]
        for place, value in enumerate(vqa_data.VALUES):
            values[row, place] = 20.0 * (value in {getattr(one, of) for of in KINDS})
        named = [*KINDS][kind - 1] if vqa_data.FORMS[form] == "match" else ("", *vqa_data.LINKS)[links[-1]]
        if named not in KINDS:
            alike[row] = torch.randn(alike.shape[1])  # not asked for
            continue
        asked += 1
        for place, thing in enumerate(things):
            if getattr(thing, named) == getattr(one, named):
                alike[row, pack.cells[number, place] if everywhere else place] = 20.0
    assert asked > 5
    assert compared(values, alike, batch).item() < 1e-4
    assert compared(values, -alike, batch).item() > 1 < compared(-values, alike, batch).item()


def test_joining_puts_description_and_entry_in_a_row(pack, lessons):
    with torch.no_grad():
        features = torch.randn(2, answerer.CELLS, 128)
        wanted = lessons.enter(lessons.describe(features))
        lessons.join()
        torch.testing.assert_close(lessons.net.enter(features), wanted, rtol=1e-4, atol=1e-4)


def test_a_perfect_description_costs_nothing(pack, lessons):
    wanted = torch.zeros(12, answerer.CELLS, vqa_data.FEATURES)
    for row in range(12):
        wanted[row, pack.cells[row]] = torch.from_numpy(pack.features[row])
    lessons.describe = torch.nn.Identity()
    told = (torch.from_numpy(part) for part in (pack.features, pack.cells))
    assert lessons.described(wanted, *told).item() == 0


def test_folding_leaves_the_function_alone():
    torch.manual_seed(1)
    net, x = answerer.network(batch_norm=True), torch.randn(4, 3, 128, 128)
    words = answerer.encode("How many cubes are there?").expand(4, -1)
    net.train()(x, words)  # statistics that are not those of a fresh layer
    with torch.inference_mode():
        wanted, given = net.eval()(x, words), training.folded(net).eval()(x, words)
    torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stage", ["questions", "pictures"])
def test_an_interrupted_stage_ends_where_an_unbroken_one_does(stage, tmp_path, monkeypatch):
    def learned(folder):
        mean = training.learn(stage, training.fresh(), 2, tmp_path / folder, 1, 4)
        return torch.cat([value.flatten().double() for value in mean.state_dict().values()])

    unbroken, calls, step = learned("unbroken"), [], training.LOSSES[stage]
    steps = sum(
        1 for _ in training.batches(stage, vqa_data.pack(0, tmp_path / "unbroken" / "packs", 4), torch.Generator())
    )

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == steps + 1:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setitem(training.LOSSES, stage, interrupted)
    with pytest.raises(KeyboardInterrupt):
        learned("resumed")
    resumed = learned("resumed")
    assert len(calls) > steps + 1
    torch.testing.assert_close(resumed, unbroken, rtol=0, atol=1e-5)


def test_the_command_learns_in_stages_and_writes_weights_and_card(tmp_path, monkeypatch, capsys):
    paths = ["--checkpoint", str(tmp_path / "state"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["vqa", "--packs", "1", "--size", "4", "--passes", "1", *paths])
    training.main()
    net, card = answerer.load(tmp_path / "out"), answerer.model_card(tmp_path / "out")
    assert net(torch.zeros(1, 3, 128, 128), answerer.encode("Is there a cube?")).shape == (1, len(answerer.LABELS))
    assert card["measured"].keys() == answerer.model_card()["measured"].keys()
    assert card.keys() == answerer.model_card().keys()
    out = capsys.readouterr().out
    for stage in ("questions", "pictures", "together"):
        assert f"{stage}: 1 of 1 packs" in out


def test_an_unknown_stage_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["vqa", "dreams", "--checkpoint", str(tmp_path)])
    with pytest.raises(SystemExit):
        training.main()
    assert (
        "there is no stage dreams; the choice is packs, questions, pictures, together, write" in capsys.readouterr().err
    )


def test_the_temperature_makes_probabilities_honest(pack, monkeypatch):
    """Scores that are three times too large are divided by three."""
    torch.manual_seed(0)
    honest = torch.randn(4000, len(answerer.LABELS)) * 2
    answers = torch.distributions.Categorical(logits=honest).sample().numpy()
    monkeypatch.setattr(vqa_card, "scores", lambda net, pack: honest * 3)
    assert vqa_card.temperature(None, replace(pack, answer=answers)) == pytest.approx(3, rel=0.1)


def test_centred_scores_sum_to_zero_and_mean_the_same():
    torch.manual_seed(2)
    net, x, words = (
        answerer.network().eval(),
        torch.randn(2, 3, 128, 128),
        answerer.encode("Is there a cube?").expand(2, -1),
    )
    with torch.inference_mode():
        before = net(x, words)
        vqa_card.centre(net)
        after = net(x, words)
    assert before.sum(1).abs().max() > 0.01
    torch.testing.assert_close(after.sum(1), torch.zeros(2), rtol=0, atol=1e-4)
    torch.testing.assert_close(after.softmax(1), before.softmax(1), rtol=1e-5, atol=1e-6)
