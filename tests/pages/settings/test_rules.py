"""Every rule on offer has words, a formula and a source; what it is in `lrp_core` is what the script says."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

import lrp_core as lrp
from pages.explaining import subject as explaining
from pages.explaining.snippet import composite_code, snippet, target_code
from pages.explaining.subject import RULE_OF
from pages.photos import subject as photo_subject
from pages.settings.rules_text import LAYER_RULES, RULES
from pages.settings.settings import EPSILONS, GAMMAS, Settings

SETTINGS = st.builds(
    Settings,
    rule=st.sampled_from(list(RULES)),
    epsilon=st.sampled_from(EPSILONS),
    gamma=st.sampled_from(GAMMAS),
    layers=st.dictionaries(st.sampled_from(("conv1", "0.dense")), st.sampled_from(list(LAYER_RULES))).map(
        lambda rules: tuple(rules.items())
    ),
)


@pytest.mark.parametrize("text", [*RULES.values(), *LAYER_RULES.values()], ids=lambda text: text.label)
def test_every_rule_is_told_in_words_and_formula(text):
    assert text.words.endswith(".") and text.source
    assert text.formula.count("{") == text.formula.count("}") and "R_j" in text.formula


def test_every_rule_on_offer_exists(subject):
    assert set(RULE_OF) == set(LAYER_RULES)
    for rule in RULES:
        assert isinstance(explaining.composite(Settings(rule=rule), subject), lrp.Composite)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("parameter", ["epsilon", "gamma"])
def test_a_slider_is_offered_where_it_changes_something(subject, rule, parameter):
    settings = Settings(rule=rule)
    moved = replace(settings, **{parameter: 0.56})
    assert (explaining.composite(settings, subject) != explaining.composite(moved, subject)) == (
        parameter in RULES[rule].parameters
    )


def test_the_recommended_rules(subject):
    composite = explaining.composite(Settings(rule="recommended", epsilon=0.1, gamma=0.5), subject)
    assert composite == lrp.Composite(lrp.Epsilon(0.1, relative=True), by_kind={"conv": lrp.Gamma(0.5)})


def test_the_recommended_rules_for_photos(subject):
    """What is told about them is what they are: gamma, epsilon, and zB first, unless the visitor wants another rule."""
    photo = replace(subject, recommended="recommended-photos", bounds=((-2.0,), (2.5,)))
    settings = Settings(rule=photo.recommended, epsilon=0.1, gamma=0.5)
    composite = explaining.composite(settings, photo)
    assert composite == lrp.Composite(
        lrp.Epsilon(0.1, relative=True), by_kind={"conv": lrp.Gamma(0.5)}, first=lrp.ZBox(-2.0, 2.5), bias="spread"
    )
    words = RULES[photo.recommended].words
    assert "zB" in words and "What biases take goes evenly to the inputs" in words
    assert subject.recommended == "recommended" and "zB" not in RULES["recommended"].words
    dense = explaining.composite(replace(settings, layers=(("3", "zplus"),)), photo)
    assert dense == replace(composite, by_name={"3": lrp.ZPlus()})
    first = explaining.composite(replace(settings, layers=(("0", "flat"),)), photo)
    assert first == replace(composite, by_name={"0": lrp.Flat()}, first=None)


@pytest.mark.parametrize(
    ("network", "rule"),
    [
        ("lite0", "recommended-lite"),
        ("photos", "recommended-photos"),
        ("photos_twin", "recommended-photos"),
        ("vgg16", "recommended-imagenet"),
    ],
)
def test_each_photo_network_has_its_own_recommendation(network, rule):
    assert photo_subject.recommended(network) == rule
    assert photo_subject.recommended("vit_b_16") == "recommended-patches"


def test_what_is_recommended_for_patches(subject):
    photo = replace(subject, recommended="recommended-patches", bounds=((-2.0,), (2.5,)))
    composite = explaining.composite(Settings(rule=photo.recommended, epsilon=0.1), photo)
    assert composite == lrp.Composite(lrp.Epsilon(0.1, relative=True), first=lrp.ZBox(-2.0, 2.5), attention="attnlrp")


def test_a_rule_for_one_layer_wins(subject):
    composite = explaining.composite(Settings(rule="zplus", layers=(("conv1", "gamma"),), gamma=0.5), subject)
    assert composite.by_name == {"conv1": lrp.Gamma(0.5)} and composite.default == lrp.ZPlus()


@settings_of_hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SETTINGS)
def test_the_composite_in_the_script_is_the_one_on_the_page(subject, settings):
    subject = replace(subject, bounds=((-2.1, -2.0), (2.5, 2.6)))
    composite = explaining.composite(settings, subject)
    assert eval(composite_code(composite), {"lrp": lrp}) == composite


@pytest.mark.parametrize(
    "composite",
    [
        lrp.presets.epsilon_gamma_box(0.0, 1.0, epsilon=0.1),
        lrp.presets.overview(0.1, 0.3),
        lrp.presets.cp_lrp(1e-3),
        replace(lrp.presets.lrp0(), bias="spread"),
    ],
)
def test_any_composite_can_be_written_down(composite):
    assert eval(composite_code(composite), {"lrp": lrp}) == composite


@pytest.mark.parametrize("target", [lrp.Target.top(), lrp.Target.logit(3), lrp.Target.difference(3, 8)])
def test_any_target_can_be_written_down(target):
    assert eval(target_code(target), {"lrp": lrp}) == target


@pytest.mark.parametrize("rule", RULES)
def test_the_script_remakes_the_map(subject, rule):
    settings = Settings(rule=rule, target=2, rather_than=1)
    shown = explaining.explain(settings, subject)
    script = snippet(subject, explaining.composite(settings, subject), explaining.target(settings, subject))
    made = {"MODEL": subject.model, "X": subject.x}
    exec(script, made)
    assert torch.equal(made["relevance"], shown.relevance) and shown.relevance.any()


def test_a_class_against_itself_is_that_class(subject):
    assert explaining.target(Settings(target=2, rather_than=2), subject) == lrp.Target.logit(2)
    assert explaining.question(Settings(target=2, rather_than=2), subject) == "c"
    assert explaining.question(Settings(target=2, rather_than=0), subject) == "c rather than a"
    best = int(subject.tape.output[0].argmax())
    assert explaining.target(Settings(), subject) == lrp.Target.logit(best)
