"""`python -m training.digits`: see `train.py`."""

from training.digits.train import main

main()
