"""Root-mean-square norms as language models write them out, and heads that are tied to the word embeddings."""

import importlib

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import Net, assert_ledger_closes, assert_rows_stand_alone, gradient_times_input, randomise

D = torch.float64
LRP0, TOP = lrp.presets.lrp0(), lrp.Target.top()


class Gain(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))


def llama(m, x):
    return m.norm.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


def gemma(m, x):
    return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)) * (1.0 + m.norm.weight.float().double())


def divided(m, x):
    return x / torch.sqrt(1e-5 + (x * x).mean(dim=-1, keepdim=True)) * m.norm.weight


def inverted(m, x):
    return x * (1 / (x.square().mean((-1,), True) + 1e-5) ** 0.5) * m.norm.weight


def without_eps(m, x):
    return x.square().mean(-1, keepdim=True).pow(-0.5) * x * m.norm.weight


WRITTEN = [llama, gemma, divided, inverted, without_eps]


def built_in(m, x):
    gain = 1.0 + m.norm.weight if m.written is gemma else m.norm.weight
    return F.rms_norm(x, (6,), gain, 0.0 if m.written is without_eps else 1e-5)


def network(written, norm=None):
    model = Net(
        lambda m, x: m.head((norm or written)(m, m.body(x)).tanh())[..., 0, :],
        body=nn.Linear(5, 6), norm=Gain(6), head=nn.Linear(6, 4),
    )  # fmt: skip
    model.written = written
    return model


def numbers(*shape):
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("written", WRITTEN, ids=lambda f: f.__name__)
def test_a_written_norm_is_the_built_in_one(written):
    """One step, of kind norm and by the name of the module; the same map and books."""
    x = numbers(2, 3, 5)
    one, other = lrp.record(network(written), x), lrp.record(network(written, built_in), x)
    assert [(s.name, s.kind, s.op, s.is_layer) for s in one.steps] == [
        (s.name, s.kind, s.op, s.is_layer) if s.op != "rms_norm" else ("norm", "norm", "rms_norm", True)
        for s in other.steps
    ]
    for composite in (LRP0, lrp.presets.attn_lrp(0.1), lrp.Composite(lrp.LRP0(), by_kind={"norm": lrp.Pass()}),
                      lrp.Composite(lrp.LRP0(), by_name={"norm": lrp.Epsilon(0.3)}),
                      lrp.presets.gradient_times_input()):  # fmt: skip
        ours, theirs = (tape.explain(composite, TOP) for tape in (one, other))
        torch.testing.assert_close(ours.relevance, theirs.relevance, rtol=1e-10, atol=1e-12)
        assert_ledger_closes(ours)
    v = torch.zeros(2, 4, dtype=D)
    v[:, 1] = 1.0
    by_gradient = one.explain(lrp.presets.gradient_times_input(), lrp.Target.logit(1)).relevance
    torch.testing.assert_close(by_gradient, gradient_times_input(network(written), x, v))
    assert_rows_stand_alone(network(written), lrp.presets.attn_lrp(0.1), x)


def of_another(m, x):
    """The size of something else: no norm of x."""
    return x * torch.rsqrt(m.body2(x).pow(2).mean(-1, keepdim=True) + 1e-5)


def over_other_axes(m, x):
    return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-5)


def cubed(m, x):
    return x * torch.rsqrt(x.pow(4).mean(-1, keepdim=True) + 1e-5)


def signal_below(m, x):
    """1 / x times its own size."""
    return torch.sqrt(x.pow(2).mean(-1, keepdim=True)) * torch.reciprocal(x)


@pytest.mark.parametrize("other", [of_another, over_other_axes, cubed, signal_below], ids=lambda f: f.__name__)
def test_what_only_looks_like_one_is_none(other):
    model = Net(lambda m, x: m.head(other(m, m.body(x)))[:, 0],
                body=nn.Linear(5, 6), body2=nn.Linear(6, 6), head=nn.Linear(6, 4))  # fmt: skip
    tape = lrp.record(model, numbers(2, 3, 5))
    assert not any(step.op == "rms_norm" for step in tape.steps)


def test_what_is_read_before_the_gain_keeps_its_way():
    """The normalised numbers go two ways: with the gain and without."""

    def forward(m, x):
        y = m.body(x)
        normed = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-5)
        return m.head(m.norm.weight * normed + normed)

    model = Net(forward, body=nn.Linear(5, 6), norm=Gain(6), head=nn.Linear(6, 4))
    tape = lrp.record(model, numbers(2, 5))
    assert [step.op for step in tape.steps] == ["linear", "rms_norm", "mul", "add", "linear"]
    assert_ledger_closes(tape.explain(LRP0, TOP))


def llama_model(dtype=D, **settings):
    import_torchvision()
    module = importlib.import_module("transformers")
    config = module.LlamaConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=24, max_position_embeddings=32, **{"tie_word_embeddings": True, **settings},
    )  # fmt: skip
    model = module.LlamaForCausalLM(config)
    randomise(model)
    model.tie_weights()
    return model.to(dtype).eval().requires_grad_(False)


def test_of_a_language_model_norms_are_norms_and_the_tied_head_is_the_head():
    ids = torch.arange(3, 10)[None]
    for dtype in (torch.float32, D):
        model = llama_model(dtype)
        assert model.lm_head.weight is model.model.embed_tokens.weight
        tape = lrp.record(model, input_ids=ids, use_cache=False, logits_to_keep=1, output=lambda o: o.logits[:, -1])
        assert list(tape._parts) == ["model.embed_tokens"]
        named = {step.name: step.kind for step in tape.steps if step.is_layer}
        assert named["lm_head"] == "linear"
        norms = [name for name, kind in named.items() if kind == "norm"]
        assert norms == [
            "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm",
            "model.layers.1.input_layernorm", "model.layers.1.post_attention_layernorm", "model.norm",
        ]  # fmt: skip
        composite = lrp.Composite(lrp.Epsilon(1e-6), by_name={"lm_head": lrp.Gamma(0.3)})
        assert {rule for step, rule in tape.plan(composite) if step.name == "lm_head"} == {lrp.Gamma(0.3)}
        explanation = tape.explain(composite, TOP)
        assert_ledger_closes(explanation, 1e-10 if dtype == D else 1e-4)
        assert explanation.relevance.shape == (1, 7, 16)


def test_a_head_by_itself_and_a_table_by_itself_keep_their_names():
    """Tied or not, in either order, and where only the table is a module."""
    table = nn.Embedding(9, 4)
    head = nn.Linear(4, 9, bias=False)
    head.weight = table.weight
    for layers in ({"table": table, "head": head}, {"head": head, "table": table}):
        model = Net(lambda m, ids: m.head(m.table(ids)).mean(1), **layers)
        tape = lrp.record(model, torch.tensor([[1, 2, 3]]))
        assert list(tape._parts) == ["table"] and [s.name for s in tape.steps if s.is_layer] == ["head"]
    model = Net(lambda m, ids: F.linear(m.table(ids), m.table.weight).mean(1), table=nn.Embedding(9, 4))
    assert [s.name for s in lrp.record(model, torch.tensor([[1, 2]])).steps if s.is_layer] == ["table#2"]
