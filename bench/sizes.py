"""What is measured on both sides: terms of methods that compare networks that segment, masked
autoencoders, neighbours, boxes."""

CLASSES = 19
# Height and width of the images.
SIZE = 256
# Teacher and student by method, as `limbeck bench loss` takes them.
PAIRS = {
    "cwd": ("pspnet_resnet50", "pspnet_resnet18"),
    "cirkd": ("pspnet_resnet50", "pspnet_resnet18"),
    "transkd": ("segformer_b2", "segformer_b0"),
    "idd": ("pspnet_resnet50", "pspnet_resnet18"),
    "nfd": ("pspnet_resnet50", "pspnet_resnet18"),
    "skds": ("pspnet_resnet50", "pspnet_resnet18"),
}

# Embeddings that are looked among and for, numbers of each, and neighbours.
BANK, QUERIES, WIDTH, NEIGHBOURS = 50_000, 10_000, 192, 20

# Width, blocks and heads of masked autoencoders' decoders: the authors', and Limbeck's default for students
# as narrow as ViT-tiny.
DECODERS = {"authors": (512, 8, 16), "small": (192, 2, 3)}

# Non-maximum suppression, as `limbeck bench nms` takes it: a usual image, one with more candidates than are looked
# at, and small boxes of one class of which nearly all are kept.
SUPPRESSION = {
    "usual": {"predictions": 25_200, "classes": 80, "longest": 105, "detections": 300, "crowded": False},
    "crowded": {"predictions": 25_200, "classes": 80, "longest": 105, "detections": 300, "crowded": True},
    "kept": {"predictions": 30_000, "classes": 1, "longest": 13, "detections": 30_000, "crowded": True},
}
# Average precision, as `limbeck bench ap` takes it.
PRECISION = {"images": 5000, "detections": 100, "classes": 80}
