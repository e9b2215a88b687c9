"""The result: what the network sees, the heatmap beside it, and the balance of the explanation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw
from streamlit.delta_generator import DeltaGenerator

import lrp_core as lrp
from lrp_core import heatmap
from lrp_core.ledger import ABSORBERS
from pages.shared import explaining, session
from pages.shared.balance import Balance, balance
from pages.shared.bars import bars
from pages.shared.explaining import Subject
from pages.shared.heatmap_view import heatmap_view
from pages.shared.rules_text import RULES
from pages.shared.settings import NO_CLASS, Settings
from pages.shared.wording import percent

MOST_UPRIGHT, TOP_CLASSES = 12, 5
"""How many classes stand side by side, all of them; where there are more, how many are shown."""

UNSURE_BELOW = 0.3
"""Where the likeliest class has less than this probability, the network does not know."""


def headline(subject: Subject) -> None:
    """What the network says, or that it does not know."""
    best = subject.classes(NO_CLASS)
    name, share = subject.labels[best], subject.probabilities[best]
    if share >= UNSURE_BELOW:
        st.subheader(f"The network says {name} ({percent(share)})", anchor=False)
    else:
        st.subheader(f"The network is unsure: at best {name} ({percent(share)})", anchor=False)
        st.caption("The heatmap shows what spoke for its best guess. Do not read much into it.")


def probabilities(subject: Subject, settings: Settings) -> None:
    """How sure the network is, of all classes or of the likeliest; the one that is explained stands out."""
    shares = subject.probabilities
    best = subject.classes(NO_CLASS)
    upright = len(shares) <= MOST_UPRIGHT
    shown = list(range(len(shares))) if upright else np.argsort(-shares, kind="stable")[:TOP_CLASSES].tolist()
    explained = subject.classes(settings.target)
    bars(
        [subject.labels[index] for index in shown],
        shares[shown],
        key=f"{subject.page}.bars",
        alt=f"Probability of each class; the highest is {subject.labels[best]}, {percent(shares[best])}",
        chosen=shown.index(explained) if explained in shown else None,
        upright=upright,
    )


def boxes(subject: Subject, settings: Settings) -> list[DeltaGenerator]:
    """Draw the input, and beside it one empty box for each of `views`: boxes that keep their size."""
    asked = explaining.question(settings, subject)
    names = views(subject, settings)
    titles = [f"**{name}** · {asked}" if not number else f"**{name}**" for number, name in enumerate(names)]
    # In a row of their own: a title of two lines must not push its picture down.
    heads = st.columns(1 + len(titles), wrap=False, vertical_alignment="bottom")
    for place, title in zip(heads, ["**What the network sees**", *titles], strict=True):
        place.markdown(title)
    first, *others = st.columns(1 + len(titles), wrap=False)
    first.image(
        session.remember(f"{subject.page}.input", subject.key, lambda: heatmap.data_uri(framed(picture(subject)))),
        width="stretch",
        alt=f"The input as the network sees it, most likely {subject.label(NO_CLASS)}",
    )
    return [place.container() for place in others]


def views(subject: Subject, settings: Settings) -> dict[str, dict[str, Any]]:
    """The heatmaps to be shown: their titles, and how `heatmap_view` draws each.

    Only what counts: of a photo its own strongest parts, of a drawing, which has no colours, those of the heatmap.
    """
    plain = {"Relevance": {}}
    over = {"Over the input": {"underlay": grey(subject), "opacity": settings.opacity / 100}}
    lit = {"lit": subject.picture} if subject.picture.ndim == 3 else {}
    top = {f"The strongest {settings.top} %": {"top": settings.top} | lit}
    return {"heatmap": plain, "overlay": over, "both": plain | over, "top": top}[settings.view]


def heatmaps(
    subject: Subject, settings: Settings, explanation: lrp.Explanation, places: Sequence[DeltaGenerator]
) -> None:
    """Fill the boxes."""
    relevance = explaining.heat(explanation)
    asked = explaining.question(settings, subject)
    for number, (place, view) in enumerate(zip(places, views(subject, settings).values(), strict=True)):
        with place:
            heatmap_view(
                relevance,
                key=f"{subject.page}.heat.{number}",
                alt=heatmap.alt_text(relevance, asked, RULES[settings.rule].label),
                tag=f"{settings.rule} {settings.epsilon:g} {settings.gamma:g} {asked}",
                colours=settings.colours,
                legend="lit" not in view,
                **view,
            )


def balance_line(explanation: lrp.Explanation, settings: Settings) -> None:
    """Where the score went, amber when much of it is missing from the picture."""
    line = balance_of(explanation, "Score" if settings.rather_than == NO_CLASS else "Difference of scores")
    if line.amber:
        st.warning(f"{line.text}. {line.reason}", icon=":material/balance:")
    else:
        st.markdown(f":material/balance: {line.text}.")


def balance_of(explanation: lrp.Explanation, name: str = "Score") -> Balance:
    """The balance line of an explanation."""
    total = explanation.ledger.total
    numbers = {key: float(getattr(total, key).numpy()[0]) for key in ("start", "input", *ABSORBERS)}
    return balance(name, numbers.pop("start"), numbers.pop("input"), numbers)


def framed(image: np.ndarray, side: int = 280, grey: int = 200) -> np.ndarray:
    """An image (H, W, 3), enlarged to about `side` pixels, with a thin frame that tells paper from page."""
    zoom = max(1, side // image.shape[0])
    large = Image.fromarray(image.repeat(zoom, axis=0).repeat(zoom, axis=1))
    corner = (large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, *corner), radius=side // 28, outline=(grey, grey, grey), width=1)
    return np.asarray(large)


def grey(subject: Subject) -> np.ndarray:
    """The input without its colours, which would mix with those of a heatmap that lies over it."""
    return np.asarray(Image.fromarray(picture(subject)).convert("L"))


def picture(subject: Subject) -> np.ndarray:
    """The input as an image, (H, W, 3) uint8."""
    image = subject.picture
    if image.dtype != np.uint8:
        image = (255 * image).round().astype(np.uint8)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)
