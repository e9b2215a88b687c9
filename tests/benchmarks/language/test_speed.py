"""The benchmark of the language model times what it says: its gradient is that of the question it is compared with."""

import torch

import lrp_core as lrp
from benchmarks.language import speed
from models.language import smollm2
from tests.models.language import small_gguf


def test_every_row_runs_asks_anew_and_the_gradient_is_right(tmp_path):
    net = smollm2.load(small_gguf.save(tmp_path / "small.gguf")).double()
    work = speed.jobs(net, tokens=5)
    assert set(speed.REACH) <= set(work)
    for job in work.values():
        job.run()
    moved = work[speed.MOVED]
    assert not torch.equal(moved.run().relevance, moved.run().relevance), "it must not measure what is known already"
    ids = torch.tensor([[0, 5, 40, 7, 99]])
    by_us = lrp.record(net, ids).explain(lrp.presets.gradient_times_input(), lrp.Target.difference(9, 30))
    by_torch = speed.gradient(net, ids, 9, 30) * net.model.embed_tokens(ids)
    torch.testing.assert_close(by_us.relevance, by_torch, rtol=1e-6, atol=1e-9)
