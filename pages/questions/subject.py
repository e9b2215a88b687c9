"""A question about a scene as something to explain: used by the page on questions and by the card on the home page."""

from collections.abc import Callable

import streamlit as st
import torch

from models import scenes
from models.scenes import editing as scene_editing
from pages.components.words_view import Edit
from pages.explaining.subject import Subject
from pages.questions.history import Asked
from pages.questions.view import QuestionView
from pages.questions.wording import reading
from pages.settings.settings import Offer, starting

RECOMMENDED = "recommended-scenes"
"""What is recommended for this network: the key in `rules_text.RECOMMENDED`."""

FIRST = ("17.6aata44rqfkk57pemh4vcfd44yps2s44xx6b", "Which colour is the small object in front of the green cone?")
"""The scene and the question that the page begins with."""

EYE = "eyes.conv1_1"
"""The layer that reads the pixels."""


@st.cache_resource(max_entries=1, show_spinner="Loading the network…")
def model() -> torch.nn.Module:
    """The network, shared by all visitors. Raises FileNotFoundError where its weights are missing."""
    return scenes.load()


def offer(name: str = "") -> Offer:
    """What the page offers; it has one network, whatever `name` says."""
    scene, question = FIRST
    return Offer(
        defaults=starting(RECOMMENDED, scene=scene, question=question),
        labels=scenes.LABELS,
        layers=layers(),
        scenes=True,
    )


def layers() -> tuple[str, ...]:
    """The names of the network's layers with weights; none where it cannot be loaded."""
    try:
        modules = model().named_modules()
    except FileNotFoundError:
        return ()
    return tuple(layer for layer, module in modules if isinstance(module, torch.nn.Conv2d | torch.nn.Linear))


def question_subject(
    page: str,
    asked: Asked,
    take: Callable[[Edit], None] | None = None,
    below: Callable[[], None] | None = None,
    before: Asked | None = None,
) -> Subject:
    """The subject for a question about a scene.

    Args:
        page: The page that explains it.
        asked: The scene and the question.
        take, below: See `QuestionView`.
        before: What was asked at first, to be compared with.

    Raises:
        FileNotFoundError: the network's weights are missing; one sentence.
        ValueError: the scene or the question cannot be read; one sentence.
    """
    text, question = asked
    loaded, scene = model(), scene_editing.decode(text)
    view = QuestionView(scene, reading(question), take, below)
    return Subject(
        page,
        "vqa",
        loaded,
        (scenes.prepare(view.rendering.pixels), view.question.ids),
        scenes.LABELS,
        view,
        _code(text, question),
        arguments="picture, words",
        recommended=RECOMMENDED,
        bounds=(scenes.LOW, scenes.HIGH),
        bounded=EYE,
        # Under a name of its own: both tapes are kept, for both maps follow the sliders.
        before=question_subject(f"{page}.before", before) if before else None,
    )


def _code(scene: str, question: str) -> str:
    """The lines that make `model` and its two inputs."""
    return (
        "import numpy as np\n\nfrom models import scenes\nfrom models.scenes import editing, question_reading\n\n"
        "model = scenes.load()\n"
        f"scene = editing.decode({scene!r})\n"
        f"question = {question!r}\n"
        "picture = scenes.prepare(scenes.render(scene).pixels)\n"
        "words = scenes.encode(question)"
    )
