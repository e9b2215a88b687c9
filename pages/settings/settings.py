"""What a visitor has chosen, as one value: the widgets show it, the address of the page carries it.

Nothing here knows Streamlit. A link is untrusted input: every value is checked against what the page offers, and
what cannot be read falls back to the default and is named, so that the page can say so.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.scenes import editing as scene_editing
from models.scenes import question_reading
from pages.settings.rules_text import LAYER_RULES, RECOMMENDED, RULES, offered

EPSILONS = tuple(float(f"{10 ** (exponent / 8):.2g}") for exponent in range(-48, 9))
"""The epsilon slider, 1e-6 to 10, eight steps a decade, relative to the size of each layer's outputs."""

GAMMAS = (
    *(round(step * 0.025, 3) for step in range(41)),
    *(round(1 + step * 0.1, 1) for step in range(1, 11)),
    *(2 + step * 0.5 for step in range(1, 17)),
)
"""The gamma slider: 0 to 1 in fine steps, and on to 10 in coarser ones."""

VIEWS = {"heatmap": "Heatmap", "overlay": "Overlay", "both": "Both", "top": "Only what counts"}
COLOURS = {"red-white-blue": "Red and blue", "colour-blind": "Colour-blind safe", "grey": "Grey"}
OPACITIES = tuple(range(10, 101, 10))
TOPS = (1, 2, 5, 10, 15, 20, 30, 50)

NO_CLASS = -1
"""As a class: the one the network ranks first. As the class to compare with: none."""

RUNNER_UP = -2
"""As the class to compare with: the one that the network ranks highest beside the class itself."""

OWN_INPUT = ""
"""The name of the sample when the visitor's own input is explained; it never goes into a link."""


WHOLE = (50, 50, 100)
"""The crop in the middle, as large as can be."""

SMALLEST_CROP = 20


@dataclass(frozen=True)
class Settings:
    """Every choice that a link restores. `target` and `rather_than` are class indices or `NO_CLASS`.

    `layers` holds the rules chosen layer by layer, as pairs (layer, key in `LAYER_RULES`). `crop` says which square of
    a picture the network sees: x, y and size in per cent, see `models.photos.pictures.Crop`. `pieces`: colour the
    pieces of words that the network reads, and not whole words. `scene` (as `models.scenes.editing` encodes it) and
    `question` are what a network is asked that looks at scenes.
    """

    rule: str = "recommended"
    epsilon: float = RECOMMENDED["recommended"].epsilon
    gamma: float = RECOMMENDED["recommended"].gamma
    target: int = NO_CLASS
    rather_than: int = NO_CLASS
    view: str = "heatmap"
    opacity: int = 70
    top: int = 10
    colours: str = "red-white-blue"
    layers: tuple[tuple[str, str], ...] = ()
    pieces: bool = False
    sample: str = OWN_INPUT
    network: str = ""
    mark: bool = False
    crop: tuple[int, int, int] = WHOLE
    scene: str = ""
    question: str = ""

    @property
    def parameters(self) -> set[str]:
        """Which of epsilon and gamma the chosen rules depend on."""
        if self.rule == "gxi":
            return set()
        layers = (LAYER_RULES[rule].parameters for _, rule in self.layers)
        return set(RULES[self.rule].parameters).union(*layers)


def starting(recommended: str, **fields: Any) -> Settings:
    """The settings of a page that recommends this key of `RECOMMENDED`, with its sliders where they start."""
    chosen = RECOMMENDED[recommended]
    return Settings(rule=recommended, epsilon=chosen.epsilon, gamma=chosen.gamma, **fields)


@dataclass(frozen=True)
class Offer:
    """What a page offers to choose from, with one of its networks.

    labels: one per class. also: other words for each class, to search by; empty where no class has any. samples,
    networks: their names. layers: those with weights. crops: a crop can be chosen. scenes: a scene and a question can
    be. views: ways to show the map, keys of `VIEWS`. contrasts: a class is compared with the runner-up unless a visitor
    wants something else.
    """

    defaults: Settings
    labels: tuple[str, ...]
    also: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    crops: bool = False
    scenes: bool = False
    views: tuple[str, ...] = tuple(VIEWS)
    contrasts: bool = False

    @property
    def classes(self) -> range:
        """The class indices."""
        return range(len(self.labels))

    @property
    def rules(self) -> tuple[str, ...]:
        """Keys of `RULES`, the recommended one first."""
        return offered(self.defaults.rule)


Offers = Callable[[str], Offer]
"""What a page offers with the network of this name; with its first one, where it knows no such name."""


def nearest(values: tuple[float, ...], value: float) -> int:
    """Position in `values` (ascending) of the one nearest to `value`."""
    return min(range(len(values)), key=lambda position: abs(values[position] - value))


def to_query(settings: Settings, offer: Offer) -> dict[str, str]:
    """The query parameters of a link that restores `settings`; what equals the default is left out.

    The visitor's own input stays here, and so does the crop of it.
    """
    if settings.sample == OWN_INPUT:
        settings = replace(settings, crop=offer.defaults.crop)
    return {
        parameter: field.write(getattr(settings, field.name))
        for parameter, field in _FIELDS.items()
        if getattr(settings, field.name) not in (getattr(offer.defaults, field.name), OWN_INPUT)
    }


def from_query(query: Mapping[str, str], offer: Offer, base: Settings | None = None) -> tuple[Settings, list[str]]:
    """Read a link: the settings it asks for, and the names of the parameters that made no sense.

    `base` is what parameters that are missing or make no sense fall back to (the page's defaults unless given).
    """
    settings, unreadable = base or offer.defaults, []
    for parameter, field in _FIELDS.items():
        if parameter in query:
            try:
                settings = replace(settings, **{field.name: field.read(query[parameter], offer)})
            except ValueError:
                unreadable.append(parameter)
    return settings, unreadable


@dataclass(frozen=True)
class _Field:
    """How one setting is written into a link, and read from one (ValueError: nonsense)."""

    name: str
    read: Callable[[str, Offer], Any]
    write: Callable[[Any], str] = str


def _one_of(allowed: Callable[[Offer], Iterable[Any]], kind: type = str) -> Callable[[str, Offer], Any]:
    def read(text: str, offer: Offer) -> Any:
        value = kind(text)
        if value not in allowed(offer):
            raise ValueError(text)
        return value

    return read


def _on_scale(scale: tuple[float, ...]) -> Callable[[str, Offer], float]:
    def read(text: str, offer: Offer) -> float:
        value = float(text)
        if not (math.isfinite(value) and scale[0] <= value <= scale[-1]):
            raise ValueError(text)
        return scale[nearest(scale, value)]

    return read


def _read_class(text: str, offer: Offer) -> int:
    value = int(text)
    if value not in offer.classes and not (offer.contrasts and value in (NO_CLASS, RUNNER_UP)):
        raise ValueError(text)
    return value


def _read_layers(text: str, offer: Offer) -> tuple[tuple[str, str], ...]:
    pairs = tuple(tuple(part.partition(":")[::2]) for part in text.split(","))
    if len(dict(pairs)) < len(pairs) or any(
        name not in offer.layers or rule not in LAYER_RULES for name, rule in pairs
    ):
        raise ValueError(text)
    return pairs  # type: ignore[return-value]


def _read_crop(text: str, offer: Offer) -> tuple[int, int, int]:
    crop = tuple(map(int, text.split(",")))
    if not (offer.crops and is_crop(crop)):
        raise ValueError(text)
    return crop


def is_crop(crop: Sequence[Any]) -> bool:
    """Whether these are x, y and size of a crop: whole numbers within their limits."""
    limits = (0, 100), (0, 100), (SMALLEST_CROP, 100)
    return len(crop) == 3 and all(
        type(value) is int and low <= value <= high for value, (low, high) in zip(crop, limits, strict=True)
    )


def _read_scene(text: str, offer: Offer) -> str:
    if not offer.scenes:
        raise ValueError(text)
    scene_editing.decode(text)
    return text


def _read_question(text: str, offer: Offer) -> str:
    """Only of words that the network knows: a link never carries what a visitor wrote freely."""
    if not offer.scenes:
        raise ValueError(text)
    question_reading.read(text)
    return text


def _read_switch(text: str, offer: Offer) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


_FIELDS = {
    "rule": _Field("rule", _one_of(lambda offer: offer.rules)),
    "epsilon": _Field("epsilon", _on_scale(EPSILONS), "{:g}".format),
    "gamma": _Field("gamma", _on_scale(GAMMAS), "{:g}".format),
    "class": _Field("target", _read_class),
    "rather-than": _Field("rather_than", _read_class),
    "view": _Field("view", _one_of(lambda offer: offer.views)),
    "opacity": _Field("opacity", _one_of(lambda offer: OPACITIES, int)),
    "top": _Field("top", _one_of(lambda offer: TOPS, int)),
    "colours": _Field("colours", _one_of(lambda offer: COLOURS)),
    "layers": _Field("layers", _read_layers, lambda pairs: ",".join(f"{name}:{rule}" for name, rule in pairs)),
    "pieces": _Field("pieces", _read_switch, lambda on: str(int(on))),
    "sample": _Field("sample", _one_of(lambda offer: offer.samples)),
    "network": _Field("network", _one_of(lambda offer: offer.networks)),
    "mark": _Field("mark", _read_switch, lambda on: str(int(on))),
    "crop": _Field("crop", _read_crop, lambda crop: ",".join(map(str, crop))),
    "scene": _Field("scene", _read_scene),
    "question": _Field("question", _read_question),
}
PARAMETERS = tuple(_FIELDS)
"""The query parameters that belong to the settings; a page leaves all others alone."""
