"""How often a held slider may ask."""

from pages.shared.pace import ANSWERS_PER_SECOND, MEMORY_S, SHORTEST_MS, Crowd


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_visitor_may_ask_as_fast_as_the_eye_needs():
    crowd = Crowd(Clock())
    assert [crowd.gap_ms("a", moves=True) for _ in range(50)] == [SHORTEST_MS] * 50


def test_all_together_ask_no_more_often_than_the_server_can_answer():
    crowd = Crowd(Clock())
    gaps = [crowd.gap_ms(str(visitor), moves=True) for visitor in range(30)]
    assert gaps[-1] == 300 and gaps == sorted(gaps)
    assert 30 * 1000 / gaps[-1] <= ANSWERS_PER_SECOND


def test_who_only_looks_does_not_count():
    crowd = Crowd(Clock())
    for visitor in range(30):
        crowd.gap_ms(str(visitor), moves=False)
    assert crowd.gap_ms("a", moves=True) == SHORTEST_MS


def test_who_has_stopped_is_forgotten():
    clock = Clock()
    crowd = Crowd(clock)
    for visitor in range(30):
        crowd.gap_ms(str(visitor), moves=True)
    clock.now = MEMORY_S * 1.01
    assert crowd.gap_ms("a", moves=True) == SHORTEST_MS
