"""The bundled text networks: their shape, their files, and what they say."""

from threading import Thread

import pytest
import torch
from safetensors.torch import load_file, save_file

import lrp_core as lrp
from models import text
from models.text import files, xlm_r
from models.text.packing import Packed4, pack4, unpack4
from tests.models.text.small_networks import narrow, write  # noqa: F401 (a fixture)

NAMES = list(text.LABELS)


def ids(*shape):
    return torch.randint(4, 200, shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_every_network_has_xlm_r_s_shape_and_its_own_classes(name, narrow):  # noqa: F811
    net = text.network(name, words=300).eval()
    assert type(net).__name__ == "XLMRobertaForSequenceClassification"
    with torch.inference_mode():
        assert net(ids(1, text.longest(name))).logits.shape == (1, len(text.LABELS[name]))


def test_what_was_written_is_loaded_but_for_the_bits_that_are_saved(tmp_path, narrow):  # noqa: F811
    fresh = write(tmp_path, "sentiment")["sentiment"]
    net = text.load("sentiment", tmp_path)
    assert not net.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in net.parameters())
    halves, found = fresh.state_dict(), net.state_dict()
    for key in ("roberta.embeddings.position_embeddings.weight", "roberta.encoder.layer.1.output.dense.bias"):
        assert torch.equal(found[key], halves[key].half().float())
    lower = "roberta.encoder.layer.0.output.dense.weight"
    assert torch.equal(found[lower], unpack4(pack4(halves[lower])))
    upper = "roberta.encoder.layer.1.output.dense.weight"
    step = halves[upper].abs().amax(1, keepdim=True) / 127
    assert ((found[upper] - halves[upper]).abs() <= step * 0.501).all() and not torch.equal(found[upper], halves[upper])
    one = ids(2, 20)
    with torch.inference_mode():
        assert (net(one).logits - fresh(one).logits).abs().max() < 0.05
        mask = torch.ones_like(one)
        mask[1, 8:] = 0
        torch.testing.assert_close(net(one, attention_mask=mask).logits[1:], net(one[1:, :8]).logits)


def test_positions_and_kinds_are_as_in_a_plain_network(tmp_path, narrow):  # noqa: F811
    plain = write(tmp_path, "topics")["topics"].roberta.embeddings
    loaded = text.load("topics", tmp_path).roberta.embeddings
    for name in ("position_ids", "token_type_ids"):
        assert torch.equal(getattr(loaded, name), getattr(plain, name)), name


def test_networks_share_one_encoder_in_memory(tmp_path, narrow):  # noqa: F811
    write(tmp_path, "sentiment", "topics")
    loaded = {}

    def load(name):
        loaded[name] = text.load(name, tmp_path)

    threads = [Thread(target=load, args=(name,)) for name in ("sentiment", "topics")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one, other = (dict(loaded[name].named_parameters()) | dict(loaded[name].named_buffers()) for name in loaded)
    shared = {key for key in one.keys() & other.keys() if one[key].data_ptr() == other[key].data_ptr()}
    own = {key for key in one if key.startswith("classifier.") or ".layer.1." in key}
    assert own == {key for key in one if key not in shared and not key.endswith("_ids")}
    assert "roberta.embeddings.word_embeddings.nibbles" in shared and len(shared) > 20


def test_a_second_network_costs_its_upper_layers_only(tmp_path, narrow):  # noqa: F811
    write(tmp_path, "sentiment", "topics")
    held = {}
    for name in ("sentiment", "topics"):
        net = text.load(name, tmp_path)
        tensors = (*net.parameters(), *net.buffers())
        held[name] = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    added = sum(held["topics"][place] for place in held["topics"].keys() - held["sentiment"].keys())
    own = [value for key, value in net.state_dict().items() if key.startswith("classifier.") or ".layer.1." in key]
    embeddings = net.roberta.embeddings
    assert added == sum(4 * value.numel() for value in own) + 8 * 2 * embeddings.position_ids.numel()
    assert sum(held["sentiment"].values()) > 10 * added


def test_relevance_is_that_of_a_plain_word_table(tmp_path, narrow):  # noqa: F811
    write(tmp_path, "topics")
    packed, plain = text.load("topics", tmp_path), text.load("topics", tmp_path)
    table = unpack4(Packed4(**dict(packed.roberta.embeddings.word_embeddings.named_buffers())))
    plain.roberta.embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(table).eval()
    one = ids(1, 12)
    one[0, 3:6] = one[0, 0]
    found, wanted = (lrp.record(net, one).explain(lrp.presets.attn_lrp(), lrp.Target.top()) for net in (packed, plain))
    kinds = ("word", "token_type", "position")
    assert list(found.parts) == list(wanted.parts) == [f"roberta.embeddings.{kind}_embeddings" for kind in kinds]
    assert all(torch.equal(found.parts[name], wanted.parts[name]) for name in wanted.parts)
    assert found.parts["roberta.embeddings.word_embeddings"].abs().sum() > 0


def test_the_upper_layers_are_the_last_ones(narrow):  # noqa: F811
    keys = text.network("topics", words=9).roberta.state_dict()
    assert {key.split(".")[2] for key in keys if files._is_upper(key)} == {"1"}
    assert not files._is_upper("embeddings.LayerNorm.weight")


def test_wrong_name_and_missing_files_are_one_sentence(tmp_path, narrow):  # noqa: F811
    with pytest.raises(ValueError, match=r"^There is no network 'mood' here; the names are offensive, .*\.$"):
        text.load("mood", tmp_path)
    sentence = r"^topics\.safetensors is missing in upper/; remake it with `python -m training\.text topics`\.$"
    with pytest.raises(FileNotFoundError, match=sentence):
        text.load("topics", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"^tokenizer\.json is missing in .*training\.text encoder`\.$"):
        text.tokenizer(tmp_path)
    write(tmp_path, "topics")
    text.encoder_file(tmp_path).unlink()
    sentence = r"^encoder\.safetensors is missing in .*/; remake it with `python -m training\.text encoder`\.$"
    with pytest.raises(FileNotFoundError, match=sentence):
        text.load("topics", tmp_path)


@pytest.mark.parametrize("left", [0, 4, -9])
@pytest.mark.parametrize("place", ["encoder", "upper"])
def test_a_file_that_was_cut_short_is_one_sentence(place, left, tmp_path, narrow):  # noqa: F811
    write(tmp_path, "topics")
    path = text.encoder_file(tmp_path) if place == "encoder" else text.upper_file("topics", tmp_path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(FileNotFoundError, match=rf"^{path.name} is damaged; remake it with `python -m training"):
        text.load("topics", tmp_path)


@pytest.mark.parametrize("lost", ["nibbles", "scales"])
def test_a_file_without_a_part_of_a_matrix_is_one_sentence(lost, tmp_path, narrow):  # noqa: F811
    write(tmp_path, "topics")
    path = text.encoder_file(tmp_path)
    save_file({key: value for key, value in load_file(path).items() if key != f"{files.WORDS}.{lost}"}, path)
    with pytest.raises(
        FileNotFoundError, match=r"^encoder\.safetensors is damaged; remake it with `python -m training"
    ):
        text.load("topics", tmp_path)


def test_files_that_do_not_fit_each_other_are_one_sentence(tmp_path, narrow):  # noqa: F811
    write(tmp_path, "topics", "sentiment")
    text.upper_file("topics", tmp_path).write_bytes(text.upper_file("sentiment", tmp_path).read_bytes())
    with pytest.raises(
        FileNotFoundError, match=r"^The weights of topics do not fit those it shares; remake both with "
    ):
        text.load("topics", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_and_as_their_card_says(name):
    card = text.model_card(name)
    assert text.upper_file(name, text.ASSETS).stat().st_size == card["file_bytes"] <= 8e6
    assert text.encoder_file(text.ASSETS).stat().st_size == card["shared_file_bytes"] <= 55e6
    net = text.load(name)
    table = xlm_r.shared().words
    numbers = sum(p.numel() for p in net.parameters()) + table.num_embeddings * table.embedding_dim
    assert card["parameters"] == numbers
    assert {"title", "task", "training", "encoder", "held_out", "measured", "limits", "licence", "remade_by"} <= set(
        card
    )


def test_the_vocabulary_fits_the_word_table():
    tokenizer = text.tokenizer()
    assert tokenizer.get_vocab_size() == text.VOCABULARY == xlm_r.shared().words.num_embeddings
    assert tokenizer.token_to_id("<mask>") == text.VOCABULARY - 1
    found = tokenizer.encode("mörgen 早上好 صباح")
    assert found.ids[0] == text.START and found.ids[-1] == text.END and text.UNKNOWN not in found.ids


SAID = {
    "sentiment": (
        ("A warm, witty and wonderful film.", "positive"),
        ("I did not like this film at all, although the actors were wonderful.", "negative"),
        ("Ein wunderbarer Film, ich habe gelacht und geweint.", "positive"),
        ("这部电影非常精彩,我很喜欢。", "positive"),
        ("الفيلم ممل جدا ولم يعجبني.", "negative"),
    ),
    "offensive": (("Good morning, have a nice day!", "neither"),),
    "topics": (("The team won the championship after extra time.", "sports"),),
    "newsgroups": (("The goalie made forty saves and the Bruins won the game in overtime.", "rec.sport.hockey"),),
}


@pytest.mark.parametrize("name", SAID)
def test_the_plainest_texts_are_understood(name):
    net = text.load(name)
    for line, wanted in SAID[name]:
        with torch.inference_mode():
            logits = net(torch.tensor([text.tokenizer().encode(line).ids])).logits
        assert text.LABELS[name][logits.argmax()] == wanted, line
