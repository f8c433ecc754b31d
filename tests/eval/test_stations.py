"""Models over one base sit together where that is asked for; every one is seated once."""

from typing import Any

import pytest

from deltakit.delta.open import open_model
from deltakit.generate import Host
from deltakit.generate.request import Request
from deltakit_eval import stations as module
from deltakit_eval.answers import Answers
from deltakit_eval.stations import Station, stations
from support.running import write_folder


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    base, tuned = write_folder(folder / "base", 0), write_folder(folder / "tuned", 1)
    return {"base": str(base), "half": f"{base} + 0.5*{tuned}", "apart": str(tuned), "less": f"{base} - 0.1*{tuned}"}


def placed(names: dict[str, str], place: str, rows: int = 1, asked: tuple[str, ...] = ()) -> list[Station]:
    models = [(name, open_model(text)) for name, text in names.items()]
    keys = {name: name for name in asked or names}
    return list(stations(models, keys, Host(device="cpu"), Answers(), place, rows))


@pytest.mark.parametrize(
    ("place", "rows", "expected"),
    [
        ("mixed", 1000, [("mixed", ["base", "half", "less"]), ("swap", ["apart"])]),
        ("auto", 2, [("mixed", ["base", "half", "less"]), ("swap", ["apart"])]),
        ("auto", 1000, [("swap", [n]) for n in ("base", "half", "less", "apart")]),
        ("swap", 1, [("swap", [n]) for n in ("base", "half", "less", "apart")]),
    ],
)
def test_who_sits_where(names: dict[str, str], place: str, rows: int, expected: list[tuple[str, list[str]]]) -> None:
    assert [(s.place, list(s.seats)) for s in placed(names, place, rows)] == expected


def test_a_run_that_goes_on_seats_as_it_began(names: dict[str, str]) -> None:
    (mixed,) = placed(names, "mixed", asked=("less",))
    assert (mixed.place, list(mixed.seats)) == ("mixed", ["less"])
    assert placed(names, "mixed", asked=("apart",))[0].place == "swap"


def test_both_places_give_the_same_answers(names: dict[str, str]) -> None:
    request = Request((1, 9, 5), 6)
    found = {}
    for place in ("mixed", "swap"):
        models = [(name, open_model(text)) for name, text in names.items()]
        for station in stations(models, {n: n for n in names}, Host(device="cpu"), Answers(), place, 1):
            for name, seat in station.seats.items():
                found.setdefault(name, []).append(seat.generate([request]))
                assert (name in station.content) == (station.place == "swap")
    assert all(one == other for one, other in found.values())
    assert len({str(one) for one, _ in found.values()}) == 4


def test_no_answer_of_one_place_counts_for_the_other(names: dict[str, str]) -> None:
    answers, models = Answers(), [(name, open_model(names[name])) for name in ("base", "half")]
    for place in ("mixed", "swap"):
        for station in stations(models, {n: n for n in names}, Host(device="cpu"), answers, place, 1):
            for seat in station.seats.values():
                seat.generate([Request((1, 9, 5), 3)])
    assert len(answers) == 4, "of two models at two places"


def test_who_is_computed_in_another_dtype_sits_alone(names: dict[str, str]) -> None:
    class Typed(Host):
        def dtype_of(self, opened: Any) -> str:
            return "float32" if opened.source == names["half"] else "bfloat16"

    models = [(name, open_model(names[name])) for name in ("base", "half", "less")]
    keys = {name: name for name in names}
    found = list(stations(models, keys, Typed(device="cpu", dtype="float32"), Answers(), "mixed", 1))
    assert [(s.place, list(s.seats)) for s in found] == [("mixed", ["base", "less"]), ("swap", ["half"])]


def test_a_mixed_batch_keeps_to_the_limits_too(names: dict[str, str]) -> None:
    models = [(name, open_model(names[name])) for name in ("base", "half")]
    host = Host(device="cpu", batch_tokens=64, max_rows=3)
    (station,) = stations(models, {n: n for n in names}, host, Answers(), "mixed", 1)
    engine: Any = station.backend.inner
    assert (engine.batch_tokens, engine.max_rows) == (64, 3)


def test_two_names_for_one_model_are_two_seats(names: dict[str, str]) -> None:
    twice = {"a": names["half"], "b": names["half"], "base": names["base"]}
    (station,) = placed(twice, "mixed")
    assert sorted(station.seats) == ["a", "b", "base"]


def test_models_that_do_not_fit_beside_each_other_are_swapped(
    names: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "resident_engine", full)
    assert [(s.place, list(s.seats)) for s in placed(names, "mixed")] == [
        ("swap", [n]) for n in ("base", "half", "less", "apart")
    ]
    assert "base, half, less" in caplog.text

    def wrong(*given: object) -> None:
        raise RuntimeError("another matter")

    monkeypatch.setattr(module, "resident_engine", wrong)
    with pytest.raises(RuntimeError, match="another matter"):
        placed(names, "mixed")
