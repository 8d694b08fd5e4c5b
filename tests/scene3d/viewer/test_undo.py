"""The list of what can be taken back."""

from __future__ import annotations

from scene3d.viewer._undo import History


def test_the_newest_is_taken_back_first() -> None:
    history, undone = History(), []
    history.add("move mug", lambda: undone.append(1))
    history.add("push can", lambda: undone.append(2))
    assert history.last == "push can"
    assert [history.undo(), history.undo(), history.undo()] == ["push can", "move mug", ""]
    assert undone == [2, 1]
    assert history.last == ""


def test_a_drag_of_a_slider_is_one_entry_that_goes_back_to_its_start() -> None:
    now, undone = [0.0], []
    history = History(clock=lambda: now[0])
    for step in range(50):
        now[0] += 0.05
        history.add("change mug", lambda step=step: undone.append(step), key="mug mass")
    now[0] += 0.05
    history.add("change mug", lambda: undone.append("friction"), key="mug friction")
    now[0] += 5.0
    history.add("change mug", lambda: undone.append("later"), key="mug friction")
    assert len(history) == 3
    while history.undo():
        pass
    assert undone == ["later", "friction", 0]


def test_old_entries_are_forgotten() -> None:
    history = History(limit=3)
    for number in range(10):
        history.add(str(number), lambda: None)
    assert [history.undo() for _ in range(4)] == ["9", "8", "7", ""]


def test_it_tells_of_changes_and_forgets_on_demand() -> None:
    history, told = History(), []
    history.changed.connect(lambda: told.append(history.last))
    history.add("move mug", lambda: None)
    history.clear()
    assert history.undo() == ""
    assert told == ["move mug", ""]
