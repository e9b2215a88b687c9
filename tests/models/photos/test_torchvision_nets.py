import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import lrp_core as lrp
from models.photos import torchvision_nets
from models.photos.torchvision_nets import CHECKPOINTS, TITLES
from models.torchvision_compat import import_torchvision
from models.weights.checkpoints import Checkpoint

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """Neither this machine's cache nor its settings play a part."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("LRP_ALLOW_DOWNLOADS", raising=False)


def empty(name: str) -> nn.Module:
    """The network as torchvision builds it, without weights; a VGG with a small dense layer in place of three big."""
    with torch.device("meta"):
        net = import_torchvision().models.get_model(name)
        if name.startswith("vgg"):
            net.classifier = nn.Linear(512 * 7 * 7, 10)
    return net.eval().requires_grad_(False)


def random_weights(net: nn.Module) -> dict[str, torch.Tensor]:
    """As a trained network might have them: norms that do something, and scores of the size of one."""
    dice = torch.Generator().manual_seed(0)
    state = {}
    for key, tensor in net.state_dict().items():
        if tensor.ndim > 1:
            state[key] = torch.randn(tensor.shape, generator=dice) * (2 / tensor[0].numel()) ** 0.5
        elif key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
        elif key.endswith(("running_var", "weight")):
            state[key] = torch.rand(tensor.shape, generator=dice) + 0.5
        else:
            state[key] = torch.randn(tensor.shape, generator=dice) * 0.2
    return state


def plain(name: str, state: dict[str, torch.Tensor]) -> nn.Module:
    """The network with these weights and with its batch norms."""
    net = empty(name)
    net.load_state_dict(state, assign=True)
    return net.requires_grad_(False)


def save(state: dict[str, torch.Tensor], path: Path, zipped: bool = True) -> Checkpoint:
    """Save a checkpoint, and what a catalogue that publishes it would say of it."""
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return Checkpoint(path.as_uri(), path.name, hashlib.sha256(path.read_bytes()).hexdigest()[:8], 5)


def layers(tape: lrp.Tape) -> list[str]:
    return [step.name for step in tape.steps if step.kind in ("conv", "linear", "norm")]


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory):
    """Random weights of SqueezeNet, and the folder and the catalogue in which its checkpoint is."""
    folder = tmp_path_factory.mktemp("weights")
    state = random_weights(empty("squeezenet1_1"))
    return state, folder, {"squeezenet1_1": save(state, folder / "squeezenet1_1-x.pth")}


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """The same for ResNet-18."""
    folder = tmp_path_factory.mktemp("weights")
    state = random_weights(empty("resnet18"))
    return state, folder, {"resnet18": save(state, folder / "resnet18-x.pth")}


@pytest.fixture
def x():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_catalogue_is_torchvisions_own(name):
    weights, checkpoint = torchvision_nets.weights(name), CHECKPOINTS[name]
    assert checkpoint.url == weights.url
    assert checkpoint.url.endswith("/" + checkpoint.file)
    assert checkpoint.file == f"{name}-{checkpoint.sha256}.pth"
    assert len(checkpoint.sha256) == 8
    assert checkpoint.size == round(weights.meta["_file_size"])
    assert len(set(weights.meta["categories"])) == 1000


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_network_can_be_explained(name):
    """Which operations a network has does not depend on its weights."""
    net = empty(name)
    zeros = {key: torch.zeros(tensor.shape, dtype=tensor.dtype) for key, tensor in net.state_dict().items()}
    net.load_state_dict(zeros, assign=True)
    side = 224 if name.startswith("vit") else 64  # its positions are counted
    assert lrp.record(net, torch.zeros(1, 3, side, side)).unsupported() == ()


def test_loaded_network_is_ready(squeezenet, resnet, x):
    for name, (state, folder, catalogue) in {"squeezenet1_1": squeezenet, "resnet18": resnet}.items():
        net = torchvision_nets.load(name, folder=folder, checkpoints=catalogue)
        assert not any(module.training for module in net.modules())
        assert all(p.dtype == torch.float32 and p.device.type == "cpu" for p in net.parameters())
        assert not any(p.requires_grad for p in net.parameters())
        assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
        convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
        assert convs
        assert all(conv.weight.is_contiguous(memory_format=torch.channels_last) for conv in convs)
        expected = plain(name, state)(x)
        assert expected.abs().max() > 0.1, "a test that compares nothing"
        assert (net(x) - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_both_formats_of_checkpoints(tmp_path, squeezenet, zipped):
    """Many that torchvision publishes are in the format that torch wrote before 1.6, and hold parameters."""
    state = {key: nn.Parameter(value) for key, value in squeezenet[0].items()}
    catalogue = {"squeezenet1_1": save(state, tmp_path / "net.pth", zipped)}
    net = torchvision_nets.load("squeezenet1_1", folder=tmp_path, checkpoints=catalogue)
    assert torch.equal(net.features[0].weight, state["features.0.weight"])
    assert not net.features[0].weight.requires_grad


def test_found_in_torchs_cache(tmp_path, squeezenet):
    _, folder, catalogue = squeezenet
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    name = catalogue["squeezenet1_1"].file
    (cache / name).write_bytes((folder / name).read_bytes())
    torchvision_nets.load("squeezenet1_1", folder=tmp_path / "empty", checkpoints=catalogue)


def test_downloaded_with_progress_where_that_is_allowed(tmp_path, squeezenet, monkeypatch):
    monkeypatch.setenv("LRP_ALLOW_DOWNLOADS", "1")
    parts: list[float] = []
    torchvision_nets.load("squeezenet1_1", parts.append, tmp_path / "new", squeezenet[2])
    assert parts[-1] == 1.0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["squeezenet1_1-x.pth"]


def test_missing_weights_name_the_file_and_a_command_that_exists(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        torchvision_nets.load("vgg16", folder=tmp_path)
    assert "vgg16-397923af.pth (528 MB)" in str(caught.value)
    command = str(caught.value).split("`")[1]
    assert command == "python -m models.photos.torchvision_nets vgg16"
    shown = subprocess.run(
        [sys.executable, *command.split()[1:], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert shown.returncode == 0, shown.stderr
    assert "vgg16" in shown.stdout
    assert "No module" not in shown.stderr


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path, squeezenet):
    """Random weights under the name of the real ones."""
    torch.save(squeezenet[0], tmp_path / CHECKPOINTS["squeezenet1_1"].file)
    with pytest.raises(FileNotFoundError, match=r"squeezenet1_1-b8a52dc0\.pth is damaged or another file"):
        torchvision_nets.load("squeezenet1_1", folder=tmp_path)


class Trap:
    """What a pickle can do to whoever opens it."""

    def __init__(self, touched: Path):
        self.touched = touched

    def __reduce__(self):
        return Path.touch, (self.touched,)


def test_weights_are_never_code(tmp_path):
    trap = save({"features.0.weight": Trap(tmp_path / "touched")}, tmp_path / "net.pth")
    with pytest.raises(FileNotFoundError, match="does not hold the weights of SqueezeNet"):
        torchvision_nets.load("squeezenet1_1", folder=tmp_path, checkpoints={"squeezenet1_1": trap})
    assert not (tmp_path / "touched").exists()


def test_weights_of_another_network_are_refused(squeezenet):
    _, folder, catalogue = squeezenet
    with pytest.raises(FileNotFoundError, match="does not hold the weights of ResNet-18") as caught:
        torchvision_nets.load("resnet18", folder=folder, checkpoints={"resnet18": catalogue["squeezenet1_1"]})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ask", [torchvision_nets.load, torchvision_nets.weights])
def test_unknown_name_is_refused(ask):
    with pytest.raises(ValueError, match=r"'vit_b_7'.*vgg11, .*mobilenet_v3_large"):
        ask("vit_b_7")


def test_loading_leaves_the_random_state_alone(squeezenet, resnet):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    torchvision_nets.load("resnet18", folder=resnet[1], checkpoints=resnet[2])
    torchvision_nets.load("squeezenet1_1", folder=squeezenet[1], checkpoints=squeezenet[2])
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "vgg11_bn"]
)
def test_folding_changes_no_output_and_no_name(name, x):
    net, x = plain(name, random_weights(empty(name))).double(), x.double()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    folded = torchvision_nets.fold_batch_norms(net)

    expected, found = net(x), folded(x)
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in folded.modules())
    assert [key for key, _ in folded.named_modules()] == [key for key, _ in net.named_modules()]
    assert layers(lrp.record(folded, x)) == layers(lrp.record(net, x))

    folded.float()
    after = net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) and before[key].dtype == after[key].dtype for key in before)
    assert any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def test_folding_shares_what_it_does_not_change(resnet):
    net = plain("resnet18", resnet[0])
    assert torchvision_nets.fold_batch_norms(net).fc.weight.data_ptr() == net.fc.weight.data_ptr()


def test_the_loaded_network_is_explained_layer_by_layer(resnet, x):
    """By the names that torchvision gives, and as the network with its norms is, where the tape merges them."""
    state, folder, catalogue = resnet
    net = torchvision_nets.load("resnet18", folder=folder, checkpoints=catalogue).double()
    tape = lrp.record(net, x[:1].double())
    assert layers(tape)[:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert {"layer2.0.downsample.0", "fc"} <= set(layers(tape))
    assert not [step for step in tape.steps if step.op == "batch_norm"]
    composite, target = lrp.presets.epsilon_plus(1e-6), lrp.Target.logit(5)
    found = tape.explain(composite, target).relevance
    expected = lrp.record(plain("resnet18", state).double(), x[:1].double()).explain(composite, target).relevance
    assert (found - expected).abs().max() <= 1e-3 * expected.abs().max()


def test_the_command_fetches_and_checks(tmp_path, squeezenet, capsys):
    folder = tmp_path / "assets" / "weights"
    torchvision_nets.main(["squeezenet1_1"], folder, squeezenet[2])
    assert (folder / "squeezenet1_1-x.pth").is_file()
    assert "SqueezeNet 1.1 is ready: assets/weights/squeezenet1_1-x.pth" in capsys.readouterr().out
    torchvision_nets.main(["squeezenet1_1"], folder, squeezenet[2])
    assert "is ready" in capsys.readouterr().out


def test_the_command_fails_with_one_sentence(tmp_path, squeezenet):
    nowhere = replace(squeezenet[2]["squeezenet1_1"], url=(tmp_path / "missing").as_uri())
    with pytest.raises(SystemExit, match=r"could not be downloaded.*assets/weights\.$"):
        torchvision_nets.main(["squeezenet1_1"], tmp_path / "assets" / "weights", {"squeezenet1_1": nowhere})
    other = replace(squeezenet[2]["squeezenet1_1"], sha256="00000000")
    with pytest.raises(SystemExit, match="incomplete or another file"):
        torchvision_nets.main(["squeezenet1_1"], tmp_path / "assets" / "weights", {"squeezenet1_1": other})


def test_titles_tell_networks_apart():
    assert TITLES.keys() == CHECKPOINTS.keys()
    assert len(set(TITLES.values())) == len(TITLES)
