"""Starting both sides."""

import json
import os
import shlex
import subprocess
import sys

# The folder of the scripts.
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What Limbeck tells the C library's allocator (crates/limbeck-kernels/src/memory.rs), as settings
# for glibc: freed memory is kept. PyTorch leaves the defaults, with which every buffer of more than
# 32 MB comes anew from the system, page by page and zeroed.
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}


class Runner:
    """Starts both sides, each measurement in a process of its own."""

    def __init__(self, asked):
        self.asked = asked
        self.machine = None
        self.peaks = []
        self.peer_versions = None
        self.peer_environment = KEPT_MEMORY if asked.keep_memory else {}

    def start(self, command, stdin=None, environment=None):
        command = shlex.split(self.asked.wrap) + command
        print("  " + " ".join(os.path.basename(part) for part in command), file=sys.stderr)
        environment = {**os.environ, **(environment or {})}
        done = subprocess.run(
            command, input=stdin, stdout=subprocess.PIPE, text=True, env=environment
        )
        if done.returncode != 0:
            sys.exit(f"{shlex.join(command)} failed with exit code {done.returncode}")
        return json.loads(done.stdout)

    def ours(self, what, runs, batched=True, threads=None, batch=None):
        threads = threads or self.asked.threads
        options = ["--threads", str(threads), "--runs", str(runs), "--json"]
        batch = ["--batch", str(batch or self.asked.batch)] if batched else []
        found = self.start([self.asked.limbeck, "bench", *what, *batch, *options])
        if threads == self.asked.threads:
            self.machine = found["machine"]
            self.peaks.append(self.machine["peak_gflops"])
        return found

    def theirs(self, what, runs, stdin=None, batch=None):
        options = ["--threads", str(self.asked.threads), "--runs", str(runs)]
        batch = ["--batch", str(batch or self.asked.batch)]
        script = os.path.join(HERE, "peer.py")
        command = [sys.executable, script, *what, *batch, *options]
        found = self.start(command, stdin, self.peer_environment)
        self.peer_versions = found["torch"], found["python"]
        return found

    def plain_store(self, topk, records, runs):
        script = os.path.join(HERE, "tinyvit_store.py")
        options = ["--topk", str(topk), "--records", str(records), "--runs", str(runs)]
        return self.start([sys.executable, script, *options])

    def torch_step(self, what):
        options = ["--threads", str(self.asked.threads), "--batch", str(self.asked.batch)]
        script = self.asked.torch_step
        command = [sys.executable, script, "--what", what, *options]
        return self.start(command, environment=self.peer_environment)
