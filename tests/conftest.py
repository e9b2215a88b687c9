"""Settings for every test: two test processes share two cores, so each computes on one thread."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
