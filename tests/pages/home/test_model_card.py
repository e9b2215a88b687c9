"""Model cards: whatever a card holds is told, and what it lacks leaves no empty place."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from models import digits
from pages.home.model_card import faithfulness

PHOTOS = digits.model_card() | {
    "title": "Everyday things",
    "measured": {"test_photos": 3015, "accuracy": 0.8886, "motorbikes_on_white_ground_right": None},
    "per_class": {"cat": {"photos": 120, "recall": 0.91, "precision": None}},
    "confusions": [{"is": "cat", "called": "dog", "photos": 7}],
    "biases": ["Many of the dogs are English springers."],
}
FIGURES = {"mean": 0.81, "low": 0.79, "high": 0.83, "behind": {"mean": 0, "low": 0, "high": 0}}
WORSE = {"mean": 0.25, "low": 0.24, "high": 0.26, "behind": {"mean": 0.56, "low": 0.5, "high": 0.6}}
BOTH = {"z+": FIGURES, "random": WORSE}
REPORT = {
    "localisation": {"mosaics": 256, "chance": 0.25, "methods": BOTH},
    "flipping": {
        "photos": 200,
        "patch": 8,
        "fill": "blur, 8 pixels",
        "most_relevant_first": BOTH,
        "least_relevant_first": BOTH,
        "between": BOTH,
    },
}


def shown(function: str, *values: dict) -> AppTest:
    app = AppTest.from_string(
        f"import json\nfrom pages.home.model_card import {function}\n{function}(*json.loads({json.dumps(values)!r}))",
        default_timeout=60,
    ).run()
    assert not app.exception
    return app


def test_a_card_with_every_table():
    app = shown("show_model_card", PHOTOS)
    (measured,) = (table.value for table in app.table)
    assert measured["Figure"].tolist() == ["3,015", "88.86 %", "—"]
    per_class, confusions = (frame.value for frame in app.dataframe)
    assert per_class.iloc[0].tolist() == ["cat", "120", "91.00 %", "—"]
    assert confusions.iloc[0].tolist() == ["cat", "dog", "7"]
    assert any("English springers" in block.value for block in app.markdown)


def test_a_card_of_many_languages():
    tables = {
        "per_language": {"de": {"texts": 10, "macro_f1": 0.5}},
        "hatecheck": {"negation": {"is": "not hateful", "cases": 4, "right": 0.25, "right_in_english": None}},
        "hatecheck_per_language": {"de": {"cases": 4, "macro_f1": 0.25}},
    }
    frames = [frame.value for frame in shown("show_model_card", PHOTOS | tables).dataframe]
    assert len(frames) == 5
    assert frames[1].iloc[0].tolist() == ["de", "10", "50.00 %"]
    assert frames[2].iloc[0].tolist() == ["negation", "not hateful", "4", "25.00 %", "—"]


def test_a_card_without_them():
    app = shown("show_model_card", digits.model_card())
    assert len(app.table) == 1 and not app.dataframe
    assert not any("Known biases" in block.value for block in app.markdown)


def test_which_heatmaps_are_right():
    app = shown("show_faithfulness", {"networks": {"photos": REPORT}}, {"photos": "Our VGG"})
    (table,) = (element.value for element in app.table)
    assert table["Rule"].tolist() == ["z+", "random"]
    assert table["In the right place"].tolist() == ["**0.810** (0.790 to 0.830)", "0.250 (0.240 to 0.260)"]
    assert any("25%" in block.value and "256" in block.value for block in app.markdown)


def test_which_words_are_right():
    report = {
        "networks": {
            "sentiment": {"grades": {"sign": BOTH, "order": BOTH}, "deletion": {"between": BOTH}},
            "topics": {"deletion": {"between": BOTH}},
        }
    }
    app = shown("show_word_faithfulness", report, {"sentiment": "Film reviews"})
    reviews, topics = (element.value for element in app.table)
    assert reviews["Sign as people graded"].tolist() == ["**0.810** (0.790 to 0.830)", "0.250 (0.240 to 0.260)"]
    assert topics.columns.tolist() == ["Rule", "Deleted"]
    assert {"**Film reviews**", "**topics**"} <= {block.value for block in app.markdown}


def test_which_heatmaps_of_scenes_are_right():
    of_objects = {"relevant": {"sum,pos": BOTH}, "touched": {"sum,pos": BOTH}}
    report = {"questions": 1200, "chance": {"relevant": 0.04, "touched": 0.11}, "mass": of_objects, "rank": of_objects}
    app = shown("show_object_faithfulness", report)
    (table,) = (element.value for element in app.table)
    assert table["Rule"].tolist() == ["z+", "random"]
    assert table["Share on what counts"].tolist() == ["**0.810** (0.790 to 0.830)", "0.250 (0.240 to 0.260)"]
    assert len(table.columns) == 5
    assert any("1,200" in block.value and "4%" in block.value and "11%" in block.value for block in app.markdown)


@pytest.mark.parametrize("written", [False, True])
def test_it_is_told_where_it_was_measured(tmp_path, written):
    if written:
        (tmp_path / "faithfulness.json").write_text(json.dumps(REPORT))
    assert faithfulness(tmp_path) == (REPORT if written else None)
