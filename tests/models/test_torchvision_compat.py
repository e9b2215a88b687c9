"""Each case runs in an interpreter of its own: an operator, once declared, stays for the life of the process."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FAKE_OPERATORS_ARE_THERE = """
import torch
theirs = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    theirs.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""

NO_MORE_LIBRARIES = """
def refuse(*args):
    raise AssertionError("a second library was made")
torch.library.Library = refuse
"""


def python(code: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `code` with `folder` and the project on the import path."""
    code = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n" + code
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_models_build_and_run():
    """On a torchvision that imports anyway as much as on one that does not."""
    result = python("""
import gc, torch
from models.torchvision_compat import import_torchvision
torchvision = import_torchvision()
gc.collect()
import torchvision.ops
from torchvision.models import get_model
with torch.inference_mode():
    print(tuple(get_model("squeezenet1_1", weights=None).eval()(torch.zeros(1, 3, 64, 64)).shape))
assert hasattr(torch.ops.torchvision, "nms") and hasattr(torch.ops.torchvision, "qnms")
assert import_torchvision() is torchvision
""")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "(1, 1000)"


def test_missing_operators_are_declared(tmp_path: Path):
    """A stand-in that, like the real one, needs `nms` while it is imported."""
    (tmp_path / "torchvision.py").write_text("""
import torch
@torch.library.register_fake("torchvision::nms")
def shape_of_nms(dets, scores, iou_threshold): ...
@torch.library.register_fake("torchvision::qnms")
def shape_of_qnms(dets, scores, iou_threshold): ...
""")
    plain = python("import torchvision", tmp_path)
    assert "operator torchvision::nms does not exist" in plain.stderr
    ours = python("from models.torchvision_compat import import_torchvision; import_torchvision()", tmp_path)
    assert ours.returncode == 0, ours.stderr


@pytest.mark.parametrize("stand_in", [True, False], ids=["stand-in", "torchvision"])
def test_present_operators_are_left_alone(tmp_path: Path, stand_in: bool):
    if stand_in:
        (tmp_path / "torchvision.py").write_text("name = 'stand-in'")
    result = python(
        FAKE_OPERATORS_ARE_THERE
        + "from models.torchvision_compat import import_torchvision\n"
        + (NO_MORE_LIBRARIES if stand_in else "")
        + "before = torch.ops.torchvision.nms\n"
        + "import_torchvision()\n"
        + "from models import torchvision_compat\n"
        + "assert torch.ops.torchvision.nms is before\n"
        + "assert torchvision_compat._declare_operators.cache_info().currsize == 0",
        tmp_path,
    )
    assert result.returncode == 0, result.stderr


def test_another_failure_is_not_hidden(tmp_path: Path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('broken in another way')")
    result = python(
        """
from models import torchvision_compat
try:
    torchvision_compat.import_torchvision()
except RuntimeError as error:
    print(error)
assert torchvision_compat._declare_operators.cache_info().currsize == 0
""",
        tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "broken in another way"
