"""The files in which cuda-convnet, the authors' program of 2012, describes a net: its layers, and the rates of their training."""

from tinyalex.formats.cfg.layers import read_cfg
from tinyalex.formats.cfg.rates import Rates, read_rates

__all__ = ["Rates", "read_cfg", "read_rates"]
