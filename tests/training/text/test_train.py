"""The training scripts of the text networks, on a few made-up lines in place of the data."""

import csv
import gzip
import json
import sys

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from models import text
from models.text import xlm_r
from training.text import batches as text_batches
from training.text import card as text_card
from training.text import data as text_data
from training.text import encoder as text_encoder
from training.text import train as training
from training.text import tuning as text_tuning
from training.text import vocabulary
from training.text.data import Texts
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


@pytest.fixture
def small(monkeypatch):
    """Networks of one narrow layer, which learn in a moment."""
    usual = xlm_r.configuration

    def narrow(classes=2):
        config = usual(classes)
        config.hidden_size, config.num_hidden_layers, config.num_attention_heads = 16, 1, 2
        config.intermediate_size = 32
        return config

    monkeypatch.setattr(xlm_r, "configuration", narrow)


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


def test_gaps_are_filled_in_training_texts_only_and_in_pieces(folder):
    lines = text_data.everything(folder)
    assert "line 0" in lines and "line 1" not in lines and "line 2" in lines
    assert sum("post 0 about alt.atheism" in line for line in lines) == 1
    assert max(map(len, lines)) <= text_data.CHUNK
    assert len(text_data.pieces("word " * 1000)) == text_data.CHUNKS
    assert "".join(text_data.pieces("x" * 700)) == "x" * 700


def test_a_missing_file_gets_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"offensive\.csv\.gz is missing"):
        text_data.read("offensive", tmp_path, "train")


def test_the_vocabulary_is_as_in_xlm_r_and_reads_lower_case():
    lines = [f"{word} {other}, good" for word in ("Fool", "morning", "wörter") for other in ("you", "we", "מילה")] * 9
    learned = vocabulary.learn(lines, size=60)
    assert [learned.token_to_id(name) for name in vocabulary.SPECIAL[:4]] == [0, 1, 2, 3]
    assert learned.token_to_id("<mask>") == learned.get_vocab_size() - 1
    encoded = learned.encode("FOOL,  good")
    assert encoded.tokens[0] == "<s>" and encoded.tokens[-1] == "</s>" and "," in encoded.tokens
    assert encoded.ids == learned.encode("fool, good").ids


def test_the_shipped_vocabulary_fits_the_networks(tokenizer):
    assert tokenizer.get_vocab_size() == text.VOCABULARY
    assert tokenizer.token_to_id("<mask>") == text.VOCABULARY - 1
    assert tokenizer.encode("x").ids[0] == text.START and tokenizer.encode("x").ids[-1] == text.END
    assert Tokenizer.from_str(tokenizer.to_str()).encode("mörgen 早上好 صباح").ids.count(text.UNKNOWN) == 0


def test_batches_hold_every_text_once_and_fit(tokenizer):
    random = np.random.default_rng(0)
    ids = [[0, *random.integers(4, 99, random.integers(1, 40)), 2] for _ in range(300)]
    for batches in (text_batches.shuffled(ids, 100, random), list(text_batches.in_order(ids, 100))):
        assert sorted(row for batch in batches for row in batch.rows) == list(range(300))
        for batch in batches:
            assert batch.ids.numel() <= 100 or len(batch.rows) == 1
            for row, line, mask in zip(batch.rows, batch.ids, batch.mask, strict=True):
                assert line[mask.bool()].tolist() == ids[row]
                assert (line[~mask.bool()] == text.PAD).all()
    long = text_batches.encode(tokenizer, ["word " * 500])[0]
    assert len(long) == text.LONGEST and long[-1] == text.END


def test_gaps_are_where_they_are_said_to_be():
    ids = torch.arange(4, 15004).reshape(100, 150)
    ids[:, 0], ids[:, -1] = text.START, text.END
    holed, gaps = text_encoder.with_gaps(ids, torch.Generator().manual_seed(0))
    assert torch.equal(holed[~gaps], ids[~gaps]) and not gaps[:, [0, -1]].any()
    assert gaps.float().mean().item() == pytest.approx(text_encoder.GAPS, abs=0.01)
    assert (holed[gaps] == text.VOCABULARY - 1).float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert (holed[gaps] == ids[gaps]).float().mean().item() == pytest.approx(0.1, abs=0.03)


def test_the_start_is_to_sum_up_the_rare_pieces_of_a_text(small):
    ids = [[0, 7, 8, 2], [0, 7, 9, 9, 2], [0, 7, 2]]
    rarity = text_encoder.rarities(ids)
    assert rarity[7] == 0 and rarity[8] == rarity[9] == pytest.approx(np.log(3)) and not rarity[:4].any()
    net = text_encoder.network()
    batch = next(text_batches.in_order(ids, 100))
    _, texts = text_encoder.loss_of(net, batch, torch.Generator().manual_seed(0), rarity)
    texts.backward()
    assert texts.item() == pytest.approx(2 / 3 * np.log(text.VOCABULARY), rel=0.05)  # the third holds nothing rare
    assert net.roberta.embeddings.word_embeddings.weight.grad.abs().sum() > 0


def test_an_interrupted_network_goes_on_and_keeps_its_best_pass(small, folder, tokenizer, tmp_path, capsys):
    data, path = text_data.read("topics", folder, "train"), tmp_path / "topics.pt"

    def trained(passes, checkpoint):
        net = text_tuning.grown("topics", None)
        recipe = Recipe(passes, rate=0.02)
        return text_tuning.train(net, data, data, tokenizer, recipe, False, "cpu", checkpoint)

    trained(2, path)
    assert len(capsys.readouterr().out.splitlines()) == 2
    net = trained(6, path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].startswith("pass 3 of 6")
    saved = torch.load(path, weights_only=True)
    assert saved["passes"] == 6
    assert text_tuning.right(net, data, tokenizer) == saved["best"]["right"]
    assert saved["best"]["right"] == pytest.approx(max(float(line.split()[-1]) for line in lines), abs=1e-4)


def test_either_of_two_is_right_where_it_may_be_either(small, tokenizer):
    net = text.network("offensive").eval()
    with torch.no_grad():
        net.classifier.out_proj.bias.copy_(torch.tensor([0.0, 99, 0]))
    data = Texts(["a", "b", "c"], np.array([[0, 0.5, 0.5], [1, 0, 0], [0, 1, 0]]), ["de"] * 3)
    assert text_tuning.right(net, data, tokenizer) == pytest.approx(2 / 3)


def test_an_interrupted_encoder_goes_on(small, folder, tokenizer, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(text_encoder, "SAVE_EVERY", 1)
    monkeypatch.setattr(text_encoder, "TOKENS", 512)
    lines, path = text_data.everything(folder), tmp_path / "encoder.pt"
    text_encoder.train(lines, tokenizer, 1, path, "cpu")
    done = len(capsys.readouterr().out.splitlines())
    assert torch.load(path, weights_only=True)["step"] == done > 1
    text_encoder.train(lines, tokenizer, 2, path, "cpu")
    assert f"step {done + 1} of" in capsys.readouterr().out.splitlines()[0]


def test_a_network_learns_and_is_written_with_its_card(small, folder, tokenizer, tmp_path, monkeypatch):
    out, kept = tmp_path / "out", tmp_path / "kept"
    out.mkdir()
    tokenizer.save(str(out / "tokenizer.json"))
    pytest.importorskip("sklearn")
    monkeypatch.setitem(text_tuning.RECIPES, "offensive", Recipe(4, rate=0.02))
    shared = ["--data", str(folder), "--out", str(out), "--checkpoint", str(kept)]
    for arguments in (["encoder", "--passes", "1"], ["offensive", "--passes", "40"]):
        monkeypatch.setattr(sys, "argv", ["text", *arguments, *shared])
        training.main()
    card = text.model_card("offensive", out)
    assert card["pretrained"] and card["passes"] == 40 and card["measured"]["test_texts"] == 15
    assert card["measured"]["offensive_or_not_macro_f1"] > 0.9
    assert set(card["hatecheck"]) == {"derog_h", "ident_nh"} and card["hatecheck"]["derog_h"]["cases"] == 2
    assert card["per_language"]["de"]["texts"] == 6
    before = (out / "offensive.safetensors").read_bytes()
    monkeypatch.setattr(sys, "argv", ["text", "offensive", "--measure", *shared])
    training.main()
    assert (out / "offensive.safetensors").read_bytes() == before
    assert json.loads((out / "offensive.json").read_text(encoding="utf-8")) == card
    monkeypatch.setattr(sys, "argv", ["text", "offensive", "--fresh", "--passes", "1", *shared])
    training.main()
    assert (out / "offensive.safetensors").read_bytes() == before
    fresh = json.loads((out / "fresh.json").read_text(encoding="utf-8"))["offensive"]
    assert fresh["passes"] == 1 and fresh["test_texts"] == 15
    assert text_card.beside("offensive", fresh, out) == [
        "The same network from random weights, without the encoder, reaches macro-F1 {0:.3f} on the same test texts, "
        "this network {0:.3f}.".format(fresh["offensive_or_not_macro_f1"])
    ]
    (out / "baseline.json").write_text(json.dumps({"offensive": {"accuracy": 0.5, "macro_f1": 2}}), encoding="utf-8")
    assert text_card.beside("offensive", fresh, out)[0].endswith("two hours on one core.")
    from training.text import baseline as text_baseline

    row = text_baseline.table(out).splitlines()[2]
    measured = [fresh[f"offensive_or_not_{key}"] for key in ("accuracy", "macro_f1")]
    assert row.startswith("| offensive | 0.500 | 2.000 |  |  | ") and row.endswith(
        "| {:.3f} | {:.3f} |".format(*measured)
    )


def test_the_networks_grow_from_the_encoder(small):
    encoder = text_encoder.network()
    net = text_tuning.grown("sentiment", encoder)
    word = encoder.roberta.embeddings.word_embeddings.weight
    assert torch.equal(net.roberta.embeddings.word_embeddings.weight, word)
    assert not torch.equal(text_tuning.grown("sentiment", None).roberta.embeddings.word_embeddings.weight, word)


def test_figures_are_exact():
    calls, labels = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 1, 2, 2])
    assert text_card.macro_f1(calls, labels) == pytest.approx((2 / 3 + 2 / 3 + 2 / 3) / 3)
    assert text_card.macro_f1(np.array([1, 1, 1]), np.array([0, 1, 1])) == pytest.approx((0 + 0.8) / 2)
    assert text_card.confusions(calls, labels, "abc") == [
        {"is": "b", "called": "a", "texts": 1},
        {"is": "c", "called": "b", "texts": 1},
    ]
    assert text_card.per_class(calls, labels, "abc")["b"] == {"texts": 3, "recall": 0.6667, "precision": 0.6667}


def test_scores_come_in_the_order_of_the_texts(small, tokenizer):
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
    assert text_baseline.scores("sentiment", folder, text_baseline.pieces)["accuracy"] == 1.0
    assert text_baseline.labels_of("offensive", Texts(["a"], np.array([[0, 0.5, 0.5]]), ["de"])).tolist() == [1]
