"""Stored outputs."""

from .row import Row, in_turn

# Records that both sides of the store write and read.
RECORDS = 131072


class Store:
    """Stored outputs, next to TinyViT's layout in plain Python (tinyvit_store.py)."""

    def __init__(self):
        self.rows_of = {
            topk: {
                "written": Row(f"stored outputs, K={topk}, written and synced", 0.1, " µs"),
                "alone": Row(f"stored outputs, K={topk}, written, ours on one thread", None, " µs"),
                "read": Row(f"stored outputs, K={topk}, read in random order", 0.1, " µs"),
                "bytes": Row(f"stored outputs, K={topk}, a view", 1.05, " B"),
            }
            for topk in (10, 100)
        }
        self.open_ms = []

    def round(self, runner, number):
        runs = min(3, runner.asked.runs)
        for topk, rows in self.rows_of.items():
            what = ["cache", "--topk", str(topk), "--records", str(RECORDS)]

            def ours():
                alone = runner.ours(what, runs, batched=False, threads=1)
                return runner.ours(what, runs, batched=False), alone

            (found, alone), plain = in_turn(number, ours, lambda: runner.plain_store(topk, RECORDS, runs))
            for side, all_threads, one in (("ours", found, alone), ("theirs", plain, plain)):
                getattr(rows["written"], side).append(1e6 / all_threads["written_per_second"])
                getattr(rows["alone"], side).append(1e6 / one["written_per_second"])
                getattr(rows["read"], side).append(1e6 / all_threads["read_per_second"])
                getattr(rows["bytes"], side).append(all_threads["bytes_per_view"])
            self.open_ms.append(found["open_ms"])

    def rows(self):
        return [row for rows in self.rows_of.values() for row in rows.values()]
