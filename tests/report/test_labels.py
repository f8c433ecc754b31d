"""Labels keep apart."""

from hypothesis import given
from hypothesis import strategies as st

from deltakit.report.labels import Label, place_labels

SIZE = 7.0


def test_alone_they_stay():
    labels = [Label("a", 0, 10), Label("b", 300, 10)]
    assert place_labels(labels, SIZE, 0, 100) == labels


def test_on_one_spot_they_spread():
    found = place_labels([Label(text, 0, 50) for text in "abc"], SIZE, 0, 100)
    assert [label.text for label in found] == ["a", "b", "c"]
    heights = sorted(label.y for label in found)
    assert min(b - a for a, b in zip(heights, heights[1:], strict=False)) >= SIZE


def test_they_stay_within_the_panel():
    found = place_labels([Label(text, 0, 100) for text in "abcd"], SIZE, 0, 100)
    assert max(label.y for label in found) <= 100
    assert len({label.y for label in found}) == 4


def test_points_are_not_covered_while_there_is_room():
    (found,) = place_labels([Label("label", 10, 50)], SIZE, 0, 100, [(4, 50), (20, 51), (20, 44), (200, 58)])
    assert abs(found.y - 51) >= SIZE
    assert abs(found.y - 44) >= SIZE
    assert place_labels([Label("a", 10, 50)], SIZE, 48, 52, [(12, 50)]) == [Label("a", 10, 50)]


def test_where_all_is_full_they_stay():
    assert [label.y for label in place_labels([Label("a", 0, 5), Label("b", 0, 5)], SIZE, 4, 6)] == [5, 5]


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), max_size=12))
def test_none_covers_another_where_there_is_room(points):
    labels = [Label(f"label {i}", x, y) for i, (x, y) in enumerate(points)]
    found = place_labels(labels, SIZE, 0, 300)
    for i, a in enumerate(found):
        for b in found[i + 1 :]:
            apart = a.x + a.width(SIZE) <= b.x or b.x + b.width(SIZE) <= a.x
            assert apart or abs(a.y - b.y) >= SIZE
