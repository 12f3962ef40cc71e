"""The native coder: block transforms and context-mixing arithmetic coding (clause 8.3.7).

    payload <-> decisions <-> levels --blocks, or none--> samples

The normative modules, in the order of the clauses; most functions work in both directions, so that decoder
and encoder run the same code:

    8.3.7     payload         from start to end
              workspace       the arrays that the functions below share
    8.3.7.1   head            parameters of the whole payload; the steps of the channels
    8.3.7.2   channels        all channels in turn, by largest blocks or samples; the displaced reference
    8.3.7.3   decisions       families of decisions, magnitudes, classes of contexts
    8.3.7.4   tree            a largest block, whole or split
    8.3.7.5   blocks          one block: its temporal decision, its first level, its neighbours
    8.3.7.6   coefficients    the other levels of a block
    8.3.7.7   reconstruction  from levels to the samples of a block
    8.3.7.8   samples         a channel without a transform
    8.3.7.9   restoration     corrections of the channels
    8.3.7.10  transform       integer cosine transforms
    8.3.7.11  gains           a scale for each token

``encoder`` holds the decisions of an encoder, none of which is normative; ``coder`` is the interface to other
packages. Nothing is imported here, as importing kernels and their compiler takes time.
"""
