"""How the network for questions about scenes is taught: besides the answer, every stage of the way is asked for.

The heads that tell them are needed in training only: what the question says of each group of objects, from the notes;
which objects are in each group, and which are like another, from notes and cells half way up; and what is in each cell,
from the convolutions.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.scenes import KINDS, MOST, answerer
from models.scenes.question_grammar import vocabulary
from models.scenes.question_programs import RELATIONS
from training.scenes import data as vqa_data
from training.scenes.data import FEATURES, FORMS, GROUPS, LINKS, VALUES, Pack

CHOICES = (*(1 + len(values) for values in KINDS.values()), 1 + len(LINKS))
"""Answers to what is said of a group: a value of each kind or none, a link or none."""
ASKED = (len(FORMS), 1 + len(KINDS))

TELLING = (2, 4, 6)
"""After which layer the cells tell who is in each group: one hangs on the other, so this takes layers."""
SECOND, KNOWING, ALIKE = 1, 5, 6
"""After which layer the note of the second group tells its object's values, and the cells who is like it."""

NOISE = 0.1
"""On the features of objects in place of pictures: the convolutions will not be exact either."""
INERT = 2
"""So many empty cells more there are in place of pictures, at least."""
FILLERS = (
    *("a", "an", "any", "are", "can", "do", "does", "find", "have", "is", "me"),
    *("of", "picture", "see", "show", "tell", "that", "the", "there", "to", "you"),
)
FORGOTTEN = 0.1
"""Words without which a question can still be understood, and the share of them that is left out."""


class Batch(NamedTuple):
    """Questions Q about S scenes, as in `vqa_data.Pack`. questions: their numbers in the pack; scene: 0 to S - 1."""

    pictures: Tensor
    features: Tensor
    cells: Tensor
    words: Tensor
    scene: Tensor
    answer: Tensor
    values: Tensor
    links: Tensor
    asked: Tensor
    members: Tensor


class Told(NamedTuple):
    """What a network comes to, and how. All but the notes are logits.

    answer: (Q, C). notes: (Q, NOTES, D). members: who is in which group, (Q, GROUPS, N). values: of the object in the
    second group, (Q, V). alike: who shares with it what the question asks for, (Q, N).
    """

    answer: Tensor
    notes: Tensor
    members: Tensor
    values: Tensor
    alike: Tensor


class Lessons(nn.Module):
    """A network and the heads that tell how it comes to its answers."""

    def __init__(self, net: answerer.Answerer) -> None:
        super().__init__()
        self.net = net
        self.describe = nn.Linear(net.enter.in_features, FEATURES)
        self.enter = nn.Linear(FEATURES, answerer.WIDTH)
        self.said, self.asked = nn.Linear(answerer.WIDTH, sum(CHOICES)), nn.Linear(answerer.WIDTH, sum(ASKED))
        self.member = nn.ModuleList(_head(1) for _ in TELLING)
        self.value, self.alike = _head(len(VALUES)), _head(1)
        # Where an object stands is where its cell is and how far it is off: both start along the same directions.
        with torch.no_grad():
            self.enter.weight.normal_(0, 0.5)
            net.places.normal_(0, 0.1).add_(torch.from_numpy(vqa_data.middles_in_cells()) @ self.enter.weight[:, -2:].T)

    def join(self) -> None:
        """Put the description of a cell and its entry, learned apart, into the network as one layer."""
        with torch.no_grad():
            self.net.enter.weight.copy_(self.enter.weight @ self.describe.weight)
            self.net.enter.bias.copy_(self.enter.bias + self.enter.weight @ self.describe.bias)

    def imagined(self, batch: Batch) -> Tensor:
        """Cells (S, N, D) in place of pictures, some of them empty."""
        empty = torch.zeros(len(batch.features), INERT, FEATURES)
        features = torch.cat([batch.features, empty], 1)
        cells = torch.cat([batch.cells, _other_cells(batch.cells, INERT)], 1)
        return self.enter(features + torch.randn_like(features) * NOISE) + self.net.places[cells]

    def relate(self, words: Tensor, cells: Tensor) -> Told:
        """For token ids (Q, T) and cells (Q, N, D)."""
        notes = self.net.reader(words)
        x, members = torch.cat([notes, cells], 1), []
        for number, layer in enumerate(self.net.relating.layers, 1):
            x = layer(x)
            if number in TELLING:
                members.append(self.member[len(members)](x[:, answerer.NOTES :]).squeeze(2))
            if number == KNOWING:
                values = self.value(x[:, SECOND])
            if number == ALIKE:
                alike = self.alike(x[:, answerer.NOTES :]).squeeze(2)
        answer = self.net.relating.decide(self.net.relating.norm(x))
        return Told(answer, notes, torch.stack(members, 1), values, alike)

    def loss(self, words: Tensor, cells: Tensor, batch: Batch) -> Tensor:
        """How wrong the answers and the way to them are, for token ids (Q, T) and cells (Q, N, D)."""
        told = self.relate(words, cells)
        way = 0.3 * self.understood(told.notes, batch) + together(told.members, batch)
        return F.cross_entropy(told.answer.float(), batch.answer) + way + compared(told.values, told.alike, batch)

    def seen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cells (S, N, D) of the pictures, and how wrong their description is."""
        features = self.net.features(batch.pictures)
        return self.net.enter(features) + self.net.places, self.described(features, batch.features, batch.cells)

    def described(self, found: Tensor, features: Tensor, cells: Tensor) -> Tensor:
        """How wrong the description of the cells is, for what was found in them (S, N, F): what is there counts most.

        features, cells: as in `vqa_data.Pack`.
        """
        wanted = torch.zeros(len(found), answerer.CELLS, FEATURES)
        wanted.scatter_(1, cells[..., None].expand(-1, -1, FEATURES), features)
        wrong = (self.describe(found).float() - wanted).square().sum(2)
        there = wanted[..., 0]
        return (wrong * there).sum() / there.sum() + (wrong * (1 - there)).mean()

    def understood(self, notes: Tensor, batch: Batch) -> Tensor:
        """Cross entropy of what the notes say."""
        said, asked = self.said(notes[:, :GROUPS]), self.asked(notes[:, GROUPS])
        wanted = torch.cat([batch.values, batch.links[..., None]], 2)
        losses = [
            F.cross_entropy(part.flatten(0, 1).float(), wanted[..., place].flatten())
            for place, part in enumerate(said.split(CHOICES, 2))
        ]
        losses += [
            F.cross_entropy(part.float(), batch.asked[:, place]) for place, part in enumerate(asked.split(ASKED, 1))
        ]
        return torch.stack(losses).sum()


def forgetful(words: Tensor) -> Tensor:
    """The token ids (Q, T) with some fillers left out: so a wording is not relied on as a whole."""
    known = vocabulary()
    fillers = torch.tensor([known.index(word) + 1 for word in FILLERS])
    return words.masked_fill(torch.isin(words, fillers) & (torch.rand(words.shape) < FORGOTTEN), answerer.PAD)


def together(told: Tensor, batch: Batch) -> Tensor:
    """How wrong it is who is in which group; told: logits (Q, GROUPS, N).

    N counts the cells of the floor, or where there are fewer, the objects and some empty cells.
    """
    wanted = _in_cells(batch.members.float(), batch, told.shape[2])
    return F.binary_cross_entropy_with_logits(told.float(), wanted, reduction="none").sum(2).mean() / MOST


def compared(values: Tensor, alike: Tensor, batch: Batch) -> Tensor:
    """How wrong the values of the second group's one object are, and who is like it, where the question asks for that.

    values: logits (Q, V). alike: logits (Q, N). Without this, comparing two objects is not found out for long.
    """
    second = batch.members[:, SECOND].float()
    single = second.sum(1) == 1
    have = batch.features[batch.scene][..., 1:-2]
    own = torch.einsum("qi,qiv->qv", second, have)
    sizes = [len(choice) for choice in KINDS.values()]
    losses = [
        F.cross_entropy(part[single].float(), one[single].argmax(1))
        for part, one in zip(values.split(sizes, 1), own.split(sizes, 1), strict=True)
    ]
    shared = torch.stack([part.sum(2) for part in (have * own[:, None]).split(sizes, 2)], 2)
    kind = torch.where(
        batch.asked[:, 0] == FORMS.index("match"), batch.asked[:, 1], batch.links[:, -1] - len(RELATIONS)
    )
    asked = single & (kind > 0)
    wanted = shared.gather(2, (kind.clamp(min=1) - 1)[:, None, None].expand(-1, shared.shape[1], 1)).squeeze(2)
    wrong = F.binary_cross_entropy_with_logits(
        alike.float(), _in_cells(wanted[:, None], batch, alike.shape[1]).squeeze(1), reduction="none"
    )
    return 0.3 * torch.stack(losses).sum() + (wrong.sum(1) * asked).sum() / (MOST * asked.sum().clamp(min=1))


def _in_cells(of_objects: Tensor, batch: Batch, number: int) -> Tensor:
    """Numbers of objects (Q, G, 8) as those of cells (Q, G, N), 0 elsewhere; N as in `together`."""
    if number < answerer.CELLS:
        return F.pad(of_objects, (0, number - of_objects.shape[2]))
    cells = batch.cells[batch.scene][:, None].expand_as(of_objects)
    return torch.zeros(*of_objects.shape[:2], number).scatter_(2, cells, of_objects)


def _head(outputs: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(answerer.WIDTH), nn.Linear(answerer.WIDTH, outputs))


def _other_cells(cells: Tensor, number: int) -> Tensor:
    """So many cells of each row that are not among these."""
    free = torch.rand(len(cells), answerer.CELLS).scatter_(1, cells, -1.0)
    return free.topk(number, 1).indices


def batch_of(pack: Pack, rows: Tensor, pictures: bool) -> Batch:
    """The questions with these numbers; without pictures where they are not needed."""
    chosen = rows.numpy()
    own, scene = torch.from_numpy(pack.scene[chosen]).unique(return_inverse=True)
    parts = (pack.words, pack.answer, pack.values, pack.links, pack.asked, pack.members)
    words, *rest = (torch.from_numpy(part[chosen]) for part in parts)
    seen = answerer.normalise(pack.pictures[own]) if pictures else torch.empty(0)
    features, cells = (torch.from_numpy(part[own]) for part in (pack.features, pack.cells))
    words = words[:, : int((words != answerer.PAD).sum(1).max())]
    return Batch(seen, features, cells, words, scene, *rest)
