"""The few lines of Python that reproduce the heatmap on the page with `lrp_core` alone."""

from dataclasses import MISSING, Field, fields

import lrp_core as lrp
from lrp_core.presets import gradient_times_input
from pages.explaining.subject import Subject


def snippet(subject: Subject, composite: lrp.Composite, target: lrp.Target) -> str:
    """A whole script: the lines that make the model and its input, then the explanation.

    Running it in the project's folder leaves in `relevance` what the view shows.
    """
    return (
        f"import lrp_core as lrp\n{subject.code}\n\n"
        f"tape = lrp.record(model, {subject.arguments})\n"
        f"composite = {composite_code(composite)}\n"
        f"target = {target_code(target)}\n"
        "explanation = tape.explain(composite, target)\n\n"
        f"{subject.view.code}\n"
        "print(explanation.ledger.total)\n"
    )


def composite_code(composite: lrp.Composite) -> str:
    """The call that makes `composite`, without the arguments that equal their defaults."""
    if composite.is_gradient and composite == gradient_times_input():
        return "lrp.presets.gradient_times_input()"
    arguments = [rule_code(composite.default)]
    for kind in ("by_kind", "by_name"):
        if rules := getattr(composite, kind):
            arguments.append(f"{kind}={{{', '.join(f'{name!r}: {rule_code(rule)}' for name, rule in rules.items())}}}")
    if composite.by_depth:
        arguments.append(f"by_depth=({', '.join(map(rule_code, composite.by_depth))},)")
    if composite.first is not None:
        arguments.append(f"first={rule_code(composite.first)}")
    arguments += [f"{f.name}={getattr(composite, f.name)!r}" for f in fields(composite) if _own_word(composite, f)]
    return f"lrp.Composite({', '.join(arguments)})"


def rule_code(rule: lrp.rules.Rule) -> str:
    """The call that makes `rule`, without the arguments that equal their defaults."""
    arguments = [f"{f.name}={getattr(rule, f.name)!r}" for f in fields(rule) if getattr(rule, f.name) != f.default]
    return f"lrp.{type(rule).__name__}({', '.join(arguments)})"


def target_code(target: lrp.Target) -> str:
    """The call that makes `target`."""
    classes = [repr(one) for one in (target.positive, target.negative) if one is not None]
    return f"lrp.Target.{target.kind}({', '.join(classes)})"


def _own_word(composite: lrp.Composite, field: Field) -> bool:
    """Whether `field` is one of the composite's words (attention, bias) and not at its default."""
    return field.type == "str" and field.default is not MISSING and getattr(composite, field.name) != field.default
