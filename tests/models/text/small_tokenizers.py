"""Tokenizers of the kinds that Hugging Face's classifiers come with, trained on the spot on a few sentences."""

from functools import cache

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = (
    "The film was a great pleasure, and the actors played well. I don't love it!",
    "Ein schöner Film mit guten Schauspielern, aber ein schwaches Ende.",
    "Un film magnifique, malgré quelques longueurs; à voir absolument.",
    "कल हम एक अच्छी फ़िल्म देखने गए थे।",
    "今天天气很好，我们去公园看电影。",
    "昨日は友達と一緒に新しい映画を見ました。",
    "كان الفيلم رائعا، لكن النهاية ضعيفة.",
    "เมื่อวานนี้เราไปดูหนังสนุกมาก",
) * 4


@cache
def unigram() -> Tokenizer:
    """As XLM-R's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    return _wrapped(tokenizer, "<s>", "</s>")


@cache
def byte_level() -> Tokenizer:
    """As RoBERTa's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


@cache
def word_piece() -> Tokenizer:
    """As BERT's: small letters, no accents."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    )
    return _wrapped(tokenizer, "[CLS]", "[SEP]")


def several_words_at_once() -> Tokenizer:
    """One whose pieces reach over words: "of the", "!?"."""
    vocabulary = {"<unk>": 0, "of the": 1, " ": 2, "!?": 3, "film": 4}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("of the|film|!\\?|."), "isolated")
    return tokenizer


def _wrapped(tokenizer: Tokenizer, start: str, end: str) -> Tokenizer:
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, 0), (end, 2)]
    )
    return tokenizer
