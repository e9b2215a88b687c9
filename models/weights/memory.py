"""How much memory is left, before something large is loaded: whoever asks for too much is ended, not refused."""

from pathlib import Path


def available(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that this process can still take, by the machine's and the container's books. None where there are none.

    Linux keeps them. proc, groups: where.
    """
    left = [bytes_ for bytes_ in (_of_machine(proc / "meminfo"), _of_container(groups)) if bytes_ is not None]
    return max(0, min(left)) if left else None


def _of_machine(path: Path) -> int | None:
    try:
        lines = path.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _of_container(folder: Path) -> int | None:
    """What its limit leaves: the copies of files that the kernel keeps do not count, it gives them up when asked."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return None if limit == "max" else int(limit) - int(used["anon"])
    except (OSError, KeyError, ValueError):
        return None
