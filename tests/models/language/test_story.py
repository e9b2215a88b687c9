"""A text that goes on: greedy and drawn words, and a reading whose pieces are the tokens that were said."""

import pytest
import torch

from models.language import smollm2, story


@pytest.fixture
def net(file):
    return smollm2.load(file)


def test_the_likeliest_is_said_and_the_runner_up_is_its_rival(net, small):
    ids = small.read("The keys to the cabinet").ids[0].tolist()
    logits = net(torch.tensor([ids]))[0]
    first, second = logits.topk(2).indices.tolist()
    said = story.next_token(net, ids, 0.0, 0)
    assert (said.token, said.rival) == (first, second)
    assert said.probability == pytest.approx(logits.softmax(0)[first].item())


def test_drawn_words_are_the_same_for_the_same_seed_and_follow_the_probabilities(net, small):
    ids = small.read("The keys to the cabinet").ids[0].tolist()
    drawn = [story.next_token(net, ids, 1.5, seed).token for seed in range(60)]
    assert drawn == [story.next_token(net, ids, 1.5, seed).token for seed in range(60)]
    assert len(set(drawn)) > 5
    cold = [story.next_token(net, ids, 0.01, seed).token for seed in range(20)]
    assert set(cold) == {story.next_token(net, ids, 0.0, 0).token}
    for seed in range(20):
        one = story.next_token(net, ids, 1.5, seed)
        assert one.rival != one.token


def tokens(small, text):
    return small.tokenizer.encode(text, add_special_tokens=False).ids


def test_a_text_that_is_read_the_same_way_has_its_own_words(small):
    prompt = small.read("The keys to the")
    said = tokens(small, " cabinet are cold.")
    reading = story.read(small, prompt, said)
    assert reading.ids[0].tolist() == [*prompt.ids[0].tolist(), *said]
    assert [word.text for word in reading.words] == ["The", "keys", "to", "the", "cabinet", "are", "cold", "."]
    assert len(reading.pieces) == reading.ids.shape[1]


@pytest.mark.parametrize(
    "said", ["he|s h|er", " \n\n| cat", "\n", "é|日|👍", "<|im_end|>|x", " a| |b"], ids=lambda text: repr(text)
)
def test_any_tokens_get_a_reading_with_a_piece_for_each(small, said):
    """Also where the text would be cut into other pieces: then each token stands for itself."""
    prompt = small.read("The cat")
    ids = [token for part in said.split("|") for token in tokens(small, part)]
    reading = story.read(small, prompt, ids)
    assert reading.ids[0].tolist() == [*prompt.ids[0].tolist(), *ids]
    assert len(reading.pieces) == reading.ids.shape[1]
    assert reading.pieces[0].special and all(piece.word is not None for piece in reading.pieces[1:])
    for word in reading.words:
        assert word.text == reading.text[word.start : word.end] and word.text.strip()
    starts = [word.start for word in reading.words]
    assert starts == sorted(starts)


def test_a_cut_prompt_goes_on_where_it_was_cut(small):
    prompt = small.read("the cat and " * 60)
    reading = story.read(small, prompt, tokens(small, " dog"))
    assert reading.text.endswith("dog") and len(reading.text) < len(prompt.text)
    assert reading.ids[0].tolist()[: prompt.ids.shape[1]] == prompt.ids[0].tolist()


def test_a_text_ends_at_a_special_token(small):
    assert small.ends(0) and small.ends(1) and not small.ends(small.word("are"))
