"""The plan as an editable table: which rule on which layer, before anything is computed."""

import streamlit as st

import lrp_core as lrp
from pages.explaining import subject as explaining
from pages.explaining.subject import Subject
from pages.settings import session
from pages.settings.rules_text import LAYER_RULES
from pages.settings.settings import Settings

INHERITED = "As in the panel"


@st.dialog("Which rule on which layer", width="large")
def layer_plan(subject: Subject) -> None:
    """Let the visitor choose a rule for single layers of the present network."""
    settings = session.settings(subject.page)
    st.caption(
        "The network from input to output. Layers without weights have one fixed way to pass relevance on and are not "
        "listed. A rule chosen here stays with its layer until you take it back."
    )
    labels = [INHERITED, *(text.label for text in LAYER_RULES.values())]
    edited = st.data_editor(
        table(subject, settings),
        hide_index=True,
        width="stretch",
        disabled=["Layer", "Kind", "Outputs", "Now"],
        column_config={"Your choice": st.column_config.SelectboxColumn(options=labels, required=True)},
        key=f"{subject.page}.plan",
        alt="Layers of the network and the rule of each",
    )
    keys = {text.label: rule for rule, text in LAYER_RULES.items()}
    chosen = zip(edited["Layer"], edited["Your choice"], strict=True)
    with st.container(horizontal=True):
        if st.button("Apply", icon=":material/check:"):
            _apply(subject, tuple((layer, keys[label]) for layer, label in chosen if label != INHERITED))
        if st.button("Take all back", icon=":material/undo:", disabled=not settings.layers):
            _apply(subject, ())


def table(subject: Subject, settings: Settings) -> dict[str, list[str]]:
    """The columns of the plan: every layer with weights, and the rule that it follows now."""
    plan = subject.tape.plan(explaining.composite(settings, subject))
    rows = [(step, rule) for step, rule in plan if is_layer(step)]
    own = dict(settings.layers)
    return {
        "Layer": [step.name for step, _ in rows],
        "Your choice": [LAYER_RULES[own[step.name]].label if step.name in own else INHERITED for step, _ in rows],
        "Now": [str(rule) for _, rule in rows],
        "Kind": [step.kind for step, _ in rows],
        "Outputs": [" × ".join(map(str, step.output_shape[1:])) for step, _ in rows],
    }


def is_layer(step: lrp.Step) -> bool:
    """Whether a step of the tape has weights, so that a rule can be chosen for it."""
    return step.kind in ("conv", "linear") and bool(step.name)


def _apply(subject: Subject, layers: tuple[tuple[str, str], ...]) -> None:
    session.change(subject.page, layers=layers)
    st.rerun()
