"""Relevance beside people's marks and grades, with networks that are lists of words; and the command."""

import csv
import gzip
import json
import sys

import pytest
import torch

from benchmarks import faithfulness
from benchmarks.text import deletion as text_deletion
from benchmarks.text import faithfulness as text_faithfulness
from benchmarks.text import methods as text_methods
from benchmarks.text import truth as text_truth
from models import text
from tests.benchmarks.text.word_list import EXACT, of_sentiment, of_toxic_words


@pytest.fixture(scope="module")
def toxic():
    return of_toxic_words()


@pytest.fixture(scope="module")
def sentiment():
    return of_sentiment()


def comment(line: str) -> text_truth.Comment:
    """Words in capitals are marked."""
    marked = torch.tensor([letter.isupper() for letter in line], dtype=torch.bool)
    return text_truth.Comment(text_methods.read(line.lower()), marked)


COMMENTS = [comment(line) for line in ("you are an IDIOT!", "STUPID rules, what a CRAP", "all is well", "IDIOT")]


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
