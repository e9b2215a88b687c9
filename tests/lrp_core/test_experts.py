"""Mixtures of experts: tokens are sent to experts, weighed, and added up again where they came from."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from lrp_core.propagation.routing import grouped
from lrp_core.registry import lookup
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import EVERY_RULE, Net, assert_ledger_closes, assert_rows_stand_alone, vectors

D = torch.float64
EXPERTS, WIDTH, WORDS = 3, 4, 5


def route(m, tokens, held):
    """The best expert of each token (Switch, Fedus 2022) and its weight."""
    weights = torch.softmax(m.router(tokens), -1)
    choice = weights.argmax(-1)
    return choice, held(weights.gather(1, choice[:, None]))


def by_mask(m, tokens, held):
    """One expert after the other, as Mixtral does."""
    choice, weight = route(m, tokens, held)
    out = torch.zeros_like(tokens)
    chosen = F.one_hot(choice, EXPERTS)
    for expert in range(EXPERTS):
        (mine,) = torch.where(chosen[:, expert])
        answer = F.linear(F.relu(F.linear(tokens[mine], m.up.weight[expert])), m.down.weight[expert])
        out.index_add_(0, mine, answer * weight[mine])
    return out


def by_selection(m, tokens, held):
    choice, weight = route(m, tokens, held)
    out = tokens.new_zeros(tokens.shape)
    for expert in range(EXPERTS):
        mine = (choice == expert).nonzero().squeeze(-1)
        answer = F.relu(tokens.index_select(0, mine) @ m.up.weight[expert].T) @ m.down.weight[expert].T
        out = out.scatter_add(0, mine[:, None].expand(-1, WIDTH), answer * weight.index_select(0, mine))
    return out


def by_copy(m, tokens, held):
    choice, weight = route(m, tokens, held)
    out = torch.zeros_like(tokens)
    for expert in range(EXPERTS):
        mine = (choice == expert).nonzero().squeeze(-1)
        answer = F.linear(F.relu(F.linear(tokens[mine], m.up.weight[expert])), m.down.weight[expert])
        out = out.index_copy(0, mine, answer)
    return out * weight


def in_groups(m, tokens, held):
    """All experts at once: tokens sorted by expert, and torch's grouped product."""
    choice, weight = route(m, tokens, held)
    order = choice.argsort()
    ends = torch.bincount(choice, minlength=EXPERTS).cumsum(0).to(torch.int32)
    product = F.grouped_mm if tokens.dtype == torch.float32 else lambda x, w, offs: grouped(x, w, offs.tolist())
    hidden = F.relu(product(tokens[order], m.up.weight.transpose(1, 2), offs=ends))
    answer = product(hidden, m.down.weight.transpose(1, 2), offs=ends)
    return (answer * weight[order])[order.argsort()]


class Bank(nn.Module):
    """The weights of all experts in one tensor."""

    def __init__(self, *shape):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))


def network(experts):
    def forward(m, x, held=lambda t: t):
        tokens = m.embed(x.view(-1, 4)).view(-1, WIDTH)
        tokens = tokens + experts(m, tokens, held)
        return m.head(tokens.view(len(x), WORDS, WIDTH).mean(1))

    return Net(
        forward,
        embed=nn.Linear(4, WIDTH),
        router=nn.Linear(WIDTH, EXPERTS, bias=False),
        up=Bank(EXPERTS, 8, WIDTH),
        down=Bank(EXPERTS, WIDTH, 8),
        head=nn.Linear(WIDTH, 3),
    )


WAYS = {f.__name__: f for f in (by_mask, by_selection, by_copy)}


@pytest.mark.parametrize("name", WAYS)
def test_by_cp_lrp_the_routing_is_a_constant(name):
    """Gradient x input with the routing weight detached; the baseline goes through it."""
    model, x = network(WAYS[name]), vectors(2, 4 * WORDS)
    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    leaf = x.clone().requires_grad_()
    (still,) = torch.autograd.grad(model(leaf, held=torch.Tensor.detach)[:, 1].sum(), leaf)
    (moving,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    assert not torch.allclose(still, moving)
    cp = lrp.Composite(lrp.LRP0(), attention="cp")
    for composite, gradient in ((cp, still), (lrp.presets.gradient_times_input(), moving)):
        explanation = tape.explain(composite, lrp.Target.logit(1))
        torch.testing.assert_close(explanation.relevance, gradient * x)
        assert_ledger_closes(explanation)
    assert tape.explain(cp, lrp.Target.logit(1)).ledger.total.constant.abs().max() < 1e-12


@pytest.mark.parametrize("name", WAYS)
def test_by_attn_lrp_the_routing_weight_takes_half(name):
    """What passes the experts is half of what CP-LRP sends there; the other half goes to the router's softmax."""
    model, x = network(WAYS[name]), vectors(2, 4 * WORDS)
    tape = lrp.record(model, x)
    halves, whole = (
        tape.explain(lrp.Composite(lrp.LRP0(), attention=mode), lrp.Target.logit(1), layers=True)
        for mode in ("attnlrp", "cp")
    )
    answered = [layer for layer in whole.layers if layer.startswith("down")]
    assert answered or name == "by_copy"
    for layer in answered:
        torch.testing.assert_close(halves.layers[layer], whole.layers[layer] / 2)
    assert halves.layers["router"].any() and "router" not in whole.layers


@pytest.mark.parametrize("composite", [*EVERY_RULE, lrp.presets.cp_lrp(1e-3)], ids=str)
@pytest.mark.parametrize("name", WAYS)
def test_rows_stand_alone_though_experts_mix_their_tokens(name, composite):
    assert_rows_stand_alone(network(WAYS[name]), composite, vectors(3, 4 * WORDS))


def test_a_grouped_product_is_the_products_of_its_groups():
    """float32, as torch has it: the same map as one expert after the other, and tokens behind the last group get 0."""
    x = vectors(3, 4 * WORDS).float()
    for composite in (lrp.presets.lrp0(), lrp.presets.gamma(0.25), lrp.presets.cp_lrp(0.0), lrp.presets.w_square()):
        one, other = (
            lrp.record(network(f).float(), x).explain(composite, lrp.Target.logit(1)) for f in (by_mask, in_groups)
        )
        assert_ledger_closes(other, 1e-4)
        torch.testing.assert_close(other.relevance, one.relevance, rtol=1e-3, atol=1e-4)
    z = grouped(torch.ones(4, 2), torch.ones(2, 2, 3) * torch.tensor([1.0, 10.0])[:, None, None], [1, 3])
    assert z[:, 0].tolist() == [2.0, 20.0, 20.0, 0.0]


def test_a_relative_epsilon_is_that_of_the_row():
    """An expert that has three tokens of one row and one of another: each row's own root mean square."""
    composite = lrp.Composite(lrp.Epsilon(0.5, relative=True))
    assert_rows_stand_alone(network(by_mask), composite, vectors(4, 4 * WORDS, seed=5))


SMALL = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
SMALL |= {
    "num_experts_per_tok": 2,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
SHARED = {"n_routed_experts": 4, "n_shared_experts": 1, "moe_intermediate_size": 12, "num_key_value_heads": 2}
LATENT = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8}
GROUPS = {"first_k_dense_replace": 1, "n_group": 1, "topk_group": 1}
SHARED_EXPERT = {"shared_expert_intermediate_size": 20}
MODELS = {
    "Mixtral": {"num_key_value_heads": 1, "num_local_experts": 4},
    "Qwen2Moe": {"num_key_value_heads": 1, "num_experts": 4, "moe_intermediate_size": 12, **SHARED_EXPERT},
    "Olmoe": {"num_key_value_heads": 2, "num_experts": 4},
    "DeepseekV2": {**SHARED, **LATENT, **GROUPS, "head_dim": 4, "topk_method": "greedy"},
    "DeepseekV3": {**SHARED, **LATENT, **GROUPS},
}  # fmt: skip


def language_model(name, experts):
    import_torchvision()  # transformers imports it plainly
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SMALL, **MODELS[name])
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    model.config._experts_implementation = experts
    return model


@pytest.mark.parametrize("experts", ["eager", "batched_mm", "grouped_mm"])
@pytest.mark.parametrize("name", MODELS)
def test_language_models_of_transformers(name, experts):
    """No step without a rule, closed books, and rows that stand alone, whichever way the experts are run."""
    if name != "DeepseekV3" and not lookup("topk"):
        pytest.skip("topk has no rule")
    model = language_model(name, experts)
    ids = torch.randint(3, 64, (2, 6), generator=torch.Generator().manual_seed(1))

    def record(rows):
        return lrp.record(model, rows, output=lambda o: o.logits[:, -1], use_cache=False)

    tape, alone = record(ids), record(ids[1:])
    assert tape.unsupported() == ()
    for composite in (lrp.presets.attn_lrp(), lrp.presets.cp_lrp(), lrp.presets.z_plus()):
        both, one = (t.explain(composite, lrp.Target.logit(7)) for t in (tape, alone))
        assert_ledger_closes(both, 1e-4)
        torch.testing.assert_close(both.relevance[1:], one.relevance, rtol=1e-2, atol=1e-5)
    total = tape.explain(lrp.presets.cp_lrp(1e-12), lrp.Target.logit(7)).ledger.total
    torch.testing.assert_close(total.input, total.start, rtol=1e-4, atol=1e-6)


def test_an_expert_with_one_token_of_the_second_row():
    """One token of 16 numbers is one row, though its numbers could be cut in two."""
    chosen = torch.tensor([7])

    def forward(m, x):
        tokens = m.embed(x.view(-1, 4)).view(-1, WIDTH)
        answer = m.expert(tokens[chosen % len(tokens)]) if len(x) > 1 else m.expert(tokens[chosen - WORDS])
        where = chosen if len(x) > 1 else chosen - WORDS
        return m.head(tokens.index_add(0, where, answer).view(len(x), WORDS, WIDTH).mean(1))

    model = Net(forward, embed=nn.Linear(4, WIDTH), expert=nn.Linear(WIDTH, WIDTH), head=nn.Linear(WIDTH, 3))
    x = vectors(2, 4 * WORDS)
    both, alone = (
        lrp.record(model, rows).explain(lrp.presets.epsilon(0.1, relative=True), lrp.Target.logit(1))
        for rows in (x, x[1:])
    )
    assert_ledger_closes(both)
    torch.testing.assert_close(both.relevance[1:], alone.relevance)
    torch.testing.assert_close(both.ledger.total.bias[1:], alone.ledger.total.bias)


@pytest.mark.parametrize("weigh", [
    lambda w: w.gather(1, w.argmax(1, keepdim=True)),
    lambda w: w.amax(1, keepdim=True) / (w.sum(1, keepdim=True) + 1.0),
])  # fmt: skip
def test_a_gate_that_is_picked_or_normalised_is_still_a_gate(weigh):
    """By CP-LRP the signal takes all, so that nothing stops at the softmax of the router."""
    model = Net(
        lambda m, x: m.head(m.signal(x) * weigh(torch.softmax(m.router(x), 1))),
        **{name: nn.Linear(6, 6, bias=False) for name in ("signal", "router")},
        head=nn.Linear(6, 3, bias=False),
    )
    total = lrp.record(model, vectors(2)).explain(lrp.presets.cp_lrp(0.0), lrp.Target.logit(1)).ledger.total
    torch.testing.assert_close(total.input, total.start)
    assert not total.softmax.any()
