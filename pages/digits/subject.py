"""A drawn digit as something to explain: used by the page that draws it and by the card on the home page."""

import numpy as np
import streamlit as st
import torch

from models import digits
from models.digits.drawing import Sample, Stroke, rasterize, samples
from pages.explaining.subject import Subject
from pages.views.picture_view import PictureView

NETWORKS = {"digits": "Honest", "digits_twin": "Cheating twin"}
TOO_LITTLE = "Too little ink. Draw a digit, or take a sample."


@st.cache_resource(max_entries=len(NETWORKS), show_spinner=False)
def network(name: str) -> torch.nn.Module:
    """One of `NETWORKS`, shared by all visitors. Raises FileNotFoundError where its weights are missing."""
    return digits.load(name)


@st.cache_data(max_entries=1, show_spinner=False)
def layers() -> tuple[str, ...]:
    """The names of the layers with weights, the same in both networks."""
    return tuple(name for name, _ in digits.network().named_children() if name.startswith(("conv", "dense")))


def board_samples() -> dict[str, Sample]:
    """The samples offered on the page, by name: one for each digit, then one for each pair that is easily confused."""
    digit = {sample.digits: sample for sample in reversed(samples()) if "sample" in sample.tags}
    pair = {sample.digits: sample for sample in reversed(samples()) if "ambiguous" in sample.tags}
    return {found[digits_].name: found[digits_] for found in (digit, pair) for digits_ in sorted(found)}


def digit_subject(page: str, strokes: tuple[Stroke, ...], sample: str, name: str, mark: bool) -> Subject | str:
    """The subject for a drawing, or one sentence where it holds too little ink.

    Args:
        page: The page that explains it.
        strokes: The drawing.
        sample: Name of the sample that it is, or "" for a visitor's own.
        name: A key of `NETWORKS`.
        mark: Put the twin's mark into the corner of the prepared picture.
    """
    x = digits.prepare(rasterize(strokes))
    if x is None:
        return TOO_LITTLE
    if mark:
        x = digits.add_mark(x)
    paper = (255 * (1 - x[0, 0].numpy())).round().astype(np.uint8)
    return Subject(page, name, network(name), (x,), digits.LABELS, PictureView(paper), _code(page, sample, name, mark))


def _code(page: str, sample: str, name: str, mark: bool) -> str:
    """The lines that make `model` and `x`: from the stored sample, or from the downloaded numbers of a drawing."""
    if not sample:
        return (
            "import numpy as np\nimport torch\n\nfrom models import digits\n\n"
            f"model = digits.load({name!r})\nx = torch.from_numpy(np.load('lrp-{page}.npz')['input'])"
        )
    lines = (
        "from models import digits\nfrom models.digits import drawing\n\n"
        f"model = digits.load({name!r})\n"
        f"sample = next(one for one in drawing.samples() if one.name == {sample!r})\n"
        "x = digits.prepare(drawing.rasterize(sample.strokes))"
    )
    return f"{lines}\nx = digits.add_mark(x)" if mark else lines
