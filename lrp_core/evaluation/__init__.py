"""Is the map right? Pictures with a known answer, objects with known masks, words that people marked; what flowed."""

from . import flow, masks, pictures, words

__all__ = ["flow", "masks", "pictures", "words"]
