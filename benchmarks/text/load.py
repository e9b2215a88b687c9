"""What a classifier of XLM-R base's size costs a server: seconds to load, memory, first map and slider step.

    python -m benchmarks.text.load                  # 278 million weights, 1.1 GB saved into a temporary folder
    python -m benchmarks.text.load --size small     # seconds

The weights are random: what they cost is what trained ones cost. They are saved as Hugging Face's classifiers are, and
loaded through the way of the page. *MB* is the process's resident set after each step, and at its highest during it.
"""

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch

import lrp_core as lrp
from models.text import networks as text_networks
from models.text.reading import Reading
from models.torchvision_compat import import_torchvision

SIZES: dict[str, dict[str, int]] = {
    "base": {"vocab_size": 250_002},
    "small": {
        **{"vocab_size": 2_000, "hidden_size": 32, "intermediate_size": 64},
        **{"num_hidden_layers": 2, "num_attention_heads": 2},
    },
}
"""XLM-R base as published, and one for tests; what is not named is as published."""

WORDS = ("the", "film", "was", "so", "bad", "it", "is", "a", "joy")  # short: 512 pieces are 2,000 characters


@dataclass(frozen=True)
class Cost:
    """seconds: of the fastest run. held, peak: the process's memory afterwards and at its highest, MB."""

    seconds: float
    held: float
    peak: float


def save(folder: Path, size: str, halves: bool = False) -> None:
    """A classifier with random weights and a tokenizer that knows as many pieces as it."""
    import_torchvision()  # transformers imports it plainly
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    settings = SIZES[size]
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        **settings,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        id2label={0: "negative", 1: "neutral", 2: "positive"},
    )
    net = XLMRobertaForSequenceClassification(config)
    (net.bfloat16() if halves else net).save_pretrained(folder)
    known = ["<s>", "<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in WORDS)]
    known += [f"▁x{number}" for number in range(settings["vocab_size"] - len(known))]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(len(piece))) for piece in known], unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def measure(name: str, tokens: int, rounds: int) -> dict[str, Cost]:
    """What each step costs, from the list of networks to a slider's step, in the order of a visit."""
    import_torchvision()
    import transformers  # noqa: F401  # what it costs to import is no part of a network's cost

    costs: dict[str, Cost] = {}

    def step(title: str, run: Callable[[], Any], times: int = 1) -> Any:
        gc.collect()
        _forget_peak()
        seconds = []
        for _ in range(times):
            start = time.perf_counter()
            result = run()
            seconds.append(time.perf_counter() - start)
        costs[title] = Cost(min(seconds), _memory("VmRSS"), _memory("VmHWM"))
        return result

    step("before", lambda: None)
    step("settings and tokenizer", lambda: text_networks.network(name))
    net = step("weights", lambda: text_networks.load(name))
    read = step("read a text", lambda: reading(name, tokens), rounds)
    composite = lrp.presets.attn_lrp()
    tape, _ = step("first map", lambda: _mapped(net, read.ids, composite))
    step("another text", lambda: _mapped(net, read.ids, composite), rounds)
    moved = count()  # what was asked for last is kept, and would cost nothing
    step("target moved", lambda: tape.explain(composite, lrp.Target.logit(next(moved) % 3)), rounds)
    step("epsilon moved", lambda: tape.explain(composite.with_(epsilon=0.5 ** next(moved)), lrp.Target.top()), rounds)
    step("switched to CP-LRP", lambda: tape.explain(lrp.presets.cp_lrp(), lrp.Target.top()))
    return costs


def reading(name: str, tokens: int) -> Reading:
    """A text of so many pieces, at most 512, `<s>` and `</s>` included."""
    words = (WORDS * (tokens // len(WORDS) + 1))[: tokens - 2]
    return text_networks.network(name).read(" ".join(words))


def _mapped(net: torch.nn.Module, ids: torch.Tensor, composite: lrp.Composite) -> tuple[lrp.Tape, lrp.Explanation]:
    tape = lrp.record(net, ids)
    return tape, tape.explain(composite, lrp.Target.top())


def _memory(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1e3


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the kernel counts the highest memory anew


def main() -> None:
    options = _options()
    if options.save:
        return save(Path(options.save), options.size, options.halves)
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "random"
        arguments = ["--save", str(folder), "--size", options.size, *(["--halves"] if options.halves else [])]
        subprocess.run([sys.executable, "-m", "benchmarks.text.load", *arguments], check=True, stderr=subprocess.PIPE)
        os.environ["LRP_TEXT_MODELS"] = root
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {size:.0f} MB, {options.tokens} tokens")
        print("| | ms | MB after | MB at most |\n|---|---|---|---|", flush=True)
        for title, cost in measure("hf:random", options.tokens, options.rounds).items():
            print(f"| {title} | {cost.seconds * 1e3:.0f} | {cost.held:.0f} | {cost.peak:.0f} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--halves", action="store_true", help="the weights are saved as bfloat16")
    parser.add_argument("--tokens", type=int, default=64, help="of the text; 512 at most are read")
    parser.add_argument("--rounds", type=int, default=3, help="timed runs of each step that can be repeated")
    parser.add_argument("--threads", type=int, help="of torch; all by default")
    parser.add_argument("--save", metavar="FOLDER", help="only save the network there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
