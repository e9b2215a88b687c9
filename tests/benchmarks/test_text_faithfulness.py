"""The measurements on texts, with a network that is a list of words: what each word is worth to it is known."""

import csv
import gzip
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import lrp_core as lrp
from benchmarks import faithfulness, text_deletion, text_faithfulness, text_methods, text_truth
from models import text
from training import text_data

TOXIC_WORDS, GOOD, BAD = ("idiot", "stupid", "crap"), ("good", "great", "best"), ("bad", "worst", "dumb")
EXACT = ("AttnLRP", "CP-LRP", "gradient x input")


class WordList(nn.Module):
    """Logits are sums over what each word is worth for each class, and a bias."""

    def __init__(self, worth: dict[str, tuple[float, ...]], bias: tuple[float, ...]) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(text.VOCABULARY, len(bias))
        self.out = nn.Linear(len(bias), len(bias))
        nn.init.zeros_(self.word_embeddings.weight)
        nn.init.eye_(self.out.weight)
        self.out.bias.data.copy_(torch.tensor(bias))
        for word, values in worth.items():
            (piece,) = text_methods.read(word).ids[0, 1:-1].tolist()
            self.word_embeddings.weight.data[piece] = torch.tensor(values)
        self.eval().requires_grad_(False)

    def get_input_embeddings(self) -> nn.Module:
        return self.word_embeddings

    def forward(self, input_ids=None, inputs_embeds=None):
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        return SimpleNamespace(logits=self.out(words.sum(1)))


@pytest.fixture(scope="module")
def toxic():
    return WordList(dict.fromkeys(TOXIC_WORDS, (-1.0, 1.0, 1.0)), (0.7, 0.1, 0.1))


@pytest.fixture(scope="module")
def sentiment():
    worth = dict.fromkeys(GOOD, (-1.0, 1.0)) | dict.fromkeys(BAD, (1.0, -1.0))
    return WordList(worth | {"best": (-1.5, 1.5), "film": (0.0, 0.1)}, (0.0, 0.05))


@pytest.fixture(scope="module")
def transformer():
    configured = text.configuration(3)
    from transformers import XLMRobertaForSequenceClassification

    configured.update({"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32})
    torch.manual_seed(0)
    net = XLMRobertaForSequenceClassification(configured).eval().requires_grad_(False)
    for parameter in net.parameters():
        parameter.normal_(std=0.3)
    return net


def comment(line: str) -> text_truth.Comment:
    """Words in capitals are marked."""
    marked = torch.tensor([letter.isupper() for letter in line], dtype=torch.bool)
    return text_truth.Comment(text_methods.read(line.lower()), marked)


COMMENTS = [comment(line) for line in ("you are an IDIOT!", "STUPID rules, what a CRAP", "all is well", "IDIOT")]


LINES = ("I don't know, my friend.", "नमस्ते 我们 :-) unbelievable", "one two three four five", "short text", "You?")


@pytest.mark.parametrize("name", [*text_methods.of_texts(0)][:-1])  # the last is other noise at every call
def test_relevance_of_words_in_a_batch_is_that_of_each_text_alone(name, transformer, monkeypatch):
    method = text_methods.of_texts(0)[name]
    readings = [text_methods.read(line) for line in (*LINES, "six seven eight nine ten")]
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    monkeypatch.setattr(text_methods, "TOKENS_AT_ONCE", 16)

    def target(rows):
        return lrp.Target.log_odds(classes[rows])

    found = text_methods.word_relevance(transformer, readings, target, {name: method}, sign=-1.0)[name]
    sign = 1 if name == "gradient norm" else -1
    for row, (read, words) in enumerate(zip(readings, found, strict=True)):
        if isinstance(method, lrp.Composite):
            explanation = lrp.record(transformer, read.ids).explain(method, target([row]))
            of_tokens = lrp.tokens.parts(explanation)["word"]
        else:
            of_tokens = method(transformer, read.ids, target([row]))[0].numpy()
        expected = sign * lrp.tokens.by_group(of_tokens, [piece.word for piece in read.pieces], len(read.words))
        torch.testing.assert_close(words, torch.from_numpy(expected), rtol=1e-3, atol=1e-4)
        assert len(words) == len(read.words) and words.abs().max() > 0


def test_gradients_by_autograd_are_those_of_the_tape(transformer):
    ids, target = text_methods.read(LINES[0]).ids, lrp.Target.difference(2, 0)
    explanation = lrp.record(transformer, ids).explain(lrp.presets.gradient_times_input(), target)
    expected = explanation.relevance.sum(2)
    torch.testing.assert_close(text_methods.gradient_times_input(transformer, ids, target), expected)
    assert (text_methods.gradient_norm(transformer, ids, target) >= 0).all()


def test_texts_of_one_length_go_together():
    lengths = [3, 5, 3, 3, 5, 2000]
    assert list(text_methods.alike(lengths)) == [[0, 2, 3], [1, 4], [5]]
    many = list(text_methods.alike([100] * 25))
    assert [len(rows) for rows in many] == [10, 10, 5] and [row for rows in many for row in rows] == list(range(25))


def test_probabilities_are_those_of_each_text_alone(transformer):
    ids = [text_methods.read(line).ids[0].tolist() for line in LINES]
    found = text_methods.probabilities(transformer, ids)
    for row, one in zip(found, ids, strict=True):
        torch.testing.assert_close(row, transformer(torch.tensor([one])).logits[0].softmax(0))


def test_marked_words_are_found_where_the_network_goes_by_them(toxic):
    report = text_truth.spans(toxic, COMMENTS, COMMENTS, text_methods.of_texts(0))
    for name in EXACT:
        assert report[name]["auc"].tolist() == [1, 1], "all is well has no mark, IDIOT has nothing else"
        assert report[name]["f1"].tolist() == [1, 1, 1, 1]
        assert 0 < report[name]["threshold"] <= 2.01
    auc = report["AttnLRP"]
    assert auc["comment"].tolist() == [0] * 5 + [1] * 6
    assert auc["marked"].sum() == 3 and auc["words"][auc["marked"]].min() > 1.9
    assert report["gradient norm"]["words"].min() > 0, "it has no sign to be turned around"


def test_each_way_to_ask_for_what_is_toxic_has_its_sign_right(toxic):
    exact = {name: text_methods.of_texts(0)[name] for name in EXACT}
    report = text_truth.targets(toxic, COMMENTS, exact)
    assert list(report) == list(text_truth.TOXIC)
    for areas in report.values():
        assert {name: area.tolist() for name, area in areas.items()} == {name: [1, 1] for name in EXACT}


def write(folder, name: str, rows: list[dict[str, str]]) -> None:
    with gzip.open(folder / f"{name}.csv.gz", "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


SENTENCES = {
    "A good film .": "positive",
    "The best , not bad !": "very positive",
    "Do n't watch it : the worst": "very negative",
    "A Great bore": "negative",  # the network takes it for positive
    "so so": "neutral",
}
PHRASES = {
    "Good": "positive",
    "best": "very positive",
    "bad": "negative",
    "WORST": "very negative",
    "film": "neutral",
    "a": "neutral",
    "bore": "negative",
    "the best": "very positive",
}


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    own = {"lang": "en", "split": "test"}
    write(folder, "sst5_sentences", [{"text": line, "label": label} | own for line, label in SENTENCES.items()])
    write(folder, "sst5_phrases", [{"text": line, "label": label} | own for line, label in PHRASES.items()])
    marks = {
        "  You are an idiot": list(range(13, 18)),
        "It is fine": [],
        "So stupid, crap": [*range(3, 9), *range(11, 15)],
    }
    rows = [
        {"text": line, "spans": str(spans), "split": part} for part in ("dev", "test") for line, spans in marks.items()
    ]
    write(folder, "toxic_spans", rows)
    posts = {
        "you are such an idiot": "offensive",
        "what a stupid stupid rule": "hate",
        "this is a fine day": "neither",
        "crap": "offensive",
    }
    write(
        folder, "offensive", [{"text": line, "label": label, "source": ""} | own for line, label in posts.items()] * 2
    )
    return folder


def test_comments_keep_their_offsets(data):
    one, two, three = text_truth.comments(data, "test", 10)
    assert one.read.text[one.spans[3][0] : one.spans[3][1]] == "idiot"
    assert [text_truth._truth([some])[0][0].tolist() for some in (one, two)] == [[False] * 3 + [True], [False] * 3]
    assert three.marked.sum() == 10
    assert len(text_truth.comments(data, "dev", 2)) == 2 and not text_truth.comments(data, "train", 2)


def test_words_get_the_grades_that_people_gave_them(data):
    sentences, labels = text_truth.graded(data, 10)
    assert labels.tolist() == [1, 1, 0, 0], "the neutral sentence takes no side"
    words = [[one.read.words[place].text for place in one.words] for one in sentences]
    assert words == [["A", "good", "film"], ["best", "bad"], ["worst"], ["A", "bore"]]
    assert [one.grades.tolist() for one in sentences] == [[0, 0.25, 0], [0.5, -0.25], [-0.5], [0, -0.25]]
    assert len(text_truth.graded(data, 2)[0]) == 2


def test_signs_and_order_are_measured_in_sentences_that_are_got_right(data, sentiment):
    report = text_truth.grades(sentiment, *text_truth.graded(data, 10), text_methods.of_texts(0))
    for name in EXACT:
        assert report[name]["of"].tolist() == [1, 2, 1], "not in the sentence that is taken for the other side"
        assert report[name]["right"].tolist() == [1, 2, 1]
        assert report[name]["order"].tolist() == pytest.approx([1.5 / 3**0.5, 1], abs=1e-6)  # film is worth a little
    assert report["gradient norm"]["right"].tolist() == [1, 1, 0], "it is never negative"


def test_a_word_is_deleted_with_its_gap():
    read = text_methods.read("I don't  know, do you? \U0001f600")
    words = [word.text for word in read.words]
    assert words == ["I", "don't", "know", ",", "do", "you", "?", "\U0001f600"]

    def without(*deleted: str) -> str:
        return text_deletion.shortened(read, torch.tensor([word not in deleted for word in words]))

    assert without() == "I don't know, do you? \U0001f600"
    assert without("don't", "you") == "I know, do ? \U0001f600"
    assert without("I", "\U0001f600") == "don't know, do you?"
    assert without(*words) == ""


def test_deletion_equals_reading_each_shorter_text(toxic):
    lines = ("you are a stupid stupid idiot", "what crap is all this good stuff about an old idiot of a king ?")
    readings, classes = [text_methods.read(line) for line in lines], np.array([1, 2])
    report = text_deletion.deletion(toxic, readings, classes, text_methods.of_texts(0))

    def probability(words: list[str], label: int) -> float:
        return (
            toxic(text_methods.read(" ".join(words)).ids if words else torch.tensor([[0, 2]]))
            .logits.softmax(1)[0, label]
            .item()
        )

    for row, (line, label) in enumerate(zip(lines, classes, strict=True)):
        words = line.split()
        first = [place for place, word in enumerate(words) if word in TOXIC_WORDS]
        order = first + [place for place in range(len(words)) if place not in first]
        for side, ranking in enumerate((order, order[::-1])):
            counts = [step * len(words) // min(10, len(words)) for step in range(min(10, len(words)) + 1)]
            left = [[word for place, word in enumerate(words) if place not in ranking[:count]] for count in counts]
            curve = [probability(some, label) for some in left]
            expected = np.trapezoid(curve, np.array(counts) / len(words))
            for name in EXACT:
                assert report[name]["areas"][row, side].item() == pytest.approx(expected, abs=1e-6)
        ends = [probability(words, label), probability([], label)]
        for name in report:
            assert report[name]["ends"][row].tolist() == pytest.approx(ends, abs=1e-6)


def test_texts_at_a_time_change_nothing(toxic, monkeypatch):
    readings = [text_methods.read(line) for line in ("an old idiot", "so stupid", "crap and more crap", "idiot")]
    methods = {name: text_methods.of_texts(0)[name] for name in EXACT}
    together = text_deletion.deletion(toxic, readings, np.array([1, 1, 2, 1]), methods)
    monkeypatch.setattr(text_deletion, "TEXTS_AT_ONCE", 3)
    apart = text_deletion.deletion(toxic, readings, np.array([1, 1, 2, 1]), methods)
    for name in methods:
        torch.testing.assert_close(apart[name]["areas"], together[name]["areas"])


def test_texts_are_chosen_that_fit_and_are_got_right(toxic):
    lines = {
        "you are such an idiot": (0, 1, 0),
        "you are such an old fool": (0, 1, 0),  # taken for neither
        "this is a fine day": (1, 0, 0),
        "what a stupid stupid rule": (0, 0.5, 0.5),  # may be either; the network says offensive
        "idiot": (0, 1, 0),  # too short
        " ".join(["idiot"] * 41): (0, 1, 0),
        "\u16a0\u16a1\u16a2": (1, 0, 0),  # nothing that is known
    }
    given = text_data.Texts([*lines], np.array([*lines.values()], np.float32), ["en"] * len(lines))
    readings, classes = text_deletion.chosen_texts(toxic, given, 10, seed=0)
    chosen = {read.text: int(label) for read, label in zip(readings, classes, strict=True)}
    assert chosen == {"you are such an idiot": 1, "this is a fine day": 0, "what a stupid stupid rule": 1}
    assert len(text_deletion.chosen_texts(toxic, given, 1, seed=0)[0]) == 1


@pytest.fixture
def run(toxic, sentiment, data, monkeypatch, tmp_path, capsys):
    """The command, on few texts and the lists of words."""
    monkeypatch.setattr(text, "load", lambda name, folder: {"offensive": toxic, "sentiment": sentiment}[name])
    monkeypatch.setattr(text_deletion, "FEWEST", 3)
    out = tmp_path / "new" / "out.json"

    def run(*flags: str) -> tuple[dict, str]:
        monkeypatch.setattr(sys, "argv", ["faithfulness", "texts", "--data", str(data), "--out", str(out), *flags])
        faithfulness.main()
        return json.loads(out.read_text(encoding="utf-8")), capsys.readouterr().out

    return run


def test_the_command_writes_all_figures_and_prints_one_table(run):
    report, printed = run("--network", "sentiment", "offensive")
    names = list(text_methods.of_texts(0))
    assert list(report["networks"]) == ["offensive", "sentiment"]
    offensive, reviews = report["networks"]["offensive"], report["networks"]["sentiment"]
    assert offensive["spans"]["comments"] == 3 and offensive["deletion"]["texts"] == 4
    assert reviews["grades"]["words_with_a_side"] == 4 and reviews["grades"]["sentences"] == 3
    assert reviews["grades"]["sign"]["AttnLRP"] == {
        "mean": 1,
        "low": 1,
        "high": 1,
        "behind": {"mean": 0, "low": 0, "high": 0},
    }
    assert offensive["spans"]["f1_of_marking_nothing"] == pytest.approx(1 / 3, abs=1e-4)
    columns = text_faithfulness.columns(report)
    assert len(columns) == 7 and "offensive, deletion" in columns and "sentiment, order" in columns
    for figures in columns.values():
        assert list(figures) == names
        assert all(one["low"] <= one["mean"] <= one["high"] for one in figures.values())
    lines = printed.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == names
    assert lines[2].startswith("| AttnLRP | **1.000** (1.000 to 1.000) |")
    assert run("--network", "sentiment", "offensive") == (report, printed), "the same figures again"


def test_one_network_is_measured_again_and_the_others_are_kept(run):
    both, _ = run("--network", "sentiment", "offensive")
    again, _ = run("--network", "offensive", "--comments", "2")
    assert again["networks"]["offensive"]["spans"]["comments"] == 2
    assert again["networks"]["sentiment"] == both["networks"]["sentiment"]


def test_missing_weights_and_silly_counts_are_refused_in_one_sentence(run, monkeypatch, tmp_path):
    with pytest.raises(SystemExit):
        run("--network", "offensive", "--texts", "0")
    monkeypatch.undo()
    monkeypatch.setattr(sys, "argv", ["faithfulness", "texts", "--weights", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"offensive\.safetensors is missing"):
        faithfulness.main()
