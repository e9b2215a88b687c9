"""The result in words and sums: what the network says, how sure it is, and the balance of the explanation."""

import numpy as np
import streamlit as st

import lrp_core as lrp
from lrp_core.evaluation import flow
from lrp_core.ledger import ABSORBERS
from pages.components.bars import bars
from pages.explaining.balance import Balance, balance
from pages.explaining.subject import Subject
from pages.settings.settings import NO_CLASS, Settings
from pages.settings.wording import literal, percent

MOST_UPRIGHT, SHORT, TOP_CLASSES = 12, 3, 5
"""How many classes stand side by side, all of them, if their names have so few letters; how many are shown else."""

READOUTS = {
    "sigmoid": "a sigmoid",
    "softmax": "a softmax",
    "log_softmax": "a log-softmax",
    "logsigmoid": "a log-sigmoid",
    "hardsigmoid": "a hard sigmoid",
    "softplus": "a softplus",
}
"""What a network may end in, in words."""

UNSURE_BELOW = 0.3
"""Where the likeliest class has less than this probability, the network does not know."""


def headline(subject: Subject) -> None:
    """What the network says, or that it does not know."""
    if subject.probabilities.max() >= UNSURE_BELOW:
        st.subheader(f"The network says {_answer(subject)}", anchor=False)
    else:
        st.subheader(f"The network is unsure: at best {_answer(subject)}", anchor=False)
        st.caption("The heatmap shows what spoke for its best guess. Do not read much into it.")


def _answer(subject: Subject) -> str:
    """The likeliest class and its probability, as Markdown."""
    best = subject.classes(NO_CLASS)
    return f"{literal(subject.labels[best])} ({percent(subject.probabilities[best])})"


def probabilities(subject: Subject, settings: Settings) -> None:
    """How sure the network is; where the input was changed, beside how sure it was before."""
    if subject.before is None:
        _bars(subject, subject, settings, "bars")
        return
    before, after = st.columns(2, gap="medium")
    with before:
        st.markdown(f"**Before** · {_answer(subject.before)}")
        _bars(subject.before, subject, settings, "bars.before")
    with after:
        st.markdown(f"**After** · {_answer(subject)}")
        _bars(subject, subject, settings, "bars")


def _bars(shown: Subject, explained: Subject, settings: Settings, key: str) -> None:
    """Bars of all classes, or of the likeliest of `explained`; the class that is explained stands out."""
    shares, order = shown.probabilities, np.argsort(-explained.probabilities, kind="stable")
    best = shown.classes(NO_CLASS)
    upright = len(shares) <= MOST_UPRIGHT and max(map(len, shown.labels)) <= SHORT
    places = list(range(len(shares))) if upright else order[:TOP_CLASSES].tolist()
    target = explained.classes(settings.target)
    bars(
        [shown.labels[index] for index in places],
        shares[places],
        key=f"{shown.page}.{key}",
        alt=f"Probability of each class; the highest is {shown.labels[best]}, {percent(shares[best])}",
        chosen=places.index(target) if target in places else None,
        upright=upright,
    )


def balance_line(explanation: lrp.Explanation, settings: Settings, heat: np.ndarray) -> None:
    """Where the score went; amber, with the reason, where the map would mislead. heat: what the map shows."""
    line = balance_of(explanation, "Score" if settings.rather_than == NO_CLASS else "Difference of scores", heat)
    if line.amber:
        st.warning(f"{line.text}. {line.reason}", icon=":material/balance:")
        return
    st.markdown(f":material/balance: {line.text}.")
    if line.reason:
        st.caption(line.reason)


def readout_line(subject: Subject) -> None:
    """Says that the score is not quite what the network returns, where that is so."""
    if subject.readout:
        words = " and then ".join(READOUTS[name] for name in subject.readout.split(" then "))
        st.caption(f"The network ends in {words}; the score that is explained is the number before it.")


def balance_of(explanation: lrp.Explanation, name: str = "Score", heat: np.ndarray | None = None) -> Balance:
    """The balance line of an explanation; with doubts about its map where `heat` is given, what the map shows."""
    total = explanation.ledger.total
    numbers = {key: float(getattr(total, key).numpy()[0]) for key in ("start", "input", *ABSORBERS)}
    sums = numbers.pop("start"), numbers.pop("input"), numbers
    if heat is None:
        return balance(name, *sums)
    found = flow.flow(explanation, heat[None])
    return balance(name, *sums, float(found.lost[0]), flow.doubts(found)[0])
