"""Small functions of torch in other words are those functions; and code that runs unseen is refused."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import lrp_core as lrp
from lrp_core.recording.rewriting import REWRITTEN
from tests.lrp_core.networks import Net, assert_lrp0_is_gradient_times_input, vectors

A, B, V = vectors(2, 3), vectors(4, 2, seed=1), torch.tensor([1.0, 4.0, 2.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("diff", lambda f: f(A)),
        ("diff", lambda f: f(A, 2, 1)),
        ("diff", lambda f: f(A, dim=0, prepend=A[:1], append=A)),
        ("kron", lambda f: f(A, B)),
        ("kron", lambda f: f(V, A)),
        ("kron", lambda f: f(A[None], V)),
        ("block_diag", lambda f: f(A, V, B)),
        ("block_diag", lambda f: f(A)),
        ("meshgrid", lambda f: f(V, V[:2], indexing="ij")),
        ("meshgrid", lambda f: f([V, V[:2], V], indexing="xy")),
        ("cartesian_prod", lambda f: f(V, V[:2])),
        ("cartesian_prod", lambda f: f(V)),
    ],
)
def test_in_other_words_it_is_the_same(name, call):
    theirs, ours = call(getattr(torch, name)), call(REWRITTEN[name])
    for one, other in zip(*((t,) if isinstance(t, torch.Tensor) else t for t in (theirs, ours)), strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=0)


PIECEWISE_LINEAR = {
    "diff": lambda m, x: m.head(F.pad(torch.diff(m.a(x)), (0, 1))),
    "kron with a constant": lambda m, x: m.head(torch.kron(m.a(x), V[None])[:, ::3] + m.a(x)),
    "checkpoint": lambda m, x: m.head(checkpoint(lambda y: F.relu(m.a(y)), x, use_reentrant=False) + x),
    "unfolded convolution": lambda m, x: m.head((A @ F.unfold(x.view(-1, 1, 2, 3), (1, 3))).sum(1).repeat(1, 3) + x),
    "bucketized": lambda m, x: m.head(x + m.places.weight[torch.bucketize(x, V.sort().values), 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", PIECEWISE_LINEAR)
@pytest.mark.parametrize("rows", [1, 2])
def test_piecewise_linear(name, rows):
    model = Net(PIECEWISE_LINEAR[name], a=nn.Linear(6, 6), head=nn.Linear(6, 3), places=nn.Linear(1, 4, bias=False))
    assert lrp.record(model, vectors(rows)).unsupported() == ()
    assert_lrp0_is_gradient_times_input(model, vectors(rows))


HIDDEN = {
    "vmap": lambda m, x: m.head(x + torch.vmap(lambda row: row * row.sum())(x)),
    "vmap of a layer": lambda m, x: m.head(torch.vmap(m.a)(x)),
    "grad": lambda m, x: m.head(x + torch.func.grad(lambda y: (y * y).sum())(x)),
    "jvp": lambda m, x: m.head(x + torch.func.jvp(lambda y: y * 2, (x,), (x,))[1]),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_torch_func_is_refused_in_one_sentence(name):
    """Inside, tensors are wrapped in others; beside a skip connection what comes out would pass for a constant."""
    model = Net(HIDDEN[name], a=nn.Linear(6, 6), head=nn.Linear(6, 3))
    with pytest.raises(ValueError, match=r"vmap.*\.$"):
        lrp.record(model, vectors())


def test_vmap_over_constants_is_nobodys_business():
    model = Net(lambda m, x: m.head(x * torch.vmap(lambda v: v * 2)(V.repeat(2))), head=nn.Linear(6, 3))
    assert_lrp0_is_gradient_times_input(model, vectors())


def _compiled():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(_doubled)


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


COMPILED = _compiled()


def _through_another(x):
    return COMPILED(x)


@pytest.mark.parametrize("how", ["named", "through another function", "in a lambda", "kept"])
def test_a_compiled_function_is_refused_by_name(how):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(6, 3)
            self.twice = COMPILED if how == "kept" else _doubled

        def forward(self, x):
            return self.head(x + self.twice(x))

    class ByName(Named):
        def forward(self, x):
            return self.head(x + COMPILED(x))

    class ThroughAnother(Named):
        def forward(self, x):
            return self.head(x + _through_another(x))

    models = {"named": ByName, "through another function": ThroughAnother, "kept": Named}
    model = models[how]() if how in models else Net(lambda m, x: m.head(x + COMPILED(x)), head=nn.Linear(6, 3))
    with pytest.raises(TypeError, match=r"torch.jit.*\.$"):
        lrp.record(model.double().eval(), vectors())
