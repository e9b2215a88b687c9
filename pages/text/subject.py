"""A text as something to explain: used by the page on texts and by the card on the home page."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
import torch

from models.text import networks as text_networks
from models.text.networks import BUNDLED
from pages.components.words_view import Edit
from pages.explaining.subject import Subject
from pages.serving.engine import ALL_CORES
from pages.settings.settings import Offer, starting
from pages.views.text_view import TextView

SAMPLES = Path(__file__).parents[2] / "assets" / "text" / "samples.json"


@dataclass(frozen=True)
class Sample:
    """A text to begin with. tag: of its language. networks: those it is meant for. note: to be read before it."""

    name: str
    title: str
    language: str
    tag: str
    networks: tuple[str, ...]
    text: str
    note: str = ""


@st.cache_data(max_entries=1, show_spinner=False)
def all_samples() -> dict[str, Sample]:
    """The samples for all networks, by name."""
    found = json.loads(SAMPLES.read_text(encoding="utf-8"))
    return {one["name"]: Sample(**one | {"networks": tuple(one["networks"])}) for one in found}


def samples(network: str) -> dict[str, Sample]:
    """The samples for a network, by name; for one that is not our own, all that need no note before them."""
    found = all_samples()
    if network in BUNDLED:
        return {name: sample for name, sample in found.items() if network in sample.networks}
    return {name: sample for name, sample in found.items() if not sample.note}


@st.cache_resource(max_entries=len(BUNDLED), show_spinner="Loading the network…")
def _own(name: str) -> torch.nn.Module:
    return text_networks.load(name)


@st.cache_resource(max_entries=1, show_spinner="Loading the network…")
def _other(name: str) -> torch.nn.Module:
    """They may take gigabytes: one at a time."""
    return text_networks.load(name)


def model(name: str) -> torch.nn.Module:
    """The network, shared by all visitors. Raises FileNotFoundError or ValueError, one sentence, where there is none.

    What must be downloaded first counts as missing: nothing is fetched unless a visitor asks for it.
    """
    if not text_networks.ready(name):
        return _missing(name)
    return _own(name) if name in BUNDLED else _other(name)


def _missing(name: str) -> torch.nn.Module:
    if name in BUNDLED:
        return text_networks.load(name)  # raises, and says which command remakes the weights
    raise FileNotFoundError(f"{title(name)} is not on this server yet: download it first.")


def networks(present: str = "") -> dict[str, str]:
    """What can be chosen, and what it is called: our own first, then those on this server, and the `present` one."""
    found = BUNDLED | text_networks.local_networks()
    return found if not present or not known(present) else found | {present: found.get(present, title(present))}


def title(name: str) -> str:
    """What a network is called."""
    return BUNDLED.get(name) or name.partition(":")[2]


def known(name: str) -> bool:
    """Whether there is a network of this name, or one that may be downloaded."""
    try:
        text_networks.ready(name)
    except ValueError:
        return False
    return True


def labels(name: str) -> tuple[str, ...]:
    """The classes of a network; none where it cannot be used."""
    try:
        return text_networks.network(name).labels
    except (FileNotFoundError, ValueError):
        return ()


def offer(name: str) -> Offer:
    """What the page offers with this network, or with the first one if there is none of that name."""
    first = next(iter(BUNDLED))
    name = name if known(name) else first
    found = tuple(samples(name))
    return Offer(
        defaults=starting("recommended-texts", sample=found[0], network=first),
        labels=labels(name),
        samples=found,
        networks=tuple(networks(name)),
        layers=layers(name),
        views=(),
    )


def layers(name: str) -> tuple[str, ...]:
    """The names of a network's layers with weights that a rule can be chosen for; none where it cannot be loaded."""
    try:
        modules = model(name).named_modules()
    except (FileNotFoundError, ValueError):
        return ()
    return tuple(layer for layer, module in modules if isinstance(module, torch.nn.Linear))


def text_subject(
    page: str,
    text: str,
    name: str,
    language: str = "",
    take: Callable[[Edit], None] | None = None,
    below: Callable[[], None] | None = None,
    before: Subject | None = None,
) -> Subject:
    """The subject for a text.

    Args:
        page: The page that explains it.
        text: As it was typed.
        name: Of the network.
        language: Of the text, as a tag, where it is known.
        take, below: See `TextView`.
        before: What it was before it was changed.

    Raises:
        FileNotFoundError: the network's weights are missing; one sentence.
        ValueError: the text cannot be read by it; one sentence.
    """
    loaded, network = model(name), text_networks.network(name)
    reading = network.read(text)
    return Subject(
        page,
        name,
        loaded,
        (reading.ids,),
        network.labels,
        TextView(reading, language, take, below, network.read),
        _code(name, reading.text),
        recommended="recommended-texts",
        threads=1 if name in BUNDLED else ALL_CORES,
        exclusive=network.exclusive,
        before=before,
    )


def _code(name: str, text: str) -> str:
    """The lines that make `model`, `x` and the `reading` that tells words from pieces."""
    return (
        "from models.text import networks\n\n"
        f"network, model = networks.network({name!r}), networks.load({name!r})\n"
        f"text = {text!r}\n"
        "reading = network.read(text)\n"
        "x = reading.ids"
    )
