"""How one run of a model becomes the steps of a tape."""
