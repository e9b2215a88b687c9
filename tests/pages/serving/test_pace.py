"""How often a held slider may ask."""

from itertools import pairwise

from pages.serving.pace import PATIENCE_S, RERUN_S, SHORTEST_MS, Crowd


class Server:
    """A clock and an engine, both moved by hand."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0
        self.crowd = Crowd(lambda: self.now, lambda: self.worked)

    def steps(self, sliders: int, cost: float, rounds: int = 40) -> list[int]:
        """Gaps of the last round, after so many rounds in which each slider asks once."""
        for _ in range(rounds):
            gaps = []
            for slider in range(sliders):
                self.worked += cost
                self.now += cost + RERUN_S
                gaps.append(self.crowd.gap_ms(str(slider), held=True))
        return gaps


def test_whoever_drags_alone_may_ask_as_fast_as_the_eye_needs():
    """However large the network is: a slider waits for its answer in any case."""
    assert set(Server().steps(1, cost=0.3)) == {SHORTEST_MS}


def test_all_together_ask_no_more_often_than_the_server_can_answer():
    for cost in (0.001, 0.05, 0.3):
        gaps = Server().steps(10, cost)
        assert max(gaps) == max(SHORTEST_MS, round(1000 * 10 * (RERUN_S + cost)))


def test_the_gap_follows_the_engine():
    """From digits to photos and back, each time within some twenty steps."""
    server = Server()
    small = server.steps(2, cost=0.001)
    large = server.steps(2, cost=0.3, rounds=10)
    again = server.steps(2, cost=0.001, rounds=20)
    assert max(small) == max(again) == SHORTEST_MS
    assert 2 * 0.95 * 300 < max(large) <= 2 * 309


def test_what_the_engine_did_while_nobody_dragged_does_not_count():
    server = Server()
    server.steps(2, cost=0.001)
    server.now, server.worked = server.now + 3600, server.worked + 600
    assert max(server.steps(2, cost=0.001, rounds=1)) == SHORTEST_MS


def test_a_newcomer_makes_room_for_itself_at_once():
    crowd = Crowd(lambda: 0.0, lambda: 0.0)
    gaps = [crowd.gap_ms(str(slider), held=True) for slider in range(30)]
    assert all(earlier <= later for earlier, later in pairwise(gaps))
    assert gaps[-1] == round(1000 * 30 * RERUN_S)


def test_who_only_looks_does_not_count():
    crowd = Crowd(lambda: 0.0, lambda: 0.0)
    for slider in range(30):
        crowd.gap_ms(str(slider), held=False)
    assert crowd.gap_ms("a", held=True) == SHORTEST_MS


def test_who_lets_go_is_forgotten_at_once():
    server = Server()
    server.steps(2, cost=0.3)
    server.crowd.gap_ms("1", held=False)
    assert server.crowd.gap_ms("0", held=True) == SHORTEST_MS


def test_who_has_vanished_is_forgotten_when_its_next_step_is_long_due():
    server = Server()
    gap = max(server.steps(2, cost=0.3)) / 1000
    server.now += gap + PATIENCE_S
    assert server.crowd.gap_ms("0", held=True) > SHORTEST_MS
    server.now += 1.01 * gap
    assert server.crowd.gap_ms("0", held=True) == SHORTEST_MS
