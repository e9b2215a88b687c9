"""Recording: one forward pass, without autograd, watched from outside. The model is not touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..blocks import block_names
from ..modes import plain_arithmetic, uncompiled
from ..propagation.weights import cache_of
from ..tape import Tape
from .call import chosen, modules_of, named_arguments, original
from .finish import finish
from .recorder import Recorder


def record(
    model: nn.Module,
    *args: Any,
    relevance_at: str | None = None,
    output: str | int | Callable[[Any], Tensor] | None = None,
    **kwargs: Any,
) -> Tape:
    """Run ``model(*args, **kwargs)`` once and keep what LRP needs of it.

    Every floating-point tensor among the arguments (also inside lists, tuples, mappings and dataclasses) is an input
    that relevance can reach; for integer inputs it stops at the embeddings looked up from them. Masks that are added to
    scores, with entries of minus infinity, and sparse matrices are constants. ``relevance_at`` names a layer at whose
    output relevance stops instead. ``output`` picks the tensor to explain from what the model returns, the batch axis
    in front and any shape behind: a key, an index or a function; a tensor, and an object or dict with ``logits``, need
    none. Where it ends in a read-out such as a sigmoid or a softmax, the scores before that are explained
    (``Tape.scores``).

    Half precision is computed in float32, and what ``torch.compile`` made runs as it was written. Raises ``ValueError``
    or ``TypeError``, in one sentence, for a model in train mode, NaN or infinite input, integer input that the model
    takes for numbers, and an output that has no batch axis or does not depend on the input.
    """
    model = original(model)
    modules = modules_of(model)
    weights = cache_of(model)
    with plain_arithmetic(), uncompiled():
        recorder = Recorder(modules, weights)
        positional = [recorder.input(name, tree) for name, tree in named_arguments(model, args)]
        named = {name: recorder.input(name, tree) for name, tree in kwargs.items()}
        recorder.inputs.check()
        try:
            with recorder:
                logits = chosen(model(*positional, **named), output)
        except (RuntimeError, IndexError, ValueError) as error:
            reason = recorder.inputs.reason(model)
            if reason is None:
                raise
            raise ValueError(reason) from error
        value = recorder.value_of(logits)
        return finish(recorder.steps, recorder.sources, value, logits, weights, relevance_at, block_names(modules))
