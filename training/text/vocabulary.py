"""The pieces of words that the text networks share: a unigram vocabulary in the manner of SentencePiece (Kudo 2018)."""

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from models import text

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def learn(lines: Iterable[str], size: int = text.VOCABULARY) -> Tokenizer:
    """A tokenizer of `size` pieces that writes these lines with few of them.

    Lower case, because a small vocabulary holds more words so; punctuation stands alone, so that a word is the same
    word before a comma. `<mask>` is the last piece, as in XLM-R.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Digits(True)]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=size - 1, special_tokens=list(SPECIAL[:-1]), unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", text.START), ("</s>", text.END)]
    )
    return tokenizer
