import psutil
import pytest

from models.weights import memory


@pytest.fixture
def machine(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:    4000 kB\n")
    return tmp_path


def test_what_the_machine_has_left(machine, tmp_path):
    assert memory.available(machine, tmp_path / "none") == 4000 * 1024


@pytest.mark.parametrize(("limit", "left"), [("max", 4000 * 1024), ("1000000", 400_000), ("500000", 0)])
def test_what_the_container_has_left(machine, tmp_path, limit, left):
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.stat").write_text("anon 600000\nfile 300000\n")
    assert memory.available(machine, tmp_path) == left


def test_where_nobody_keeps_books(tmp_path):
    assert memory.available(tmp_path, tmp_path) is None
    (tmp_path / "meminfo").write_text("")
    assert memory.available(tmp_path, tmp_path) is None


@pytest.mark.skipif(not psutil.LINUX, reason="Linux keeps the books that are read")
def test_here():
    left = memory.available()
    assert 0 < left < psutil.virtual_memory().total
