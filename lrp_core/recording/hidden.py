"""Compiled functions that a model calls: they run unseen, and what they return would pass for a constant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import nn


def scripted_function(modules: Iterable[nn.Module]) -> str | None:
    """The name of a function made by ``torch.jit`` that one of the modules keeps, or that its forward names."""
    own: dict[Any, str] = {}
    for module in modules:
        if type(module).__module__.startswith("torch.nn"):
            continue
        for name, item in vars(module).items():
            if type(item) in (FunctionType, torch.jit.ScriptFunction):
                own.setdefault(item, name)
        own.setdefault(type(module).forward, "forward")
    seen: set[CodeType] = set()
    for function, name in own.items():
        if isinstance(function, torch.jit.ScriptFunction):
            return name
        if isinstance(function, FunctionType):
            found = next(_named(function.__code__, function.__globals__, seen), None)
            if found is not None:
                return found
    return None


def _named(code: CodeType, names: dict[str, Any], seen: set[CodeType]) -> Iterator[str]:
    """Compiled functions that this code names, itself or through plain functions of the same file."""
    if code in seen:
        return
    seen.add(code)
    for name in code.co_names:
        item = names.get(name)
        if isinstance(item, torch.jit.ScriptFunction):
            yield name
        elif isinstance(item, FunctionType) and item.__globals__ is names:
            yield from _named(item.__code__, names, seen)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _named(inner, names, seen)
