"""Settings travel through a link and come back the same; nonsense in a link falls back and is named."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.settings.rules_text import LAYER_RULES, RECOMMENDED, RULES
from pages.settings.settings import (
    COLOURS,
    EPSILONS,
    GAMMAS,
    NO_CLASS,
    OPACITIES,
    OWN_INPUT,
    PARAMETERS,
    SMALLEST_CROP,
    TOPS,
    VIEWS,
    WHOLE,
    Offer,
    Settings,
    from_query,
    nearest,
    starting,
    to_query,
)

OFFER = Offer(
    defaults=Settings(sample="three", network="honest"),
    labels=tuple("0123456789"),
    samples=("three", "eight", "4/9"),
    networks=("honest", "twin"),
    layers=("conv1", "features.0", "dense"),
    crops=True,
)
CLASSES = st.integers(NO_CLASS, len(OFFER.labels) - 1)
CHOSEN = st.builds(
    Settings,
    rule=st.sampled_from(OFFER.rules),
    epsilon=st.sampled_from(EPSILONS),
    gamma=st.sampled_from(GAMMAS),
    target=CLASSES,
    rather_than=CLASSES,
    view=st.sampled_from(list(VIEWS)),
    opacity=st.sampled_from(OPACITIES),
    top=st.sampled_from(TOPS),
    colours=st.sampled_from(list(COLOURS)),
    layers=st.dictionaries(st.sampled_from(OFFER.layers), st.sampled_from(list(LAYER_RULES))).map(
        lambda rules: tuple(rules.items())
    ),
    sample=st.sampled_from(OFFER.samples),
    network=st.sampled_from(OFFER.networks),
    pieces=st.booleans(),
    mark=st.booleans(),
    crop=st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(SMALLEST_CROP, 100)),
)


@given(CHOSEN)
def test_a_link_restores_the_settings(settings):
    assert from_query(to_query(settings, OFFER), OFFER) == (settings, [])


def test_defaults_make_an_empty_link():
    assert to_query(OFFER.defaults, OFFER) == {}


def test_a_link_never_carries_an_own_input():
    assert "sample" not in to_query(replace(OFFER.defaults, sample=OWN_INPUT), OFFER)


def test_the_crop_of_an_own_picture_stays_here_too():
    own = replace(OFFER.defaults, sample=OWN_INPUT, crop=(10, 20, 50))
    assert to_query(own, OFFER) == {}
    assert to_query(replace(own, sample="eight"), OFFER) == {"sample": "eight", "crop": "10,20,50"}


def test_a_page_without_crops_takes_none_from_a_link():
    offer = replace(OFFER, crops=False)
    assert from_query({"crop": "10,20,50"}, offer) == (offer.defaults, ["crop"])
    assert offer.defaults.crop == WHOLE


def test_a_page_offers_its_own_recommendation_only():
    photos = replace(OFFER, defaults=starting("recommended-photos"))
    assert photos.rules[0] == "recommended-photos" and "recommended" not in photos.rules
    assert set(photos.rules[1:]) == set(OFFER.rules[1:]) < set(RULES) - set(RECOMMENDED)
    assert from_query({"rule": "recommended"}, photos)[1] == ["rule"]
    text = RECOMMENDED["recommended-photos"]
    assert (photos.defaults.epsilon, photos.defaults.gamma) == (text.epsilon, text.gamma)
    assert text.epsilon in EPSILONS and text.gamma in GAMMAS


@given(st.dictionaries(st.sampled_from(PARAMETERS), st.text()))
def test_any_link_is_read_without_an_error(query):
    settings, unreadable = from_query(query, OFFER)
    assert set(unreadable) <= set(query)
    again, still_unreadable = from_query(to_query(settings, OFFER), OFFER)
    assert (again, still_unreadable) == (settings, [])  # what was taken over can be shared on


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("rule", "magic"),
        ("rule", ""),
        *(("epsilon", text) for text in ("nan", "inf", "-1", "0", "1e9", "a", "")),
        *(("gamma", text) for text in ("nan", "-0.1", "10.1")),
        *(("class", text) for text in ("10", "-1", "3.0", "three", "²")),
        ("rather-than", "99"),
        ("sample", OWN_INPUT),
        ("sample", "../../etc/passwd"),
        ("network", "other"),
        ("view", "sideways"),
        ("opacity", "55"),
        ("top", "-5"),
        ("colours", "jet"),
        ("mark", "yes"),
        ("pieces", "2"),
        *(("crop", text) for text in ("50,50", "50,50,19", "50,101,50", "-1,0,50", "a,b,c", "50,50,50,50", "1.5,0,50")),
        *(("layers", text) for text in ("conv1", "conv1:magic", "conv9:zplus", "conv1:zplus,conv1:lrp0", ":", ",")),
    ],
)
def test_nonsense_falls_back_and_is_named(parameter, text):
    settings, unreadable = from_query({parameter: text}, OFFER)
    assert (settings, unreadable) == (OFFER.defaults, [parameter])


def test_one_bad_part_leaves_the_good_parts():
    settings, unreadable = from_query({"rule": "gamma", "epsilon": "much", "gamma": "0.4"}, OFFER)
    assert (settings.rule, settings.epsilon, settings.gamma) == ("gamma", OFFER.defaults.epsilon, 0.4)
    assert unreadable == ["epsilon"]


def test_numbers_between_two_positions_take_the_nearer():
    assert from_query({"gamma": "0.413"}, OFFER)[0].gamma == 0.425
    assert from_query({"epsilon": "0.0011"}, OFFER)[0].epsilon == 0.001


def test_unknown_parameters_are_left_alone():
    assert from_query({"present": "1"}, OFFER) == (OFFER.defaults, [])


def test_scales_rise_and_hold_the_defaults():
    for scale, default in ((EPSILONS, OFFER.defaults.epsilon), (GAMMAS, OFFER.defaults.gamma)):
        assert list(scale) == sorted(set(scale))
        assert scale[nearest(scale, default)] == default
    assert (EPSILONS[0], EPSILONS[-1], GAMMAS[0], GAMMAS[-1]) == (1e-6, 10, 0, 10)


@pytest.mark.parametrize("rule", RULES)
def test_the_parameters_in_use_are_those_of_the_rules(rule):
    settings = Settings(rule=rule)
    assert settings.parameters == set(RULES[rule].parameters)
    own = replace(settings, layers=(("conv1", "gamma"),)).parameters
    assert own == (set() if rule == "gxi" else settings.parameters | {"gamma"})
