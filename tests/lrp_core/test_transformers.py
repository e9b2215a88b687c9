"""Sequence classifiers of transformers, unmodified, with eager attention and in one piece; the oracles on XLM-R.

All twelve families pass one row at a time and in batches, also MPNet, whose one table of position biases serves all
rows: each gets its own part of it.
"""

import pytest
import torch

import lrp_core as lrp
from benchmarks import modified_gradients
from tests.lrp_core.networks import assert_ledger_closes

pytest.importorskip("transformers")
from tests.lrp_core.text_models import CONFIGURATIONS, EAGER_ONLY, build, tokens, without_biases

CP, ATTN = lrp.presets.cp_lrp(0.0), lrp.presets.attn_lrp(0.0)
ONE = lrp.Target.logit(1)
HALF_WAY_SINGLE = ("llama", "qwen2")
"""families whose norms compute in float32 whatever the model's type"""
EVERY_MODEL = [
    (name, attention) for name in CONFIGURATIONS for attention in ("eager", "sdpa")[: 1 if name in EAGER_ONLY else 2]
]


@pytest.fixture(autouse=True)
def one_thread():
    """These tensors are too small to be shared out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("name", "attention"), EVERY_MODEL)
def test_every_family_is_explained_and_every_ledger_closes(name, attention):
    model, text = build(name, attention), tokens(7)
    tape = lrp.record(model, **text)
    assert tape.unsupported() == ()
    torch.testing.assert_close(tape.output, model(**text).logits, rtol=1e-10, atol=1e-12)
    tolerance = 1e-6 if name in HALF_WAY_SINGLE else 1e-10
    for composite in (CP, ATTN, lrp.presets.attn_lrp(1e-3), lrp.presets.cp_lrp(1e-3), lrp.presets.gamma(0.1)):
        explanation = tape.explain(composite, ONE)
        assert all(part.isfinite().all() for part in explanation.parts.values())
        assert next(iter(explanation.parts.values())).abs().sum() > 0, "words come first, and they matter"
        assert_ledger_closes(explanation, tolerance)
    assert tape.explain(ATTN, ONE).ledger.total.softmax.abs().item() > 1e-6


@pytest.mark.parametrize(("name", "attention"), EVERY_MODEL)
def test_a_row_of_a_padded_batch_is_that_row_alone(name, attention):
    """Books and relevance row by row; what is padded gets zero, not a little."""
    lengths = (7, 4, 5)
    model, texts = build(name, attention), tokens(*lengths)
    tape = lrp.record(model, **texts)
    tolerance = 1e-5 if name in HALF_WAY_SINGLE else 1e-9
    composites = (lrp.presets.cp_lrp(1e-3), lrp.presets.attn_lrp(1e-3))
    together = [tape.explain(composite, ONE) for composite in composites]
    for row, length in enumerate(lengths):
        tape = lrp.record(model, **{key: value[row : row + 1, :length] for key, value in texts.items()})
        for composite, batch in zip(composites, together, strict=True):
            assert_ledger_closes(batch, 1e-6 if name in HALF_WAY_SINGLE else 1e-10)
            alone = tape.explain(composite, ONE)
            for part, expected in alone.parts.items():
                scale = expected.abs().max().item()
                ours = batch.parts[part][row : row + 1]
                if part.endswith("relative_attention_bias"):  # of pairs of tokens
                    torch.testing.assert_close(ours[0, :length, :length], expected, rtol=tolerance, atol=1e-9 * scale)
                    assert not ours[0, :length, length:].any(), "nobody looks at padding"
                    continue
                torch.testing.assert_close(ours[:, :length], expected, rtol=tolerance, atol=tolerance * scale)
                assert not ours[:, length:].any(), f"{part}: padding"
            for column in ("input", "bias", "epsilon", "softmax", "constant", "dropped"):
                ours, expected = (getattr(e.ledger.total, column) for e in (batch, alone))
                torch.testing.assert_close(ours[row], expected[0], rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("seed", range(3))
def test_without_biases_cp_lrp_on_xlm_r_is_the_logit(attention, seed):
    """Nothing is lost on the way: word + position + type is the logit, for each class and each row."""
    tape = lrp.record(without_biases(build("xlm-r", attention, seed)), **tokens(9, 6))
    for target in range(3):
        explanation = tape.explain(CP, lrp.Target.logit(target))
        assert [name.rpartition(".")[2] for name in explanation.parts] == [
            *("word_embeddings", "token_type_embeddings", "position_embeddings"),
        ]
        total = sum(part.sum((1, 2)) for part in explanation.parts.values())
        torch.testing.assert_close(total, tape.output[:, target], rtol=1e-9, atol=1e-9)
        assert explanation.ledger.total.softmax.abs().max().item() == 0


@pytest.mark.parametrize("attention", ["attnlrp", "cp"])
@pytest.mark.parametrize("one_piece", ["eager", "sdpa"])
def test_xlm_r_equals_the_modified_gradients(attention, one_piece):
    """Detached deviations, activations as fixed slopes, half the gradient at each product; an independent program."""
    model, texts = build("xlm-r", one_piece, seed=4), tokens(8, 5)
    explanation = lrp.record(model, **texts).explain(lrp.Composite(lrp.LRP0(), attention=attention), ONE)
    parts = {name.rpartition(".")[2]: part for name, part in explanation.parts.items()}
    expected = modified_gradients.explain(model, **texts, target=1, attention=attention)
    for name, wanted in zip(("word_embeddings", "position_embeddings", "token_type_embeddings"), expected, strict=True):
        torch.testing.assert_close(parts[name], wanted, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", ["xlm-r", "gpt2", "deberta-v2"])
def test_the_baseline_is_gradient_times_embedding(name):
    """The words' part of gradient x input, by autograd through the model's own ``inputs_embeds``."""
    model, text = build(name), tokens(7)
    explanation = lrp.record(model, **text).explain(lrp.presets.gradient_times_input(), ONE)
    assert_ledger_closes(explanation)
    words = model.get_input_embeddings()(text["input_ids"]).detach().requires_grad_()
    positions = {"position_ids": torch.arange(2, 9)[None]} if name == "xlm-r" else {}
    logit = model(inputs_embeds=words, attention_mask=text["attention_mask"], **positions).logits[0, 1]
    expected = (words * torch.autograd.grad(logit, words)[0]).detach()
    torch.testing.assert_close(next(iter(explanation.parts.values())), expected, rtol=1e-8, atol=1e-11)


def test_eager_attention_and_one_piece_agree():
    parts = [
        lrp.record(build("xlm-r", attention), **tokens(7, 4)).explain(ATTN, ONE).parts
        for attention in ("eager", "sdpa")
    ]
    for first, second in zip(*(p.values() for p in parts), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-12)


def test_single_precision_closes_too():
    model = build("xlm-r", "sdpa", dtype=torch.float32)
    for composite in (lrp.presets.attn_lrp(1e-3), lrp.presets.cp_lrp(1e-3)):
        explanation = lrp.record(model, **tokens(12, 7)).explain(composite, ONE)
        assert all(part.dtype == torch.float32 for part in explanation.parts.values())
        assert_ledger_closes(explanation, 1e-4)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_relevance_of_attention_weights_is_kept_when_asked_for(attention):
    """Under the name of the module that attends; half of what the weighted values got, as the products share it."""
    tape = lrp.record(build("xlm-r", attention), **tokens(7, 5))
    explanation = tape.explain(ATTN, ONE, layers=True)
    assert list(explanation.attention) == [f"roberta.encoder.layer.{n}.attention.self" for n in range(2)]
    for n, relevance in enumerate(explanation.attention.values()):
        assert relevance.shape == (2, 2, 7, 7) and not relevance[1, :, :, 5:].any(), "padding is not looked at"
        handed_down = explanation.layers[f"roberta.encoder.layer.{n}.attention.output.dense"]
        by_query = handed_down.unflatten(-1, (2, 8)).sum(-1).transpose(1, 2)
        torch.testing.assert_close(relevance.sum(-1), by_query / 2, rtol=1e-8, atol=1e-12)
    assert not tape.explain(ATTN, ONE).attention and not tape.explain(CP, ONE, layers=True).attention


def test_attention_is_called_by_its_module_in_every_family():
    """Also where one layer makes queries, keys and values, or where the same one attends again."""
    names = {
        name: list(lrp.record(build(name), **tokens(6)).explain(ATTN, ONE, layers=True).attention)
        for name in ("gpt2", "albert", "deberta-v2", "llama")
    }
    shared = "albert.encoder.albert_layer_groups.0.albert_layers.0.attention"
    assert names == {
        "gpt2": [f"transformer.h.{n}.attn.c_attn" for n in range(2)],
        "albert": [shared, f"{shared}#2"],
        "deberta-v2": [f"deberta.encoder.layer.{n}.attention.self" for n in range(2)],
        "llama": [f"model.layers.{n}.self_attn" for n in range(2)],
    }


@pytest.mark.parametrize("bias", ["ignore", "spread"])
def test_biases_can_be_left_out_or_spread(bias):
    """Of layers and norms alike: nothing is left to them, and the books close."""
    explanation = lrp.record(build("xlm-r", "sdpa"), **tokens(7, 4)).explain(
        lrp.Composite(lrp.Epsilon(1e-3), attention="cp", bias=bias), ONE
    )
    assert_ledger_closes(explanation)
    assert not explanation.ledger.total.bias.any()


def test_relevance_can_stop_above_the_embeddings():
    model = build("xlm-r", "sdpa")
    explanation = lrp.record(model, **tokens(7), relevance_at="roberta.encoder.layer.0").explain(ATTN, ONE)
    assert list(explanation.parts) == ["roberta.encoder.layer.0"] and explanation.relevance.shape == (1, 7, 16)
    assert_ledger_closes(explanation)


def test_the_tape_leaves_the_model_as_it_was():
    model = build("gpt2", "sdpa")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    lrp.record(model, **tokens(6)).explain(ATTN, ONE)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
