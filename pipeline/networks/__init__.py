"""Networks: the ASPP block and the encoder–decoder around it."""

from pipeline.networks.aspp import ASPP
from pipeline.networks.aspp_net import ASPPNet

__all__ = ["ASPP", "ASPPNet"]
