"""The text benchmark times what it says: contenders that agree with each other."""

import pytest
import torch

import lrp_core as lrp
from benchmarks import modified_gradients
from benchmarks.text import speed as text_speed

pytest.importorskip("transformers")


def test_every_row_runs_and_the_contenders_agree():
    model = text_speed.xlm_r(1).double()
    work = text_speed.jobs(model, tokens=5)
    assert set(text_speed.REACH) <= set(work)
    for job in work.values():
        job.run()
    ids = torch.tensor([[0, 7, 8, 9, 2]])
    text = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    for attention in ("attnlrp", "cp"):
        ours = lrp.record(model, **text).explain(lrp.Composite(lrp.LRP0(), attention=attention), lrp.Target.logit(2))
        theirs = modified_gradients.explain(model, **text, target=2, attention=attention)
        torch.testing.assert_close(ours.relevance, theirs[0], rtol=1e-7, atol=1e-10)
