"""More to learn from about film reviews: phrases joined by "but" and "although", and sentences that say no.

Of the treebank's sentences few turn round, and a network that only counts good and bad words gets them wrong.
"""

from itertools import product

import numpy as np

JOINED = 12_000
WORDS = (3, 12)  # fewest and most of a phrase that is joined

TURNS = (
    ("{a}, but {b}", 1),
    ("although {a}, {b}", 1),
    ("{b}, although {a}", 1),
    ("even though {a}, {b}", 1),
    ("{a}, however {b}", 1),
    ("despite {a}, {b}", 1),
    ("{a}. Still, {b}", 1),
    ("{a} and {b}", 0),
    ("{a}, {b}", 0),
)
"""How two phrases are joined, the second of which decides; and whether they are of opposite kinds (1) or alike (0)."""

THINGS = ("this film", "the movie", "it", "the story", "that picture", "the plot", "the acting")

SAID = (
    ("I did not like {x} at all.", 0), ("I didn't enjoy {x}.", 0), ("I never liked {x}.", 0),
    ("I would not recommend {x} to anyone.", 0), ("I can't say that I liked {x}.", 0), ("{x} is not good.", 0),
    ("{x} isn't funny at all.", 0), ("{x} was not worth my time.", 0), ("There is nothing good about {x}.", 0),
    ("I don't think that {x} is any good.", 0), ("Nobody needs {x}.", 0), ("{x} is not what I hoped for.", 0),
    ("{x} is not nearly as clever as it thinks.", 0), ("I have no good word for {x}.", 0),
    ("I would not watch {x} again.", 0), ("No one in the audience laughed at {x}.", 0),
    ("I wanted to like {x}, but I could not.", 0), ("{x} never gets interesting.", 0),
    ("{x} is hardly entertaining.", 0), ("{x} fails to move anybody.", 0), ("{x} lacks any charm.", 0),
    ("{x} could have been great, but it isn't.", 0), ("I expected more of {x}.", 0),
    ("{x} was neither fun nor moving.", 0),
    ("{x} is not bad at all.", 1), ("{x} wasn't boring for a minute.", 1), ("I can't complain about {x}.", 1),
    ("I did not expect to like {x}, but I loved it.", 1), ("There is nothing wrong with {x}.", 1),
    ("I have never seen anything better than {x}.", 1), ("You won't regret watching {x}.", 1),
    ("{x} never disappoints.", 1), ("{x} is anything but dull.", 1), ("I couldn't stop smiling at {x}.", 1),
    ("Nothing about {x} felt fake.", 1), ("{x} is not perfect, but I enjoyed every minute.", 1),
    ("{x} does not waste a second.", 1), ("I would not miss {x} for anything.", 1), ("{x} isn't half bad.", 1),
    ("No other film moved me as {x} did.", 1), ("{x} was not too long at all.", 1), ("Don't miss {x}.", 1),
    ("I did not want {x} to end.", 1), ("{x} never gets boring.", 1), ("I was wrong to doubt {x}.", 1),
    ("It is hard not to love {x}.", 1), ("{x} has its flaws, and yet it is wonderful.", 1),
    ("I can't praise {x} enough.", 1),
)  # fmt: skip
"""Sentences of our own that need their "not" to be read, and whether they are positive."""


def clauses(phrases: list[str], positive: np.ndarray, random: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Joined phrases and our sentences, and the probability that each is positive, (N,).

    positive: of each phrase, (N,) between 0 and 1; those that take a side are joined.
    """
    lengths = np.array([len(phrase.split()) for phrase in phrases])
    usable = (lengths >= WORDS[0]) & (lengths <= WORDS[1])
    sides = [np.flatnonzero(usable & (positive < 0.3)), np.flatnonzero(usable & (positive > 0.7))]
    texts, wanted = [], []
    for _ in range(JOINED):
        second = int(random.integers(2))
        form, turned = TURNS[random.integers(len(TURNS))]
        a, b = (random.choice(sides[side]) for side in (second ^ turned, second))
        joined = form.format(a=phrases[a].rstrip(" .,"), b=phrases[b].rstrip(" .,"))
        texts.append(joined[0].upper() + joined[1:] + ".")
        wanted.append(0.1 + 0.8 * second if turned else positive[[a, b]].mean())
    for (form, side), thing in product(SAID, THINGS):
        said = form.format(x=thing)
        texts.append(said[0].upper() + said[1:])
        wanted.append(0.05 + 0.9 * side)
    return texts, np.array(wanted, np.float32)
