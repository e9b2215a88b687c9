"""Language models of transformers, unmodified and small, in fp64: also those that compute some steps in fp32."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

import lrp_core as lrp
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import assert_ledger_closes, randomise

SHORT = {"vocab_size": 40, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
LLAMA = {
    **{**SHORT, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
    **{"intermediate_size": 24, "max_position_embeddings": 32},
}
GPT = {**SHORT, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32, "rotary_dim": 4}
NEO = {**SHORT, "hidden_size": 16, "num_layers": 2, "num_heads": 2, "max_position_embeddings": 32}
MODELS = {
    "Olmo2": LLAMA,  # root mean square norms in fp32, as Llama has
    "Cohere": LLAMA,  # layer norms by hand, in fp32
    "GPTJ": GPT,  # scores in fp32
    "CodeGen": GPT,
    "GPTNeo": {**NEO, "attention_types": [[["global", "local"], 1]]},
    "Bloom": {**SHORT, "hidden_size": 16, "n_layer": 2, "n_head": 2},  # baddbmm by keywords
    "Phi3": LLAMA,  # puts nothing beside the half that it turns
}
COMPOSITES = [lrp.presets.attn_lrp(1e-6), lrp.presets.cp_lrp(1e-6), lrp.presets.gradient_times_input()]


def build(name: str) -> nn.Module:
    import_torchvision()  # transformers imports it plainly
    module = importlib.import_module("transformers")
    config = getattr(module, f"{name}Config")(**MODELS[name], attn_implementation="eager")
    model = getattr(module, f"{name}ForCausalLM")(config)
    randomise(model)
    return model.double().eval().requires_grad_(False)


@pytest.mark.parametrize("name", MODELS)
def test_the_next_token_is_explained_and_the_ledger_closes(name):
    """Two texts in a batch, in double precision to ten digits."""
    model = build(name)
    ids = torch.randint(3, 40, (2, 5), generator=torch.Generator().manual_seed(0))
    tape = lrp.record(model, input_ids=ids, use_cache=False, output=lambda o: o.logits[:, -1])
    assert tape.unsupported() == ()
    torch.testing.assert_close(tape.output, model(input_ids=ids).logits[:, -1])
    for composite in COMPOSITES:
        explanation = tape.explain(composite, lrp.Target.top())
        assert explanation.relevance.dtype == torch.float64 and explanation.relevance.abs().max() > 1e-4
        assert_ledger_closes(explanation)


@pytest.mark.parametrize("name", ["Olmo2", "Bloom"])
def test_the_baseline_is_autograd(name):
    model = build(name)
    ids = torch.randint(3, 40, (1, 5), generator=torch.Generator().manual_seed(1))
    tape = lrp.record(model, input_ids=ids, use_cache=False, output=lambda o: o.logits[:, -1])
    relevance = tape.explain(lrp.presets.gradient_times_input(), lrp.Target.logit(7)).relevance
    embedded = model.get_input_embeddings()(ids).requires_grad_()
    logit = model(inputs_embeds=embedded, use_cache=False).logits[0, -1, 7]
    (gradient,) = torch.autograd.grad(logit, embedded)
    expected = (gradient * embedded).detach()
    torch.testing.assert_close(relevance, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())
