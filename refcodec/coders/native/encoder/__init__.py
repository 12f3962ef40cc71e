"""The native encoder: the choice of blocks and levels. Nothing here is normative.

    exact samples --blocks and levels--> choice --``payload.code_payload``--> payload

In the order of the work:

    feature      one feature: several choices, each coded, and the best of them
    tuning       choices to try, by speed
    advice       information that a caller has on a feature
    prediction   the displacement of the reference feature
    choose       head, levels and sizes of blocks for one largest block
    choice       the result of this search
    grids        blocks at every depth of splitting
    planes       their coefficients
    weights      of the squared errors of coefficients
    rates        bits of a decision on a coefficient
    blocks       the search for blocks and levels, compiled
    trellis      levels of dependent quantisation, chosen together, compiled
    levels       parts of both ways of choosing levels, compiled
    corrections  of the mean and the deviation of each channel
    forwards     from a choice to a payload
"""
