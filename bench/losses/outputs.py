"""What resnet8x4 and resnet32x4 give out for images of 32x32, made up."""

import torch

CLASSES = 100
EMBEDDING = 256
# Channels and side at the end of the stages, of both networks.
STAGES = ((64, 32), (128, 16), (256, 8))
# Images of the training part: as many as CIFAR's.
TRAINING_IMAGES = 50_000


def tracked(*shape):
    return torch.randn(shape, requires_grad=True)


def stages(batch, of_student, count=1):
    """Maps at the ends of the stages, or `count` of each."""
    make = tracked if of_student else torch.randn
    shapes = [(batch, c, n, n) for c, n in STAGES for _ in range(count)]
    return [make(*shape) for shape in shapes]


class Loss:
    """A loss with outputs that are there; those of the student, and its own modules, learn."""

    def __init__(self, batch):
        self.batch = batch
        self.labels = torch.arange(batch) % CLASSES
        self.leaves, self.modules = [], []

    def student(self, *shape):
        """An output of the student."""
        self.leaves.append(tracked(*shape))
        return self.leaves[-1]

    def student_stages(self):
        return [self.student(self.batch, c, n, n) for c, n in STAGES]

    def teacher_stages(self, count=1):
        return [torch.randn(self.batch, c, n, n) for c, n in STAGES for _ in range(count)]

    def trained(self, module):
        self.modules.append(module)
        return module

    def step(self):
        """Forward and backward pass, from gradients that are not there."""
        for leaf in self.leaves:
            leaf.grad = None
        for module in self.modules:
            module.zero_grad(set_to_none=True)
        self.loss().backward()
