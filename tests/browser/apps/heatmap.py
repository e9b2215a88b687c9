"""Heatmaps in every way of showing one, beside each other."""

import numpy as np
import streamlit as st

from pages.components.heatmap_view import heatmap_view

rows, columns = np.mgrid[-1:1:14j, -1:1:10j]
relevance = (np.sin(4 * columns) * np.exp(-2 * rows**2)).astype(np.float32)
grey = np.exp(-4 * columns**2).astype(np.float32)

clipped = st.toggle("Clip")
larger = st.toggle("Larger")
if larger:
    relevance = np.kron(relevance, np.ones((2, 2), np.float32))
    grey = np.kron(grey, np.ones((2, 2), np.float32))

shown = {
    "plain": {"tag": "larger" if larger else "small"},
    "legend": {"legend": True, "colours": "colour-blind", "vmax": 0.5 if clipped else None},
    "overlay": {"underlay": grey, "opacity": 0.6, "colours": "red-white-blue"},
    "top": {"underlay": grey, "top": 20.0},
}
for column, (name, options) in zip(st.columns(len(shown)), shown.items(), strict=True):
    with column:
        heatmap_view(relevance, key=name, alt=f"Relevance, {name}", **options)
