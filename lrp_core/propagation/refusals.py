"""Why some operations have no rule: a clause for the sentence that refuses them."""

from __future__ import annotations

_AT_ZERO = {
    "exp": "exp(0) is 1",
    "exp2": "2 to the power of 0 is 1",
    "cos": "cos(0) is 1",
    "cosh": "cosh(0) is 1",
    "acos": "acos(0) is not 0",
    "sinc": "sinc(0) is 1",
    "rpow": "any number to the power of 0 is 1",
    "erfc": "erfc(0) is 1",
    "log": "log(0) is infinite",
    "log2": "log2(0) is infinite",
    "log10": "log10(0) is infinite",
    "logit": "logit(0) is infinite",
    "rdiv": "1/0 is infinite",
    "div": "a constant divided by 0 is infinite",
    "reciprocal": "1/0 is infinite",
    "rsqrt": "1/sqrt(0) is infinite",
    "threshold": "it is not 0 at 0",
}

_STEPS = {"round", "floor", "ceil", "trunc", "sign", "sgn", "heaviside", "floor_divide", "floordiv", "frac"}
_STEPS |= {"remainder", "fmod"}

_OTHERS = {
    "batch_norm": "without running statistics it normalises each row by the others, which mixes their relevance",
    "dropout": "it is switched on, which makes every run another network",
    "pow": "only a constant exponent above 0 gives a function that is 0 at 0",
    "cumprod": "every product shares its relevance among all numbers before it",
}


def reason(op: str) -> str:
    """Why an operation has no rule, to follow a comma; empty where nothing is known but its name."""
    if op in _AT_ZERO:
        return f", as {_AT_ZERO[op]}, so that part of its output comes from no input"
    if op in _STEPS:
        return ", as it jumps between constants, so that its output does not grow with its input"
    return f", as {_OTHERS[op]}" if op in _OTHERS else ""
