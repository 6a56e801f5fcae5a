"""Pre-training by masked autoencoding."""

from sizes import DECODERS

from .row import Row, in_turn


class Masked:
    """Steps of MAE and DMAE, and the one next to the other, both ours."""

    BATCH = 32
    NETWORKS = {"mae": "ViT-tiny", "dmae": "ViT-small → ViT-tiny"}

    def __init__(self):
        self.rows_of, self.both = {}, {}
        for decoder, (width, depth, _) in DECODERS.items():
            told = f"(224, 75 % masked, batch {self.BATCH}, decoder of {depth} blocks of width {width})"
            for method, pair in self.NETWORKS.items():
                self.rows_of[method, decoder] = Row(f"{method.upper()} step {pair} {told}", 0.7)
            self.both[decoder] = Row(f"DMAE's step next to MAE's, both ours {told}", 1.35)

    def round(self, runner, number):
        networks = ["--teacher", "deit_small", "--student", "deit_tiny", "--input", "3x224x224"]
        runs = min(3, runner.asked.runs)
        for (method, decoder), row in self.rows_of.items():
            values = zip(("width", "depth", "heads"), DECODERS[decoder])
            settings = [f"method.{method}.decoder_{name}={value}" for name, value in values]
            settings = [part for setting in settings for part in ("--set", setting)]
            what = ["step", "--method", method, *networks, *settings]
            ours, theirs = in_turn(
                number,
                lambda: runner.ours(what, runs, batch=self.BATCH),
                lambda: runner.theirs(["masked", f"{method}-{decoder}"], runs, batch=self.BATCH),
            )
            row.ours.append(ours["step_ms"])
            row.theirs.append(theirs["step_ms"])
        for decoder, row in self.both.items():
            row.ours.append(self.rows_of["dmae", decoder].ours[-1])
            row.theirs.append(self.rows_of["mae", decoder].ours[-1])

    def rows(self):
        return [*self.rows_of.values(), *self.both.values()]
