"""Pre-training of vision transformers by masked autoencoding, as its papers' equations say, in PyTorch.

MAE's step and DMAE's, whose teacher sees the same visible patches and goes no deeper than its tap.
"""

from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F

from networks import TransformerBlock
from sizes import DECODERS

SIDE, PATCH = 224, 16
MASKED = 0.75
# Width and heads; all have 12 blocks.
TINY, SMALL = (192, 3), (384, 6)
DEPTH, TAP = 12, 8


def patches_of(images):
    """Numbers of each patch, row by row, `[B, L, P * P * C]`."""
    batch, channels, height, _ = images.shape
    side = height // PATCH
    cut = images.reshape(batch, channels, side, PATCH, side, PATCH)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, side * side, PATCH * PATCH * channels)


def gathered(tokens, places):
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))


class Encoder(nn.Module):
    def __init__(self, width, heads, depth):
        super().__init__()
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        count = (SIDE // PATCH) ** 2
        self.register_buffer("positions", torch.randn(1, 1 + count, width))
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, 0) for _ in range(depth))

    def forward(self, images, kept):
        """Tokens after each block."""
        x = self.patches(images).flatten(2).transpose(1, 2) + self.positions[:, 1:]
        token = self.token + self.positions[:, :1]
        x = torch.cat((token.expand(len(x), -1, -1), gathered(x, kept)), 1)
        after = []
        for block in self.blocks:
            x = block(x)
            after.append(x)
        return after


class Mae(nn.Module):
    def __init__(self, decoder):
        super().__init__()
        width, heads = TINY
        inner, depth, inner_heads = DECODERS[decoder]
        count = (SIDE // PATCH) ** 2
        self.kept = count - int(count * MASKED)
        self.encoder = Encoder(width, heads, DEPTH)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.embed = nn.Linear(width, inner)
        self.mask = nn.Parameter(0.02 * torch.randn(1, 1, inner))
        self.register_buffer("positions", torch.randn(1, 1 + count, inner))
        blocks = (TransformerBlock(inner, inner_heads, 0) for _ in range(depth))
        self.decoder = nn.Sequential(*blocks)
        self.last = nn.LayerNorm(inner, eps=1e-6)
        self.pixels = nn.Linear(inner, PATCH * PATCH * 3)

    def drawn(self, batch):
        """What is kept, and where each patch has gone to."""
        noise = torch.rand(batch, (SIDE // PATCH) ** 2)
        order = noise.argsort(1)
        return order[:, : self.kept], order.argsort(1)

    def reconstruction(self, images, tokens, back):
        x = self.embed(self.norm(tokens))
        batch, count = back.shape
        hidden = self.mask.expand(batch, count - self.kept, -1)
        shuffled = torch.cat((x[:, 1:], hidden), 1)
        x = torch.cat((x[:, :1], gathered(shuffled, back)), 1) + self.positions
        predicted = self.pixels(self.last(self.decoder(x)))[:, 1:]
        error = ((predicted - patches_of(images)) ** 2).mean(2)
        masked = (back >= self.kept).float()
        return (error * masked).sum() / masked.sum()

    def loss(self, images):
        kept, back = self.drawn(len(images))
        return self.reconstruction(images, self.encoder(images, kept)[-1], back)


class Dmae(Mae):
    def __init__(self, decoder):
        super().__init__(decoder)
        self.teacher = Encoder(*SMALL, TAP + 1).eval().requires_grad_(False)
        self.head = nn.Linear(TINY[0], SMALL[0])

    def loss(self, images):
        kept, back = self.drawn(len(images))
        with torch.no_grad():
            known = F.normalize(self.teacher(images, kept)[-1], dim=2)
        after = self.encoder(images, kept)
        followed = F.normalize(self.head(after[TAP]), dim=2)
        return self.reconstruction(images, after[-1], back) + (followed - known).abs().mean()


MASKED_METHODS = {
    f"{name}-{decoder}": partial(method, decoder)
    for name, method in (("mae", Mae), ("dmae", Dmae))
    for decoder in DECODERS
}
