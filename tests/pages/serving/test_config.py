"""What the operator may set, and what is said about values that mean nothing."""

import pytest

from pages.serving import config
from pages.serving.config import Config, read


def test_nothing_need_be_set():
    assert read({}) == (Config(tape_bytes=2_000_000_000, allow_downloads=False), ())
    assert read({"LRP_TAPE_BYTES": "", "LRP_ALLOW_DOWNLOADS": " "}) == read({})


def test_what_is_set_counts():
    found, complaints = read({"LRP_TAPE_BYTES": " 500000000 ", "LRP_ALLOW_DOWNLOADS": "1"})
    assert found == Config(tape_bytes=500_000_000, allow_downloads=True) and not complaints
    assert read({"LRP_ALLOW_DOWNLOADS": "0"})[0] == Config()


@pytest.mark.parametrize("size", ["2 GB", "-1", "0", "1.5e9", "lots", "²"])
def test_a_size_that_is_none_is_named_and_the_default_used(size):
    found, (complaint,) = read({"LRP_TAPE_BYTES": size})
    assert found == Config()
    assert complaint == f"LRP_TAPE_BYTES is {size!r}, but must be a whole number above 0; 2000000000 is used."


@pytest.mark.parametrize("answer", ["yes", "true", "2"])
def test_downloads_stay_off_unless_they_are_clearly_allowed(answer):
    found, (complaint,) = read({"LRP_ALLOW_DOWNLOADS": answer})
    assert found == Config()
    assert complaint == f"LRP_ALLOW_DOWNLOADS is {answer!r}, but must be 0 or 1; downloads stay off."


def test_a_bad_value_is_said_once_in_the_log(monkeypatch, caplog):
    monkeypatch.setenv("LRP_TAPE_BYTES", "lots")
    config.config.cache_clear()
    try:
        assert config.config() == config.config() == Config()
    finally:
        config.config.cache_clear()
    assert [record.message for record in caplog.records] == [
        "LRP_TAPE_BYTES is 'lots', but must be a whole number above 0; 2000000000 is used."
    ]
