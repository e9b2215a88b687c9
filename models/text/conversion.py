"""Save a Hugging Face classifier anew, in the files that this app reads: safetensors and a fast tokenizer.

`python -m models.text.conversion cardiffnlp/twitter-xlm-roberta-base-sentiment networks/sentiment` downloads a
classifier that was published as a pickle and saves it into a folder. The app itself never opens pickles; whoever runs
this does, once, on a machine of their own. Code that a classifier brings with it is not run here either.
"""

import argparse
import sys
from pathlib import Path

from models.torchvision_compat import import_torchvision
from models.weights import classifier_files as files


def convert(source: str, folder: Path) -> None:
    """source: a folder, or an id on the Hub. folder: where it is saved; it is made if need be.

    Raises FileNotFoundError (one sentence) where it is no classifier that the app can use.
    """
    import_torchvision()  # transformers imports it plainly
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        net = AutoModelForSequenceClassification.from_pretrained(source, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # no connection, no such classifier, a package that its tokenizer needs
        raise FileNotFoundError(f"{source} cannot be opened: {error}") from error
    if not tokenizer.is_fast:
        raise FileNotFoundError(f"{source} has no fast tokenizer.")
    net.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    files.inspect(folder, folder.name, folder)


def main(arguments: list[str] | None = None) -> None:
    """Save a classifier of Hugging Face anew, for a folder of LRP_TEXT_MODELS."""
    parser = argparse.ArgumentParser(prog="python -m models.text.conversion", description=main.__doc__)
    parser.add_argument("source", help="its id on the Hub, or a folder")
    parser.add_argument("folder", type=Path, help="where it is saved")
    options = parser.parse_args(arguments)
    try:
        convert(options.source, options.folder)
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"{options.folder} is ready; the app finds it with LRP_TEXT_MODELS={options.folder.resolve().parent}")


if __name__ == "__main__":
    main()
