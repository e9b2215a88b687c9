"""Every rule that a page offers, in plain words, as a formula, and with its source."""

from dataclasses import dataclass
from typing import Any

LEGEND = (
    r"$c_{kj} = W_{kj} x_j$ is what input $j$ gives to output $k$; $c^+$ and $c^-$ its positive and negative parts; "
    r"$p_k$, $n_k$ their sums over $j$; $b_k$ the bias; $z_k = p_k + n_k + b_k$; $R_k$ the relevance of the output; "
    r"$l_j$, $h_j$ the smallest and the largest value that an input can have."
)
"""What the letters in the formulas mean, as Markdown."""

_LEGEND_OF_ATTENTION = (
    r"$A$ are the attention weights, $V$ the values that they mix, $O = AV$; $s_i$ is the softmax of the score $x_i$. "
    r"$c_{kj} = W_{kj} x_j$ is what input $j$ of a dense layer gives to output $k$, and $z_k$ is that output."
)

_OF_GAMMA = r" $c^+$ is what is positive of $c$, $p_k$ the sum of that, $b_k$ the bias."

_OF_BOX = r" $l_j$, $h_j$ are the smallest and the largest value that a pixel can have."


@dataclass(frozen=True)
class RuleText:
    """`words`: what it does, for a newcomer. `formula`: LaTeX, how relevance R_k reaches input j.

    `parameters`: which of the sliders it depends on. `legend`: what the letters mean. `on_layers`: the key in
    `LAYER_RULES` of what every layer with weights follows, where that is not this rule's own. `attention`: see
    `lrp_core.Composite`.
    """

    label: str
    words: str
    formula: str
    source: str
    parameters: tuple[str, ...] = ()
    legend: str = LEGEND
    on_layers: str = ""
    attention: str = "attnlrp"


@dataclass(frozen=True)
class Recommended(RuleText):
    """A page's recommended composite: which rules it is made of, and where its sliders start.

    `conv` (None: as `dense`) and `dense`: keys of `LAYER_RULES`. `boxed`: the first layer follows zB, within the
    bounds of a pixel. `bias`: what becomes of biases, see `lrp_core.Composite`. `others`: the rules that the page
    offers beside it. `compared`: those that it is compared with at first.
    """

    others: tuple[str, ...] = ("lrp0", "epsilon", "gamma", "zplus", "a2b1", "gxi")
    compared: tuple[str, ...] = ("lrp0", "epsilon", "zplus")
    conv: str | None = "gamma"
    dense: str = "epsilon"
    boxed: bool = False
    bias: str = "absorb"
    epsilon: float = 0.001
    gamma: float = 0.1


_GAMMA = r"\sum_k \dfrac{c_{kj} + \gamma c_{kj}^+}{z_k + \gamma\,(p_k + b_k^+)} R_k & \text{convolution}"
_EPSILON = r"\sum_k \dfrac{c_{kj}}{z_k + \varepsilon\,\mathrm{sgn}\,z_k} R_k & \text{dense}"
_BOX = (
    r"\sum_k \dfrac{c_{kj} - W_{kj}^+ l_j - W_{kj}^- h_j}{\sum_{j'} (c_{kj'} - W_{kj'}^+ l_{j'} - W_{kj'}^- h_{j'})} "
    r"R_k & \text{first layer}"
)

_ATTENTION = {
    "attnlrp": "Relevance follows what attention mixes as well as why it looks there: half each, at every product.",
    "cp": "Attention weights count as fixed: relevance follows what they mix and never asks why they look there.",
}
"""What becomes of relevance where a network attends, in words."""

_FOR_ATTENTION = {
    "attnlrp": RuleText(
        "AttnLRP",
        f"{_ATTENTION['attnlrp']} Dense layers follow epsilon.",
        r"\begin{aligned} R_A &= A \odot \tfrac{R}{2O} V^\top, \quad R_V = V \odot A^\top \tfrac{R}{2O} \\[1ex]"
        r"R_{x_i} &= x_i \Big( R_i - s_i \sum_{i'} R_{i'} \Big) & \text{softmax} \\[1ex]"
        rf"R_j &= {_EPSILON} \end{{aligned}}",
        "Achtibat 2024",
        ("epsilon",),
        _LEGEND_OF_ATTENTION,
        on_layers="epsilon",
    ),
    "cp": RuleText(
        "CP-LRP",
        f"{_ATTENTION['cp']} Dense layers follow epsilon.",
        r"\begin{aligned} R_A &= 0, \quad R_V = V \odot A^\top \tfrac{R}{O} \\[1ex]"
        rf"R_j &= {_EPSILON} \end{{aligned}}",
        "Ali 2022",
        ("epsilon",),
        _LEGEND_OF_ATTENTION,
        on_layers="epsilon",
        attention="cp",
    ),
}


def _with_attention(rule: str, words: str, dense: str, **more: Any) -> Recommended:
    """One of `_FOR_ATTENTION` as what is recommended, with "epsilon" or "gamma" on the layers with weights."""
    text = _FOR_ATTENTION[rule]
    formula, source, legend, others = text.formula, text.source, text.legend, tuple(_FOR_ATTENTION)
    if dense == "gamma":
        formula = formula.replace(_EPSILON, _GAMMA.replace("convolution", "layers with weights"))
        source, legend = f"{source}; gamma: Montavon 2019, Andeol 2021", legend + _OF_GAMMA
    else:  # this very rule need not be offered a second time
        others = tuple(other for other in others if other != rule)
    if more.get("boxed"):
        formula = formula.replace(r"\end{aligned}", rf"\\[2ex] R_j &= {_BOX} \end{{aligned}}")
        source, legend = f"{source}; zB: Montavon 2017", legend + _OF_BOX
    return Recommended(
        "Recommended",
        f"{text.label}. {_ATTENTION[rule]} {words}",
        formula,
        source,
        (dense,),
        legend,
        attention=text.attention,
        conv=None,
        dense=dense,
        **{"others": (*others, "lrp0", "gamma", "zplus", "a2b1", "gxi"), "compared": (*others, "gxi")} | more,
    )


RECOMMENDED = {
    "recommended": Recommended(
        "Recommended",
        "Gamma on the convolutions, epsilon on the dense layers: low layers favour what speaks for the class, high "
        "layers silence what is weak or noisy.",
        rf"R_j = \begin{{cases}}{_GAMMA}\\[4ex] {_EPSILON}\end{{cases}}",
        "Montavon 2019",
        ("gamma", "epsilon"),
    ),
    "recommended-photos": Recommended(
        "Recommended",
        "Gamma on the convolutions, epsilon on the dense layers, and zB on the first layer, which knows how dark and "
        "how light a pixel can be: black counts as much as white. What biases take goes evenly to the inputs. Of all "
        "rules measured on our VGG, none erased better, and it was close to the best at finding things: "
        "see its figures on the home page.",
        rf"R_j = \begin{{cases}}{_BOX}\\[4ex] {_GAMMA}\\[4ex] {_EPSILON}\end{{cases}}",
        "Montavon 2019; zB: Montavon 2017; biases: Arras 2017",
        ("gamma", "epsilon"),
        boxed=True,
        bias="spread",
        epsilon=0.001,
        gamma=0.25,
    ),
    "recommended-lite": Recommended(
        "Recommended",
        "Gamma on the convolutions, epsilon on the dense layer, and zB on the first layer, which knows how dark and "
        "how light a pixel can be: black counts as much as white. Biases keep what they take, which is nearly all in "
        "this network. Of the rules tried on it, none was better at finding things.",
        rf"R_j = \begin{{cases}}{_BOX}\\[4ex] {_GAMMA}\\[4ex] {_EPSILON}\end{{cases}}",
        "Montavon 2019; zB: Montavon 2017",
        ("gamma", "epsilon"),
        boxed=True,
        epsilon=0.001,
        gamma=0.25,
    ),
    "recommended-imagenet": Recommended(
        "Recommended",
        "Gamma on the convolutions, epsilon on the dense layers, and zB on the first layer, which knows how dark and "
        "how light a pixel can be: black counts as much as white. The usual choice for large networks.",
        rf"R_j = \begin{{cases}}{_BOX}\\[4ex] {_GAMMA}\\[4ex] {_EPSILON}\end{{cases}}",
        "Montavon 2019; zB: Montavon 2017",
        ("gamma", "epsilon"),
        boxed=True,
        epsilon=0.001,
        gamma=0.25,
    ),
    "recommended-patches": _with_attention(
        "attnlrp",
        "Dense layers follow epsilon. The first layer follows zB; it cuts the photo into patches of 16 by 16 pixels, "
        "which the map shows.",
        "epsilon",
        boxed=True,
    ),
    "recommended-texts": _with_attention(
        "attnlrp",
        "Dense layers follow epsilon. Of all rules of LRP measured on the bundled networks, none did better beyond "
        "doubt: neither when words were deleted, nor beside the grades that people gave to words of film reviews. See "
        "the figures on the home page.",
        "epsilon",
        epsilon=0.01,
    ),
    "recommended-language": _with_attention(
        "attnlrp",
        "Dense layers follow epsilon, so small that it only keeps numbers from growing without bounds.",
        "epsilon",
        epsilon=1e-6,
        others=("cp", "lrp0", "gamma", "gxi"),
        compared=("cp", "gxi"),
    ),
    "recommended-scenes": _with_attention(
        "attnlrp",
        "All layers with weights follow gamma, but the first that sees the picture follows zB, which knows how dark "
        "and how light a pixel can be. Of all rules measured on this network, none put more on the objects that "
        "count: see its figures on the home page.",
        "gamma",
        boxed=True,
        gamma=0.25,
    ),
}
"""What each page recommends. This is the one place where a recommendation and its slider positions are chosen."""

RULES: dict[str, RuleText] = (
    RECOMMENDED
    | _FOR_ATTENTION
    | {
        "lrp0": RuleText(
            "LRP-0",
            "Every input gets exactly the share that it contributed. Faithful to the sum, but noisy.",
            r"R_j = \sum_k \frac{c_{kj}}{z_k} R_k",
            "Bach 2015, eq. 56",
        ),
        "epsilon": RuleText(
            "Epsilon",
            "Like LRP-0, but weak and contradictory contributions are absorbed. The larger epsilon, the fewer details "
            "survive.",
            r"R_j = \sum_k \frac{c_{kj}}{z_k + \varepsilon\,\mathrm{sgn}\,z_k} R_k",
            "Bach 2015, eq. 58",
            ("epsilon",),
        ),
        "gamma": RuleText(
            "Gamma",
            "Favours what speaks for the class. The larger gamma, the less blue is left and the calmer the picture.",
            r"R_j = \sum_k \frac{c_{kj} + \gamma c_{kj}^+}{z_k + \gamma\,(p_k + b_k^+)} R_k \quad (z_k > 0)",
            "Montavon 2019; Andeol 2021",
            ("gamma",),
        ),
        "zplus": RuleText(
            "z+",
            "Only what speaks for the class counts: gamma taken to its limit. Calm, but it hides every objection.",
            r"R_j = \sum_k \frac{c_{kj}^+}{p_k + b_k^+} R_k",
            "Bach 2015; Montavon 2017",
        ),
        "a2b1": RuleText(
            "Alpha 2, beta 1",
            "What speaks for the class counts twice, what speaks against it once, in separate sums.",
            r"R_j = \sum_k \left( 2\,\frac{c_{kj}^+}{p_k + b_k^+} - \frac{c_{kj}^-}{n_k + b_k^-} \right) R_k",
            "Bach 2015, eq. 60",
        ),
        "gxi": RuleText(
            "Gradient × input",
            "Not LRP, the baseline to compare with: how fast the score changes with each input, times the input. On a "
            "ReLU network it equals LRP-0.",
            r"R_j = x_j \, \frac{\partial z}{\partial x_j}",
            "Shrikumar 2017",
        ),
    }
)
"""The rules of the explain panel, in the order they are offered."""


def offered(recommended: str) -> tuple[str, ...]:
    """The rules of a page that recommends this key of `RECOMMENDED`: it first, then those that go with it."""
    return (recommended, *RECOMMENDED[recommended].others)


LAYER_RULES = {
    "lrp0": RULES["lrp0"],
    "epsilon": RULES["epsilon"],
    "gamma": RULES["gamma"],
    "zplus": RULES["zplus"],
    "a2b1": RULES["a2b1"],
    "wsquare": RuleText(
        "w²",
        "Shares out by the squared weights, whatever the input is.",
        r"R_j = \sum_k \frac{W_{kj}^2}{\sum_{j'} W_{kj'}^2} R_k",
        "Montavon 2017",
    ),
    "flat": RuleText(
        "Flat",
        "Every input that is connected gets the same share.",
        r"R_j = \sum_k \frac{1}{N_k} R_k",
        "Lapuschkin 2019",
    ),
}
"""The rules that can be chosen for one layer by itself."""
