"""Live tuning is counted, not timed: which convolutions and matrix products run when a slider or the target moves."""

from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import lrp_core as lrp
from models.torchvision_compat import import_torchvision
from tests.lrp_core.networks import Net, RandomNetwork, random_input

pytestmark = pytest.mark.unaudited

aten = torch.ops.aten
FORWARD = {aten.conv1d, aten.conv2d, aten.conv3d, aten.mkldnn_convolution}
BACKWARD = {aten.conv_transpose1d, aten.conv_transpose2d, aten.conv_transpose3d, aten.convolution_backward}
PRODUCTS = {aten.linear, aten.addmm, aten.mm, torch.ops.mkldnn._linear_pointwise}
BATCHED = {aten.bmm, aten.baddbmm}


class Passes(TorchDispatchMode):
    """Counts convolutions by direction, products of two matrices (the ledger's sums are none), those of attention."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        operation = func.overloadpacket
        if operation is aten.convolution:
            transposed = args[6] if len(args) > 6 else (kwargs or {})["transposed"]
            self.count["backward" if transposed else "forward"] += 1
        elif operation in FORWARD:
            self.count["forward"] += 1
        elif operation in BACKWARD:
            self.count["backward"] += 1
        elif operation in PRODUCTS:
            self.count["product"] += 1
        elif operation in BATCHED:
            self.count["attention"] += 1
        return func(*args, **(kwargs or {}))


def passes(action) -> Counter:
    with Passes() as counted:
        action()
    return counted.count


@pytest.fixture(scope="module")
def vgg16():
    """VGG-16's thirteen convolutions under one small dense layer: the head is not what is counted."""
    import_torchvision()
    from torchvision.models import vgg16

    torch.manual_seed(0)
    with torch.device("meta"):
        model = vgg16(weights=None)
    model.classifier, model.avgpool = nn.Sequential(nn.Linear(512, 10)), nn.AdaptiveAvgPool2d(1)
    model = model.to_empty(device="cpu").eval().requires_grad_(False)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=(2.0 / max(1, parameter[0].numel())) ** 0.5 if parameter.dim() > 1 else 0.01)
    return model


def test_vgg16_runs_no_pass_that_a_cached_result_can_answer(vgg16):
    x, box = torch.rand(1, 3, 32, 32), lrp.presets.epsilon_gamma_box(0.0, 1.0, 1e-3, 0.25)
    tape = None

    def record():
        nonlocal tape
        tape = lrp.record(vgg16, x)

    def explained(composite, target=None):
        count = passes(lambda: tape.explain(composite, target or lrp.Target.logit(1)))
        return count["forward"], count["backward"]

    assert passes(record)["forward"] == 13
    assert explained(box) == (12 + 1, 13), "P of twelve layers, the box of the first, one walk back"
    assert explained(box.with_(gamma=0.4)) == (0, 13), "gamma moved"
    assert explained(box.with_(gamma=0.4), lrp.Target.logit(2)) == (0, 13), "target moved"
    assert explained(box.with_(gamma=0.4, epsilon=0.1), lrp.Target.logit(2)) == (0, 13), "dense epsilon moved"
    ignoring = box.with_(bias="ignore")
    explained(ignoring)
    assert explained(ignoring.with_(gamma=0.4)) == (0, 1 + 2 * 12), "outputs of both signs: a map for each sign"
    forward, backward = explained(lrp.presets.epsilon_plus(1e-3))
    assert forward <= 1 and backward == 13, "z+ reads the same P; only the first layer has none yet"
    forward, backward = explained(lrp.presets.alpha_beta(2.0, 1.0))
    assert forward == 0 and backward <= 26, "alpha-beta reads the same P"


@pytest.mark.parametrize("bias", ["ignore", "absorb"])
@pytest.mark.parametrize(("positive", "maps"), [(0, [8]), (3, [8, 3]), (5, [8, 8])])
def test_gamma_runs_a_second_map_only_for_outputs_that_need_one(positive, maps, bias):
    """Without its bias z is negative only where the bias is positive; few such channels are picked out."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 25, 2)).eval()
    model[0].bias.requires_grad_(False).copy_(torch.where(torch.arange(8) < positive, 1.5, -0.1))
    tape, sizes = lrp.record(model, torch.rand(1, 2, 5, 5)), []

    class Channels(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func.overloadpacket is aten.convolution_backward:
                sizes.append(args[0].shape[1])
            return func(*args, **(kwargs or {}))

    with Channels():
        tape.explain(lrp.Composite(lrp.Gamma(0.25), by_name={"3": lrp.LRP0()}, bias=bias), lrp.Target.logit(0))
    assert sizes == (maps if bias == "ignore" else [8])


def test_only_the_first_rule_moved_restarts_at_the_first_layer(vgg16):
    tape = lrp.record(vgg16, torch.rand(1, 3, 32, 32))
    composite, target = lrp.Composite(lrp.Epsilon(1e-3), first=lrp.Flat()), lrp.Target.logit(0)
    tape.explain(composite, target)
    moved = passes(lambda: tape.explain(lrp.Composite(lrp.Epsilon(1e-3), first=lrp.WSquare()), target))
    assert moved["backward"] == 1 and moved["forward"] <= 1, "w^2 needs one denominator of the first layer"
    same = passes(lambda: tape.explain(lrp.Composite(lrp.Epsilon(1e-3), first=lrp.WSquare()), target))
    assert (same["backward"], same["forward"]) == (0, 0), "the same question again runs nothing"


@pytest.mark.parametrize(
    ("rule", "products"),
    [(lrp.LRP0(), 3), (lrp.Epsilon(0.1), 3), (lrp.ZPlus(), 3), (lrp.Gamma(0.25), 4), (lrp.AlphaBeta(2.0, 1.0), 6)],
    ids=str,
)
def test_retune_runs_one_product_per_dense_layer(rule, products):
    """Three dense layers, three products back; gamma and alpha-beta need more where z has both signs or is halved."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    tape = lrp.record(model, torch.rand(2, 8))
    tape.explain(lrp.Composite(rule), lrp.Target.logit(0))
    moved = passes(lambda: tape.explain(lrp.Composite(rule), lrp.Target.logit(1)))
    assert 3 <= moved["product"] <= products


def test_a_sweep_runs_no_forward_convolution_twice():
    """P once for each convolution that needs it, whatever the number of gammas."""
    model = RandomNetwork(["relu_in_place", "relu_in_place", "relu_in_place"])
    counts = []
    for gammas in ([0.1], [0.1, 0.2, 0.3, 0.4]):
        tape = lrp.record(model, random_input())
        swept = passes(lambda tape=tape, gammas=gammas: tape.sweep(lrp.presets.gamma(), lrp.Target.top(), gamma=gammas))
        counts.append(swept["forward"])
    assert counts[0] == counts[1] > 0


@pytest.fixture
def xlm_r():
    """XLM-R's shape with three blocks: six dense layers each, two in the head, and attention in one piece."""
    pytest.importorskip("transformers")
    from tests.lrp_core.text_models import CONFIGURATIONS, build

    CONFIGURATIONS["three blocks"] = ("XLMRoberta", {**CONFIGURATIONS["xlm-r"][1], "num_hidden_layers": 3})
    yield build("three blocks", "sdpa", dtype=torch.float32)
    del CONFIGURATIONS["three blocks"]


def test_a_text_runs_one_product_per_dense_layer_each_way(xlm_r):
    """Attention: two products forward, which leave its weights for the walk; four back in AttnLRP, one in CP-LRP."""
    ids, tape = torch.arange(3, 15)[None], None

    def record():
        nonlocal tape
        tape = lrp.record(xlm_r, ids)

    layers = 3 * 6 + 2
    assert passes(record) == {"product": layers, "attention": 3 * 2}
    attn, cp = lrp.presets.attn_lrp(1e-6), lrp.presets.cp_lrp(1e-6)
    walked = {"product": layers, "attention": 3 * 4}
    assert passes(lambda: tape.explain(attn, lrp.Target.logit(0))) == walked, "the first walk computes nothing again"
    assert passes(lambda: tape.explain(attn, lrp.Target.logit(1))) == walked, "target moved"
    in_cp = passes(lambda: tape.explain(cp, lrp.Target.logit(1)))
    assert in_cp == {"product": layers - 3 * 2, "attention": 3}, "no relevance goes to queries and keys"


def test_a_walk_writes_six_tensors_of_the_widest_layer(xlm_r):
    """One back through the layer above, then |v|, |z| + epsilon (twice over), the quotient and the product."""
    tape = lrp.record(xlm_r, torch.arange(3, 15)[None])
    written = Counter()

    class Wide(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            is_view = func in (aten.view.default, aten._unsafe_view.default, aten.t.default, aten.transpose.int)
            if isinstance(result, torch.Tensor) and result.shape[-2:] == (12, 24) and not is_view:
                written[func.overloadpacket] += 1
            return result

    with Wide():
        tape.explain(lrp.presets.attn_lrp(1e-6), lrp.Target.logit(0))
    elementwise = {op: count for op, count in written.items() if op not in PRODUCTS}
    assert elementwise and sum(elementwise.values()) <= 3 * 5 + 2, "two: zeros, and one token put among them"


def test_a_changed_block_restarts_above_it(xlm_r):
    """Between two blocks one message is on its way; nothing inside them is kept, unless somebody looked at it."""
    tape, composite = lrp.record(xlm_r, torch.arange(3, 15)[None]), lrp.presets.attn_lrp(1e-6)
    recorded, one_message = tape.nbytes, 12 * 16 * 4
    tape.explain(composite, lrp.Target.logit(0))
    assert tape.nbytes - recorded <= 3 * 8 * one_message, "of some twenty in a block, few are alone on their way"
    lowest = lrp.Composite(composite.default, by_name={"*layer.0.attention.self.value": lrp.Epsilon(0.1)})
    changed = passes(lambda: tape.explain(lowest, lrp.Target.logit(0)))
    assert 1 <= changed["product"] <= 4, "queries, keys, values and the layer that joins them"
    fresh = lrp.record(xlm_r, torch.arange(3, 15)[None]).explain(lowest, lrp.Target.logit(0))
    torch.testing.assert_close(tape.explain(lowest, lrp.Target.logit(0)).relevance, fresh.relevance)
    small = tape.nbytes

    def look():
        tape.explain(lowest, lrp.Target.logit(0), layers=True)

    assert passes(look)["product"] == 3 * 6 + 2, "a walk that keeps all"
    assert passes(look)["product"] == 0
    tape.explain(composite, lrp.Target.logit(0))
    assert passes(lambda: tape.explain(composite, lrp.Target.logit(0), layers=True))["product"] == 0, (
        "kept from then on"
    )
    assert tape.nbytes > small


def test_the_counter_sees_every_direction():
    """A count of zero must mean that nothing ran: the counter is checked on known operations."""
    convolution = nn.Conv2d(2, 3, 3)
    x = torch.rand(1, 2, 5, 5)

    def both():
        z = convolution(x)
        torch.nn.functional.conv_transpose2d(z, convolution.weight)
        aten.convolution_backward(
            z, x, convolution.weight, None, (1, 1), (0, 0), (1, 1), False, (0, 0), 1, (True, False, False)
        )
        torch.nn.functional.linear(x, torch.rand(4, 5), torch.rand(4))

    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert passes(both) == {"forward": 1, "backward": 2, "product": 1}


class Made(TorchDispatchMode):
    """The operations that make a tensor of at least so many numbers: the first touch of fresh memory costs most."""

    def __init__(self, size):
        super().__init__()
        self.size, self.by = size, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        result = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves(result) if isinstance(t, torch.Tensor) and t.numel() >= self.size]
        self.by += [func.overloadpacket.__name__ for t in tensors if t.untyped_storage().data_ptr() not in given]
        return result


def test_a_step_with_epsilon_makes_two_tensors_and_writes_over_them():
    layers = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 3))
    tape = lrp.record(
        Net(lambda m, x: m.layers(x).mean(1), layers=layers).eval(), torch.randn(1, 32, 64, dtype=torch.float64)
    )
    with Made(32 * 64) as made:
        relevance = tape.explain(lrp.presets.epsilon(1e-6), lrp.Target.logit(0)).relevance
    assert relevance.shape == (1, 32, 64)
    head = ["mm"]  # whose shares are of fewer numbers
    norm, linear, relevance_itself = ["abs", "mul"], ["abs", "mm"], ["mul"]
    assert made.by == [*head, *norm, *linear, *linear, *relevance_itself]


def test_attention_makes_its_scores_once_and_writes_over_them():
    def attend(m, x):
        query, key, value = (layer(x).unflatten(-1, (2, 4)).transpose(1, 2) for layer in (m.query, m.key, m.value))
        return nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2).mean(1)

    layers = {name: nn.Linear(8, 8) for name in ("query", "key", "value")}
    tape = lrp.record(Net(attend, **layers).eval(), torch.randn(1, 32, 8, dtype=torch.float64))
    with Made(2 * 32 * 32) as made:
        tape.explain(lrp.presets.attn_lrp(), lrp.Target.logit(0))
    assert made.by == ["bmm"]
