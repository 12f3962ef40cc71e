"""The native encoder: what to code, and how finely. Nothing here is normative.

    exact samples --blocks and levels--> choice --``payload.code_payload``, forwards--> payload

In the order of the work:

    feature      one feature: some choices, each coded, and the best of them
    tuning       how much is tried for which speed
    advice       what a caller knows of a feature
    prediction   the displacement of the reference feature
    choose       head, levels and sizes of blocks for one largest block
    choice       the result of that
    grids        blocks at every depth of splitting
    planes       their coefficients
    weights      what a squared error of each coefficient costs
    rates        bits of a decision on a coefficient
    blocks       the search for blocks and levels, compiled
    corrections  what restoration shall give back to each channel
    forwards     from a choice to a payload
"""
