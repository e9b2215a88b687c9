"""Memory stays flat while pictures are read, whatever they are and however many visitors send one."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from models.photos.pictures import TOO_MANY
from tests.models.photos.picture_files import encoded, png_of_size

TREE = Path(__file__).parents[3]

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from Linux' /proc")


def peak_of_reading(data: bytes, at_once: int = 1) -> tuple[str, float]:
    """What became of a file in a process of its own, and how much memory that took, in MB above the process.

    at_once: how many threads read it at the same time.
    """
    code = (
        "import json, sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from PIL import Image\n"
        "from models.photos.pictures import read_picture\n"
        "Image.init()\n"
        "def peak():\n"
        "    status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "    return int(status['VmHWM'].split()[0]) / 1024\n"
        "data = sys.stdin.buffer.read()\n"
        "before = peak()\n"
        "def outcome(_):\n"
        "    try:\n"
        "        return str(read_picture(data).size)\n"
        "    except ValueError as error:\n"
        "        return str(error)\n"
        "with ThreadPoolExecutor(int(sys.argv[1])) as threads:\n"
        "    outcomes = set(threads.map(outcome, range(int(sys.argv[1]))))\n"
        "print(json.dumps([*outcomes, peak() - before]))\n"
    )
    command = [sys.executable, "-c", code, str(at_once)]
    answer = subprocess.run(command, input=data, capture_output=True, check=True, cwd=TREE)
    outcome, megabytes = json.loads(answer.stdout)
    return outcome, megabytes


def flat_picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize((width, height), Image.Resampling.NEAREST).convert(mode)


@needs_proc
@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda: encoded(flat_picture(8000, 5000), "JPEG"), 60),
        (lambda: encoded(flat_picture(8000, 5000), "PNG", compress_level=1), 215),
        (lambda: encoded(flat_picture(8000, 5000, "LA"), "PNG", compress_level=1), 215),
        (lambda: encoded(flat_picture(4000, 4000), "WEBP", quality=20, method=0), 290),
    ],
    ids=["jpeg", "png", "png with alpha", "webp"],
)
def test_memory_stays_flat(make: Callable[[], bytes], most: float) -> None:
    """One whole copy of a PNG (160 MB), none of a JPEG, and the four that libwebp makes of at most 16 megapixels."""
    outcome, megabytes = peak_of_reading(make())
    assert outcome.startswith("(1024, ")
    assert megabytes < most


@needs_proc
def test_many_visitors_take_no_more_memory_than_one() -> None:
    data = encoded(flat_picture(4000, 3000), "PNG", compress_level=1)
    outcome, alone = peak_of_reading(data)
    assert outcome == "(1024, 768)"
    assert peak_of_reading(data, at_once=5) == (outcome, pytest.approx(alone, abs=30))


@needs_proc
@pytest.mark.parametrize("side", [13000, 20000])
def test_a_bomb_takes_no_memory(side: int) -> None:
    outcome, megabytes = peak_of_reading(png_of_size(side, side))
    assert outcome == TOO_MANY
    assert megabytes < 10
