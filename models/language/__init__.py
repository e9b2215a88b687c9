"""Language models: which word comes next. `networks.py` offers SmolLM2 and those of others by one way."""

from models.language.networks import (
    ASSETS,
    KNOWN,
    LONGEST,
    LanguageModel,
    fetch,
    load,
    local_models,
    model,
    model_card,
    ready,
)

__all__ = [
    "ASSETS",
    "KNOWN",
    "LONGEST",
    "LanguageModel",
    "fetch",
    "load",
    "local_models",
    "model",
    "model_card",
    "ready",
]
