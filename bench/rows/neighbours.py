"""The vote of nearest neighbours."""

from sizes import BANK, NEIGHBOURS, QUERIES, WIDTH

from .row import Row, in_turn


class Neighbours:
    """The vote of nearest neighbours, next to a product and topk, and to our own product alone."""

    def __init__(self):
        size = f"{QUERIES:,} embeddings of {WIDTH} numbers among {BANK:,}"
        self.row = Row(f"{NEIGHBOURS} nearest neighbours of {size}", 1.0)
        self.product = Row("the same next to our product alone", 1.25)

    def round(self, runner, number):
        sizes = {"bank": BANK, "images": QUERIES, "width": WIDTH, "neighbours": NEIGHBOURS}
        options = [part for name, value in sizes.items() for part in (f"--{name}", str(value))]
        runs = min(3, runner.asked.runs)
        ours, theirs = in_turn(
            number,
            lambda: runner.ours(["knn", *options], runs, batched=False),
            lambda: runner.theirs(["neighbours"], runs),
        )
        self.row.ours.append(ours["vote_ms"])
        self.row.theirs.append(theirs["vote_ms"])
        self.product.ours.append(ours["vote_ms"])
        self.product.theirs.append(ours["product_ms"])

    def rows(self):
        return [self.row, self.product]
