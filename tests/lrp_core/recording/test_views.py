"""Writing to a part of a tensor through a view: whoever looks at the same memory sees where its numbers came from.

Autograd refuses to differentiate some of these; the slopes come from differences.
"""

import pytest
import torch
from torch.nn import functional as F

from tests.lrp_core.writes import assert_every_write_is_followed, buffer


def zeros_and_numbers_through_views(m, x):
    y = m.a(x)
    y[:, :2].zero_()
    y[:, 3:4].fill_(2.0)
    return m.head(y)


def doubled_through_a_view(m, x):
    y = m.a(x)
    y[:, :2].mul_(2)
    return m.head(y)


def a_view_of_what_relu_wrote_over(m, x):
    y = m.a(x)
    view = y.view(-1, 2, 3)
    y.relu_()
    return m.head(view.flatten(1))


def a_copy_into_a_part_of_a_buffer(m, x):
    y = buffer(x)
    y.narrow(1, 2, 3).copy_(m.a(x)[:, :3])
    return m.head(y)


def views_of_views(m, x):
    y = m.a(x)
    left, blocks, turned = y[:, :3], y.view(-1, 2, 3), y.t()
    left.relu_()
    y[:, 4:] = 7.0
    blocks[:, 1].mul_(3.0)
    return m.head(y) + m.head(blocks.flatten(1)) + m.head(turned.t()) + m.head(torch.cat([left, left], 1))


def views_of_a_buffer(m, x):
    """What looked at a constant looks at the input, once it is written."""
    y = buffer(x) + 1
    middle, pairs = y[:, 2:4], y.view(-1, 3, 2)
    y[:, :3] = m.a(x)[:, :3]
    middle.add_(1.0)
    return m.head(pairs.flatten(1)) + m.head(F.pad(middle, (0, 4)))


def one_chunk(m, x):
    first, second = m.a(x).chunk(2, 1)
    first.relu_()
    return m.head(torch.cat([second, first], 1))


def turned_views(m, x):
    y = m.a(x)
    y.T[2].mul_(3.0)
    y.T[1:3].add_(1.0)
    y.unfold(1, 2, 2)[:, :, 0].mul_(2.0)
    return m.head(y)


def a_diagonal(m, x):
    y = m.a(x)[:, :4].view(-1, 2, 2)
    y.diagonal(dim1=1, dim2=2).copy_(m.b(x)[:, :2])
    return m.head(F.pad(y.flatten(1), (0, 2)))


def a_chain_in_a_buffer(m, x):
    """Each moment reads the one before it from where it was written."""
    kept = buffer(x, 4, 6)
    for moment in range(4):
        kept[:, moment] = F.relu(m.a(kept[:, moment - 1] if moment else x))
    return m.head(kept[:, -1] + kept.mean(1))


VIEWS = [
    zeros_and_numbers_through_views,
    doubled_through_a_view,
    a_view_of_what_relu_wrote_over,
    a_copy_into_a_part_of_a_buffer,
    views_of_views,
    views_of_a_buffer,
    one_chunk,
    turned_views,
    a_diagonal,
    a_chain_in_a_buffer,
]


@pytest.mark.parametrize("forward", VIEWS, ids=lambda function: function.__name__)
def test_every_write_is_followed(forward):
    assert_every_write_is_followed(forward)
