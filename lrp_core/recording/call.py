"""How a model is called and what it returns: names of arguments, the logits, and which models are refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .hidden import scripted_function

QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.sparse.quantized")


def chosen(result: Any, output: str | int | Callable[[Any], Tensor] | None) -> Any:
    """The logits in what the model returned, by key, index or function; by itself where they are easily told."""
    if callable(output):
        return output(result)
    if output is not None:
        try:
            return result[output]
        except (LookupError, TypeError):
            raise ValueError(f"The model's output has no entry {output!r}.") from None
    if isinstance(result, Mapping) and "logits" in result:
        return result["logits"]
    if isinstance(result, list | tuple) and len(result) == 1:
        return result[0]
    return getattr(result, "logits", result)


def named_arguments(model: nn.Module, args: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """Positional arguments with the names that the model's forward gives them."""
    names = _names_of(model.forward)
    names += [f"input{i}" for i in range(len(names), len(args))]
    return [*zip(names, args, strict=False)]


def _names_of(forward: Callable[..., Any]) -> list[str]:
    method = getattr(forward, "__func__", None)
    if isinstance(method, FunctionType) and not hasattr(method, "__wrapped__"):  # told at once, without inspect
        return list(method.__code__.co_varnames[1 : method.__code__.co_argcount])
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(forward).parameters.values() if p.kind in kinds]


def original(model: Any) -> Any:
    """The model inside what ``torch.compile`` and ``DataParallel`` wrap around it: the same layers and weights."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif _is_compiled(model):
            model = model._orig_mod
        else:
            return model


def modules_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Every module with its path in the model.

    Refuses, in one sentence, what cannot be recorded: no module, scripted code, train mode, weights without numbers.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"record needs a torch.nn.Module, not {type(model).__name__}.")
    wrapped = list(model.named_modules(remove_duplicate=False))
    modules = [(path.replace("_orig_mod.", ""), module) for path, module in wrapped if not _is_compiled(module)]
    exported = {id(inner) for _, module in modules if _is_exported(module) for inner in module.modules()}
    for path, module in modules:
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError(
                "The model holds a TorchScript module, whose operations cannot be seen; use its Python source."
            )
        if type(module).__module__.startswith(QUANTISED):
            raise TypeError(
                f"The model's layer {path!r} is quantised, and its operations have no rule; use the model as it was "
                "before that."
            )
        if module.training and type(module) is not nn.Module and id(module) not in exported:
            raise ValueError("The model is in train mode; call model.eval() first.")
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                _check_weight(f"{path}.{name}" if path else name, tensor)
    if (scripted := scripted_function(module for _, module in modules)) is not None:
        raise TypeError(
            f"The model calls {scripted!r}, which torch.jit has compiled, so that its operations cannot be seen; use "
            "its Python source."
        )
    return modules


def _check_weight(name: str, tensor: Tensor) -> None:
    if is_lazy(tensor):
        raise ValueError(f"The model's weight {name!r} has no shape yet; run the model once before it is recorded.")
    if tensor.is_meta:
        raise ValueError(f"The model's weight {name!r} is on the meta device, without numbers; load the weights first.")
    if not is_plain(tensor):
        raise TypeError(f"The model's weight {name!r} is a {type(tensor).__name__}; LRP needs plain tensors.")


def is_plain(tensor: Tensor) -> bool:
    """Whether torch itself computes with this tensor: no class of its own says what an operation means."""
    return type(tensor).__torch_dispatch__ is Tensor.__torch_dispatch__


def _is_compiled(module: Any) -> bool:
    """Whether this is what ``torch.compile`` made of a module; its class is only there once something was compiled."""
    return type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod")


def _is_exported(module: nn.Module) -> bool:
    """Whether ``torch.export`` wrote the module: its mode is fixed, and ``training`` says nothing."""
    return isinstance(module, torch.fx.GraphModule) and "train" in vars(module)
