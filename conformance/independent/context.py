"""The context mode of the native lossless coder: clause 8.3.8.2."""

from __future__ import annotations

from typing import NamedTuple

from .arithmetic import ArithmeticDecoder, Mixer
from .floats import FloatFormat, RawBits
from .refusal import Refusal
from .tables import float_model

ZERO_PATTERN, ZERO_PLACE = 0, 32
SIGN_PATTERN, SIGN_PLACE = 544, 562
REPEAT_RUN, REPEAT_PLACE = 690, 698
STEP_PLACE, STEP_DEPTH = 706, 4290
BIT_PLACE, BIT_CHANNEL = 6338, 7874
STATES = 8002
ZERO_WEIGHTS, SIGN_WEIGHTS, REPEAT_WEIGHTS, STEP_WEIGHTS, BIT_WEIGHTS = 0, 2, 4, 6, 20
STATE_LIMIT, CHANNEL_LIMIT = 255, 16
MOST_BITS, MOST_STEPS = 6, 16
AHEAD = 4  # bytes that the arithmetic decoder reads ahead
CHANNEL_STATES = [*range(BIT_CHANNEL, STATES), *range(ZERO_PATTERN, ZERO_PLACE)]


def logarithm(x: int) -> int:
    """The logarithm of a level in eighths of an octave, at most 127 (8.3.8.2)."""
    if x == 0:
        return 0
    octaves = 0 if x < 256 else 64
    x = x if x < 256 else min(x >> 8, 255)
    bits = x.bit_length()
    return min(8 * bits - 7 + (16 * x >> bits) % 8 + octaves, 127)


def clip(value: int, least: int, most: int) -> int:
    """The value, limited to a range."""
    return min(max(value, least), most)


def sign(value: int) -> int:
    """-1, 0 or 1."""
    return (value > 0) - (value < 0)


class Neighbours(NamedTuple):
    """The levels around a word, those beyond borders replaced (8.3.8.2, step 1)."""

    west: int
    north: int
    north_west: int
    north_east: int
    far_west: int

    @property
    def expected(self) -> int:
        """The mean of a linear prediction and of the limited gradient."""
        west, north = self.west, self.north
        mean = 160 * west + 160 * north - 90 * self.north_west + 30 * self.north_east
        gradient = west + north - self.north_west
        gradient = clip(gradient, min(west, north), max(west, north))
        return (((mean + 128) >> 8) + gradient) >> 1

    @property
    def local(self) -> int:
        """The differences among them."""
        north, north_west = self.north, self.north_west
        return abs(self.west - north_west) + abs(north - north_west) + abs(north - self.north_east)


class ContextDecoder:
    """Decodes the words of a feature; the steps of 8.3.8.2 have a method each."""

    def __init__(self, data: bytes, shape: tuple[int, int, int], form: FloatFormat) -> None:
        self.size = len(data)
        self.shape = shape
        self.form = form
        self.raw = RawBits(data)
        self.decoder = ArithmeticDecoder(data)
        self.mixer = Mixer(self.decoder, *float_model(), STATE_LIMIT)
        self.words: list[int] = []
        self.usual = 48  # running mean of reference_exponent - exponent, in sixteenths
        self.run = 0  # the last three outcomes of repeats
        self.place = self.spread = self.expected = 0  # of the next word

    def decide(self, first: int, second: int, weights: int) -> int:
        """One decision that two states predict."""
        return self.mixer.decide((first, second), weights)

    def decode(self) -> list[int]:
        """Decode all words, in C order; they end where decisions and raw bits meet (R8.3.8.2-1)."""
        channels, height, width = self.shape
        activity = [[0] * (width + 1) for _ in range(height + 1)]
        for _ in range(channels):
            if height * width >= 16:
                self.begin_channel()
            above: list[int] = []
            for y in range(height):
                if self.decoder.position > self.size + AHEAD:
                    break  # refused below
                above = self.row(y, above, activity)
        between = self.size - self.raw.size() - (self.decoder.position - AHEAD)
        if not 1 <= between <= 2:
            raise Refusal("payload", "R8.3.8.2-1", f"{between} bytes end the decisions")
        return self.words

    def begin_channel(self) -> None:
        """Let the states of a channel adapt quickly again."""
        states = self.mixer.states
        for at in CHANNEL_STATES:
            states[at] = states[at] >> 8 << 8 | min(states[at] & 0xFF, CHANNEL_LIMIT)

    def row(self, y: int, above: list[int], activity: list[list[int]]) -> list[int]:
        """Decode a row of words; gives its levels."""
        width = self.shape[2]
        levels: list[int] = []
        here, below = activity[y], activity[y + 1]
        for x in range(width):
            around = neighbours(levels, above, x, width)
            foreseen = self.expected = around.expected
            self.place = logarithm(abs(foreseen))
            busy = 2 * here[x] + here[x + 1] + below[x]
            self.spread = logarithm((around.local * 16 + busy) >> 5)
            nonzero = self.is_nonzero(around)
            negative = self.is_negative(around, nonzero)
            magnitude = 0
            if nonzero:
                magnitude = self.repeated(around, y, x, negative)
                if magnitude < 0:
                    magnitude = self.new_magnitude()
            self.words.append(magnitude | (self.form.sign if negative else 0))
            level = self.level_of(magnitude) if nonzero else 0
            level = -level if negative else level
            here[x] += ((abs(level - foreseen) << 3) - here[x]) >> 2
            levels.append(level)
        return levels

    def is_nonzero(self, around: Neighbours) -> int:
        """Step 2: decide if the magnitude is other than 0."""
        if not self.form.has_zeros:
            return 1
        pattern = sum((level != 0) << i for i, level in enumerate(around))
        second = ZERO_PLACE + (self.place >> 2) * 16 + (self.spread >> 3)
        return self.decide(ZERO_PATTERN + pattern, second, ZERO_WEIGHTS)

    def is_negative(self, around: Neighbours, nonzero: int) -> int:
        """Step 3: decide if the sign is 1; *expected* then changes its sign, and *place* with it."""
        if not self.form.has_negatives:
            return 0
        first = SIGN_PATTERN + nonzero * 9 + (sign(around.west) + 1) * 3 + sign(around.north) + 1
        second = SIGN_PLACE + (self.place >> 4) * 16 + (self.spread >> 4)
        second += 8 if self.expected < 0 else 0
        negative = self.decide(first, second, SIGN_WEIGHTS)
        if negative:
            self.expected = -self.expected
        self.place = logarithm(max(self.expected, 0))
        return negative

    def repeated(self, around: Neighbours, y: int, x: int, negative: int) -> int:
        """Step 4: the magnitude of the word that is repeated; -1 where none is."""
        words, width = self.words, self.shape[2]
        candidate = 0
        if not self.form.has_repeats:
            return -1
        if x > 0 and around.west != 0:
            candidate = words[-1]
        elif y > 0 and around.north != 0:
            candidate = words[-width]
        if candidate == 0 or (candidate & self.form.sign > 0) != bool(negative):
            return -1
        second = REPEAT_PLACE + (self.run & 1)
        if y > 0 and words[-width] == candidate:
            second += 2
        if y > 0 and x > 0 and words[-width - 1] == candidate:
            second += 4
        outcome = self.decide(REPEAT_RUN + self.run, second, REPEAT_WEIGHTS)
        self.run = (self.run << 1 | outcome) & 7
        return candidate & ~self.form.sign if outcome else -1

    def new_magnitude(self) -> int:
        """Steps 5 and 6: exponent and mantissa."""
        exponent = self.exponent()
        shift = self.form.reference - exponent
        self.usual += ((shift << 4) - self.usual) >> 3
        return exponent << self.form.mantissa | self.mantissa(shift)

    def exponent(self) -> int:
        """Step 5: "is it at least *bound*?", until the answer turns."""
        form = self.form
        bound = form.reference - (self.usual >> 4)
        if self.place > 0:
            bound = form.reference - 15 + ((self.place - 1) >> 3)
        bound = min(max(bound, 1), form.high)
        direction = steps = 0
        while 1 <= bound <= form.high and steps < MOST_STEPS:
            step = min(steps, 3) + (3 if direction < 0 else 0)
            threshold = 121 - ((form.reference - bound) << 3)
            distance = clip(self.place - threshold + 32, 0, 63)
            first = STEP_PLACE + (step * 64 + distance) * 8
            first += clip((self.spread - threshold + 32) >> 3, 0, 7)
            second = STEP_DEPTH + clip(form.reference - bound, 0, 31) * 64 + distance
            answer = 1 if self.decide(first, second, STEP_WEIGHTS + 2 * step) else -1
            if direction == 0:
                direction = answer
            elif direction != answer:
                break
            bound += direction
            steps += 1
        if steps == MOST_STEPS:
            return self.raw.take(form.exponent)
        return bound - 1 if direction > 0 else bound

    def mantissa(self, shift: int) -> int:
        """Step 6: leading bits by decisions, raw bits, and trailing zeros."""
        form = self.form
        threshold = 121 - (shift << 3)
        modelled = 1
        if self.expected != 0:
            modelled = clip(((threshold - self.spread) >> 3) + 2, 1, MOST_BITS)
        modelled = min(modelled, form.mantissa - form.trailing)
        prefix = 1
        for i in range(modelled):
            half = 14 - i - shift  # logarithm of half the interval that is left, in levels
            distance = 16
            if half >= 0 and shift >= 0:
                distance += ((self.expected - ((2 * prefix + 1) << half)) << 2) >> half
                distance = clip(distance, 0, 31)
            first = BIT_PLACE + (i * 32 + distance) * 8
            first += clip((self.spread - threshold + 8 * i + 32) >> 3, 0, 7)
            second = BIT_CHANNEL + clip(shift, 0, 15) * 8 + min(prefix, 7)
            prefix = prefix << 1 | self.decide(first, second, BIT_WEIGHTS + 2 * i)
        count = form.mantissa - modelled - form.trailing
        leading = prefix - (1 << modelled)
        return (leading << count | self.raw.take(count)) << form.trailing

    def level_of(self, magnitude: int) -> int:
        """The level of a word whose magnitude is not 0, without its sign."""
        form = self.form
        shift = form.reference - (magnitude >> form.mantissa)
        if shift < 0:
            return 65535
        one = 1 << form.mantissa
        level = (magnitude & (one - 1) | one) << 16 >> (form.mantissa + 1)
        return max(level >> min(shift, 16), 1)


def neighbours(levels: list[int], above: list[int], x: int, width: int) -> Neighbours:
    """The levels around column x of a row, of which ``levels`` are decoded, below the row ``above``."""
    if not above:  # the first row
        west = levels[-1] if levels else 0
        far_west = levels[-2] if x > 1 else 0
        return Neighbours(west, west, west, west, far_west)
    north = above[x]
    north_east = above[min(x + 1, width - 1)]
    if x == 0:
        return Neighbours(north, north, north, north_east, north)
    far_west = levels[-2] if x > 1 else above[0]
    return Neighbours(levels[-1], north, above[x - 1], north_east, far_west)
