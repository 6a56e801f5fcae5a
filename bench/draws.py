"""Numbers at random that tests in Rust draw too."""


class Draws:
    """The linear congruential generator of ANSI C."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) % 2**31
        return (self.state >> 16) % n
