"""The networks that are explained: definition, preparation of their input, labels and weights.

Knows torch; knows neither the engine (`lrp_core`) nor the pages.
"""
