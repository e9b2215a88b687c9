"""A small language model behind the page."""

from functools import cache

import pytest
from streamlit.testing.v1 import AppTest

from models import language
from models.language import smollm2
from models.language.gguf import Gguf
from models.language.labels import labels
from models.language.networks import LanguageModel
from tests.models.language import small_gguf
from tests.pages.language.visiting import APP, clear


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small model and what it reads."""
    file = small_gguf.save(tmp_path_factory.mktemp("gguf") / "small.gguf")
    own = smollm2.tokenizer_of(Gguf(file).metadata)
    return smollm2.load(file), LanguageModel("smollm2", "Small", labels(own, own.get_vocab_size()), own)


@pytest.fixture
def prompts(monkeypatch, small):
    """The page of a visitor who comes with this address."""
    net, model = small
    monkeypatch.setattr(language, "load", lambda name: net)
    monkeypatch.setattr(language, "model", cache(lambda name: model))
    monkeypatch.setattr(language, "ready", lambda name: _known(name))
    clear()

    def run(**query: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=300).switch_page("pages/_language.py")
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    yield run
    clear()


def _known(name: str) -> bool:
    if name != "smollm2":
        raise ValueError("There is no such model.")
    return True
