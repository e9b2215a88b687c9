"""Every rule that a page offers, in plain words, as a formula, and with its source."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RuleText:
    """`words`: what it does, for a newcomer. `formula`: LaTeX, how relevance R_k reaches input j.

    `parameters`: which of the sliders it depends on.
    """

    label: str
    words: str
    formula: str
    source: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recommended(RuleText):
    """A page's recommended composite: which rules it is made of, and where its sliders start.

    `conv` and `dense`: keys of `LAYER_RULES`. `boxed`: the first layer follows zB, within the bounds of a pixel.
    `bias`: what becomes of biases, see `lrp_core.Composite`.
    """

    conv: str = "gamma"
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
        "how light a pixel can be: black counts as much as white. Biases get no share.",
        rf"R_j = \begin{{cases}}{_BOX}\\[4ex] {_GAMMA}\\[4ex] {_EPSILON}\end{{cases}} \quad (b_k = 0)",
        "Montavon 2019; zB: Montavon 2017",
        ("gamma", "epsilon"),
        boxed=True,
        bias="ignore",
        epsilon=0.01,
        gamma=0.2,
    ),
}
"""What each page recommends. This is the one place where a recommendation and its slider positions are chosen."""

RULES: dict[str, RuleText] = RECOMMENDED | {
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
"""The rules of the explain panel, in the order they are offered."""


def offered(recommended: str) -> tuple[str, ...]:
    """The rules of a page that recommends this key of `RECOMMENDED`: it first, then all but the other pages' own."""
    return (recommended, *(rule for rule in RULES if rule not in RECOMMENDED))


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

LEGEND = (
    r"$c_{kj} = W_{kj} x_j$ is what input $j$ gives to output $k$; $c^+$ and $c^-$ its positive and negative parts; "
    r"$p_k$, $n_k$ their sums over $j$; $b_k$ the bias; $z_k = p_k + n_k + b_k$; $R_k$ the relevance of the output; "
    r"$l_j$, $h_j$ the smallest and the largest value that an input can have."
)
"""What the letters in the formulas mean, as Markdown."""
