"""`python -m training.photos`: see `train.py`."""

from training.photos.train import main

main()
