"""Networks: the ASPP block, the encoder–decoder around it, and the mean of several."""

from pipeline.networks.aspp import ASPP
from pipeline.networks.aspp_net import ASPPNet
from pipeline.networks.ensemble import MeanEnsemble

__all__ = ["ASPP", "ASPPNet", "MeanEnsemble"]
