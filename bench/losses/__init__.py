"""Losses of the catalogue's criteria, from made-up outputs of resnet32x4 and resnet8x4."""

from . import attention, logits, maps, own_branches, relations

LOSSES = {
    **logits.METHODS, **maps.METHODS, **relations.METHODS, **attention.METHODS,
    **own_branches.METHODS,
}
