"""What counting words reaches: TF-IDF and a logistic regression, beside the networks in one table.

    python -m training.text.baseline [offensive topics newsgroups sentiment] [--data FOLDER]

Words one and two in a row, and 2 to 5 characters in a row (assets/text/baseline.json). Prints a table with the figures
of the model cards.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_union

from models import text
from training.text.card import NEITHER, macro_f1
from training.text.data import FOLDER, Texts, read, rows

MOST = 200_000  # features of each kind, the most frequent
STRENGTHS = (1.0, 3.0, 10.0)  # of the fit; the larger, the less it is held back


def features() -> FeatureUnion:
    """Frequencies of words and of sequences of characters."""
    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MOST, dtype=np.float32),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=MOST, dtype=np.float32),
    )


def labels_of(name: str, data: Texts) -> np.ndarray:
    """What is to be told apart: of posts, whether they are offensive or hateful, or neither."""
    return (data.labels != NEITHER).astype(np.int64) if name == "offensive" else data.labels


def scores(name: str, folder: Path) -> dict[str, float]:
    """Figures on the test part, with the strength that is best on "dev".

    Of film reviews, whole sentences that take a side are learned from.
    """
    train, dev, test = (read(name, folder, part) for part in ("train", "dev", "test"))
    chosen = np.arange(len(train.texts))
    if name == "sentiment":
        sentences = sum(row["split"] == "train" for row in rows(folder, "sst5_sentences"))
        chosen = np.flatnonzero(train.wanted[:sentences, 0] != 0.5)
    made = features()
    x, y = made.fit_transform([train.texts[row] for row in chosen]), labels_of(name, train)[chosen]
    x_dev, x_test = made.transform(dev.texts), made.transform(test.texts)
    fits = [LogisticRegression(C=strength, max_iter=200, tol=1e-3).fit(x, y) for strength in STRENGTHS]
    best = max(fits, key=lambda fit: (fit.predict(x_dev) == labels_of(name, dev)).mean())
    calls, labels = best.predict(x_test), labels_of(name, test)
    return {
        "accuracy": round(float((calls == labels).mean()), 4),
        "macro_f1": round(macro_f1(calls, labels), 4),
        "strength": best.C,
    }


def table(out: Path) -> str:
    """One line per network: what counting words reaches, and what it reaches."""
    cards = [name for name in text.LABELS if (out / f"{name}.json").is_file()]
    columns = {
        "words": kept(out),
        "network": {name: text.model_card(name, out)["measured"] for name in cards},
    }
    lines = ["| network | " + " | ".join(f"{kind}: accuracy | macro-F1" for kind in columns) + " |", "|---" * 5 + "|"]
    for name in cards:
        cells = []
        for known in (column.get(name, {}) for column in columns.values()):
            for key in ("accuracy", "macro_f1"):
                figure = known.get(f"offensive_or_not_{key}", known.get(key))
                cells.append("" if figure is None else f"{figure:.3f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def kept(out: Path) -> dict[str, dict[str, Any]]:
    """The figures that were measured before, by network; none where there is no file."""
    path = out / "baseline.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(text.LABELS), help=f"of {', '.join(text.LABELS)}")
    parser.add_argument("--data", type=Path, default=FOLDER, help=f"folder of the texts (default: {FOLDER})")
    parser.add_argument("--out", type=Path, default=text.ASSETS, help="folder of the cards")
    arguments = parser.parse_args()
    found = kept(arguments.out)
    for name in arguments.names:
        found[name] = scores(name, arguments.data)
        print(name, found[name], flush=True)
        (arguments.out / "baseline.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(table(arguments.out))


if __name__ == "__main__":
    main()
