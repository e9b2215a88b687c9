"""Relevance of words by every method, one text or many at a time."""

import pytest
import torch

import lrp_core as lrp
from benchmarks.text import methods as text_methods
from models import text

LINES = ("I don't know, my friend.", "नमस्ते 我们 :-) unbelievable", "one two three four five", "short text", "You?")


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
