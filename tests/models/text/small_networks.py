"""Our text networks in small, with random weights, written as the real ones are."""

from pathlib import Path

import pytest
import torch

from models import text
from models.text import files, xlm_r
from models.text.files import WORDS
from models.text.packing import pack4

PACKED = (WORDS.removeprefix("roberta."), "encoder.layer.")
"""What of the shared part comes in 4 bits."""


@pytest.fixture
def narrow(monkeypatch):
    """Networks of two narrow layers, the lower one shared."""
    usual = xlm_r.configuration

    def configuration(classes=2, words=text.VOCABULARY):
        config = usual(classes, words)
        config.hidden_size, config.num_hidden_layers, config.num_attention_heads = 32, 2, 2
        config.intermediate_size = 64
        return config

    monkeypatch.setattr(xlm_r, "configuration", configuration)
    monkeypatch.setattr(files, "SHARED", 1)
    monkeypatch.setattr(text, "SHARED", 1)


def write(folder: Path, *names: str) -> dict[str, torch.nn.Module]:
    """Write random networks that share an encoder; the networks as they were before they were packed."""
    torch.manual_seed(0)
    nets = {name: text.network(name).eval() for name in names}
    first, *others = nets.values()
    for net in others:
        shared = {key: value for key, value in first.roberta.state_dict().items() if not files._is_upper(key)}
        net.roberta.load_state_dict(shared, strict=False)
    state = first.roberta.state_dict()
    packed = {key: pack4(value) for key, value in state.items() if value.dim() == 2 and key.startswith(PACKED)}
    files.write_encoder(state | packed, folder)
    for name, net in nets.items():
        files.write_upper(name, net, folder)
    return nets
