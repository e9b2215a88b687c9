"""A prompt as something to explain: which word comes next, rather than which other."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
import torch

from models import language
from models.language import KNOWN, LanguageModel
from pages.components.words_view import Edit
from pages.explaining.subject import Subject
from pages.language.view import PromptView
from pages.serving.engine import ALL_CORES
from pages.settings.settings import RUNNER_UP, Offer, starting

SAMPLES = language.ASSETS / "samples.json"
RECOMMENDED = "recommended-language"


@dataclass(frozen=True)
class Sample:
    """A prompt to begin with. word, rival: why the one rather than the other. question, answer: for a class."""

    name: str
    title: str
    text: str
    word: str
    rival: str
    question: str
    answer: str


@st.cache_data(max_entries=1, show_spinner=False)
def samples() -> dict[str, Sample]:
    """The samples by name."""
    return {one["name"]: Sample(**one) for one in json.loads(SAMPLES.read_text(encoding="utf-8"))}


@st.cache_resource(max_entries=1, show_spinner="Loading the language model…")
def _loaded(name: str) -> torch.nn.Module:
    """They take half a gigabyte and more: one at a time."""
    return language.load(name)


@st.cache_resource(max_entries=2, show_spinner="Reading the model's words…")
def _read(name: str) -> LanguageModel:
    return language.model(name)


def model(name: str) -> torch.nn.Module:
    """The model, shared by all visitors. Raises FileNotFoundError or ValueError, one sentence, where there is none.

    What must be downloaded first counts as missing: nothing is fetched unless a visitor asks for it.
    """
    if not language.ready(name) and name not in KNOWN:
        raise FileNotFoundError(f"{title(name)} is not on this server yet: download it first.")
    return _loaded(name)


def described(name: str) -> LanguageModel:
    """What the model reads and what its outputs mean. Errors as of `model`."""
    return _read(name) if name in KNOWN else language.model(name)


def models(present: str = "") -> dict[str, str]:
    """What can be chosen, and what it is called: the known ones, those on this server, and the `present` one."""
    found = KNOWN | language.local_models()
    return found if not present or not known(present) else found | {present: found.get(present, title(present))}


def title(name: str) -> str:
    """What a model is called."""
    return KNOWN.get(name) or name.partition(":")[2]


def known(name: str) -> bool:
    """Whether there is a model of this name, or one that may be downloaded."""
    try:
        language.ready(name)
    except ValueError:
        return False
    return True


def labels(name: str) -> tuple[str, ...]:
    """What may come next; nothing where the model cannot be used."""
    try:
        return described(name).labels
    except (FileNotFoundError, ValueError):
        return ()


def offer(name: str) -> Offer:
    """What the page offers with this model, or with the first one if there is none of that name."""
    first = next(iter(KNOWN))
    name = name if known(name) else first
    return Offer(
        defaults=starting(RECOMMENDED, sample=next(iter(samples())), network=first, rather_than=RUNNER_UP),
        labels=labels(name),
        samples=tuple(samples()),
        networks=tuple(models(name)),
        layers=layers(name),
        views=(),
        contrasts=True,
    )


def layers(name: str) -> tuple[str, ...]:
    """The names of a model's layers with weights that a rule can be chosen for; none where it cannot be loaded."""
    try:
        modules = model(name).named_modules()
    except (FileNotFoundError, ValueError):
        return ()
    return tuple(layer for layer, module in modules if isinstance(module, torch.nn.Linear))


def word(name: str, text: str) -> int | None:
    """The token that says this word; None where the model writes it in several pieces, or cannot be used."""
    try:
        return described(name).word(text)
    except (FileNotFoundError, ValueError):
        return None


def prompt_subject(
    page: str,
    text: str,
    name: str,
    take: Callable[[Edit], None] | None = None,
    below: Callable[[], None] | None = None,
    before: Subject | None = None,
    longest: int = language.LONGEST,
) -> Subject:
    """The subject for a prompt.

    Args:
        page: The page that explains it.
        text: As it was typed.
        name: Of the model.
        take, below: See `TextView`.
        before: What it was before it was changed.
        longest: Pieces that are read.

    Raises:
        FileNotFoundError: the model is missing; one sentence.
        ValueError: the text cannot be read by it; one sentence.
    """
    loaded, read_by = model(name), described(name)
    reading = read_by.read(text, longest)
    return Subject(
        page,
        name,
        loaded,
        (reading.ids,),
        read_by.labels,
        PromptView(reading, "", take, below),
        _code(name, reading.text),
        recommended=RECOMMENDED,
        threads=threads(name),
        before=before,
    )


def threads(name: str) -> int:
    """How many threads a model works best with: the steps of SmolLM2 are too small to gain from a second one.

    Where something else is at work on the machine, such as the browser, two threads wait for each other at each step.
    """
    return 1 if name in KNOWN else ALL_CORES


def _code(name: str, text: str) -> str:
    """The lines that make `model`, `x` and the `reading` that tells words from pieces."""
    return (
        "from models import language\n\n"
        f"described, model = language.model({name!r}), language.load({name!r})\n"
        f"text = {text!r}\n"
        "reading = described.read(text)\n"
        "x = reading.ids"
    )
