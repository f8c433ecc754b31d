"""Which requests run together: longest first, as many rows as real prompt and answer lengths allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deltakit.errors import ResourceError

__all__ = ["batches", "run_batches"]


def batches(lengths: Sequence[int], budget: int, max_rows: int, order: Sequence[int] = ()) -> list[list[int]]:
    """Indices in batches, by falling length or in the `order` given; rows times the longest length of a batch stays
    within `budget`.

    A request longer than the budget runs alone. Ties keep their order, so the plan is a function of the lengths.
    """
    out: list[list[int]] = []
    longest = 0
    for index in order or sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        longest = max(longest, lengths[index]) if out else lengths[index]
        if out and len(out[-1]) < max_rows and (len(out[-1]) + 1) * longest <= budget:
            out[-1].append(index)
        else:
            out.append([index])
            longest = lengths[index]
    return out


def run_batches(
    plan: list[list[int]], run: Callable[[list[int]], None], is_full: Callable[[BaseException], bool]
) -> int:
    """Run every batch; one that exhausts memory is halved and run again, and so are later ones of its size.

    Returns the number of rows that fitted at last (0: never exhausted). ResourceError if a single row does not fit.
    """
    queue, limit = list(plan), 0
    while queue:
        batch = queue.pop(0)
        if limit and len(batch) > limit:
            queue[:0] = [batch[i : i + limit] for i in range(0, len(batch), limit)]
            continue
        try:
            run(batch)
            continue
        except (MemoryError, RuntimeError) as error:
            if not is_full(error):
                raise
            if len(batch) == 1:
                remedy = "lower --max-new-tokens, or use a device with more memory"
                raise ResourceError("out of memory with a single row", remedy=remedy) from error
        limit = len(batch) // 2  # outside the handler: its traceback would keep the dead batch's tensors alive
        queue.insert(0, batch)
    return limit
