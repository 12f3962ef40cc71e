"""Bars of sensitivity, as in Fig. 2 of Hu et al. (2020), and the QPs that follow. Needs matplotlib."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from refcodec.allocate.sensitivity import Sensitivity, normalise
from refcodec.evaluate.style import BLUE, INK, PURPLE, STYLE, save

__all__ = ["draw_sensitivity"]


def draw_sensitivity(sensitivity: Sensitivity, qp_base: int, suffix: str = "png") -> bytes:
    """A plot of each channel's sensitivity, raw and normalised (eq. 3), and of its QP.

    suffix : ``png`` or ``svg``.
    """
    values = np.array(sensitivity.values)
    channels = np.arange(len(values))
    with matplotlib.rc_context(dict(STYLE)):
        figure = Figure(figsize=(max(5, min(10, len(values) / 6)), 5), layout="constrained")
        raw, relative, qps = figure.subplots(3, 1, sharex=True)
        title = " ".join(filter(None, (sensitivity.model, sensitivity.layer, sensitivity.method)))
        raw.set_title(f"{title}, {sensitivity.coder}", fontsize="medium", loc="left")
        raw.bar(channels, values, 0.8, color=BLUE)
        raw.set_ylabel("sensitivity")
        relative.bar(channels, normalise(values), 0.8, color=PURPLE)
        relative.set_ylabel("normalised")
        qps.step(channels, sensitivity.qps(qp_base), where="mid", color=INK, linewidth=1.2)
        qps.axhline(qp_base, color=INK, linewidth=0.6, linestyle=":")
        qps.set_ylabel("QP")
        qps.set_xlabel("channel")
        for axis in (qps.xaxis, qps.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
        for panel in (raw, relative, qps):
            panel.grid(visible=True, axis="y")
            panel.set_axisbelow(True)
        return save(figure, suffix)
