"""How a model is called and what it returns: names of arguments, the logits, and what is refused at the door."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .finish import is_finite
from .hidden import scripted_function


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


def named_arguments(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    """Arguments with the names that the model's forward gives them."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in inspect.signature(model.forward).parameters.values() if p.kind in kinds]
    names += [f"input{i}" for i in range(len(names), len(args))]
    return [*zip(names, args, strict=False), *kwargs.items()]


def modules_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Every module with its path in the model.

    Refuses, in one sentence, what cannot be recorded: no module, compiled code, train mode, half precision.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"record needs a torch.nn.Module, not {type(model).__name__}.")
    modules = list(model.named_modules(remove_duplicate=False))
    if any(isinstance(module, torch.jit.ScriptModule) for _, module in modules):
        raise TypeError("The model holds a TorchScript module, whose operations cannot be seen; use its Python source.")
    if (scripted := scripted_function(module for _, module in modules)) is not None:
        raise TypeError(
            f"The model calls {scripted!r}, which torch.jit has compiled, so that its operations cannot be seen; use "
            "its Python source."
        )
    if any(module.training for _, module in modules):
        raise ValueError("The model is in train mode; call model.eval() first.")
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in model.parameters()):
        raise ValueError("The model is in half precision; call model.float() first.")
    return modules


def check_input(name: str, tensor: Tensor) -> None:
    """Refuse an input of another precision, or one that is not finite."""
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"Input {name!r} is {tensor.dtype}; LRP works in float32 or float64.")
    if not is_finite(tensor):
        raise ValueError(f"Input {name!r} holds NaN or infinite values.")
