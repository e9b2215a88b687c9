"""`python -m training.scenes`: see `train.py`."""

from training.scenes.train import main

main()
