"""Every kind of causal model that is let in: recorded as transformers runs it, its books close in double precision."""

import pytest
import torch

import lrp_core as lrp
from models.language.hugging_face import FAMILIES, NextToken
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import assert_ledger_closes

SPECIAL = {"vocab_size": 40, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
USUAL = {
    **SPECIAL,
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1},
    **{"intermediate_size": 24, "head_dim": 8, "ffn_dim": 24, "word_embed_proj_dim": 16},
    "max_position_embeddings": 32,
}
GPT = {**SPECIAL, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
OTHERS = {
    **dict.fromkeys(("gpt2", "gpt_bigcode"), GPT),
    **dict.fromkeys(("gptj", "codegen"), GPT | {"n_head": 4, "rotary_dim": 4}),
    "bloom": {**SPECIAL, "hidden_size": 16, "n_layer": 2, "n_head": 2},
    "gpt_neo": {
        **{**SPECIAL, "hidden_size": 16, "num_layers": 2, "num_heads": 2, "max_position_embeddings": 32},
        "attention_types": [[["global", "local"], 1]],
    },
}
"""Kinds that call their sizes by other names."""
IDS = torch.tensor([[0, 5, 17, 8, 31]])


def small(kind: str) -> NextToken:
    import_torchvision()
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    make = CONFIG_MAPPING[kind]
    known = make().to_dict()
    sizes = OTHERS.get(kind) or {name: value for name, value in USUAL.items() if name in known}
    torch.manual_seed(0)
    net = AutoModelForCausalLM.from_config(make(**sizes), trust_remote_code=False)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return NextToken(net.double()).eval().requires_grad_(False)


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_its_books_close(kind):
    net = small(kind)
    tape = lrp.record(net, IDS)
    torch.testing.assert_close(tape.output, net(IDS))
    torch.testing.assert_close(tape.output, net(IDS, last=2)[:, -1])
    for composite in (lrp.presets.attn_lrp(), lrp.presets.cp_lrp(), lrp.presets.gamma(0.1)):
        explanation = tape.explain(composite, lrp.Target.difference(5, 9))
        assert explanation.relevance.abs().max() > 1e-4
        assert_ledger_closes(explanation)
        assert lrp.tokens.parts(explanation)["word"].shape == (IDS.shape[1],)
