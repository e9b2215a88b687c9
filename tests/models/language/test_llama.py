"""Our Llama computes what transformers' does, in fewer steps, and its books close."""

import pytest
import torch

import lrp_core as lrp
from models.language import smollm2
from models.language.gguf import Gguf
from models.language.llama import Llama, Shape
from models.language.rotary import angles, rotary
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import assert_ledger_closes
from tests.models.language import small_gguf

IDS = torch.tensor([[0, 5, 40, 7, 99], [0, 8, 3, 300, 2]])
COMPOSITES = [lrp.presets.attn_lrp(), lrp.presets.cp_lrp(), lrp.presets.gamma(0.1), lrp.presets.gradient_times_input()]


def usual(net: Llama, shape: Shape) -> torch.nn.Module:
    """The same weights in transformers' class."""
    import_torchvision()
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.blocks,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        rms_norm_eps=shape.epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": shape.base},
        tie_word_embeddings=shape.tied,
    )
    made = LlamaForCausalLM(config)
    made.load_state_dict(net.state_dict())
    return made.eval().requires_grad_(False)


@pytest.fixture
def net(file) -> Llama:
    return smollm2.load(file)


def test_it_gives_the_logits_of_transformers(net):
    expected = usual(net, net.model.shape)(IDS).logits
    torch.testing.assert_close(net(IDS), expected[:, -1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(net(IDS, last=3), expected[:, -3:], rtol=1e-4, atol=1e-4)


def test_the_files_order_of_queries_is_undone(tmp_path, file, net):
    """llama.cpp turns neighbours together: feature 2 i + j of a head in the file is feature i + j * half here."""
    head, half = small_gguf.WIDTH // small_gguf.HEADS, small_gguf.WIDTH // small_gguf.HEADS // 2
    kept = torch.from_numpy(Gguf(file).tensor("blk.1.attn_q.weight")).reshape(small_gguf.HEADS, head, -1)
    ours = net.model.layers[1].self_attn.q_proj.weight.reshape(small_gguf.HEADS, head, -1)
    for feature in range(half):
        for side in (0, 1):
            assert (ours[:, feature + side * half] == kept[:, 2 * feature + side]).all()
    values = torch.from_numpy(Gguf(file).tensor("blk.1.attn_v.weight"))
    assert (net.model.layers[1].self_attn.v_proj.weight == values).all()


def test_it_is_loaded_without_gradients_and_with_one_table(net):
    assert not net.training and all(not weight.requires_grad for weight in net.parameters())
    assert net.lm_head.weight is net.model.embed_tokens.weight


def test_a_turn_is_exact():
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 3, dtype=torch.float64)
    cos, sin = angles(3, 4, 100.0, x)
    assert cos.shape == (3, 4) and cos.dtype == torch.float64
    torch.testing.assert_close(rotary(x, cos, sin)[0], x[0])
    turned = rotary(x, cos, sin)[2]
    a, b = torch.tensor([2.0, 0.2], dtype=torch.float64)  # position 2, at speeds 1 and 1 / 10
    expected = [a.cos() - 3 * a.sin(), 2 * b.cos() - 4 * b.sin(), 3 * a.cos() + a.sin(), 4 * b.cos() + 2 * b.sin()]
    torch.testing.assert_close(turned, torch.stack(expected))


def test_the_turn_is_one_step_and_the_head_has_its_name(net):
    tape = lrp.record(net, IDS)
    assert not tape.unsupported()
    assert sum(step.op == "rotary" for step in tape.steps) == 2 * small_gguf.BLOCKS
    assert len(tape.steps) <= 25 * small_gguf.BLOCKS + 6
    plan = tape.plan(lrp.Composite(lrp.LRP0(), by_name={"lm_head": lrp.Flat()}))
    assert [step.op for step, rule in plan if rule == lrp.Flat()] == ["linear"]


@pytest.mark.parametrize("composite", COMPOSITES, ids=["attnlrp", "cp", "gamma", "gradient"])
def test_the_books_close_in_double_precision(net, composite):
    explanation = lrp.record(net.double(), IDS).explain(composite, lrp.Target.difference(7, 9))
    assert explanation.relevance.abs().max() > 1e-4
    assert_ledger_closes(explanation)


def test_its_relevance_is_that_of_transformers(net):
    """Where the two agree on what a norm is, LRP-0 and CP-LRP give the same."""
    other = usual(net.double(), net.model.shape).double()
    target = lrp.Target.difference(7, 9)
    tapes = lrp.record(net, IDS), lrp.record(other, input_ids=IDS, use_cache=False, output=lambda o: o.logits[:, -1])
    for composite in (lrp.presets.lrp0(), lrp.Composite(lrp.LRP0(), attention="cp")):
        ours, theirs = (tape.explain(composite, target).relevance for tape in tapes)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_gradient_times_input_is_autograd(net):
    net = net.double()
    found = lrp.record(net, IDS).explain(lrp.presets.gradient_times_input(), lrp.Target.logit(7)).relevance
    words = net.model.embed_tokens(IDS).requires_grad_()
    cos, sin = angles(IDS.shape[1], small_gguf.WIDTH // small_gguf.HEADS, 10_000.0, words)
    x = words
    for block in net.model.layers:
        x = block(x, cos, sin)
    logit = net.lm_head(net.model.norm(x[:, -1]))[:, 7].sum()
    torch.testing.assert_close(found, (torch.autograd.grad(logit, words)[0] * words).detach(), rtol=1e-6, atol=1e-9)


def test_a_file_of_another_architecture_is_refused(tmp_path):
    meta = small_gguf.metadata()
    del meta["llama.block_count"]
    with pytest.raises(ValueError, match="block_count"):
        smollm2.load(small_gguf.save(tmp_path / "a.gguf", meta))
    strange = small_gguf.tensors() | {"blk.0.conv.weight": (small_gguf.tensors()["output_norm.weight"])}
    with pytest.raises(ValueError, match=r"no place for blk\.0\.conv"):
        smollm2.load(small_gguf.save(tmp_path / "b.gguf", None, strange))
