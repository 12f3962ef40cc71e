"""Bars of sensitivity, as in Fig. 2 of Hu et al. (2020), and the QPs that follow. Needs matplotlib."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from refcodec.allocate.sensitivity import Sensitivity, normalise
from refcodec.plotting import BLUE, INK, PURPLE, bars_by_channel, save, styled, title

__all__ = ["draw_sensitivity"]


def draw_sensitivity(sensitivity: Sensitivity, qp_base: int, suffix: str = "png") -> bytes:
    """Plot the sensitivity of each channel, raw and normalised (eq. 3), and its QP.

    suffix : ``png`` or ``svg``.
    """
    values = np.array(sensitivity.values)
    channels = np.arange(len(values))
    with styled():
        figure, (raw, relative, qps) = bars_by_channel(len(values), 5, 3)
        heading = " ".join(filter(None, (sensitivity.model, sensitivity.layer, sensitivity.method)))
        title(raw, f"{heading}, {sensitivity.coder}")
        raw.bar(channels, values, 0.8, color=BLUE)
        raw.set_ylabel("sensitivity")
        relative.bar(channels, normalise(values), 0.8, color=PURPLE)
        relative.set_ylabel("normalised")
        qps.step(channels, sensitivity.qps(qp_base), where="mid", color=INK, linewidth=1.2)
        qps.axhline(qp_base, color=INK, linewidth=0.6, linestyle=":")
        qps.set_ylabel("QP")
        for axis in (qps.xaxis, qps.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
        return save(figure, suffix)
