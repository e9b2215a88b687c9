"""Classifiers by id, from a small Hub on this machine."""

import shutil
import threading
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from models.text import networks as text_networks
from models.weights import hub
from tests.models.text.small_classifiers import change
from tests.models.weights import small_hub
from tests.models.weights.small_hub import SmallHub

pytestmark = pytest.mark.usefixtures("operator")
NAME = "hf:team/small"


@pytest.fixture
def server(saved, tmp_path, monkeypatch) -> SmallHub:
    """It has one classifier; the operator allows downloads and signed in, and nothing was downloaded yet."""
    shutil.copytree(saved / "xlm-roberta", tmp_path / "published" / "team" / "small")
    monkeypatch.setenv("LRP_TEXT_MODELS", "")
    monkeypatch.setenv("LRP_ALLOW_DOWNLOADS", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_operator")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with small_hub.running(tmp_path / "published") as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", running.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield running


def published(server: SmallHub) -> Path:
    return server.published / "team" / "small"


def refusal(name: str = NAME) -> str:
    with pytest.raises(FileNotFoundError) as refused:
        text_networks.fetch(name)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "http" not in sentence
    return sentence


def test_it_is_downloaded_with_progress_and_then_found_without_asking(server, saved):
    assert not text_networks.ready(NAME)
    with pytest.raises(FileNotFoundError, match="not on this server yet: it must be downloaded first"):
        text_networks.network(NAME)
    told: list[float] = []
    callers = set()
    net = text_networks.load(NAME, lambda part: (told.append(part), callers.add(threading.current_thread())))
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] <= 1
    assert callers == {threading.current_thread()}
    assert server.accounts == {None}, "the operator's account was used"

    server.asked.clear()
    assert text_networks.ready(NAME)
    network = text_networks.network(NAME)
    assert (network.title, network.labels) == ("team/small", ("bad", "so so", "good"))
    ids = network.read("A great film").ids
    again = text_networks.load(NAME)
    with torch.inference_mode():
        assert torch.equal(net(ids).logits, again(ids).logits)
    assert server.asked == []


def test_only_what_is_needed_is_fetched(server):
    for name in ("pytorch_model.bin", "modeling_own.py", "README.md", "optimizer.safetensors"):
        (published(server) / name).write_text("never asked for")
    text_networks.fetch(NAME)
    fetched = {path.rsplit("/", 1)[-1] for path in server.asked if "/resolve/" in path}
    assert fetched == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}


def test_the_end_of_a_download_is_told(server):
    server.may_send.clear()
    told: list[float] = []

    def listen(part: float) -> None:
        told.append(part)
        if len(told) > 2:
            server.may_send.set()

    text_networks.fetch(NAME, listen)
    assert told[0] < 0.9
    assert told[-1] == 1.0


def test_those_who_ask_meanwhile_wait_for_the_same_download(server):
    server.may_send.clear()
    both = threading.Barrier(3)
    failures = []

    def ask() -> None:
        try:
            both.wait(60)
            text_networks.fetch(NAME, lambda part: None)
        except Exception as error:
            failures.append(error)

    visitors = [threading.Thread(target=ask) for _ in range(2)]
    for visitor in visitors:
        visitor.start()
    both.wait(60)
    server.may_send.set()
    for visitor in visitors:
        visitor.join()
    assert failures == []
    assert sum(asked.startswith("GET") and asked.endswith("model.safetensors") for asked in server.asked) == 1


def test_nothing_is_asked_for_unless_it_is_allowed(server, monkeypatch):
    for setting in ("", "0", "yes"):
        monkeypatch.setenv("LRP_ALLOW_DOWNLOADS", setting)
        for ask in (text_networks.network, text_networks.load, text_networks.fetch, text_networks.ready):
            with pytest.raises(ValueError, match="no text network 'team/small' here, and this server downloads none"):
                ask(NAME)
    assert server.asked == []


def test_what_was_downloaded_is_not_reached_once_it_is_forbidden(server, monkeypatch):
    text_networks.fetch(NAME)
    monkeypatch.setenv("LRP_ALLOW_DOWNLOADS", "0")
    with pytest.raises(ValueError, match="downloads none"):
        text_networks.load(NAME)


def test_a_folder_of_the_operator_comes_first(server, saved, monkeypatch):
    monkeypatch.setenv("LRP_TEXT_MODELS", str(saved))
    assert text_networks.ready("hf:team/halves")
    text_networks.fetch("hf:team/halves")
    assert server.asked == []


def test_ids_that_nobody_can_have(server):
    for name in (
        "a/b/c",
        "../x",
        "a/..",
        "a b",
        "a--b",
        "-a",
        ".a",
        "a/",
        "/a",
        "a\n",
        "",
        "x" * 99,
        "é",
        "a/b?c",
        "a@b",
        "a.git",
        "a/b.",
    ):
        assert not hub.is_id(name)
    for name in ("bert", "cardiffnlp/twitter-xlm-roberta-base-sentiment", "a/b.c_d-1", "_a/_b"):
        assert hub.is_id(name)


def test_what_does_not_exist(server):
    assert refusal("hf:team/none") == "There is no public network team/none on the Hugging Face Hub."


def test_what_is_only_for_members(server):
    server.gated.add("team/small")
    assert refusal().startswith("team/small is only given to people who sign in")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("tokenizer.json", "team/small has no tokenizer.json"),
        ("model.safetensors", "team/small has no model.safetensors: pytorch_model.bin is never opened"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_fetched(server, missing, sentence):
    (published(server) / missing).unlink()
    (published(server) / "pytorch_model.bin").write_text("never asked for")
    assert refusal().startswith(sentence)
    assert not any("/resolve/" in asked for asked in server.asked)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"auto_map": {"AutoModel": "own.Own"}}, "team/small brings program code of its own"),
        ({"architectures": ["XLMRobertaForMaskedLM"]}, "team/small does not classify texts"),
        ({"id2label": {"0": "score"}}, "team/small gives one score"),
    ],
)
def test_what_cannot_be_explained_is_not_fetched(server, settings, sentence):
    change(published(server) / "config.json", **settings)
    assert refusal().startswith(sentence)
    assert not any(asked.endswith("model.safetensors") for asked in server.asked)


def test_what_is_too_large_is_not_fetched(server, monkeypatch):
    monkeypatch.setenv("LRP_MODEL_BYTES", "1000")
    assert refusal() == "team/small needs 0 MB of memory, but 0 MB are allowed (LRP_MODEL_BYTES)."
    assert not any("/resolve/" in asked for asked in server.asked)


def test_what_does_not_fit_on_the_disk_is_not_fetched(server, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 1))
    assert refusal() == "team/small does not fit on this server's disk."
    assert not any("/resolve/" in asked for asked in server.asked)


def test_a_download_that_breaks_off_can_be_tried_again(server):
    server.cut_off = True
    assert refusal().startswith("team/small could not be downloaded (")
    assert not text_networks.ready(NAME)
    server.cut_off = False
    text_networks.load(NAME)


def test_no_connection(server, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert refusal().startswith("team/small could not be downloaded (")
