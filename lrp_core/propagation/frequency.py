"""Fourier transforms and complex numbers.

A complex number counts as two real ones. Its relevance is that of its real and of its imaginary part, kept side by
side as one complex number; a coefficient c and a value v stand for Re c Re v and Im c Im v, and sums over both are what
the ledger books. Derivatives of torch follow the same inner product, so that they are adjoints here as well.

A Fourier transform is a fixed linear map. It shares by LRP-0, as in DFT-LRP (Vielhaben 2024): the exact adjoint, and no
relevance is lost. Complex weights have no positive part, so that layers of them follow LRP-epsilon under every rule.
The absolute value sqrt(a^2 + b^2) shares a^2 : b^2.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..message import Message
from ..registry import op_name, propagates
from ..rows import row_sums
from ..steps import Context, Outcome, Step, found
from .adjoint import adjoint
from .elementwise import halves_or_signal
from .ratios import Ratio, epsilon_of, over_stabilised
from .shaping import moved

ALONG_ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
TRANSFORMS = [getattr(torch.fft, f"{name}{many}") for name in ALONG_ONE for many in ("", "2", "n")]

ROUNDING = 32
"""what is below so many units in the last place of the largest number of a transform is rounding, and stands for 0"""


def parts(tensor: Tensor) -> Tensor:
    """A complex tensor as a real one with one axis more, of two; a real tensor as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def whole(tensor: Tensor, like: Tensor) -> Tensor:
    """:func:`parts` undone, where ``like`` is complex."""
    return torch.view_as_complex(tensor.contiguous()) if like.is_complex() else tensor


def _run_transform(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    name = op_name(function).removeprefix("fft_")
    given = {**dict(zip(("input", "sizes", "dim"), args, strict=False)), **kwargs}
    dims = given["input"].dim()
    sizes = given.get("sizes", given.get("s"))
    axes = given.get("dim", {"2": (-2, -1), "n": None}.get(name[-1], -1))
    if axes is None:
        axes = range(dims if sizes is None else len(sizes)) if sizes is None else range(-len(sizes), 0)
    mixed = tuple(axis % dims for axis in ((axes,) if isinstance(axes, int) else axes))
    return function(*args, **kwargs), {"mixes": mixed, "together": mixed}


def _run_windows(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """A short-time Fourier transform, or back; its window is a constant."""
    if len([t for t in found((args, kwargs), Tensor) if tracked(t)]) != 1 or not (args and tracked(args[0])):
        return None
    last = args[0].dim() - 1
    result = function(*args, **kwargs)
    if op_name(function) == "istft":
        return result, {"mixes": (last - 1, last), "together": (last - 1,)}
    return (result, {"mixes": (last,), "together": (last, last + 1)}) if result.is_complex() else None


def _is_complex(result: Any) -> bool:
    return isinstance(result, Tensor) and result.is_complex()


def _run_complex(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """Only what gives complex numbers."""
    if not any(t.is_complex() for t in found((args, kwargs), Tensor)):
        return None
    result = function(*args, **kwargs)
    return (result, {"complex": True}) if _is_complex(result) else None


def _run_absolute(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    return (function(*args, **kwargs), {}) if args and args[0].is_complex() else None


@propagates(*TRANSFORMS, kind="linear", run=_run_transform)
@propagates("stft", "istft", kind="linear", run=_run_windows)
@propagates(torch.abs, kind="activation", run=_run_absolute)
def exactly(step: Step, message: Message, context: Context) -> Outcome:
    """R / z times the derivative: for linear maps LRP-0, and for an absolute value squares over their sum."""
    s, dropped = _over_output(step, message, context)
    (x,) = (value.available() for value in step.inputs)
    return Outcome((context.message(adjoint(step.again, [x], [s])[0], x),), dropped=dropped)


def _over_output(step: Step, message: Message, context: Context) -> tuple[Tensor, Tensor | float]:
    """Relevance per unit of the output's parts; what is dropped where such a part is zero up to rounding."""
    output = step.outputs[0].available()
    if message.value is output:
        return message.coefficient, 0.0
    relevance, z = parts(message.relevance), parts(output)
    size = output.abs().amax(_together(step), keepdim=True)
    size = size[..., None] if output.is_complex() else size
    zero = z.abs() <= ROUNDING * torch.finfo(z.dtype).eps * size
    s = relevance / z.masked_fill(zero, torch.inf)
    return whole(s, output), row_sums(relevance * zero, context.rows)


def _together(step: Step) -> tuple[int, ...]:
    """The axes of a spectrum, whose numbers are rounded alike."""
    producer = step.inputs[0].producer
    known = [s.memo["together"] for s in (step, producer) if s is not None and "together" in s.memo]
    return known[0] if known else (-1,) if step.outputs[0].shape else ()


@propagates(torch.add, torch.sub, "rsub", kind="add", run=_run_complex)
@propagates(torch.mean, torch.sum, kind="pool", run=_run_complex)
@propagates(F.linear, torch.matmul, torch.mm, torch.bmm, torch.einsum, "rmatmul", kind="linear", run=_run_complex)
@propagates(torch.mul, torch.div, kind="product", run=_run_complex)
def shared(step: Step, message: Message, context: Context) -> Outcome:
    """Sums and products over complex numbers: LRP-epsilon on their parts, two factors as elsewhere."""
    ratio = _stabilised(step, message, context)
    tensors = [value.available() for value in step.inputs]
    backs = adjoint(step.again, tensors, [ratio.s])
    shares: tuple[float, ...] = (1.0,) * len(tensors)
    if step.silent:
        shares = tuple(0.0 if place in step.silent else 1.0 for place in range(len(tensors)))
    elif len(tensors) == 2 and step.kind in ("product", "linear"):
        shares = halves_or_signal((step.inputs[0], step.inputs[1]), context)
    alone = step.again(*map(torch.zeros_like, tensors))
    took = (
        row_sums(ratio.s, context.rows, alone) if step.op in ("add", "sub", "rsub", "linear") and alone.any() else 0.0
    )
    own = {"bias" if step.op == "linear" else "constant": took}
    return Outcome(
        tuple(
            context.message(back if share == 1 else back * share, x) if share else None
            for back, x, share in zip(backs, tensors, shares, strict=True)
        ),
        epsilon=ratio.epsilon,
        dropped=ratio.dropped,
        **own,
    )


def _stabilised(step: Step, message: Message, context: Context) -> Ratio:
    """Relevance per unit of the output's parts, by LRP-epsilon where a rule says so."""
    output, rule = step.outputs[0].available(), context.rule
    epsilon = 0.0 if rule is None else epsilon_of(step, rule, context.rows)
    if isinstance(epsilon, float) and epsilon == 0:
        s, dropped = _over_output(step, message, context)
        return Ratio(s, dropped=dropped)
    z = parts(output)
    alike = message.value is output
    of_parts = Message(parts(message.coefficient if alike else message.relevance), z if alike else None, context.rows)
    wide = epsilon[..., None] if isinstance(epsilon, Tensor) else epsilon
    ratio = over_stabilised(of_parts, z, wide, context.rows)
    return Ratio(whole(ratio.s, output), ratio.epsilon, ratio.dropped)


@propagates(torch.conj, "resolve_conj", kind="shape", run=_run_complex)
def conjugate(step: Step, message: Message, context: Context) -> Outcome:
    """A sign of the imaginary part changes its units, not its relevance."""
    x = step.inputs[0].available()
    if message.value is not step.outputs[0].tensor:
        return Outcome((context.message(message.relevance),))
    back = message.coefficient.conj().resolve_conj() if step.op == "conj" else message.coefficient
    return Outcome((context.message(back, x),))


propagates("real", "imag", torch.view_as_real, torch.view_as_complex, torch.complex, kind="shape")(moved)
propagates(torch.fft.fftshift, torch.fft.ifftshift, kind="shape")(moved)
