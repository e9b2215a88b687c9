"""What is measured on prompts: the share on the deciding word, words deleted, and that chance stays chance."""

import json

import pytest
import torch

import lrp_core as lrp
from benchmarks.language import card, truth
from models import language
from models.language import smollm2
from models.language.gguf import Gguf
from models.language.labels import labels
from models.language.networks import LanguageModel
from tests.models.language import small_gguf

here = pytest.mark.skipif(smollm2.find() is None, reason=f"the language model is not here: {smollm2.COMMAND}")
PROMPTS = json.loads(truth.PROMPTS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    file = small_gguf.save(tmp_path_factory.mktemp("gguf") / "small.gguf")
    own = smollm2.tokenizer_of(Gguf(file).metadata)
    return smollm2.load(file), LanguageModel("small", "Small", labels(own, own.get_vocab_size()), own)


def prompt(model: LanguageModel, text: str, mark: str | None = None) -> truth.Prompt:
    one = {"kind": "a", "text": text, "word": "are", "rival": "is"} | ({"mark": mark} if mark else {})
    return truth._prompt(model, one)


def test_the_prompts_are_many_different_and_marked():
    assert len(PROMPTS) >= 200 and len({one["text"] for one in PROMPTS}) == len(PROMPTS)
    for one in PROMPTS:
        assert one["word"] != one["rival"]
        assert one["text"] == one["text"].strip() and one.get("mark", one["text"]) in one["text"]
    assert len({one["kind"] for one in PROMPTS}) >= 6


@here
def test_every_prompt_is_about_words_that_the_model_has():
    read = truth.prompts(language.model("smollm2"))
    assert all(one.word != one.rival and one.reading.cut is None for one in read)
    for one, given in zip(read, PROMPTS, strict=True):
        assert one.reading.words[one.mark].text == given["mark"]


def test_the_share_is_that_of_what_speaks_for_the_word():
    values = torch.tensor([3.0, -5.0, 1.0])
    assert truth._share(values, 0) == 0.75 and truth._share(values, 1) == 0 and truth._share(-values.abs(), 0) == 0


def test_deleting_is_worth_what_the_model_loses(small, monkeypatch):
    """The lead is the number of words "cat" that are left: deleting them first is worst."""
    net, model = small
    one = prompt(model, "cat dog cat the of to")
    monkeypatch.setattr(
        truth, "_gap", lambda net, ids, one: [float(model.written(torch.tensor(i)).count("cat")) for i in ids]
    )
    right, wrong = torch.tensor([2.0, 0, 1, -1, -2, -3]), torch.tensor([-3.0, 0, -2, 1, 2, 3])
    first, second = truth._deleted(net, model, one, [right, wrong], 1)
    assert first == -second > 0
    assert truth._shortened(one.reading, [True, False, True, True, False, True]) == "cat cat the to"


def test_one_report_holds_all_and_adds_up(small):
    net, model = small
    texts = ("The dogs of the cat", "The keys to the cabinet", "A cat and a dog", "Mary and John", "The hot oven")
    given = [prompt(model, text, text.split()[1]) for text in texts]
    right = [one for one in given if truth._gap(net, [truth._ids(one.reading, 1)], one)[0] > 0]
    given += [truth.Prompt("b", one.reading, one.rival, one.word, None) for one in given]
    report = truth.measure(net, model, given, 0)
    assert report["prompts"] == 10 and report["with_start"]["right"] == 5
    assert set(report["with_start"]["pointing"]) == set(truth.methods(0))
    assert set(report["with_start"]["pointing_by_kind"]) == ({"a"} if right else set())
    columns = truth.columns(report)
    assert list(columns) == list(truth.COLUMNS) and all(
        set(column) == set(truth.methods(0)) for column in columns.values()
    )


def test_without_the_start_token_nothing_but_that_is_missing(small):
    _, model = small
    one = prompt(model, "The dogs")
    assert truth._ids(one.reading, 1)[1:] == truth._ids(one.reading, 0)
    relevance = torch.arange(1.0, 1 + one.reading.ids.shape[1])
    assert truth._of_words(relevance, one.reading, 1).sum() == relevance[1:].sum()
    assert torch.equal(truth._of_words(relevance, one.reading, 1), truth._of_words(relevance[1:], one.reading, 0))


def test_perplexity_is_that_of_the_definition(small):
    net, model = small
    ids = model.read("The cat and the dog").ids
    chances = [net(ids[:, :end])[0].double().softmax(0)[ids[0, end]] for end in range(1, ids.shape[1])]
    expected = torch.stack(chances).log().mean().neg().exp().item()
    found, count = card.perplexity(net, model, "The cat and the dog")
    assert found == pytest.approx(expected, rel=1e-4) and count == ids.shape[1] - 1


def test_numbers_are_found_in_what_is_said():
    assert [card._number(text) for text in (" 12.", "it is 7", "none", "3 4")] == [12, 7, None, 3]


@here
def test_the_example_on_the_home_page_is_what_the_engine_gives():
    model, net = language.model("smollm2"), language.load("smollm2")
    kept = json.loads((truth.PROMPTS.parent / "example.json").read_text(encoding="utf-8"))
    made = card.example(net, model)
    assert {name: kept[name] for name in ("text", "asked", "words")} == {
        name: made[name] for name in ("text", "asked", "words")
    }
    assert kept["relevance"] == pytest.approx(made["relevance"], abs=0.01)
    assert isinstance(truth.methods(0)["AttnLRP"], lrp.Composite)
