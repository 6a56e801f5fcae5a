"""What the terms of methods that compare networks that segment are measured on, on both sides."""

CLASSES = 19
# Height and width of the images.
SIZE = 256
# Teacher and student by method, as `limbeck bench loss` takes them.
PAIRS = {
    "cwd": ("pspnet_resnet50", "pspnet_resnet18"),
    "cirkd": ("pspnet_resnet50", "pspnet_resnet18"),
    "transkd": ("segformer_b2", "segformer_b0"),
}
