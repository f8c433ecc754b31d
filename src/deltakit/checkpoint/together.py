"""One checkpoint written by several processes on one file system: each writes its share of the tensors in place.

    OUT.partial-<plan>/journal.jsonl     the leader's records, and those taken over from an earlier run
    OUT.partial-<plan>/journal-<rank>.jsonl    each other process's

The leader holds the lock, says what is done already, collects the records and commits; the shares depend on nothing but
what is left, and the bytes on nothing but the plan. A run that was killed goes on with any number of processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from deltakit import manifest as manifests
from deltakit.checkpoint import disk
from deltakit.checkpoint.job import Job
from deltakit.checkpoint.journal import Journal, Record
from deltakit.checkpoint.pump import Progress, silent
from deltakit.checkpoint.ranks import Ranks
from deltakit.checkpoint.staging import Staging, staging_root
from deltakit.checkpoint.write import Written, finish, finished, pull
from deltakit.errors import MismatchError

__all__ = ["write_together"]


def write_together(
    job: Job, crew: Ranks, *, overwrite: bool = False, threads: int = 0, progress: Progress = silent
) -> Written:
    """`write_checkpoint` of a prepared job by all processes of `crew`; every one of them calls this with the same plan
    and gets the same answer. Errors: those of `write_checkpoint`; ResourceError where the others are gone."""
    topic = manifests.digest(job.plan)
    if crew.told(f"{job.out}/plan", topic) != topic:
        raise MismatchError(
            f"process {crew.rank} plans another output than process 0",
            remedy="give all processes the same command, the same files and the same libraries",
        )
    return _lead(job, crew, topic, overwrite, threads, progress) if crew.leads else _follow(job, crew, topic, threads)


def _lead(job: Job, crew: Ranks, topic: str, overwrite: bool, threads: int, progress: Progress) -> Written:
    disk.require_space(job.out.parent, job.needed)
    with Staging(job.out, job.plan, overwrite, inputs=job.paths) as staging:
        done = {**finished(job, staging.journal), **_taken_over(job, staging)}
        crew.told(f"{topic}/done", sorted(done))
        mine = _share(job, crew, done)
        written = dict(done)
        pull(mine, staging.folder, staging.journal, written, threads, progress)
        for records in crew.gathered(f"{topic}/records", []):
            written |= {r["name"]: Record(**r) for r in records}
        made = finish(job, staging, written, resumed=len(done))
    crew.told(
        f"{topic}/written", {"files": dict(made.files), "fingerprint": made.fingerprint, "manifest": made.manifest}
    )
    crew.gathered(f"{topic}/bye", None)
    return made


def _follow(job: Job, crew: Ranks, topic: str, threads: int) -> Written:
    done = crew.told(f"{topic}/done")
    root = staging_root(job.out, job.plan)
    journal = Journal(root / f"journal-{crew.rank}.jsonl", root / "files", topic)
    records: dict[str, Record] = {}
    try:
        pull(_share(job, crew, dict.fromkeys(done)), root / "files", journal, records, threads, silent)
    finally:
        journal.close()
    crew.gathered(f"{topic}/records", [asdict(r) for r in records.values()])
    made: Mapping[str, Any] = crew.told(f"{topic}/written")
    crew.gathered(f"{topic}/bye", None)
    return Written(job.out, made["files"], made["fingerprint"], made["manifest"], len(done))


def _share(job: Job, crew: Ranks, done: Mapping[str, Any]) -> Job:
    """The job with this process's share of what is left as its order of pulling."""
    left = [n for n in job.order if n not in done]
    sizes = {n: place.spec.nbytes for n, place in job.layout.places.items()}
    return replace(job, order=crew.share(left, sizes))


def _taken_over(job: Job, staging: Staging) -> dict[str, Record]:
    """What the other processes of an earlier run finished, verified and noted in the leader's journal."""
    found: dict[str, Record] = {}
    for path in sorted(staging.root.glob("journal-*.jsonl")):
        journal = Journal(path, staging.folder, manifests.digest(job.plan))
        try:
            found |= finished(job, journal)
        finally:
            journal.close()
    staging.journal.extend(list(found.values()))
    for path in sorted(staging.root.glob("journal-*.jsonl")):
        disk.remove(path)
    return found
