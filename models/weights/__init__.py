"""Weights: where those of a network are found, how they are fetched, and that they are what they should be."""
