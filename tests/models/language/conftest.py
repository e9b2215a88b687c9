"""A small model in a file, for all tests of language models."""

from pathlib import Path

import pytest

from models.language import smollm2
from models.language.gguf import Gguf
from models.language.labels import labels
from models.language.networks import LanguageModel
from tests.models.language import small_gguf


@pytest.fixture(scope="session")
def file(tmp_path_factory) -> Path:
    return small_gguf.save(tmp_path_factory.mktemp("gguf") / "small.gguf")


@pytest.fixture
def small(file) -> LanguageModel:
    own = smollm2.tokenizer_of(Gguf(file).metadata)
    return LanguageModel("small", "Small", labels(own, own.get_vocab_size()), own)
