"""The arithmetic decoder and its adaptive models: clause 8.9."""

from __future__ import annotations

from collections.abc import Sequence

from .tables import CENTRE, reciprocal, squash, stretch

MOST_OVERRUN = 4
EVEN = 32768
WIDEST = 0xFFFFFFFF
NARROW = 1 << 24
CODE_MASK = (1 << 40) - 1
LEARNING_RATE = 4


class ArithmeticDecoder:
    """Decisions of a payload (8.9.1): bytes beyond its end are 0, and counted."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.width = WIDEST
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self.position = 4  # bytes read, including those beyond the end

    @property
    def overrun(self) -> int:
        """Number of bytes read beyond the end of the payload."""
        return max(self.position - len(self.data), 0)

    def bit(self, probability: int) -> int:
        """One decision, 1 with a probability in units of 2^-16."""
        split = (self.width * probability) >> 16
        if self.code < split:
            self.width = split
            decided = 1
        else:
            self.code -= split
            self.width -= split
            decided = 0
        while self.width < NARROW:
            byte = self.data[self.position] if self.position < len(self.data) else 0
            self.width <<= 8
            self.code = (self.code << 8 | byte) & CODE_MASK
            self.position += 1
        return decided

    def bits(self, count: int) -> int:
        """A number of equiprobable bits, most significant first."""
        value = 0
        for _ in range(count):
            value = value << 1 | self.bit(EVEN)
        return value

    def golomb(self, order: int) -> int:
        """A number in Exp-Golomb code of an order, less than 2^25."""
        length = order
        while length < 24 and self.bit(EVEN):
            length += 1
        return (1 << length) - (1 << order) + self.bits(length)

    def signed_golomb(self) -> int:
        """A signed number in Exp-Golomb code of order 0: 0, 1, -1, 2, ..."""
        code = self.golomb(0)
        return (code + 1) >> 1 if code & 1 else -(code >> 1)


class Mixer:
    """States and weights that predict decisions and learn from them (8.9.2).

    ``limit`` is the greatest count of a state.
    """

    def __init__(
        self, decoder: ArithmeticDecoder, states: Sequence[int], weights: Sequence[int], limit: int
    ) -> None:
        self.decoder = decoder
        self.states = list(states)
        self.weights = list(weights)
        self.limit = limit
        self.stretch, self.squash, self.reciprocal = stretch(), squash(), reciprocal()

    def decide(self, chosen: Sequence[int], first: int) -> int:
        """One decision that the chosen states predict, with the weights from ``first`` on."""
        states, weights = self.states, self.weights
        inputs = [self.stretch[states[at] >> 18] for at in chosen]
        total = EVEN
        for weight, value in enumerate(inputs, first):
            total += weights[weight] * value
        total = min(max(total >> 16, -CENTRE), CENTRE)
        probability = self.squash[total + CENTRE]
        decided = self.decoder.bit(probability)
        error = ((decided << 16) - probability) * LEARNING_RATE
        goal = decided << 22
        for weight, value in enumerate(inputs, first):
            weights[weight] += (value * error + EVEN) >> 16
        for at in chosen:
            seen, now = states[at] & 0xFF, states[at] >> 8
            now += ((goal - now) * self.reciprocal[seen]) >> 16
            states[at] = now << 8 | min(seen + 1, self.limit)
        return decided
