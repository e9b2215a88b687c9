"""Fourier transforms and complex numbers: by hand, by double loops over real matrices, and against autograd."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrp_core as lrp
from tests.lrp_core.networks import EVERY_RULE, Net, assert_ledger_closes, assert_rows_stand_alone, vectors

D, C = torch.float64, torch.complex128
LRP0, TOP = lrp.presets.lrp0(), lrp.Target.logit(0)


class Score(nn.Module):
    """One number made of the input by a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x).reshape(1, 1)


def explained(function, x, composite=LRP0):
    tape = lrp.record(Score(function).eval(), x)
    assert tape.unsupported() == ()
    explanation = tape.explain(composite, TOP)
    assert_ledger_closes(explanation)
    return explanation


def weigh(z, *weights):
    """Sum of a complex vector's parts, times weights for real, imaginary, real, ..."""
    return torch.view_as_real(z).flatten() @ torch.tensor(weights, dtype=D)


def test_a_transform_of_two_numbers():
    """z = (x0 + x1, x0 - x1) = (3, -1); 2 z0 + 3 z1 = 3 has the derivative (5, -1), which gives 5 and -2."""
    explanation = explained(lambda x: weigh(torch.fft.fft(x), 2, 7, 3, 7), torch.tensor([1.0, 2.0], dtype=D))
    assert explanation.relevance.tolist() == [5.0, -2.0]


def test_a_constant_factor_turns_a_complex_number():
    """(1 + 2i)(3 - i) = 5 + 5i; weights 1 and 2 give 15, and (1 + 2i) * conj(3 - i) = 1 + 7i: 1 to 1, and 7 to 2."""
    factor = torch.tensor([3 - 1j], dtype=C)
    x = torch.tensor([[1.0, 2.0]], dtype=D)
    for composite in (LRP0, lrp.presets.epsilon(1e-9), lrp.presets.cp_lrp(1e-9)):
        relevance = explained(lambda x: weigh(torch.view_as_complex(x) * factor, 1, 2), x, composite).relevance
        torch.testing.assert_close(relevance, torch.tensor([[1.0, 14.0]], dtype=D))


def test_complex_weights_follow_epsilon_on_both_parts():
    """As above with a layer of weight 3 - i: of 5 + 5i an epsilon of 1 leaves 5/6 (the sum 15 before it, 15/16)."""
    layer = nn.Parameter(torch.tensor([[3 - 1j]], dtype=C), requires_grad=False)
    x = torch.tensor([[1.0, 2.0]], dtype=D)
    explanation = explained(lambda x: weigh(torch.view_as_complex(x[None]) @ layer, 1, 2), x, lrp.presets.epsilon(1.0))
    torch.testing.assert_close(explanation.relevance, torch.tensor([[1.0, 14.0]], dtype=D) * 5 / 6 * 15 / 16)
    assert explanation.ledger.total.epsilon.item() == pytest.approx(15 - 15 * 5 / 6 * 15 / 16)


def test_an_absolute_value_shares_by_squares():
    """|3 + 4i| = 5: 9/5 to the real part and 16/5 to the imaginary one; 0 gets nothing."""
    relevance = explained(
        lambda x: torch.view_as_complex(x).abs().sum(), torch.tensor([[3.0, -4.0], [0.0, 0.0]], dtype=D)
    ).relevance
    torch.testing.assert_close(relevance, torch.tensor([[9 / 5, 16 / 5], [0, 0]], dtype=D))


def test_two_complex_factors_share_half_each():
    """Cross-correlation, q conj(k) as in Autoformer: each gets half of the score, spread over its own parts."""
    x = torch.tensor([[1.0, 2.0], [3.0, 1.0]], dtype=D)

    def score(x):
        q, k = torch.view_as_complex(x).unbind(0)
        return weigh((q * k.conj())[None], 1, 0)

    relevance = explained(score, x, lrp.presets.attn_lrp(0.0)).relevance
    torch.testing.assert_close(relevance, torch.tensor([[1.5, 1.0], [1.5, 1.0]], dtype=D))


def test_plain_relevance_by_a_double_loop():
    """Under w^2 no rule sends multiples of a value: R_j = sum_k M_kj x_j R_k / z_k over the parts of the spectrum."""
    x = vectors(1, 7)
    model = Net(lambda m, x: m.head(torch.view_as_real(torch.fft.rfft(x)).flatten(1)), head=nn.Linear(8, 2))
    explanation = lrp.record(model, x).explain(lrp.Composite(lrp.WSquare()), TOP)
    assert_ledger_closes(explanation)
    matrix = torch.view_as_real(torch.fft.rfft(torch.eye(7, dtype=D))).flatten(1)
    z = (x @ matrix)[0]
    weights = model.head.weight[0].square()
    of_spectrum = weights / weights.sum() * explanation.start[0, 0]
    expected = torch.zeros(7, dtype=D)
    for j in range(7):
        for k in range(8):
            if k != 1:  # the imaginary part at frequency 0, which is no more than 0
                expected[j] += matrix[j, k] * x[0, j] * of_spectrum[k] / z[k]
    torch.testing.assert_close(explanation.relevance[0], expected)
    torch.testing.assert_close(explanation.ledger.total.dropped[0], of_spectrum[1])


def test_what_cancels_out_but_for_rounding_drops_its_relevance():
    """A third of the sum of 0.1, 0.2 and -0.3 is rounding: R over that would be anything."""
    x = torch.tensor([[0.1, 0.2, -0.3, 0.7, -0.7, 0.0]], dtype=D)
    assert 0 < torch.fft.rfft(x)[0, 0].abs() < 1e-15
    for read in (lambda z: torch.view_as_real(z).flatten(1), lambda z: z.abs().repeat(1, 2)):
        model = Net(lambda m, x, r=read: m.head(r(torch.fft.rfft(x))), head=nn.Linear(8, 2))
        explanation = lrp.record(model, x).explain(lrp.Composite(lrp.Flat()), TOP)
        assert_ledger_closes(explanation)
        assert explanation.relevance.abs().max() < 100


G = torch.Generator().manual_seed(3)
FILTER = torch.randn(6, 5, dtype=C, generator=G)
SPECTRAL = torch.randn(4, 6, 3, dtype=C, generator=G)
DENSE = torch.randn(7, 5, dtype=C, generator=G)
HANN = torch.hann_window(4, dtype=D)


def fno(x, pad):
    """Spectral convolution of a Fourier neural operator (Li 2021): the lowest frequencies times complex weights."""
    mixed = torch.einsum("bix,iox->box", torch.fft.rfft(x)[..., :3], SPECTRAL)
    rest = torch.zeros(len(x), 6, 2, dtype=C)
    return torch.fft.irfft(F.pad(mixed, (0, 2)) if pad else torch.cat([mixed, rest], -1), n=8)


def windows(h):
    return torch.stft(h.flatten(0, 1), 4, hop_length=2, window=HANN.to(h.dtype), return_complex=True)


def rotated(pairs):
    """Pairs of numbers turned by constant angles, as rotary positions are."""
    return torch.view_as_real(torch.view_as_complex(pairs) * FILTER[:, :4])


NETWORKS = {
    "FNet": lambda h, x: torch.fft.fft(torch.fft.fft(h, dim=-1), dim=-2).real,
    "FNet, all at once": lambda h, x: torch.fft.fftn(h, dim=(1, 2)).imag,
    "GFNet": lambda h, x: torch.fft.irfft2(torch.fft.rfft2(h, norm="ortho") * FILTER, s=(6, 8), norm="ortho"),
    "FNO, padded": lambda h, x: fno(x, True) + h,
    "FNO, joined": lambda h, x: fno(x, False) + h,
    "magnitude": lambda h, x: torch.fft.rfft(h, n=14).abs(),
    "power": lambda h, x: torch.fft.rfft(h, n=14).real * 0.5,
    "shifted": lambda h, x: torch.fft.ifftshift(torch.fft.fftshift(torch.fft.fft(h), dim=-1), dim=(1, 2)).imag,
    "spectrogram": lambda h, x: windows(h).abs().reshape(len(x), 6, -1)[..., :8],
    "spectrogram and back": lambda h, x: torch.istft(windows(h) * 2, 4, hop_length=2, window=HANN).reshape(h.shape),
    "complex layer": lambda h, x: torch.view_as_real(F.linear(torch.fft.rfft(h), DENSE)).flatten(2)[..., :8],
    "with a bias": lambda h, x: F.linear(torch.fft.rfft(h), DENSE, DENSE[:, 0]).real.repeat(1, 1, 2)[..., :8],
    "complex product": lambda h, x: (torch.fft.rfft(h) @ DENSE.T[:, :4]).imag.repeat(1, 1, 2),
    "constant added": lambda h, x: torch.fft.irfft(torch.fft.rfft(h) + FILTER, n=8),
    "difference": lambda h, x: torch.fft.irfft(torch.fft.rfft(h) - torch.fft.rfft(x.repeat(1, 2, 1)[:, :6]), n=8),
    "conjugate": lambda h, x: torch.fft.irfft(torch.fft.rfft(h).conj() * 1j, n=8),
    "made of two": lambda h, x: torch.fft.ifft(torch.complex(h, -2 * h)).imag,
    "mean": lambda h, x: torch.fft.rfft(h).mean(-1, keepdim=True).real.expand(-1, -1, 8),
    "divided": lambda h, x: torch.fft.irfft(torch.fft.rfft(h) / FILTER, n=8),
    "rotated": lambda h, x: rotated(h.reshape(-1, 6, 4, 2)).flatten(2),
    "Hermitian": lambda h, x: torch.fft.hfft(torch.fft.ihfft(h), n=8),
    "sequence first": lambda h, x: torch.fft.fft(h.permute(2, 0, 1), dim=0).abs().permute(1, 2, 0),
}  # fmt: skip


def network(name):
    def forward(m, x):
        return m.head(F.relu(NETWORKS[name](F.relu(m.a(x.view(-1, 4, 8))), x.view(-1, 4, 8))).flatten(1))

    return Net(forward, a=nn.Conv1d(4, 6, 3, padding=1), head=nn.Linear(48, 3))


@pytest.mark.parametrize("name", NETWORKS)
def test_lrp0_is_gradient_times_input_and_the_books_are_real(name):
    model, x = network(name), vectors(2, 32)
    tape = lrp.record(model, x)
    assert tape.unsupported() == ()
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    for composite in (LRP0, lrp.presets.gradient_times_input()):
        explanation = tape.explain(composite, lrp.Target.logit(1), layers=True)
        torch.testing.assert_close(explanation.relevance, gradient * x)
        assert not any(t.is_complex() for t in (explanation.relevance, *explanation.layers.values()))
        assert not any(n.is_complex() for row in explanation.ledger for n in row[1:])
    for composite in EVERY_RULE:
        assert_ledger_closes(tape.explain(composite, lrp.Target.logit(1)))
    assert tape.explain(LRP0, lrp.Target.logit(1)).ledger.total.dropped.abs().max() < 1e-12, "no relevance is lost"


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("composite", [EVERY_RULE[2], EVERY_RULE[4], EVERY_RULE[6]], ids=str)
def test_rows_stand_alone(name, composite):
    assert_rows_stand_alone(network(name), composite, vectors(2, 32))


def test_a_transform_over_the_batch_mixes_rows():
    model = Net(lambda m, x: m.head(torch.fft.fft2(x).real), head=nn.Linear(6, 3))
    with pytest.raises(ValueError, match="rows"):
        lrp.record(model, vectors(2))


def test_half_the_digits_are_enough():
    """float32 with complex64, through a spectrogram: the books close to 1e-4."""
    model = network("spectrogram")
    tape = lrp.record(model.float(), vectors(2, 32).float())
    for composite in (LRP0, lrp.presets.epsilon(0.1), lrp.Composite(lrp.Flat())):
        explanation = tape.explain(composite, lrp.Target.logit(1))
        assert explanation.relevance.dtype == torch.float32
        assert_ledger_closes(explanation, 1e-4)


def test_relevance_can_stop_at_a_complex_layer():
    """There it is real: what the real and the imaginary part of each number have, in one sum."""

    class Spectral(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4, dtype=C, generator=G), requires_grad=False)

        def forward(self, x):
            return torch.fft.rfft(x) @ self.weight

    model = Net(lambda m, x: m.head(m.layer(x).real), layer=Spectral(), head=nn.Linear(4, 3))
    explanation = lrp.record(model, vectors(2), relevance_at="layer").explain(LRP0, lrp.Target.logit(1))
    assert_ledger_closes(explanation)
    leaf = model.layer(vectors(2)).requires_grad_()
    (gradient,) = torch.autograd.grad(model.head(leaf.real)[:, 1].sum(), leaf)
    torch.testing.assert_close(explanation.relevance, (gradient.conj() * leaf).real.detach())


@pytest.mark.parametrize(
    "joined",
    [
        lambda z: torch.cat([z, FILTER[:1, :2].expand(len(z), -1)], 1),
        lambda z: torch.where(torch.arange(6) > 2, z, FILTER[0, :1]),
        lambda z: F.pad(z, (1, 0), value=2.0)[:, :6],
    ],
)
def test_complex_constants_take_their_part(joined):
    size = 2 * joined(torch.zeros(1, 6, dtype=C)).shape[1]
    model = Net(lambda m, x: m.head(torch.view_as_real(joined(torch.fft.fft(x))).flatten(1)), head=nn.Linear(size, 3))
    explanation = lrp.record(model, vectors(2)).explain(LRP0, lrp.Target.logit(1))
    assert_ledger_closes(explanation)
    constant = torch.view_as_real(joined(torch.zeros(2, 6, dtype=C))).flatten(1) @ model.head.weight[1]
    torch.testing.assert_close(explanation.ledger.total.constant, constant)


def test_a_complex_convolution_is_refused_by_name():
    weight = FILTER[:1, None, :3]
    model = Net(
        lambda m, x: m.head(F.conv1d(torch.fft.fft(x)[:, None], weight, padding=1).real[:, 0]), head=nn.Linear(6, 3)
    )
    with pytest.raises(lrp.UnsupportedOp, match="conv1d"):
        lrp.record(model, vectors(1)).explain(LRP0, lrp.Target.logit(1))


@pytest.mark.parametrize("name", ["angle", "exp"])
def test_what_has_no_rule_is_refused_by_name(name):
    model = Net(lambda m, x: m.head(getattr(torch, name)(torch.fft.fft(x)).real), head=nn.Linear(6, 3))
    with pytest.raises(lrp.UnsupportedOp, match=name):
        lrp.record(model, vectors(1)).explain(LRP0, lrp.Target.logit(1))
