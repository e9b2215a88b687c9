"""The recorded runs of all visitors: how long they are kept, what they take, and that they are freed."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

import pytest
import torch
from streamlit.runtime import caching
from streamlit.testing.v1 import AppTest

import lrp_core as lrp
from pages.serving import tapes
from pages.serving.tapes import Place, Shelf

QUESTION = lrp.presets.gamma(0.25), lrp.Target.logit(1)
OTHER = lrp.presets.alpha_beta(2, 1), lrp.Target.logit(2)
PLENTY = 10**9


@dataclass(eq=False)
class Picture:
    """An input to a small network."""

    key: str
    side: int = 32
    page: str = "test"
    threads: int = 1
    times_recorded: count = field(default_factory=lambda: count(1))
    recorded: int = 0

    def record(self) -> lrp.Tape:
        self.recorded = next(self.times_recorded)
        torch.manual_seed(0)
        layers = torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(4)
        model = torch.nn.Sequential(*layers)
        x = torch.rand(1, 3, self.side, self.side)
        model(x)
        return lrp.record(model.eval(), x)


def ask(shelf: Shelf, place: Place, picture: Picture, question: tapes.Question = QUESTION) -> lrp.Explanation:
    return shelf.use(place, picture, lambda recording: recording.ask(question))


@pytest.fixture
def no_collector():
    """Only what nobody refers to any more is freed, as on a server between two collections."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def size() -> int:
    """Bytes of one picture's tape and explanation."""
    place = Place()
    ask(Shelf(PLENTY), place, Picture("a"))
    return place.nbytes


def test_a_picture_is_recorded_once():
    shelf, place, picture = Shelf(PLENTY), Place(), Picture("a")
    for question in (QUESTION, OTHER, QUESTION):
        ask(shelf, place, picture, question)
    assert picture.recorded == 1


def test_the_last_answer_is_kept_with_the_tape():
    shelf, place = Shelf(PLENTY), Place()
    answer = ask(shelf, place, Picture("a"))
    assert place.recording.answered(QUESTION) is answer
    assert place.recording.answered(OTHER) is None
    ask(shelf, place, Picture("a"), OTHER)
    assert place.recording.answered(QUESTION) is None


def test_another_picture_takes_the_place_and_the_old_one_is_freed_before(no_collector):
    shelf, place = Shelf(PLENTY), Place()
    ghost = weakref.ref(ask(shelf, place, Picture("a")).ledger[0].step)
    assert ghost() is not None

    class Next(Picture):
        def record(self) -> lrp.Tape:
            assert ghost() is None
            return super().record()

    ask(shelf, place, Next("b"))
    assert shelf.find(place, "a") is None
    assert shelf.find(place, "b") is place.recording


def test_what_a_rule_leaves_behind_is_counted():
    shelf, place, picture = Shelf(PLENTY), Place(), Picture("a")
    shelf.use(place, picture, lambda recording: None)
    recorded = place.nbytes
    assert recorded == place.recording.tape.nbytes
    ask(shelf, place, picture)
    assert place.nbytes == place.recording.tape.nbytes + place.recording.answer[1].relevance.nbytes
    assert place.nbytes > recorded


def test_those_used_least_recently_make_room(size):
    shelf = Shelf(2 * size)
    pictures = [Picture(name) for name in "abc"]
    a, b, c = places = [Place() for _ in pictures]
    ask(shelf, a, pictures[0])
    ask(shelf, b, pictures[1])
    assert shelf.nbytes == 2 * size
    shelf.find(a, "a")  # a's visitor looks at the last answer once more
    ask(shelf, c, pictures[2])
    assert [place.recording is not None for place in places] == [True, False, True]
    assert shelf.nbytes == 2 * size


def test_room_is_made_for_a_tape_that_grows(size):
    shelf = Shelf(2 * size - 1)
    a, b = Place(), Place()
    shelf.use(a, Picture("a"), lambda recording: None)
    shelf.use(b, Picture("b"), lambda recording: None)
    assert a.recording
    ask(shelf, a, Picture("a"))
    assert b.recording
    ask(shelf, b, Picture("b"))
    assert not a.recording
    assert shelf.nbytes == b.nbytes == size


def test_whose_tape_was_dropped_gets_the_same_answer_from_a_new_one(size):
    shelf = Shelf(size)
    a, b, picture = Place(), Place(), Picture("a")
    first = ask(shelf, a, picture)
    ask(shelf, b, Picture("b"))
    assert not a.recording
    again = ask(shelf, a, picture)
    assert picture.recorded == 2
    assert torch.equal(first.relevance, again.relevance)


def test_what_is_dropped_is_freed_at_once(size, no_collector):
    shelf = Shelf(size)
    a, b = Place(), Place()
    ghost = weakref.ref(ask(shelf, a, Picture("a")).ledger[0].step)
    ask(shelf, b, Picture("b"))
    assert ghost() is None


def test_a_tape_that_is_too_large_is_used_and_not_kept(size, no_collector):
    shelf = Shelf(size)
    small, large = Place(), Place()
    ask(shelf, small, Picture("small"))
    answer = ask(shelf, large, Picture("large", side=64))
    assert answer.relevance.shape == (1, 3, 64, 64)
    assert small.recording and not large.recording
    assert shelf.nbytes == size
    ghost = weakref.ref(answer.ledger[0].step)
    del answer
    assert ghost() is None


def test_what_a_visitor_leaves_behind_is_freed_at_once(no_collector):
    shelf, place = Shelf(PLENTY), Place()
    ghost = weakref.ref(ask(shelf, place, Picture("a")).ledger[0].step)
    assert ghost() is not None and shelf.nbytes
    del place
    assert ghost() is None
    assert shelf.nbytes == 0


def test_a_picture_that_cannot_be_recorded_leaves_nothing():
    class Broken(Picture):
        def record(self) -> lrp.Tape:
            raise ValueError("The input holds a NaN.")

    shelf, place = Shelf(PLENTY), Place()
    ask(shelf, place, Picture("a"))
    with pytest.raises(ValueError, match="NaN"):
        ask(shelf, place, Broken("b"))
    assert not place.recording and shelf.nbytes == 0


def test_a_question_that_fails_keeps_the_tape():
    shelf, place, picture = Shelf(PLENTY), Place(), Picture("a")
    with pytest.raises(ValueError, match="12"):
        ask(shelf, place, picture, (QUESTION[0], lrp.Target.logit(12)))
    assert place.nbytes == place.recording.tape.nbytes == shelf.nbytes
    ask(shelf, place, picture)
    assert picture.recorded == 1


def test_many_threads_stay_within_the_limit(size):
    shelf = Shelf(3 * size)
    places = [Place() for _ in range(6)]

    def visit(step: int) -> int:
        number = step % len(places)
        ask(shelf, places[number], Picture(f"{number}"))
        return shelf.nbytes

    with ThreadPoolExecutor(4) as pool:
        held = list(pool.map(visit, range(60)))
    assert max(held) <= 3 * size
    assert shelf.nbytes == sum(place.nbytes for place in places if place.recording)


def page() -> None:
    """What a visitor's page does, and how it tells the test."""
    import streamlit as st

    import lrp_core as lrp
    from pages.serving import tapes
    from tests.pages.serving.test_tapes import Picture

    question = lrp.presets.epsilon(0.1), lrp.Target.logit(1)
    picture = Picture("a")
    first, again = tapes.explanation(picture, question), tapes.explanation(picture, question)
    st.write(f"recorded {picture.recorded}, the same {first is again}, walks {tapes.use(picture, lambda tape: 1)}")


def test_a_visitor_has_one_place_until_it_leaves(no_collector):
    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    assert app.markdown[0].value == "recorded 1, the same True, walks 1"
    app.run()
    assert app.markdown[0].value == "recorded 0, the same True, walks 1"
    (place,) = [place for place in tapes._shelf()._places if place.recording and place.recording.key == "a"]
    ghost = weakref.ref(place)
    del place
    caching.clear_session_resource_cache("test session id")  # as when a visitor disconnects
    assert ghost() is None
