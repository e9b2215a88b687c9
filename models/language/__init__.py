"""Language models: which word comes next. `networks.py` offers SmolLM2 and those of others by one way."""

from models.language.networks import KNOWN, LONGEST, LanguageModel, fetch, load, local_models, model, ready

__all__ = ["KNOWN", "LONGEST", "LanguageModel", "fetch", "load", "local_models", "model", "ready"]
