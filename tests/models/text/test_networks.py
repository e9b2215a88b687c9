import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import torch

import lrp_core as lrp
from models import text
from models.text import networks as text_networks
from models.text.networks import BUNDLED
from tests.models.text.small_networks import narrow, write  # noqa: F401 (a fixture)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def random_weights(tmp_path, narrow) -> Path:  # noqa: F811
    """A folder of random weights of a small network in place of the trained ones."""
    write(tmp_path, "sentiment")
    return tmp_path


def test_bundled_networks_are_those_that_there_are():
    assert set(BUNDLED) == set(text.LABELS)
    assert len(set(BUNDLED.values())) == len(BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_what_a_bundled_network_says_of_itself(name):
    network = text_networks.network(name)
    assert (network.name, network.title, network.labels) == (name, BUNDLED[name], text.LABELS[name])
    assert network.longest == (512 if name == "newsgroups" else 256)
    assert "English" in network.languages
    with pytest.raises(FrozenInstanceError):
        network.longest = 1


def test_a_text_is_prepared_as_the_page_reads_it():
    found = text.prepare(" <s> A film,\n** 天 ** ", "topics")
    assert found.dtype == torch.int64 and torch.equal(
        found, text_networks.network("topics").read("<s> A film,\n** 天 **").ids
    )
    long = "word " * 399
    assert [text.prepare(long, name).shape for name in ("topics", "newsgroups")] == [(1, 256), (1, 401)]
    with pytest.raises(ValueError, match="The text is empty"):
        text.prepare(" \n", "topics")


def test_the_languages_that_networks_learned_in():
    assert len(set(text_networks.network("offensive").languages)) == 5
    assert len(set(text_networks.network("topics").languages)) == 30


def test_transformers_waits_until_it_is_asked_for():
    code = """
import sys
from models.text import networks as text_networks
for name in text_networks.BUNDLED:
    text_networks.ready(name)
    text_networks.network(name).read("This film is great.")
print("transformers" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["False"]


def test_a_bundled_network_is_explained(random_weights):
    network, net = text_networks.network("sentiment"), text_networks.load("sentiment", folder=random_weights)
    assert not net.training
    assert all(weight.dtype == torch.float32 and not weight.requires_grad for weight in net.parameters())
    reading = network.read(" A gripping,\nwell-acted film! ")
    assert reading.text == "A gripping,\nwell-acted film!"
    tape = lrp.record(net, reading.ids)
    assert tape.output.shape == (1, len(network.labels))
    parts = lrp.tokens.parts(tape.explain(lrp.presets.attn_lrp(), lrp.Target.top()))
    assert all(values.shape == (len(reading.pieces),) for values in parts.values())


def test_ready_and_missing(random_weights):
    assert text_networks.ready("sentiment", random_weights)
    assert not text_networks.ready("topics", random_weights)
    with pytest.raises(FileNotFoundError, match=r"topics\.safetensors is missing.*python -m training\.text topics"):
        text_networks.load("topics", folder=random_weights)


@pytest.mark.parametrize("ask", [text_networks.network, text_networks.load, text_networks.ready])
def test_unknown_name_is_refused(ask):
    with pytest.raises(ValueError, match=r"no text network 'poetry'.*sentiment, offensive, topics, newsgroups"):
        ask("poetry")


def test_a_text_without_words_is_refused():
    with pytest.raises(ValueError, match="The text is empty"):
        text_networks.network("topics").read("  ")


def test_special_pieces_cannot_be_typed():
    ids = text_networks.network("topics").read("<s> a </s> <mask><pad>").ids[0].tolist()
    assert ids[0] == text.START
    assert ids[-1] == text.END
    assert not {text.START, text.PAD, text.END, text.VOCABULARY - 1} & set(ids[1:-1])
