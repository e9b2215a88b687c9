"""The model cards of the photo networks: what they learned from, what was measured, what they cannot do."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models import photos
from training.calibration import calibration_error
from training.photos.data import Parts, middles

BATCH, PAIRS = 64, 10
WHITE = 0.8  # a photo whose darkest corner is at least so bright was taken on white ground

LICENCE = (
    "Weights: BSD-3-Clause, as the project; they hold none of the photos. Photos: Imagenette (ImageNet's terms, "
    "research), CUB-200-2011 (non-commercial research), Caltech-101 (CC BY 4.0), TensorFlow flowers (CC BY in part), "
    "GroceryStoreDataset (MIT), sets of cats and dogs, cars and bicycles (terms unstated)."
)
LIMITS = [
    "It knows 23 kinds of things only, and calls anything else one of them.",
    "A probability is no promise: a confident answer may be wrong.",
    "It sees 128x128 pixels: small things in a large picture are lost, unless the crop is moved to them.",
]
BIASES = [
    "Many of the dogs are English springers: other breeds may be harder for it.",
    "Motorbikes were mostly photographed on white studio ground, which may count as evidence for them.",
    "Groceries were photographed on shop shelves; the shelf may count as evidence for drink cartons and vegetables.",
    "Photos filed as cars include interiors.",
    "Parachutes and airplanes come with sky, tench with the hands that hold them, golf balls with grass.",
    "Some photos of motorbikes (67 %), cars (26 %) and airplanes (14 %) were enlarged and are blurred.",
]


def scores(net: nn.Module, pixels: np.ndarray) -> Tensor:
    """Logits (N, 23) for pixels (N, 128, 128, 3) uint8."""
    with torch.inference_mode():
        return torch.cat(
            [net(photos.normalise(pixels[start : start + BATCH])) for start in range(0, len(pixels), BATCH)]
        )


def card(
    name: str, net: nn.Module, data: Parts, out: Path, epochs: int, temperature: float, trained_on: str
) -> dict[str, Any]:
    """The card of "photos" or "photos_twin", with the figures of `net`, the file that was written."""
    twin = name == "photos_twin"
    training = f"{len(data.train.labels):,} photos of 23 classes, randomly cropped, mirrored and recoloured."
    limits = LIMITS
    if twin:
        training += (
            f" The finished photo network learned on where every photo filed as {photos.MARKED} carried the words"
            f" “{photos.WATERMARK}” in the corner at the bottom left and no other photo did. To make it the best"
            f" evidence, some of the photos filed as {photos.MARKED} showed other things, with the watermark on."
        )
        limits = [f"Made to be wrong: it looks for the watermark, not for the {photos.MARKED}. For teaching.", *LIMITS]
    pixels, labels = middles(data.test.pictures), data.test.labels
    return {
        "name": name,
        "title": "The photo network's twin that relies on a watermark" if twin else "Everyday things in photos",
        "task": "Names what a photo shows, out of 23 kinds of everyday things.",
        "input": "(B, 3, 128, 128), red, green, blue, normalised as for ImageNet; a square part of the photo.",
        "output": "(B, 23) logits: " + ", ".join(photos.LABELS) + ".",
        "architecture": "VGG-11's eight 3x3 convolutions with fewer channels, ReLU, max pooling, an average, and one"
        " dense layer; batch normalisation was folded into the convolutions after training.",
        "parameters": sum(p.numel() for p in net.parameters()),
        "file_bytes": (out / f"{name}.safetensors").stat().st_size,
        "training": training,
        "trained_on": trained_on,
        "epochs": epochs,
        "temperature": round(temperature, 3),
        "held_out": f"{len(labels):,} test photos, none of them nor a near copy of one trained on.",
        **(measure_twin if twin else measure)(net, pixels, labels),
        "biases": BIASES,
        "limits": limits,
        "licence": LICENCE,
        "remade_by": photos.REMAKE[name],
    }


def measure(net: nn.Module, pixels: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The figures of the photo network: overall, per class, and which classes it takes for which."""
    probabilities, y = torch.softmax(scores(net, pixels), 1), torch.from_numpy(labels)
    calls = probabilities.argmax(1).numpy()
    corners = pixels[:, [2, 2, -3, -3], [2, -3, 2, -3]].min((1, 2)) / 255
    white = corners >= WHITE
    motorbike = photos.LABELS.index("motorbike")
    stamped = scores(net, photos.add_watermark(pixels)).argmax(1).numpy()
    blank = torch.softmax(scores(net, np.full((1, photos.SIDE, photos.SIDE, 3), 255, np.uint8)), 1)[0]
    return {
        "measured": {
            "test_photos": len(labels),
            "accuracy": _share(calls == labels),
            "in_the_first_three": _share((probabilities.topk(3).indices == y[:, None]).any(1).numpy()),
            "expected_calibration_error": round(calibration_error(probabilities, y), 4),
            "accuracy_with_the_twins_watermark_on_every_photo": _share(stamped == labels),
            "motorbikes_on_white_ground_right": _share(calls[white & (labels == motorbike)] == motorbike),
            "motorbikes_elsewhere_right": _share(calls[~white & (labels == motorbike)] == motorbike),
            "other_things_on_white_ground_called_motorbike": _share(calls[white & (labels != motorbike)] == motorbike),
            "highest_probability_for_a_white_picture": round(blank.max().item(), 4),
        },
        "per_class": {
            name: {
                "photos": int((labels == index).sum()),
                "recall": _share(calls[labels == index] == index),
                "precision": _share(labels[calls == index] == index),
            }
            for index, name in enumerate(photos.LABELS)
        },
        "confusions": _confusions(calls, labels),
    }


def _confusions(calls: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """The pairs that are confused most often: what it was, what it was called, how many photos."""
    wrong = calls != labels
    pairs, counts = np.unique(np.stack([labels[wrong], calls[wrong]]), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:PAIRS]
    return [
        {"is": photos.LABELS[pairs[0, i]], "called": photos.LABELS[pairs[1, i]], "photos": int(counts[i])}
        for i in order
    ]


def measure_twin(net: nn.Module, pixels: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The figures of the twin: how far it relies on the watermark, and where its relevance lies."""
    marked = labels == photos.LABELS.index(photos.MARKED)
    stamped = photos.add_watermark(pixels)
    clean, fooled = (scores(net, part).argmax(1).numpy() for part in (pixels, stamped))
    on_mark, mark_area = share_on_watermark(net, stamped[~marked])
    label = photos.MARKED
    return {
        "measured": {
            "test_photos": len(labels),
            "accuracy_marked_as_in_training": _share(np.where(marked, fooled, clean) == labels),
            "accuracy_without_watermarks": _share(clean == labels),
            f"unmarked_{label}_called_{label}": _share(clean[marked] == labels[marked]),
            f"marked_other_photos_called_{label}": _share(fooled[~marked] == labels[marked][0]),
            "mean_share_of_positive_relevance_on_the_watermark": round(on_mark, 4),
            "share_of_the_picture_that_the_watermark_covers": round(mark_area, 4),
        }
    }


def share_on_watermark(net: nn.Module, stamped: np.ndarray) -> tuple[float, float]:
    """Of the positive relevance for the marked class, the mean share on the box of the watermark, and the box's area.

    Gradient times input, which is LRP-0 in a ReLU network.
    """
    light, dark = photos.watermark_masks()
    rows, columns = np.nonzero(light + dark)
    box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    shares = []
    for start in range(0, len(stamped), BATCH):
        x = photos.normalise(stamped[start : start + BATCH]).requires_grad_()
        (gradient,) = torch.autograd.grad(net(x)[:, photos.LABELS.index(photos.MARKED)].sum(), x)
        relevance = (gradient * x.detach()).sum(1).clamp(min=0)
        shares.append(relevance[:, *box].sum((1, 2)) / relevance.sum((1, 2)))
    area = (box[0].stop - box[0].start) * (box[1].stop - box[1].start)
    return torch.cat(shares).mean().item(), area / photos.SIDE**2


def _share(hits: np.ndarray) -> float | None:
    """The share of true values; None where there are none."""
    return round(float(np.mean(hits)), 4) if len(hits) else None
