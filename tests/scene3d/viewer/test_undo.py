"""The list of what can be taken back."""

from __future__ import annotations

from scene3d.viewer._undo import History


def nothing() -> None:
    pass


def test_the_newest_is_taken_back_first() -> None:
    history, undone = History(), []
    history.add("move mug", lambda: undone.append(1), nothing)
    history.add("push can", lambda: undone.append(2), nothing)
    assert history.last == "push can"
    assert [history.undo(), history.undo(), history.undo()] == ["push can", "move mug", ""]
    assert undone == [2, 1]
    assert history.last == ""


def test_a_drag_of_a_slider_is_one_entry_that_goes_back_to_its_start() -> None:
    now, undone, done = [0.0], [], []
    history = History(clock=lambda: now[0])
    for step in range(50):
        now[0] += 0.05
        history.add(
            "change mug", lambda step=step: undone.append(step), lambda step=step: done.append(step), key="mug mass"
        )
    now[0] += 0.05
    history.add("change mug", lambda: undone.append("friction"), nothing, key="mug friction")
    now[0] += 5.0
    history.add("change mug", lambda: undone.append("later"), nothing, key="mug friction")
    assert len(history) == 3
    while history.undo():
        pass
    assert undone == ["later", "friction", 0]
    assert history.redo() == "change mug"
    assert done == [49], "the end of the drag"


def test_what_was_taken_back_is_done_again_until_something_else_is() -> None:
    history, happened = History(), []
    for name in ("move mug", "push can"):
        history.add(name, lambda name=name: happened.append(f"no {name}"), lambda name=name: happened.append(name))
    assert history.redo() == ""
    assert [history.undo(), history.undo()] == ["push can", "move mug"]
    assert [history.redo(), history.last] == ["move mug", "move mug"]
    assert happened == ["no push can", "no move mug", "move mug"]
    history.add("drop box", nothing, nothing)
    assert history.redo() == ""
    assert [history.undo(), history.undo(), history.undo()] == ["drop box", "move mug", ""]


def test_old_entries_are_forgotten() -> None:
    history = History(limit=3)
    for number in range(10):
        history.add(str(number), nothing, nothing)
    assert [history.undo() for _ in range(4)] == ["9", "8", "7", ""]


def test_it_tells_of_changes_and_forgets_on_demand() -> None:
    history, told = History(), []
    history.changed.connect(lambda: told.append(history.last))
    history.add("move mug", nothing, nothing)
    history.clear()
    assert history.undo() == ""
    assert history.redo() == ""
    assert told == ["move mug", ""]
