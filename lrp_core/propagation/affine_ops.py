"""Affine operations as the model calls them, turned into linear maps while recording."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import op_name, propagates
from .affine import propagate
from .linear_maps import Contraction, Conv, Dense, Diagonal, LinearMap, norm_scale
from .sparse_products import SparseProduct, is_sparse


def _each(value: Any, count: int) -> tuple[int, ...]:
    return (value,) * count if isinstance(value, int) else tuple(value) * (count if len(value) == 1 else 1)


def _sources(*tensors: Tensor | None) -> tuple[Tensor, ...]:
    return tuple(t for t in tensors if t is not None)


def _ran(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], map_: LinearMap) -> Any:
    return None if map_.weight.is_complex() else (function(*args, **kwargs), {"map": map_})


def _conv_map(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Conv:
    n = weight.dim() - 2
    stride, dilation = _each(stride, n), _each(dilation, n)
    before: tuple[int, ...] = ()
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        padding = tuple(t // 2 for t in total)
        if any(t % 2 for t in total):  # the odd one goes behind, as in torch
            before = tuple(side for t in reversed(total) for side in (t // 2, t - t // 2))
            padding = 0
    elif padding == "valid":
        padding = 0
    return Conv(
        weight, bias, _sources(weight, bias), stride, _each(padding, n), dilation, False, (0,) * n, groups, before
    )  # fmt: skip


def _conv_transpose_map(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Conv:
    n = weight.dim() - 2
    stride, padding, output_padding, dilation = (_each(v, n) for v in (stride, padding, output_padding, dilation))
    return Conv(weight, bias, _sources(weight, bias), stride, padding, dilation, True, output_padding, groups)


def _linear_map(weight: Tensor, bias: Tensor | None = None) -> LinearMap:
    if is_sparse(weight):
        return SparseProduct.of(weight, on_the_left=False, bias=bias)
    return Dense(weight, bias, _sources(weight, bias))


_WITH_WEIGHT: dict[str, Any] = {"linear": _linear_map}
_WITH_WEIGHT |= {f"conv{n}d": _conv_map for n in (1, 2, 3)}
_WITH_WEIGHT |= {f"conv_transpose{n}d": _conv_transpose_map for n in (1, 2, 3)}


def _run_layer(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """A convolution or dense layer whose weights do not depend on the input."""
    rest = {name: value for name, value in kwargs.items() if name != "input"}
    x = kwargs.get("input", args[0] if args else None)
    if x is None or not tracked(x) or any(tracked(t) for t in (*args[1:], *rest.values())):
        return None
    map_ = _WITH_WEIGHT[op_name(function)](*args[len(args) and "input" not in kwargs :], **rest)
    if isinstance(map_, Conv) and x.dim() != map_.weight.dim():
        return None
    if isinstance(map_, Dense):
        return map_.forward(x, map_.weight, map_.bias), {"map": map_}
    return _ran(function, args, kwargs, map_)


def _run_product(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """A matrix product with one constant factor."""
    if len(args) != 2 or kwargs:
        return None
    first, second = args if op_name(function) != "rmatmul" else args[::-1]
    if tracked(first) and tracked(second):
        return None
    constant, x = (second, first) if tracked(first) else (first, second)
    if is_sparse(constant):
        if constant.dim() != 2 or x.dim() != 2:
            return None
        matrix = second.t() if tracked(first) else first
        return _ran(function, args, kwargs, SparseProduct.of(matrix, on_the_left=tracked(second)))
    if tracked(first) and second.dim() == 2 and first.dim() > 1:
        return _ran(function, args, kwargs, Dense(second.t(), None, (second,)))
    if tracked(first):
        return _ran(function, args, kwargs, Contraction(second, None, (second,), torch.matmul))
    return _ran(function, args, kwargs, Contraction(first, None, (first,), lambda x, weight: torch.matmul(weight, x)))


def _run_addmm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    if len(args) != 3 or kwargs or tracked(args[0]) or tracked(args[2]) or args[0].dim() != 1:
        return None
    return _ran(function, args, kwargs, Dense(args[2].t(), args[0], (args[2], args[0])))


def _run_einsum(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """An einsum of one tracked and one constant operand."""
    if len(args) != 3 or not isinstance(args[0], str) or tracked(args[1]) == tracked(args[2]):
        return None
    equation, first, second = args
    if tracked(first):
        return _ran(
            function, args, kwargs, Contraction(second, None, (second,), lambda x, w: torch.einsum(equation, x, w))
        )
    return _ran(function, args, kwargs, Contraction(first, None, (first,), lambda x, w: torch.einsum(equation, w, x)))


def _run_batch_norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracked: Any) -> Any:
    """A batch or instance norm that uses its running statistics: an affine map per channel."""
    if function not in (F.batch_norm, F.instance_norm):
        return None
    names = ("running_mean", "running_var", "weight", "bias", "by_input", "momentum", "eps")
    given = {**dict(zip(names, args[1:], strict=False)), **kwargs}
    mean, var, gain, shift = (given.get(name) for name in names[:4])
    by_input = any(given.get(name) for name in ("by_input", "training", "use_input_stats"))
    if by_input or mean is None or var is None or any(tracked(t) for t in (mean, var, gain, shift)):
        return None
    weight, bias = norm_scale(mean, var, gain, shift, given.get("eps", 1e-5))
    return _ran(function, args, kwargs, Diagonal(weight, bias, _sources(mean, var, gain, shift)))


propagates("conv1d", "conv2d", "conv3d", kind="conv", run=_run_layer)(propagate)
propagates("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", kind="conv", run=_run_layer)(propagate)
propagates(F.linear, kind="linear", run=_run_layer)(propagate)
propagates(torch.matmul, torch.mm, torch.bmm, "rmatmul", "sparse_mm", kind="linear", run=_run_product)(propagate)
propagates(torch.addmm, kind="linear", run=_run_addmm)(propagate)
propagates(torch.einsum, kind="linear", run=_run_einsum)(propagate)
propagates(F.batch_norm, F.instance_norm, kind="norm", run=_run_batch_norm)(propagate)
