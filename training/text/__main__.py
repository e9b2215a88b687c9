"""`python -m training.text`: see `train.py`."""

from training.text.train import main

main()
