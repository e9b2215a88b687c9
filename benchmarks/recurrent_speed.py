"""How long a heatmap takes on a long LSTM: recording and explaining beside the plain forward pass, in one run.

python -m benchmarks.recurrent_speed                     # 1000 moments, two layers, both directions: seconds
python -m benchmarks.recurrent_speed --moments 100 --rounds 3
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from itertools import cycle

import torch
from torch import Tensor, nn

import lrp_core as lrp

from .contest import Job
from .measure import shortest

FORWARD, GRADIENT, RECORD = "forward", "forward + input gradient (torch)", "record"
INPUTS, HIDDEN = 32, 64

Row = tuple[str, Callable[[float], lrp.Composite]]
ROWS: list[Row] = [
    ("epsilon moved", lrp.presets.epsilon),
    ("relative epsilon moved", lambda epsilon: lrp.presets.epsilon(epsilon, relative=True)),
    ("epsilon moved, bias spread", lambda epsilon: lrp.Composite(lrp.Epsilon(epsilon), bias="spread")),
    ("gamma moved", lrp.presets.gamma),
    ("alpha-beta moved", lambda beta: lrp.presets.alpha_beta(1 + beta, beta)),
]


class LSTM(nn.Module):
    """Two layers in both directions, and the last moment's classes; random weights, which cost what trained ones do."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(INPUTS, HIDDEN, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * HIDDEN, 5)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.lstm(x)
        logits: Tensor = self.head(outputs[:, -1])
        return logits


def jobs(moments: int) -> dict[str, Job]:
    """What is timed, for one sequence."""
    torch.manual_seed(0)
    model = LSTM().eval().requires_grad_(False)
    x = torch.randn(1, moments, INPUTS)
    tape, target = lrp.record(model, x), lrp.Target.logit(1)

    def forward() -> Tensor:
        with torch.inference_mode():
            return model(x)  # type: ignore[no-any-return]

    def gradient() -> Tensor:
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(model(leaf)[0, 1], leaf)[0]

    def moved(make: Callable[[float], lrp.Composite]) -> Job:
        values = cycle([0.01, 0.02, 0.03])
        return Job(lambda: tape.explain(make(next(values)), target))

    plain = {FORWARD: Job(forward), GRADIENT: Job(gradient), RECORD: Job(lambda: lrp.record(model, x))}
    return plain | {name: moved(make) for name, make in ROWS}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads of {os.cpu_count()} cores, {options.moments} moments")
    contenders = {(name, "lrp_core"): job for name, job in jobs(options.moments).items()}
    shortest(contenders, rounds=1)
    seconds = shortest(contenders, options.rounds)
    whole = seconds[FORWARD, "lrp_core"]
    print("| what | ms | in forward passes |\n|---|---|---|")
    for (name, _), took in seconds.items():
        print(f"| {name} | {took * 1e3:.0f} | {took / whole:.1f} |")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(sys.modules[__name__].__doc__ or "").splitlines()[0])
    parser.add_argument("--moments", type=int, default=1000, help="length of the sequence")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of everything; the fastest counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


if __name__ == "__main__":
    main()
