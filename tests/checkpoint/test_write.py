"""The writer: canonical bytes, whatever the run; nothing half-done, whatever happens."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltakit import manifest as manifests
from deltakit.checkpoint import write as writer
from deltakit.checkpoint.fingerprint import fingerprint
from deltakit.checkpoint.open import Checkpoint, open_checkpoint
from deltakit.checkpoint.sidecar import Sidecar
from deltakit.checkpoint.staging import Staging
from deltakit.checkpoint.verify import verify_checkpoint
from deltakit.checkpoint.write import Written, plan_checkpoint, write_checkpoint
from deltakit.errors import DeltakitError, InputError, MismatchError, ResourceError
from deltakit.tensors import Mapped, TensorMap, TensorSpec, cast
from support.faults import ALL, broken, faulty, full_disk, killed_at, power_cut_at
from support.models import random_tensors, save, save_sharded
from support.tensors import memory, tensor, whole

SPECS = {
    "a": TensorSpec((6, 5), "BF16"),
    "b.weight": TensorSpec((7,), "F32"),
    "c": TensorSpec((3, 2, 2), "F16"),
    "empty": TensorSpec((0, 4), "F32"),
    "flags": TensorSpec((5,), "BOOL"),
    "scalar": TensorSpec((), "F64"),
}
BESIDE = Sidecar({"config.json": b'{"model_type": "x"}\n', "tokenizer.json": b"{}"})


@pytest.fixture
def source() -> Mapped:
    return memory(random_tensors(SPECS))


@pytest.fixture
def small() -> Mapped:
    """Two shards of three tensors: few operations to fail at."""
    return memory(random_tensors({name: SPECS[name] for name in ("a", "c", "scalar")}))


@pytest.fixture(autouse=True)
def every_tensor_is_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BATCH", 1)


@pytest.fixture(autouse=True)
def no_real_sync() -> Iterator[None]:
    with faulty():
        yield


def put(source: TensorMap, out: Path, *, shard: int = 60, threads: int = 1, overwrite: bool = False) -> Written:
    return write_checkpoint(
        source, out, sidecar=BESIDE, manifest={"action": "test"}, max_shard_bytes=shard, threads=threads,
        overwrite=overwrite,
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if ".partial-" in p.name or p.name.endswith(".lock"))


def test_what_was_written_reads_back_with_the_reference_library(source: Mapped, tmp_path: Path) -> None:
    from safetensors import safe_open

    written = put(source, tmp_path / "out", shard=10**9)
    back = open_checkpoint(tmp_path / "out", strict=True)
    assert whole(back) == whole(source)
    assert dict(back.specs) == dict(source.specs)
    assert back.sidecar.files == BESIDE.files
    assert written.fingerprint == fingerprint(source)
    with safe_open(tmp_path / "out" / "model.safetensors", "numpy") as reader:
        assert sorted(reader.keys()) == sorted(SPECS)
        assert reader.metadata() == {"format": "pt"}
        assert reader.get_tensor("b.weight").tobytes() == source.buffer("b.weight")
    assert leftovers(tmp_path) == []


def test_transformers_loads_what_was_written(tiny_base: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    source = open_checkpoint(tiny_base)
    written = write_checkpoint(source, tmp_path / "out", sidecar=source.sidecar, manifest={}, max_shard_bytes=20_000)
    assert len(written.files) > 2
    model = transformers.AutoModelForCausalLM.from_pretrained(written.path)
    assert model.state_dict()["model.norm.weight"].shape == (32,)
    assert len(transformers.AutoTokenizer.from_pretrained(written.path)("abc")["input_ids"]) == 3


@settings(max_examples=25, deadline=None)
@given(
    threads=st.sampled_from([1, 2, 8]),
    shard=st.sampled_from([60, 200, 10**9]),
    order=st.permutations(sorted(SPECS)),
    block=st.sampled_from([4, 32, 8 << 20]),
)
def test_threads_order_and_chunks_change_no_byte(
    tmp_path_factory: pytest.TempPathFactory, threads: int, shard: int, order: list[str], block: int
) -> None:
    source, folder = memory(random_tensors(SPECS)), tmp_path_factory.mktemp("canonical")
    expected = files(put(source, folder / "plain", shard=shard).path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "row_blocks", partial(writer.row_blocks, max_bytes=block))
        out = folder / "other" / "name"
        write_checkpoint(source, out, sidecar=BESIDE, manifest={"action": "test"}, max_shard_bytes=shard,
                         threads=threads, order=order)  # fmt: skip
    assert files(out) == expected


def test_the_manifest_names_every_tensor_and_no_place_or_time(source: Mapped, tmp_path: Path) -> None:
    written = put(source, tmp_path / "out")
    text = (tmp_path / "out" / manifests.MANIFEST_NAME).read_text()
    assert str(tmp_path) not in text
    output = written.manifest["output"]
    assert list(output["tensors"]) == sorted(SPECS)
    assert set(output["files"]) == {p.name for p in written.path.iterdir()} - {manifests.MANIFEST_NAME}
    assert all(size == (written.path / name).stat().st_size for name, size in output["files"].items())
    assert verify_checkpoint(written.path).manifest


def test_the_plan_says_what_the_writing_does(source: Mapped, tmp_path: Path) -> None:
    plan = plan_checkpoint(source, tmp_path / "out", sidecar=BESIDE, manifest={"action": "test"}, max_shard_bytes=60)
    assert not list(tmp_path.iterdir())
    written = put(source, tmp_path / "out")
    sizes = {n: s for n, s in written.manifest["output"]["files"].items() if n != "model.safetensors.index.json"}
    assert plan["files"] == sizes
    assert plan["bytes"] == sum(written.manifest["output"]["files"].values())
    assert plan["free"] > 0
    assert not plan["resumes"]
    with pytest.raises(InputError, match="not empty"):
        plan_checkpoint(source, tmp_path / "out")


def crash_run(source: Mapped, out: Path, old: bool) -> Callable[[], Written]:
    return lambda: put(source, out, overwrite=old)


def prepare(tmp_path: Path, old: bool) -> tuple[Path, dict[str, bytes]]:
    """A fresh output path, with an older output in it or not."""
    out = tmp_path / "out"
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir()
    if old:
        put(memory(random_tensors({"old": TensorSpec((4,), "F32")})), out, shard=10**9)
    return out, files(out) if old else {}


@pytest.mark.parametrize(("old", "swap"), [(False, True), (True, True), (True, False)])
def test_killed_at_any_operation_and_run_again_gives_the_same_bytes(
    small: Mapped, tmp_path: Path, old: bool, swap: bool
) -> None:
    expected = files(put(small, tmp_path / "expected").path)
    at, resumed = 0, 0
    while True:
        out, before = prepare(tmp_path / "case", old)
        killed = killed_at(at, crash_run(small, out, old), swap=swap)
        now = files(out) if out.exists() else {}
        if swap:  # in one step: the old, or the new whole
            assert now in (before, expected), f"operation {at}"
        if not killed:
            break
        if now != expected or old:
            resumed += put(small, out, overwrite=old).resumed > 0
        else:  # killed after the commit: the same command only clears up
            with pytest.raises(InputError, match="not empty"):
                put(small, out)
        assert files(out) == expected, f"operation {at}"
        assert leftovers(out.parent) == [], f"operation {at}"
        at += 1
    assert at > 40
    assert resumed > 5


@pytest.mark.parametrize("lost", [ALL, frozenset({"data"}), frozenset({"removals"})], ids=["all", "data", "removals"])
@pytest.mark.parametrize("old", [False, True])
def test_a_power_cut_leaves_the_old_or_the_whole_new(
    small: Mapped, tmp_path: Path, old: bool, lost: frozenset[str]
) -> None:
    expected = files(put(small, tmp_path / "expected").path)
    at = 0
    while True:
        out, before = prepare(tmp_path / "case", old)
        cut = power_cut_at(at, crash_run(small, out, old), lost=lost)
        now = files(out) if out.exists() else {}
        assert now in (before, expected), f"operation {at}"
        if not cut:
            break
        if now != expected or old:
            put(small, out, overwrite=old)
        assert files(out) == expected, f"operation {at}"
        at += 1
    assert at > 40


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("fault", [full_disk, broken])
def test_a_failing_disk_at_any_operation_harms_nothing_and_resumes(
    small: Mapped, tmp_path: Path, old: bool, fault: Callable[[int], Callable[[str, int], None]]
) -> None:
    expected = files(put(small, tmp_path / "expected").path)
    at = 0
    while True:
        out, before = prepare(tmp_path / "case", old)
        with faulty(fault(at)) as shim:
            try:
                put(small, out, overwrite=old)
                if at >= len(shim.calls):
                    break
            except ResourceError:
                pass  # exit code 5; any other error fails the test
        now = files(out) if out.exists() else {}
        assert now in (before, expected), f"operation {at}"
        if now != expected or old:
            put(small, out, overwrite=old)
        assert files(out) == expected, f"operation {at}"
        at += 1
    assert at > 40


def test_full_disk_keeps_the_staging_and_says_so(source: Mapped, tmp_path: Path) -> None:
    with faulty(full_disk(40)), pytest.raises(ResourceError, match="No space left") as caught:
        put(source, tmp_path / "out")
    assert "resumes" in caught.value.remedy
    assert len(leftovers(tmp_path)) == 1
    assert put(source, tmp_path / "out").resumed > 0


def test_a_disk_too_small_is_refused_before_writing(
    source: Mapped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(ResourceError, match="not enough disk"):
        put(source, tmp_path / "out")
    with pytest.raises(ResourceError, match="not enough disk"):
        plan_checkpoint(source, tmp_path / "out")
    assert not list(tmp_path.iterdir())


SCRIPT = """
import sys, time
from pathlib import Path
from deltakit.checkpoint import Sidecar, open_checkpoint, write_checkpoint, write as writer
from deltakit.tensors import Mapped
writer._BATCH = 1
source = open_checkpoint(sys.argv[1])
def slow(name, lo, hi):
    print(name, flush=True)
    time.sleep(0.05)
    return source.buffer(name, lo, hi)
write_checkpoint(Mapped(source.specs, slow), Path(sys.argv[2]), sidecar=Sidecar(), manifest={}, inputs=[source])
"""


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_real_process_killed_or_interrupted_resumes(tmp_path: Path, kind: signal.Signals) -> None:
    given = save(tmp_path / "in" / "model.safetensors", random_tensors({f"t{i}": SPECS["a"] for i in range(40)}))
    command = [sys.executable, "-c", SCRIPT, str(given), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        for _ in range(8):
            process.stdout.readline()
        process.send_signal(kind)
        rest = process.stdout.read()
    assert process.returncode != 0
    assert not (tmp_path / "out").exists()
    assert any(tmp_path.glob("out.partial-*/journal.jsonl"))
    again = subprocess.run(command, capture_output=True, check=True, text=True)
    assert len(again.stdout.split()) < 40 - 2, rest
    assert whole(open_checkpoint(tmp_path / "out")) == whole(open_checkpoint(given))
    assert leftovers(tmp_path) == []


def test_an_interrupt_keeps_what_is_done(source: Mapped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BATCH", 1 << 30)

    def pull(name: str, lo: int, hi: int) -> memoryview:
        if name == "flags":
            raise KeyboardInterrupt
        return source.buffer(name, lo, hi)

    with pytest.raises(KeyboardInterrupt):
        put(Mapped(source.specs, pull), tmp_path / "out")
    assert put(source, tmp_path / "out").resumed == 4


@pytest.mark.parametrize(("value", "said"), [(np.nan, "1 NaN and 0 infinite"), (np.inf, "0 NaN and 1 infinite")])
@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_nonfinite_values_are_refused_by_name_and_count(tmp_path: Path, value: float, said: str, dtype: str) -> None:
    bad = memory({"fine": tensor([1.0], dtype), "x": tensor([1.0, value, 2.0], dtype), "y": tensor([value], dtype)})
    with pytest.raises(InputError, match="2 of 3 tensors") as caught:
        put(bad, tmp_path / "out")
    assert caught.value.details == (f"x: {said} of 3 values ({dtype})", f"y: {said} of 1 values ({dtype})")
    assert not list(tmp_path.iterdir())


def test_nonfinite_values_may_be_allowed_and_are_recorded(tmp_path: Path) -> None:
    bad = memory({"x": tensor([[1.0, np.nan], [np.inf, np.inf]])})
    written = write_checkpoint(bad, tmp_path / "out", sidecar=BESIDE, manifest={}, allow_nonfinite=True)
    assert written.manifest["output"]["nonfinite"] == {"x": {"nan": 1, "inf": 2}}


def test_a_resumed_run_still_refuses_what_the_first_one_saw(tmp_path: Path) -> None:
    bad = memory({"x": tensor([np.nan]), "y": tensor([1.0])})
    with faulty(broken(0, only="mkdir")), pytest.raises(ResourceError):
        put(bad, tmp_path / "out")
    for at in range(20, 60):
        with faulty(full_disk(at)), pytest.raises(DeltakitError):
            put(bad, tmp_path / "out")
        with pytest.raises(InputError, match="1 of 2 tensors"):
            put(bad, tmp_path / "out")


def test_overflow_at_a_cast_is_caught_and_told(tmp_path: Path) -> None:
    big = cast(memory({"x": tensor([1.0, 1e6], "F32")}), "F16")
    with pytest.raises(InputError, match="non-finite") as caught:
        put(big, tmp_path / "out")
    assert "65504" in caught.value.remedy


def test_an_input_that_changes_meanwhile_is_an_error(tmp_path: Path) -> None:
    given = save(tmp_path / "in" / "model.safetensors", random_tensors(SPECS))
    source = open_checkpoint(given)

    def pull(name: str, lo: int, hi: int) -> memoryview:
        found = source.buffer(name, lo, hi)
        if name == "scalar":  # the last one: no later read can notice
            os.utime(given, ns=(1, 1))
        return found

    with pytest.raises(InputError, match="changed since"):
        write_checkpoint(Mapped(source.specs, pull), tmp_path / "out", sidecar=BESIDE, manifest={}, inputs=[source])
    assert not (tmp_path / "out").exists()
    assert leftovers(tmp_path) == []


def test_a_changed_input_is_never_mixed_into_a_resumed_run(tmp_path: Path) -> None:
    given = save(tmp_path / "in" / "model.safetensors", random_tensors(SPECS, seed=0))
    with faulty(full_disk(30)), pytest.raises(ResourceError):
        put(open_checkpoint(given), tmp_path / "out")
    time.sleep(0.01)
    save(given, random_tensors(SPECS, seed=1))
    assert put(open_checkpoint(given), tmp_path / "out").resumed == 0
    assert whole(open_checkpoint(tmp_path / "out")) == whole(open_checkpoint(given))


@pytest.mark.parametrize("place", ["in", "in/below/deep", "."])
def test_the_output_may_not_touch_an_input(tmp_path: Path, place: str) -> None:
    source = open_checkpoint(save_sharded(tmp_path / "in", random_tensors(SPECS)))
    before = files(tmp_path / "in")
    with pytest.raises(InputError, match="input"):
        put(source, tmp_path / place, overwrite=True)
    assert files(tmp_path / "in") == before


def test_an_output_beside_a_single_input_file_is_fine(tmp_path: Path) -> None:
    source = open_checkpoint(save(tmp_path / "model.safetensors", random_tensors(SPECS)))
    assert put(source, tmp_path / "out").path == tmp_path / "out"


def test_the_output_in_the_way(source: Mapped, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        put(source, tmp_path / "file")
    with pytest.raises(InputError, match="not empty"):
        put(source, tmp_path / "full")
    with pytest.raises(InputError, match="not made by deltakit"):
        put(source, tmp_path / "full", overwrite=True)
    with pytest.raises(InputError):
        put(source, tmp_path / "file", overwrite=True)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "x"
    (tmp_path / "empty").mkdir()
    assert whole(open_checkpoint(put(source, tmp_path / "empty").path)) == whole(source)


def test_modes_follow_the_umask_and_are_kept_on_overwrite(source: Mapped, tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        out = put(source, tmp_path / "out", shard=10**9).path
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in out.iterdir()}
        assert set(modes.values()) == {0o644}
        assert stat.S_IMODE(out.stat().st_mode) == 0o755
        (out / "model.safetensors").chmod(0o640)
        out.chmod(0o750)
        put(source, out, shard=10**9, overwrite=True)
        assert stat.S_IMODE((out / "model.safetensors").stat().st_mode) == 0o640
        assert stat.S_IMODE((out / "config.json").stat().st_mode) == 0o644
        assert stat.S_IMODE(out.stat().st_mode) == 0o750
    finally:
        os.umask(old)


def test_an_overwrite_replaces_the_whole_folder(source: Mapped, tmp_path: Path) -> None:
    put(source, tmp_path / "out", shard=60)
    put(source, tmp_path / "out", shard=10**9, overwrite=True)
    assert [p.name for p in (tmp_path / "out").glob("*.safetensors*")] == ["model.safetensors"]


def test_two_runs_cannot_write_one_output(source: Mapped, tmp_path: Path) -> None:
    def pull(name: str, lo: int, hi: int) -> memoryview:
        if name == "a":
            with pytest.raises(InputError, match="another run"):
                put(source, tmp_path / "out", shard=10**9)
        return source.buffer(name, lo, hi)

    put(Mapped(source.specs, pull), tmp_path / "out")
    assert whole(open_checkpoint(tmp_path / "out")) == whole(source)


def test_a_source_that_breaks_its_spec_is_an_error(source: Mapped, tmp_path: Path) -> None:
    class Lying:
        specs = source.specs

        def buffer(self, name: str, lo: int = 0, hi: int | None = None) -> memoryview:
            return memoryview(b"123")

    with pytest.raises(MismatchError, match="its spec says"):
        put(Lying(), tmp_path / "out")
    with pytest.raises(MismatchError, match="exactly once"):
        write_checkpoint(source, tmp_path / "out", sidecar=BESIDE, manifest={}, order=["a", "a"])


@pytest.mark.parametrize("name", ["../../evil", "a\0b", "x" * 10_000, "Case", "case", "мир", "/abs", "a/../b", "con"])
def test_odd_tensor_names_are_never_paths(tmp_path: Path, name: str) -> None:
    source = memory({name: tensor([1.0, 2.0]), "z": tensor([3.0])})
    for shard in (1, 10**9):
        out = tmp_path / "deep" / str(shard)
        put(source, out, shard=shard)
        assert whole(open_checkpoint(out, strict=True)) == whole(source)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_dir()) == ["1", "1000000000", "deep"]


@pytest.mark.parametrize("name", ["with space", "Ünïcode-мир", "x" * 200, "100%", "-dash", "new\nline", b"\xff\xfe"])
def test_odd_output_paths_work(source: Mapped, tmp_path: Path, name: str | bytes) -> None:
    out = tmp_path / (os.fsdecode(name) if isinstance(name, bytes) else name)
    assert whole(open_checkpoint(put(source, out).path)) == whole(source)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "deep/" * 1000])
def test_impossible_output_paths_are_usage_errors(source: Mapped, tmp_path: Path, name: str) -> None:
    with pytest.raises(DeltakitError) as caught:
        put(source, tmp_path / name)
    assert caught.value.exit_code == 2


def test_the_sidecar_cannot_replace_what_the_writer_makes(source: Mapped, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="writer makes itself"):
        write_checkpoint(source, tmp_path / "out", sidecar=Sidecar({"deltakit.json": b"{}"}), manifest={})


def test_progress_counts_every_byte_once(source: Mapped, tmp_path: Path) -> None:
    seen: list[int] = []

    class Counting:
        def start(self, what: str, total: int, unit: str = "B") -> None:
            seen.append(-total)

        def advance(self, n: int, note: str = "") -> None:
            seen.append(n)

        def stop(self) -> None:
            seen.append(0)

    write_checkpoint(source, tmp_path / "out", sidecar=BESIDE, manifest={}, threads=3, progress=Counting())
    assert sum(seen) == 0
    assert -seen[0] == sum(s.nbytes for s in SPECS.values())


def test_memory_is_bounded_by_the_range_in_hand(tmp_path: Path) -> None:
    specs = {f"layer.{i}": TensorSpec((2048, 4096), "BF16") for i in range(24)}  # 400 MB

    def work() -> None:
        zeros = bytes(16 << 20)
        source = Mapped(specs, lambda n, lo, hi: memoryview(zeros)[: (hi - lo) * 8192])
        write_checkpoint(source, tmp_path / "big", sidecar=Sidecar(), manifest={}, threads=2)
        back = open_checkpoint(tmp_path / "big")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(sum(back.buffer(n)[::4096]) for n in back.order) == 0
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 110 << 10

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            code = 0 if grown < 160 << 10 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_staging_of_another_plan_is_never_used(source: Mapped, tmp_path: Path) -> None:
    with faulty(full_disk(40)), pytest.raises(ResourceError):
        put(source, tmp_path / "out")
    other = write_checkpoint(source, tmp_path / "out", sidecar=BESIDE, manifest={"seed": 2}, max_shard_bytes=60)
    assert other.resumed == 0
    with Staging(tmp_path / "third", {"x": 1}) as staging:
        assert staging.journal.get("a") is None


def test_a_checkpoint_is_its_own_input(tmp_path: Path) -> None:
    source: Checkpoint = open_checkpoint(save(tmp_path / "in" / "model.safetensors", random_tensors(SPECS)))
    with pytest.raises(InputError, match="is also an input"):
        put(source, tmp_path / "in" / "model.safetensors")
