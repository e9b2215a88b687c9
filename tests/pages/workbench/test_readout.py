"""A network of others may end in a sigmoid or a softmax: the page says so, and its bars show what it returned."""

from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

import lrp_core as lrp
from models import digits
from pages.digits.subject import board_samples, digit_subject
from pages.explaining.subject import Subject
from pages.explaining.subject import target as asked
from pages.serving import tapes
from pages.settings.settings import starting

APP = Path(__file__).parents[3] / "app.py"
LOAD = digits.load


def ending_in(read_out) -> torch.nn.Module:
    """The network for digits with something behind it."""
    net = LOAD("digits")
    plain = net.forward
    net.forward = lambda x: read_out(plain(x))
    return net


@pytest.fixture
def page(monkeypatch):
    """The page on digits, and what it explains, of a network that ends like this."""

    def run(read_out) -> tuple[AppTest, Subject]:
        st.cache_resource.clear()
        monkeypatch.setattr(digits, "load", lambda name: ending_in(read_out))
        app = AppTest.from_file(APP, default_timeout=60).switch_page("pages/_digits.py").run()
        assert not app.exception and not app.error
        sample, place = board_samples()[app.session_state["digits.settings"].sample], tapes.Place()
        subject = digit_subject("digits", sample.strokes, sample.name, "digits", mark=False)
        assert isinstance(subject, Subject)
        with monkeypatch.context() as alone:  # outside a session
            alone.setattr(tapes, "_place", lambda page: place)
            assert subject.scores.shape == (1, 10) and subject.probabilities.shape == (10,)
            assert subject.readout == subject.tape.readout
        return app, subject

    yield run
    st.cache_resource.clear()


def said(app: AppTest) -> list[str]:
    return [block.value for block in app.caption if block.value.startswith("The network ends")]


def balance(app: AppTest) -> str:
    return next(block.value for block in (*app.markdown, *app.warning) if "on the input" in block.value)


@pytest.mark.parametrize(
    ("read_out", "words", "probabilities"),
    [
        (torch.sigmoid, "a sigmoid", torch.sigmoid),
        (lambda z: z.softmax(1), "a softmax", lambda z: z.softmax(1)),
        (lambda z: z.log_softmax(1), "a log-softmax", lambda z: z.softmax(1)),
        (lambda z: z.softmax(1).sigmoid(), "a softmax and then a sigmoid", lambda z: z.softmax(1).sigmoid()),
    ],
    ids=["sigmoid", "softmax", "log-softmax", "two"],
)
def test_the_result_says_so_and_starts_from_the_score(page, read_out, words, probabilities):
    plain, subject_of_plain = page(lambda z: z)
    assert not said(plain)
    app, subject = page(read_out)
    assert said(app) == [f"The network ends in {words}; the score that is explained is the number before it."]
    assert balance(app) == balance(plain)
    assert subject.readout and not subject_of_plain.readout
    np.testing.assert_array_equal(subject.scores, subject_of_plain.scores)
    expected = probabilities(torch.from_numpy(subject.scores))[0]
    np.testing.assert_allclose(subject.probabilities, expected, rtol=1e-5)
    assert asked(starting("recommended"), subject) == lrp.Target.logit(int(expected.argmax()))
