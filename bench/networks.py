"""The networks of Limbeck's zoo that are compared, in PyTorch.

Layer by layer as in crates/limbeck-nn/src/model: cifar_resnet.rs, cifar_mobilenetv2.rs, vit.rs,
deeplabv3.rs, segformer.rs. Swin and the MobileNetV2 for large images are torchvision's,
TinyViT timm's.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from detectors import DETECTION


def conv_norm(inputs, outputs, kernel, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = conv_norm(inputs, outputs, 3, stride)
        self.second = conv_norm(outputs, outputs, 3)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_norm(inputs, outputs, 1, stride)

    def forward(self, x):
        y = self.second(F.relu(self.first(x)))
        return F.relu(y + self.shortcut(x))


class ResNetX4(nn.Module):
    """resnet8x4 (depth 8) and resnet32x4 (depth 32), for 32x32 images."""

    def __init__(self, depth, classes=100):
        super().__init__()
        self.stem = conv_norm(3, 32, 3)
        blocks, channels = [], 32
        for width, stride in ((64, 1), (128, 2), (256, 2)):
            for index in range((depth - 2) // 6):
                blocks.append(ResidualBlock(channels, width, stride if index == 0 else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, expansion, stride):
        super().__init__()
        inner = inputs * expansion
        self.expand = conv_norm(inputs, inner, 1)
        self.depthwise = conv_norm(inner, inner, 3, stride, groups=inner)
        self.project = conv_norm(inner, outputs, 1)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.project(F.relu(self.depthwise(F.relu(self.expand(x)))))
        return x + y if self.skip else y


class MobileNetV2(nn.Module):
    """mobilenetv2 of half width, for 32x32 images."""

    # Expansion, output channels, blocks, stride of the first.
    STAGES = (
        (1, 8, 1, 1),
        (6, 12, 2, 1),
        (6, 16, 3, 2),
        (6, 32, 4, 2),
        (6, 48, 3, 1),
        (6, 80, 3, 2),
        (6, 160, 1, 1),
    )

    def __init__(self, classes=100):
        super().__init__()
        self.stem = conv_norm(3, 16, 3, 2)
        blocks, channels = [], 16
        for expansion, width, count, stride in self.STAGES:
            for index in range(count):
                first = stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, width, expansion, first))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.last = conv_norm(channels, 1280, 1)
        self.head = nn.Linear(1280, classes)

    def forward(self, x):
        x = self.blocks(F.relu(self.stem(x)))
        return self.head(F.relu(self.last(x)).mean((2, 3)))


class TransformerBlock(nn.Module):
    def __init__(self, width, heads, drop_path):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.heads = heads
        self.drop_path = drop_path

    def mixed(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v)

    def dropped(self, branch):
        """The branch, left out for each image with probability drop_path in training."""
        if self.drop_path == 0 or not self.training:
            return branch
        kept = 1 - self.drop_path
        return branch * branch.new_empty(len(branch), 1, 1).bernoulli_(kept).div_(kept)

    def attention(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = self.mixed(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))

    def forward(self, x):
        x = x + self.dropped(self.attention(self.norm1(x)))
        return x + self.dropped(self.fc2(F.gelu(self.fc1(self.norm2(x)))))


class ViTTiny(nn.Module):
    """deit_tiny_patch16_224: 12 blocks of width 192 with 3 heads, drop path up to 0.1; others by width and heads."""

    def __init__(self, classes=1000, width=192, depth=12, heads=3):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + 14 * 14, width))
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, heads, 0.1 * index / (depth - 1)) for index in range(depth))
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class ExplicitBlock(TransformerBlock):
    """With scores of all tokens for all tokens in memory."""

    def mixed(self, q, k, v):
        return (q @ k.transpose(2, 3) * q.shape[3] ** -0.5).softmax(3) @ v


class PixelTransformer(nn.Module):
    """vit_nano_patch1: a token for each of 28x28 grey pixels, 6 blocks of width 64 with 2 heads."""

    CHANNELS = 1

    def __init__(self, block=TransformerBlock, classes=10, width=64, depth=6, heads=2):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 1)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + 28 * 28, width))
        self.blocks = nn.Sequential(*(block(width, heads, 0) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), 1) + self.positions
        return self.head(self.norm(self.blocks(x)[:, 1:].mean(1)))


class DilatedBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, dilation):
        super().__init__()
        pad = dilation
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, pad, dilation, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, pad, dilation, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_norm(inputs, outputs, 1, stride)

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def conv_norm_relu(inputs, outputs, kernel, dilation=1):
    pad = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, 1, pad, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class DeepLabV3ResNet18(nn.Module):
    """deeplabv3_resnet18: CIRKD's head on torchvision's ResNet-18 at an output stride of 8."""

    def __init__(self, classes=19, width=128):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        stages, channels = [], 64
        for outputs, stride, dilation in ((64, 1, 1), (128, 2, 1), (256, 1, 2), (512, 1, 4)):
            first = DilatedBlock(channels, outputs, stride, dilation)
            stages.append(nn.Sequential(first, DilatedBlock(outputs, outputs, 1, dilation)))
            channels = outputs
        self.stages = nn.ModuleList(stages)
        kernels = ((1, 1), (3, 12), (3, 24), (3, 36))
        self.branches = nn.ModuleList(
            conv_norm_relu(channels, width, kernel, dilation) for kernel, dilation in kernels
        )
        self.pooled = conv_norm_relu(channels, width, 1)
        self.project = nn.Sequential(conv_norm_relu(5 * width, width, 1), nn.Dropout(0.5))
        self.head = nn.Sequential(
            conv_norm_relu(width, width, 3), nn.Dropout(0.1), nn.Conv2d(width, classes, 1)
        )
        self.auxiliary = nn.Sequential(
            conv_norm_relu(256, 64, 3), nn.Dropout(0.1), nn.Conv2d(64, classes, 1)
        )

    def forward(self, x):
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        last = maps[-1]
        pooled = self.pooled(last.mean((2, 3), keepdim=True)).expand(-1, -1, *last.shape[2:])
        joined = torch.cat([branch(last) for branch in self.branches] + [pooled], 1)
        return self.head(self.project(joined)), self.auxiliary(maps[3])


class SegFormer(nn.Module):
    """segformer_b0, as Hugging Face's transformers has it, with random weights; others by their settings."""

    def __init__(self, classes=19, **settings):
        super().__init__()
        from transformers import SegformerConfig, SegformerForSemanticSegmentation

        config = SegformerConfig(num_labels=classes, **settings)
        self.network = SegformerForSemanticSegmentation(config)

    def forward(self, x):
        return (self.network(pixel_values=x).logits,)


def segformer_b2():
    widths = [64, 128, 320, 512]
    return SegFormer(hidden_sizes=widths, depths=[3, 4, 6, 3], decoder_hidden_size=768)


def mobilenet_v2():
    """torchvision's, with random weights."""
    from torchvision.models import mobilenet_v2 as make

    return make()


def swin_tiny():
    """torchvision's, with random weights and its own drop path."""
    from torchvision.models import swin_t

    return swin_t(weights=None)


def tiny_vit():
    """timm's, with random weights."""
    from timm import create_model

    return create_model("tiny_vit_5m_224", num_classes=1000)


# By Limbeck's name, an ending apart: how it is made, side of the images, classes. Those that segment give logits
# and, where they have one, those of an auxiliary head.
SEGMENTATION = {
    "segformer_b0": (SegFormer, 256, 19),
    "segformer_b2": (segformer_b2, 256, 19),
    "deeplabv3_resnet18": (DeepLabV3ResNet18, 192, 19),
}
NETWORKS = {
    **SEGMENTATION,
    **DETECTION,
    "resnet8x4": (lambda: ResNetX4(8), 32, 100),
    "resnet32x4": (lambda: ResNetX4(32), 32, 100),
    "mobilenetv2": (MobileNetV2, 32, 100),
    "deit_tiny_patch16_224": (ViTTiny, 224, 1000),
    "deit_small_patch16_224": (lambda: ViTTiny(width=384, heads=6), 224, 1000),
    "mobilenet_v2": (mobilenet_v2, 224, 1000),
    "swin_tiny_patch4_window7_224": (swin_tiny, 224, 1000),
    "tiny_vit_5m_224": (tiny_vit, 224, 1000),
    "vit_nano_patch1": (PixelTransformer, 28, 10),
    "vit_nano_patch1_explicit": (lambda: PixelTransformer(ExplicitBlock), 28, 10),
}
