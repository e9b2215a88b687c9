import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lrp_core as lrp
from lrp_core import tokens
from lrp_core.explanation import Explanation
from lrp_core.heatmap import COLOURS, to_rgb
from tests.lrp_core import text_models
from tests.test_architecture import contrast


def explained(name: str) -> Explanation:
    tape = lrp.record(text_models.build(name), text_models.tokens(9)["input_ids"])
    return tape.explain(lrp.presets.attn_lrp(), lrp.Target.top())


def explanation(**parts: torch.Tensor) -> Explanation:
    named = {name.replace("__", "."): value for name, value in parts.items()}
    return Explanation(named, torch.zeros(1, 2), layers={}, attention={}, ledger=None)


def rgb(hexadecimal: str) -> list[float]:
    assert len(hexadecimal) == 7
    return [int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_features_are_summed(dtype):
    relevance = torch.tensor([[[1.0, 2.0, -0.5], [0.0, -3.0, 1.0]]], dtype=dtype)
    for given_as in (relevance, relevance[0], relevance.double().numpy(), relevance.requires_grad_()):
        values = tokens.by_token(given_as)
        assert values.dtype == np.float64
        assert values.tolist() == [2.5, -2.0]


def test_sums_are_taken_in_double_precision():
    relevance = torch.tensor([[1e8, 1.0, -1e8]], dtype=torch.float32)
    assert tokens.by_token(relevance).tolist() == [1.0]


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3), (1, 1, 4, 3), ()])
def test_only_one_text_at_a_time(shape):
    with pytest.raises(ValueError, match=r"relevance of one text.*not \("):
        tokens.by_token(torch.zeros(shape))


def test_groups_are_summed():
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    assert tokens.by_group(values, [None, 0, 2, 2, None], 3).tolist() == [2.0, 0.0, 12.0]
    assert tokens.by_group(torch.tensor(values), [0, 0, 0, 0, 0], 1).tolist() == [31.0]
    assert tokens.by_group([], [], 0).tolist() == []


@pytest.mark.parametrize(
    ("groups", "count", "sentence"),
    [
        ([0], 1, "one group per value"),
        ([0, 1], 1, "0 to 0, but there is a group 1"),
        ([0, -1], 2, "group -1"),
    ],
)
def test_groups_that_do_not_fit(groups, count, sentence):
    with pytest.raises(ValueError, match=sentence):
        tokens.by_group([1.0, 2.0], groups, count)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("xlm-r", ["word", "type", "position"]),
        ("bert", ["word", "type", "position"]),
        ("distilbert", ["word", "position"]),
        ("deberta-v3", ["word"]),
        ("gpt2", ["word", "position"]),
        ("llama", ["word"]),
        ("mpnet", ["word", "position", "mpnet.encoder.relative_attention_bias"]),
    ],
)
def test_parts_of_a_text_model(name, expected):
    found = explained(name)
    parts = tokens.parts(found)
    assert list(parts) == expected
    assert all(values.shape == (9,) for values in parts.values())
    total = sum(part.double().sum().item() for part in found.parts.values())
    assert sum(values.sum() for values in parts.values()) == pytest.approx(total, rel=1e-9)
    words = next(part for layer, part in found.parts.items() if "word" in layer or "wte" in layer or "tokens" in layer)
    assert np.allclose(parts["word"], words[0].sum(1))


def test_biases_of_pairs_count_for_the_token_that_is_read():
    biases = torch.zeros(3, 3, 2)
    biases[0, 2] = 1.0
    biases[1, 2] = 0.5
    assert tokens.parts(explanation(relative_bias=biases))["relative_bias"].tolist() == [0.0, 0.0, 3.0]


def test_what_is_no_text_is_left_out_and_names_are_never_shared():
    parts = tokens.parts(
        explanation(
            picture=torch.zeros(1, 3, 8, 8),
            question__word_embeddings=torch.ones(1, 4, 2),
            answer__word_embeddings=torch.ones(1, 2, 2),
        )
    )
    assert {name: values.shape for name, values in parts.items()} == {"word": (4,), "answer.word_embeddings": (2,)}


def test_parts_of_several_texts_are_refused():
    with pytest.raises(ValueError, match=r"one text; that of words has the shape \(2, 4, 3\)"):
        tokens.parts(explanation(words=torch.zeros(2, 4, 3)))


@pytest.mark.parametrize("scheme", COLOURS)
def test_text_can_be_read_in_every_shade(scheme):
    drawn = tokens.colours(np.linspace(-1, 1, 255), scheme)
    assert len({background for background, _ in drawn}) > 200
    assert min(contrast(rgb(background), rgb(ink)) for background, ink in drawn) >= 4.5
    assert {ink for _, ink in drawn} == {"#000000", "#ffffff"}


@pytest.mark.parametrize("scheme", COLOURS)
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_colours_are_those_of_the_heatmap(scheme, values):
    backgrounds = [rgb(background) for background, _ in tokens.colours(values, scheme)]
    assert backgrounds == to_rgb(np.array([values]), scheme)[0].tolist()


def test_zero_is_neutral_and_opposites_are_equally_strong():
    (zero, _), (strong, _), (weak, _), (against, _) = tokens.colours([0.0, 2.0, 1.0, -2.0])
    assert zero == "#ffffff"
    assert [a for a, _ in tokens.colours([2.0, -2.0])] == [strong, against]
    assert len({zero, strong, weak, against}) == 4
    assert tokens.colours([0.0, 0.0]) == [("#ffffff", "#000000")] * 2


def test_two_texts_on_one_scale():
    assert tokens.colours([1.0], vmax=2.0) == tokens.colours([2.0, 1.0])[1:]
    assert tokens.colours([5.0], vmax=2.0) == tokens.colours([2.0])


def test_colours_of_nothing_and_of_what_cannot_be_drawn():
    assert tokens.colours([]) == []
    with pytest.raises(ValueError, match=r"one value per token, \(T,\), not \(1, 2\)"):
        tokens.colours([[1.0, 2.0]])
    with pytest.raises(ValueError, match="NaN or infinite"):
        tokens.colours([1.0, float("nan")])
    with pytest.raises(ValueError, match="no colour table is called 'jet'"):
        tokens.colours([1.0], "jet")
