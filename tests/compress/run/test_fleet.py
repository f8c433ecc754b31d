"""Many fine-tunes of one base. Run: pytest tests/compress/run/test_fleet.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from deltakit.compress.run import encode, fleet, store
from deltakit.compress.run.files import compress_files
from deltakit.compress.run.fleet import compress_fleet, fleet_requests
from deltakit.compress.run.request import Request, Sampling
from deltakit.errors import InputError, MismatchError, RecipeError
from support.faults import killed_at
from support.models import tiny_llama, tiny_tuned

NAMES = ("chat", "code", "math")
SAMPLING = Sampling(samples=2, length=16, batch=2)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    folder = tmp_path_factory.mktemp("family")
    base = tiny_llama(folder / "base", 0, "F32")
    return str(base), [str(tiny_tuned(base, folder / n, i, extra_rows=i)) for i, n in enumerate(NAMES)]


def request(base: str, out: Path, **more: object) -> Request:
    return Request(base, "", out, **{"codec": "lowrank", "ratio": 8.0, "threads": 1, **more})  # type: ignore[arg-type]


class Bar:
    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []

    def start(self, what: str, total: int, unit: str = "B") -> None:
        self.said.append(("start", total))

    def advance(self, n: int, note: str = "") -> None:
        self.said.append(("advance", n))

    def stop(self) -> None:
        self.said.append(("stop", 0))


@pytest.mark.parametrize("sampling", [None, SAMPLING])
def test_each_archive_is_what_its_fine_tune_alone_gives(
    sampling: Sampling | None, family: tuple[str, list[str]], tmp_path: Path
) -> None:
    base, tuned = family
    codec = "svd_mixed" if sampling else "lowrank"
    bar = Bar()
    made = compress_fleet(request(base, tmp_path / "out", codec=codec, sampling=sampling), tuned, bar)
    assert sorted(made) == list(NAMES)
    extra = ["hessians.safetensors"] if sampling else []
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([*(f"{n}.archive" for n in NAMES), *extra])
    for path, name in zip(tuned, NAMES, strict=True):
        assert made[name].path == tmp_path / "out" / f"{name}.archive"
        kept = tmp_path / "out" / "hessians.safetensors" if sampling else None
        alone = Request(base, path, tmp_path / name, codec, ratio=8.0, threads=1, sampling=sampling, hessians=kept)
        compress_files(alone)
        assert made[name].path.read_bytes() == (tmp_path / name).read_bytes()
    writing = bar.said[bar.said.index(("stop", 0)) + 1 :] if sampling else bar.said
    assert [s for s, _ in writing].count("start") == [s for s, _ in writing].count("stop") == 1
    assert writing[0][1] == sum(n for what, n in writing if what == "advance")


def test_a_stretch_of_the_base_serves_all_before_the_next(
    family: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "_STRETCH", 1)  # one tensor
    order: list[str] = []

    def spy(row: encode.Row, *given: object, real: object = encode.encoded, **more: object) -> object:
        order.append(row.name)
        return real(row, *given, **more)  # type: ignore[operator]

    monkeypatch.setattr(encode, "encoded", spy)
    compress_fleet(request(family[0], tmp_path / "out"), family[1])
    assert order == [n for n in sorted(set(order)) for _ in NAMES]


def test_hessians_are_taken_once(
    family: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    real = store.collect

    def spy(path: Path, *given: object) -> None:
        calls.append(path)
        real(path, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "collect", spy)
    compress_fleet(request(family[0], tmp_path / "out", sampling=SAMPLING), family[1])
    assert calls == [tmp_path / "out" / "hessians.safetensors"]


def test_a_killed_fleet_resumes_to_the_same_bytes(
    family: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deltakit.delta.file.segments._SECONDS", -1.0)
    monkeypatch.setattr(fleet, "_STRETCH", 20_000)
    compress_fleet(request(family[0], tmp_path / "whole"), family[1])
    assert killed_at(250, lambda: compress_fleet(request(family[0], tmp_path / "out"), family[1]))
    assert list((tmp_path / "out").glob("*.archive")) == []
    made = compress_fleet(request(family[0], tmp_path / "out"), family[1])
    assert all(m.resumed > 0 for m in made.values())
    for name in NAMES:
        assert made[name].path.read_bytes() == (tmp_path / "whole" / f"{name}.archive").read_bytes()


def test_nothing_is_coded_before_all_is_planned(family: tuple[str, list[str]], tmp_path: Path) -> None:
    base, tuned = family
    with pytest.raises(MismatchError, match="do not fit"):
        compress_fleet(request(base, tmp_path / "out"), [*tuned, str(tiny_llama(tmp_path / "wide", width=64))])
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(RecipeError, match="several fine-tunes are called"):
        fleet_requests(request(base, tmp_path), ["a/math", "b/math.delta", "c"])
    compress_fleet(request(base, tmp_path / "out"), tuned[:1])
    before = (tmp_path / "out" / "chat.archive").read_bytes()
    with pytest.raises(InputError, match="exists"):
        compress_fleet(request(base, tmp_path / "out"), tuned)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["chat.archive"]
    assert (tmp_path / "out" / "chat.archive").read_bytes() == before
