"""The benchmark of the balance's alarm, on two drawings: what it finds, and how it is told."""

from benchmarks import balance


def test_drawings_under_every_rule():
    found = list(balance.of_pictures("digits", 2))
    assert len(found) == 2 * len(balance.rules(0.0, 1.0))
    by_rule = {rule: [(doubt, area) for name, doubt, area in found if name == rule] for rule, *_ in found}
    assert all(doubt == "" and area > 0.3 for doubt, area in by_rule["recommended"])
    assert all(doubt == "damped" for doubt, _ in by_rule["epsilon 30, relative"])


def test_both_sides_of_the_alarm_are_told():
    table = balance.table("net", [("z+", "", 0.5), ("z+", "", 0.3), ("LRP-0", "grown", 0.1)])
    assert "| z+ | 0% |  | 0.400 |" in table and "| LRP-0 | 100% | grown | 0.100 |" in table
    assert "| **all without alarm** | 2 maps | | **0.400** |" in table
    assert "| **all with alarm** | 1 maps | | **0.100** |" in table
