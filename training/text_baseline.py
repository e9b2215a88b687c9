"""What counting words reaches: TF-IDF and a logistic regression, beside the networks in one table.

    python -m training.text_baseline [offensive topics newsgroups sentiment] [--data FOLDER]

Words one and two in a row, and 2 to 5 characters in a row. Writes assets/text/baseline.json and prints a table with
the figures of the model cards.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from models import text
from training.text_card import NEITHER, macro_f1
from training.text_data import FOLDER, Texts, read

MOST = 200_000  # features of each kind, the most frequent
STRENGTH = 10.0  # of the fit; the larger, the less it is held back


def fitted(texts: list[str], labels: np.ndarray) -> object:
    """A classifier on the frequencies of words and of sequences of characters."""
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MOST, dtype=np.float32),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=MOST, dtype=np.float32),
    )
    return make_pipeline(features, LogisticRegression(C=STRENGTH, max_iter=200, tol=1e-3)).fit(texts, labels)


def labels_of(name: str, data: Texts) -> np.ndarray:
    """What is to be told apart: of posts, whether they are offensive or hateful, or neither."""
    return (data.labels != NEITHER).astype(np.int64) if name == "offensive" else data.labels


def scores(name: str, folder: Path) -> dict[str, float]:
    """Accuracy and macro-F1 on the test part; whole sentences only are learned from where there are phrases too."""
    train, test = read(name, folder, "train"), read(name, folder, "test")
    chosen = np.arange(len(train.texts))
    if name == "sentiment":
        chosen = np.flatnonzero(train.wanted[:, 0] != 0.5)
    model = fitted([train.texts[row] for row in chosen], labels_of(name, train)[chosen])
    calls, labels = model.predict(test.texts), labels_of(name, test)
    return {"accuracy": round(float((calls == labels).mean()), 4), "macro_f1": round(macro_f1(calls, labels), 4)}


def table(found: dict[str, dict[str, float]], out: Path) -> str:
    """One line per network: what counting words reaches, what the network does, and one from random weights."""
    kinds = ("TF-IDF", "network", "without the encoder")
    lines = ["| network | " + " | ".join(f"{kind}: accuracy | macro-F1" for kind in kinds) + " |", "|---" * 7 + "|"]
    path = out / "fresh.json"
    fresh = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name, figures in found.items():
        prefix = "offensive_or_not_" if name == "offensive" else ""
        columns = [f"{value:.3f}" for value in figures.values()]
        for known in (text.model_card(name, out)["measured"], fresh.get(name, {})):
            columns += [
                f"{known[prefix + key]:.3f}" if prefix + key in known else "" for key in ("accuracy", "macro_f1")
            ]
        lines.append(f"| {name} | " + " | ".join(columns) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(text.LABELS), help=f"of {', '.join(text.LABELS)}")
    parser.add_argument("--data", type=Path, default=FOLDER, help=f"folder of the texts (default: {FOLDER})")
    parser.add_argument("--out", type=Path, default=text.ASSETS, help="folder of the cards")
    arguments = parser.parse_args()
    path = arguments.out / "baseline.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in arguments.names:
        found[name] = scores(name, arguments.data)
        print(name, found[name], flush=True)
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(table(found, arguments.out))


if __name__ == "__main__":
    main()
