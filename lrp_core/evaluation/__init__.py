"""Is the map right? Pictures with a known answer, objects with known masks, words that people marked."""

from . import masks, pictures, words

__all__ = ["masks", "pictures", "words"]
