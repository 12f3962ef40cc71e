/* The decoders of the native coders, translated from the listings of the specification (8.3.7, 8.3.8, 8.9)
 * line by line: what a plain C compiler makes of them, for `bench_kernels.py` alone. Not a decoder of streams:
 * Python parses them, and checks every result against that of the kernels.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int64_t i64;

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static inline i64 clamp(i64 x, i64 low, i64 high) { return MIN(MAX(x, low), high); }
static inline i64 magnitude_of(i64 x) { return x < 0 ? -x : x; }

/* a // b of the listings, for b > 0: rounded down */
static inline i64 floor_div(i64 a, i64 b)
{
    i64 q = a / b;
    return q - (a % b < 0);
}

/* --- 8.9.1, 8.9.2 --------------------------------------------------------------------------------- */

static const int32_t *STRETCH, *SQUASH, *RECIPROCAL;

void set_tables(const int32_t *stretch, const int32_t *squash, const int32_t *reciprocal)
{
    STRETCH = stretch;
    SQUASH = squash;
    RECIPROCAL = reciprocal;
}

typedef struct {
    i64 range, code, position, overrun;
    const uint8_t *data;
    i64 size;
} Coder;

enum { MOST_OVERRUN = 4 };

static inline i64 next_byte(Coder *coder)
{
    i64 position = coder->position++;
    if (position < coder->size)
        return coder->data[position];
    coder->overrun++;
    return 0;
}

static inline int decode_bit(Coder *coder, i64 probability)
{
    i64 width = coder->range, code = coder->code;
    i64 split = (width * probability) >> 16;
    int bit = 0;
    if (code < split) {
        bit = 1;
        width = split;
    } else {
        code -= split;
        width -= split;
    }
    while (width < 0x1000000) {
        width <<= 8;
        code = (code << 8) | next_byte(coder);
    }
    coder->range = width;
    coder->code = code & 0xFFFFFFFFFF;
    return bit;
}

static i64 decode_bits(Coder *coder, i64 count)
{
    i64 value = 0;
    for (i64 i = 0; i < count; i++)
        value = (value << 1) | decode_bit(coder, 32768);
    return value;
}

static i64 decode_golomb(Coder *coder, i64 order)
{
    i64 length = order;
    while (length < 24 && decode_bit(coder, 32768) == 1)
        length++;
    return ((i64)1 << length) - ((i64)1 << order) + decode_bits(coder, length);
}

/* --- 8.3.7.3 -------------------------------------------------------------------------------------- */

enum { INPUTS = 6, RATE = 4, COUNT_LIMIT = 127, LONGEST_UNARY = 14 };
enum { COEFFICIENT, DC, DC_SIGN, LAST, LAST_REST, SPLIT, TEMPORAL, SAMPLE, SAMPLE_SIGN, FAMILIES };

typedef struct { i64 first_state, flags, contexts, first_set, sets; } Family;

static const Family families[FAMILIES] = {
    {0, 4, 480, 0, 12},      {11520, 6, 192, 48, 4}, {18432, 1, 192, 72, 4},
    {19584, 11, 144, 76, 4}, {29088, 2, 144, 120, 11}, {30816, 1, 64, 142, 4},
    {31200, 1, 48, 146, 4},  {31488, 6, 256, 150, 2}, {40704, 1, 144, 162, 2},
};

enum { ABOVE_ACTIVITY, LEFT_ACTIVITY, ABOVE_MEAN, LEFT_MEAN, ABOVE_SIZE, LEFT_SIZE, ABOVE_TEMPORAL, LEFT_TEMPORAL };
enum { ACTIVITY, MEAN, STEP, SLOPE, LARGEST, POINT = 4 };

typedef struct {
    int32_t *states;
    i64 *weights, *edges, *field, *channel;
    const i64 *scans, *scan_at, *roots, *basis, *basis_at;
    i64 edges_width, field_width;
    i64 contexts[INPUTS];
    i64 block[32][32], rows[32][32], stack[16][4];
} Workspace;

static inline int decode_decision(Coder *coder, Workspace *w, const Family *family, i64 set, i64 flag)
{
    i64 chosen[INPUTS], inputs[INPUTS];
    i64 at = family->first_state + flag * family->contexts;
    i64 *weights = w->weights + INPUTS * (family->first_set + set * family->flags + flag);
    i64 total = 0;
    for (int i = 0; i < INPUTS; i++) {
        chosen[i] = at + w->contexts[i];
        at += family->flags * family->contexts;
        inputs[i] = STRETCH[w->states[chosen[i]] >> 18];
        total += weights[i] * inputs[i];
    }
    total = clamp((total + 32768) >> 16, -2816, 2816);
    i64 probability = SQUASH[total + 2816];
    int bit = decode_bit(coder, probability);
    i64 error = (((i64)bit << 16) - probability) * RATE;
    for (int i = 0; i < INPUTS; i++) {
        weights[i] += (inputs[i] * error + 32768) >> 16;
        i64 state = w->states[chosen[i]];
        i64 seen = state & 0xFF, now = state >> 8;
        now += ((((i64)bit << 22) - now) * RECIPROCAL[seen]) >> 16;
        w->states[chosen[i]] = (int32_t)((now << 8) | MIN(seen + 1, COUNT_LIMIT));
    }
    return bit;
}

static inline i64 decode_magnitude(
    Coder *coder, Workspace *w, const Family *family, i64 set, i64 least, i64 most, i64 order)
{
    i64 value = least;
    while (value < most) {
        if (!decode_decision(coder, w, family, set, MIN(value, family->flags - 1)))
            return value;
        value++;
    }
    return most + decode_golomb(coder, order);
}

static inline i64 bucket(i64 value)
{
    if (value < 3)
        return value;
    if (value < 7)
        return (value + 3) >> 1;
    if (value < 17)
        return value < 11 ? 5 : 6;
    if (value < 51)
        return value < 29 ? 7 : 8;
    if (value < 181)
        return value < 101 ? 9 : 10;
    return 11;
}

static inline i64 size_class(i64 height, i64 width)
{
    i64 area = height * width;
    return area <= 16 ? 0 : area <= 64 ? 1 : area <= 256 ? 2 : 3;
}

static inline i64 bit_length(i64 value)
{
    i64 length = 0;
    while (value > 0) {
        value >>= 1;
        length++;
    }
    return length;
}

static inline i64 sign_class(i64 value) { return value == 0 ? 0 : value > 0 ? 1 : 2; }

/* --- 8.3.7.4 to 8.3.7.10 --------------------------------------------------------------------------- */

#define EDGE(row, i) w->edges[(row) * w->edges_width + (i)]
#define FIELD(i, j) w->field[(i) * w->field_width + (j)]

typedef struct {
    int32_t *levels, *samples;
    const int32_t *displaced;
    i64 stride;
} Plane;

#define LEVEL(i, j) plane->levels[(i) * plane->stride + (j)]

static i64 edge_mean(Workspace *w, i64 row, i64 before, i64 start, i64 length)
{
    if (before == 0)
        return 0;
    i64 total = 0;
    for (i64 i = start; i < start + length; i++)
        total += EDGE(row, i);
    return floor_div(total, length);
}

static i64 dequantise_level(Workspace *w, i64 level, i64 step)
{
    i64 magnitude = magnitude_of(level);
    if (magnitude == 0)
        return 0;
    i64 point = w->channel[POINT + MIN(magnitude, 3)];
    i64 value = ((32 * MIN(magnitude, 1 << 17) + point) * step) >> 17;
    value = MIN(value, 1 << 26);
    return level < 0 ? -value : value;
}

static void inverse_block(Workspace *w, Plane *plane, i64 y, i64 x, i64 height, i64 width, i64 used_rows, i64 used_columns)
{
    const i64 *row_basis = w->basis + w->basis_at[height], *column_basis = w->basis + w->basis_at[width];
    for (i64 u = 0; u < used_rows; u++)
        for (i64 j = 0; j < width; j++) {
            i64 total = 512;
            for (i64 v = 0; v < used_columns; v++)
                total += w->block[u][v] * column_basis[v * width + j];
            w->rows[u][j] = total >> 10;
        }
    for (i64 i = 0; i < height; i++)
        for (i64 j = 0; j < width; j++) {
            i64 total = 1 << 21;
            for (i64 u = 0; u < used_rows; u++)
                total += w->rows[u][j] * row_basis[u * height + i];
            plane->samples[(y + i) * plane->stride + x + j] += (int32_t)(total >> 22);
        }
}

static void reconstruct_block(Workspace *w, Plane *plane, i64 y, i64 x, i64 height, i64 width, i64 temporal)
{
    i64 used_rows = 0, used_columns = 0;
    for (i64 u = 0; u < height; u++)
        for (i64 v = 0; v < width; v++)
            if (LEVEL(y + u, x + v) != 0) {
                used_rows = u + 1;
                used_columns = MAX(used_columns, v + 1);
            }
    for (i64 u = 0; u < used_rows; u++)
        for (i64 v = 0; v < used_columns; v++) {
            i64 level = LEVEL(y + u, x + v), value = 0;
            if (level != 0) {
                i64 scale = 16 + floor_div(w->channel[SLOPE] * (u * width + v * height), height * width);
                i64 step = (w->channel[STEP] * scale) >> 4;
                if (u + v == 0)
                    value = clamp((level * step) >> 12, -(1 << 26), 1 << 26);
                else
                    value = dequantise_level(w, level, step);
            }
            w->block[u][v] = value;
        }
    i64 largest = w->channel[LARGEST];
    for (i64 i = y; i < y + height; i++)
        for (i64 j = x; j < x + width; j++)
            plane->samples[i * plane->stride + j] = temporal ? plane->displaced[i * plane->stride + j] : 0;
    inverse_block(w, plane, y, x, height, width, used_rows, used_columns);
    for (i64 i = y; i < y + height; i++)
        for (i64 j = x; j < x + width; j++) {
            int32_t *sample = plane->samples + i * plane->stride + j;
            *sample = (int32_t)clamp(*sample, 0, largest);
        }
}

static i64 decode_last(Coder *coder, Workspace *w, i64 shape, i64 beside, i64 behind, i64 around, i64 area)
{
    i64 longest = bit_length(area - 1), length = 0;
    while (length < longest && decode_decision(coder, w, &families[LAST], shape, length))
        length++;
    if (length < 2)
        return length;
    w->contexts[0] = shape * 11 + length;
    w->contexts[1] = behind * 12 + beside;
    w->contexts[2] = around * 11 + length;
    w->contexts[3] = length;
    w->contexts[4] = longest * 11 + length;
    w->contexts[5] = shape;
    i64 value = 1;
    for (i64 depth = 0; depth < length - 1; depth++)
        value = 2 * value
            + (depth < 2 ? decode_decision(coder, w, &families[LAST_REST], length, depth) : decode_bits(coder, 1));
    return MIN(value, area - 1);
}

static i64 decode_coefficients(
    Coder *coder, Workspace *w, Plane *plane, i64 y, i64 x, i64 height, i64 width, i64 shape,
    i64 beside, i64 behind, i64 around, i64 dc, i64 residual)
{
    i64 area = height * width;
    const i64 *scan = w->scans + w->scan_at[height * 33 + width];
    w->contexts[0] = shape * 12 + beside;
    w->contexts[1] = behind * 12 + beside;
    w->contexts[2] = around * 4 + shape;
    w->contexts[3] = shape * 12 + bucket(dc);
    w->contexts[4] = bucket(residual) * 12 + around;
    w->contexts[5] = bit_length(area - 1);
    i64 last = decode_last(coder, w, shape, beside, behind, around, area);

    i64 total = 0, nonzero = 0;
    for (i64 k = last; k > 0; k--) {
        i64 entry = scan[k];
        i64 u = entry & 31, v = (entry >> 5) & 31, place = (entry >> 10) & 63, ring = entry >> 16;
        i64 near = 0;
        if (u + 1 < height) {
            near += 2 * magnitude_of(LEVEL(y + u + 1, x + v));
            if (v + 1 < width)
                near += magnitude_of(LEVEL(y + u + 1, x + v + 1));
            if (u + 2 < height)
                near += magnitude_of(LEVEL(y + u + 2, x + v));
        }
        if (v + 1 < width) {
            near += 2 * magnitude_of(LEVEL(y + u, x + v + 1));
            if (v + 2 < width)
                near += magnitude_of(LEVEL(y + u, x + v + 2));
        }
        i64 order = bit_length(near >> 3);
        near = bucket(near);
        w->contexts[0] = shape * 64 + place;
        w->contexts[1] = (near * 10 + ring) * 4 + shape;
        w->contexts[2] = (beside * 10 + ring) * 4 + shape;
        w->contexts[3] = (around * 10 + ring) * 4 + MIN(nonzero, 3);
        w->contexts[4] = (behind * 10 + ring) * 4 + MIN(near, 3);
        w->contexts[5] = (MIN(bucket(last - k), 9) * 10 + MIN(bucket(total), 9)) * 4 + shape;
        i64 magnitude = decode_magnitude(
            coder, w, &families[COEFFICIENT], shape * 3 + (ring >> 2), k == last, 8, MIN(order, 12));
        if (magnitude > 0) {
            magnitude = MIN(magnitude, 1 << 25);
            LEVEL(y + u, x + v) = (int32_t)(decode_bit(coder, 32768) ? -magnitude : magnitude);
            nonzero++;
            total += magnitude;
        } else {
            LEVEL(y + u, x + v) = 0;
        }
    }
    return total;
}

static i64 decode_dc(
    Coder *coder, Workspace *w, Plane *plane, i64 y, i64 x, i64 height, i64 width, i64 shape,
    i64 beside, i64 behind, i64 around, i64 temporal, i64 displaced_mean, i64 *level_out)
{
    i64 root = w->roots[height * width], above = 0, left = 0, contrast = 0, mean;
    if (y > 0)
        above = edge_mean(w, ABOVE_MEAN, y, x, width);
    if (x > 0)
        left = edge_mean(w, LEFT_MEAN, x, y, height);
    if (y > 0 && x > 0) {
        mean = (above + left) >> 1;
        contrast = bucket((magnitude_of(above - left) * root) >> 12);
    } else if (y > 0) {
        mean = above;
    } else if (x > 0) {
        mean = left;
    } else {
        mean = w->channel[MEAN];
    }
    if (temporal)
        mean = 0;
    i64 prediction = (mean * root + 2048) >> 12;
    i64 expected = bucket(magnitude_of(prediction));
    w->contexts[0] = (shape * 12 + expected) * 2 + (y == 0 && x == 0);
    w->contexts[1] = beside * 12 + expected;
    w->contexts[2] = behind * 12 + expected;
    w->contexts[3] = around * 12 + expected;
    w->contexts[4] = contrast * 12 + expected;
    w->contexts[5] = MIN(magnitude_of(prediction), 47) * 4 + shape;
    i64 residual = decode_magnitude(coder, w, &families[DC], shape, 0, LONGEST_UNARY, 1);
    if (residual > 0 && decode_decision(coder, w, &families[DC_SIGN], shape, 0))
        residual = -residual;
    i64 level = clamp(prediction + residual, -(1 << 25), 1 << 25);
    LEVEL(y, x) = (int32_t)level;
    mean = displaced_mean + floor_div(level * 4096, root);
    for (i64 i = x; i < x + width; i++)
        EDGE(ABOVE_MEAN, i) = mean;
    for (i64 i = y; i < y + height; i++)
        EDGE(LEFT_MEAN, i) = mean;
    if (y == 0 && x == 0)
        w->channel[MEAN] += (mean - w->channel[MEAN]) >> 2;
    *level_out = level;
    return residual;
}

static i64 decode_temporal(Coder *coder, Workspace *w, i64 y, i64 x, i64 shape, i64 beside, i64 behind, i64 around)
{
    i64 above = y == 0 ? 2 : EDGE(ABOVE_TEMPORAL, x), left = x == 0 ? 2 : EDGE(LEFT_TEMPORAL, y);
    w->contexts[0] = shape * 9 + above * 3 + left;
    w->contexts[1] = beside * 4 + shape;
    w->contexts[2] = behind * 4 + shape;
    w->contexts[3] = around * 4 + shape;
    w->contexts[4] = above * 3 + left;
    w->contexts[5] = shape;
    return decode_decision(coder, w, &families[TEMPORAL], shape, 0);
}

static void decode_block(Coder *coder, Workspace *w, Plane *plane, i64 y, i64 x, i64 height, i64 width)
{
    i64 area = height * width, shape = size_class(height, width), beside;
    if (y > 0 && x > 0)
        beside = (edge_mean(w, ABOVE_ACTIVITY, y, x, width) + edge_mean(w, LEFT_ACTIVITY, x, y, height) + 1) >> 1;
    else if (y > 0)
        beside = edge_mean(w, ABOVE_ACTIVITY, y, x, width);
    else if (x > 0)
        beside = edge_mean(w, LEFT_ACTIVITY, x, y, height);
    else
        beside = w->channel[ACTIVITY] >> 4;
    beside = bucket(beside);
    i64 bottom = (y + height + 3) >> 2, right = (x + width + 3) >> 2, behind = 0;
    for (i64 i = y >> 2; i < bottom; i++)
        for (i64 j = x >> 2; j < right; j++)
            behind += FIELD(i, j);
    behind = bucket(floor_div(behind, (bottom - (y >> 2)) * (right - (x >> 2))));
    i64 around = bucket(w->channel[ACTIVITY] >> 4);

    i64 temporal = 0, displaced_mean = 0, dc;
    if (plane->displaced)
        temporal = decode_temporal(coder, w, y, x, shape, beside, behind, around);
    if (temporal) {
        for (i64 i = y; i < y + height; i++)
            for (i64 j = x; j < x + width; j++)
                displaced_mean += plane->displaced[i * plane->stride + j];
        displaced_mean = floor_div(displaced_mean << 24, area * w->channel[STEP]);
    }
    i64 residual = decode_dc(
        coder, w, plane, y, x, height, width, shape, beside, behind, around, temporal, displaced_mean, &dc);
    i64 total = magnitude_of(residual);
    if (area > 1)
        total += decode_coefficients(
            coder, w, plane, y, x, height, width, shape, beside, behind, around, magnitude_of(dc), magnitude_of(residual));
    reconstruct_block(w, plane, y, x, height, width, temporal);

    i64 activity = MIN(floor_div(total << 6, area), 255);
    for (i64 i = x; i < x + width; i++) {
        EDGE(ABOVE_ACTIVITY, i) = activity;
        EDGE(ABOVE_SIZE, i) = MIN(shape, 2);
        EDGE(ABOVE_TEMPORAL, i) = temporal;
    }
    for (i64 i = y; i < y + height; i++) {
        EDGE(LEFT_ACTIVITY, i) = activity;
        EDGE(LEFT_SIZE, i) = MIN(shape, 2);
        EDGE(LEFT_TEMPORAL, i) = temporal;
    }
    for (i64 i = y >> 2; i < bottom; i++)
        for (i64 j = x >> 2; j < right; j++)
            FIELD(i, j) += (4 * activity - FIELD(i, j)) >> 2;
    w->channel[ACTIVITY] += (16 * activity - w->channel[ACTIVITY]) >> 3;
}

enum { SPLIT_FROM = 6 };

static i64 decode_split(Coder *coder, Workspace *w, i64 y, i64 x, i64 height, i64 width)
{
    i64 shape = size_class(height, width);
    i64 above = y == 0 ? 3 : EDGE(ABOVE_SIZE, x), left = x == 0 ? 3 : EDGE(LEFT_SIZE, y);
    w->contexts[0] = shape * 16 + above * 4 + left;
    w->contexts[1] = bucket(w->channel[ACTIVITY] >> 4) * 4 + shape;
    w->contexts[2] = bucket(FIELD((y + (height >> 1)) >> 2, (x + (width >> 1)) >> 2)) * 4 + shape;
    w->contexts[3] = shape;
    w->contexts[4] = bucket(edge_mean(w, ABOVE_ACTIVITY, y, x, width)) * 4 + shape;
    w->contexts[5] = bucket(edge_mean(w, LEFT_ACTIVITY, x, y, height)) * 4 + shape;
    return decode_decision(coder, w, &families[SPLIT], shape, 0);
}

static void push(Workspace *w, i64 count, i64 y, i64 x, i64 height, i64 width)
{
    i64 *entry = w->stack[count];
    entry[0] = y;
    entry[1] = x;
    entry[2] = height;
    entry[3] = width;
}

static void decode_tree(Coder *coder, Workspace *w, Plane *plane, i64 y, i64 x, i64 height, i64 width)
{
    push(w, 0, y, x, height, width);
    i64 count = 1;
    while (count > 0 && coder->overrun <= MOST_OVERRUN) {
        count--;
        y = w->stack[count][0];
        x = w->stack[count][1];
        height = w->stack[count][2];
        width = w->stack[count][3];
        i64 split = 0;
        if (height >= SPLIT_FROM || width >= SPLIT_FROM)
            split = decode_split(coder, w, y, x, height, width);
        if (!split) {
            decode_block(coder, w, plane, y, x, height, width);
            continue;
        }
        i64 top = height >= SPLIT_FROM ? (height + 1) >> 1 : height;
        i64 left = width >= SPLIT_FROM ? (width + 1) >> 1 : width;
        if (top < height && left < width)
            push(w, count++, y + top, x + left, height - top, width - left);
        if (top < height)
            push(w, count++, y + top, x, height - top, left);
        if (left < width)
            push(w, count++, y, x + left, top, width - left);
        push(w, count++, y, x, top, left);
    }
}

static void decode_samples(
    Coder *coder, Workspace *w, int32_t *levels, int32_t *samples, i64 channel, i64 height, i64 width, i64 origin)
{
    i64 alone = height * width == 1, largest = w->channel[LARGEST], step = w->channel[STEP], area = height * width;
    for (i64 y = 0; y < height; y++) {
        if (coder->overrun > MOST_OVERRUN)
            return;
        for (i64 x = 0; x < width; x++) {
            i64 at = (channel * height + y) * width + x;
            i64 left = x > 0 ? levels[at - 1] : 0, above = y > 0 ? levels[at - width] : 0;
            i64 before = channel > 0 ? levels[at - area] : 0, second = channel > 1 ? levels[at - 2 * area] : 0;
            i64 near = bucket(magnitude_of(left) + magnitude_of(above)), behind = bucket(magnitude_of(before));
            i64 around = bucket(w->channel[ACTIVITY] >> 4), field = bucket(FIELD(y >> 2, x >> 2) >> 4);
            w->contexts[0] = near * 12 + behind;
            w->contexts[1] = near * 12 + around;
            w->contexts[2] = behind * 12 + bucket(magnitude_of(second));
            w->contexts[3] = field * 12 + near;
            w->contexts[4] = around * 12 + field;
            w->contexts[5] = MIN(magnitude_of(left), 15) * 16 + MIN(magnitude_of(above), 15);
            i64 magnitude = decode_magnitude(coder, w, &families[SAMPLE], alone, 0, LONGEST_UNARY, 1);
            i64 level = MIN(magnitude, 1 << 25);
            if (magnitude > 0) {
                w->contexts[0] = sign_class(left) * 9 + sign_class(above) * 3 + sign_class(before);
                w->contexts[1] = near * 3 + sign_class(left);
                w->contexts[2] = behind * 3 + sign_class(before);
                w->contexts[3] = around * 12 + bucket(magnitude);
                w->contexts[4] = field;
                w->contexts[5] = sign_class(before) * 3 + sign_class(second);
                if (decode_decision(coder, w, &families[SAMPLE_SIGN], alone, 0))
                    level = -level;
            }
            levels[at] = (int32_t)level;
            samples[at] = (int32_t)clamp(origin + ((dequantise_level(w, level, step) + 8) >> 4), 0, largest);
            i64 activity = MIN(16 * magnitude, 4095);
            w->channel[ACTIVITY] += (16 * activity - w->channel[ACTIVITY]) >> 4;
            FIELD(y >> 2, x >> 2) += (16 * activity - FIELD(y >> 2, x >> 2)) >> 3;
        }
    }
}

/* code_levels of 8.3.7.2: head is that of the payload, coder holds the five entries of 8.9.1 */
void decode_levels(
    i64 *coder_entries, const uint8_t *data, i64 size, int32_t *states, i64 *weights, i64 *edges, i64 edges_width,
    i64 *field, i64 field_width, i64 *channel, const i64 *scans, const i64 *scan_at, const i64 *roots,
    const i64 *basis, const i64 *basis_at, i64 block, i64 slope, const i64 *points, i64 origin,
    const i64 *steps, i64 largest, const i64 *ys, i64 rows, const i64 *xs, i64 columns, int32_t *levels,
    int32_t *samples, const int32_t *displaced, i64 channels, i64 height, i64 width)
{
    Coder coder = {coder_entries[0], coder_entries[1], coder_entries[2], coder_entries[3], data, size};
    Workspace workspace = {
        states, weights, edges, field, channel, scans, scan_at, roots, basis, basis_at, edges_width, field_width,
        {0}, {{0}}, {{0}}, {{0}}};
    Workspace *w = &workspace;
    channel[LARGEST] = largest;
    channel[SLOPE] = slope;
    for (int i = 0; i < 3; i++)
        channel[POINT + 1 + i] = points[i];
    for (i64 c = 0; c < channels; c++) {
        channel[STEP] = steps[c];
        if (block == 0) {
            decode_samples(&coder, w, levels, samples, c, height, width, origin);
            continue;
        }
        i64 at = c * height * width;
        Plane plane = {levels + at, samples + at, displaced ? displaced + at : 0, width};
        for (i64 i = 0; i < rows; i++)
            for (i64 j = 0; j < columns; j++)
                decode_tree(&coder, w, &plane, ys[i], xs[j], ys[i + 1] - ys[i], xs[j + 1] - xs[j]);
    }
    coder_entries[0] = coder.range;
    coder_entries[1] = coder.code;
    coder_entries[2] = coder.position;
    coder_entries[3] = coder.overrun;
}

/* --- 8.3.8: the native lossless coder -------------------------------------------------------------- */

static const int16_t *FLOAT_STRETCH;
static const i64 *LOGARITHMS;

void set_float_tables(const int16_t *stretch, const i64 *logarithms)
{
    FLOAT_STRETCH = stretch;
    LOGARITHMS = logarithms;
}

enum { HAS_ZEROS = 1, HAS_NEGATIVES = 2, HAS_REPEATS = 4 };
enum { MOST_BITS = 6, MOST_STEPS = 16, WORD_COUNT_LIMIT = 255, CHANNEL_COUNT_LIMIT = 16 };
enum {
    ZERO_PATTERN = 0, ZERO_PLACE = 32, SIGN_PATTERN = 544, SIGN_PLACE = 562, REPEAT_RUN = 690, REPEAT_PLACE = 698,
    STEP_PLACE = 706, STEP_DEPTH = 4290, BIT_PLACE = 6338, BIT_CHANNEL = 7874
};
enum { ZERO_WEIGHTS = 0, SIGN_WEIGHTS = 2, REPEAT_WEIGHTS = 4, STEP_WEIGHTS = 6, BIT_WEIGHTS = 20 };

typedef struct { i64 position, bits, count, size; const uint8_t *data; } Raw;

static inline i64 take_raw(Raw *raw, i64 count)
{
    i64 bits = raw->bits, held = raw->count, at = raw->position;
    while (held < count) {
        bits <<= 8;
        if (at < raw->size)
            bits |= raw->data[at];
        at++;
        held += 8;
    }
    held -= count;
    raw->bits = bits & (((i64)1 << held) - 1);
    raw->count = held;
    raw->position = at;
    return bits >> held;
}

static inline i64 logarithm(i64 x)
{
    return x < 256 ? LOGARITHMS[x] : MIN(LOGARITHMS[MIN(x >> 8, 255)] + 64, 127);
}

static inline i64 stretched(const int32_t *states, i64 at) { return FLOAT_STRETCH[(states[at] >> 18) & 0xFFF]; }

static inline void adapt(int32_t *states, i64 *weight, i64 at, i64 error, i64 bit)
{
    *weight += (stretched(states, at) * error + 32768) >> 16;
    i64 before = states[at], seen = before & 0xFF, now = before >> 8;
    now += (((bit << 22) - now) * RECIPROCAL[seen]) >> 16;
    states[at] = (int32_t)((now << 8) | MIN(seen + 1, WORD_COUNT_LIMIT));
}

static inline int decode_mixed(Coder *coder, int32_t *states, i64 *weights, i64 first, i64 second)
{
    i64 total = weights[0] * stretched(states, first) + weights[1] * stretched(states, second);
    i64 chance = SQUASH[clamp((total + 32768) >> 16, -2816, 2816) + 2816];
    int bit = decode_bit(coder, chance);
    i64 error = (((i64)bit << 16) - chance) * RATE;
    adapt(states, weights, first, error, bit);
    adapt(states, weights + 1, second, error, bit);
    return bit;
}

/* decode_floats of 8.3.8.2: work holds the eight entries of the listing */
void decode_floats(
    i64 *work, const uint8_t *data, i64 size, const uint8_t *raw_data, int32_t *words, i64 channels, i64 height,
    i64 width, i64 mantissa_bits, i64 sign_bit, i64 flags, i64 high, i64 reference, i64 trailing, int32_t *states,
    i64 *weights)
{
    Coder coder = {work[0], work[1], work[2], work[3], data, size};
    Raw raw = {work[5], work[6], work[7], size, raw_data};
    i64 magnitudes = ((i64)1 << sign_bit) - 1, usual = 48, run = 0;
    i64 *above = calloc(width + 2, sizeof(i64));
    i64 *activity = calloc((height + 1) * (width + 1) + 1, sizeof(i64));
    for (i64 channel = 0; channel < channels; channel++) {
        if (height * width >= 16)
            for (i64 i = 0; i < 160; i++) {
                i64 at = i >= 128 ? ZERO_PATTERN + i - 128 : BIT_CHANNEL + i;
                states[at] = (states[at] >> 8 << 8) | MIN(states[at] & 0xFF, CHANNEL_COUNT_LIMIT);
            }
        memset(above, 0, (width + 2) * sizeof(i64));
        for (i64 y = 0; y < height; y++) {
            if (coder.position > size + 4)
                break;
            i64 west = above[1], north_west = west, far_west = west;
            above[width + 1] = above[width];
            for (i64 x = 0; x < width; x++) {
                i64 at = (channel * height + y) * width + x;
                i64 north = above[x + 1], north_east = above[x + 2];
                if (y == 0)
                    north = north_west = north_east = west;
                i64 mean = (160 * west + 160 * north - 90 * north_west + 30 * north_east + 128) >> 8;
                i64 foreseen = (mean + clamp(west + north - north_west, MIN(west, north), MAX(west, north))) >> 1;
                i64 place = logarithm(magnitude_of(foreseen)), spot = y * (width + 1) + x;
                i64 local = magnitude_of(west - north_west) + magnitude_of(north - north_west)
                    + magnitude_of(north - north_east);
                i64 busy = 2 * activity[spot] + activity[spot + 1] + activity[spot + width + 1];
                i64 spread = logarithm((local * 16 + busy) >> 5);

                i64 nonzero = 1, negative = 0, expected = foreseen;
                if (flags & HAS_ZEROS) {
                    i64 pattern = (west != 0) + 2 * (north != 0) + 4 * (north_west != 0) + 8 * (north_east != 0)
                        + 16 * (far_west != 0);
                    nonzero = decode_mixed(
                        &coder, states, weights + ZERO_WEIGHTS, ZERO_PATTERN + pattern,
                        ZERO_PLACE + (place >> 2) * 16 + (spread >> 3));
                }
                if (flags & HAS_NEGATIVES) {
                    i64 first = SIGN_PATTERN + nonzero * 9 + (clamp(west, -1, 1) + 1) * 3 + clamp(north, -1, 1) + 1;
                    i64 second = SIGN_PLACE + (place >> 4) * 16 + (spread >> 4) + 8 * (foreseen < 0);
                    negative = decode_mixed(&coder, states, weights + SIGN_WEIGHTS, first, second);
                    if (negative)
                        expected = -foreseen;
                    place = logarithm(MAX(expected, 0));
                }
                i64 repeated = 0, candidate = 0;
                if ((flags & HAS_REPEATS) && nonzero) {
                    if (x > 0 && west != 0)
                        candidate = words[at - 1];
                    else if (y > 0 && north != 0)
                        candidate = words[at - width];
                    if (candidate != 0 && ((candidate >> sign_bit) & 1) == negative) {
                        i64 second = REPEAT_PLACE + (run & 1);
                        if (y > 0 && words[at - width] == candidate)
                            second += 2;
                        if (y > 0 && x > 0 && words[at - width - 1] == candidate)
                            second += 4;
                        repeated = decode_mixed(&coder, states, weights + REPEAT_WEIGHTS, REPEAT_RUN + run, second);
                        run = (run << 1 | repeated) & 7;
                    }
                }
                i64 magnitude = 0;
                if (repeated) {
                    magnitude = candidate & magnitudes;
                } else if (nonzero) {
                    i64 bound = reference - (usual >> 4), direction = 0, steps = 0;
                    if (place > 0)
                        bound = reference - 15 + ((place - 1) >> 3);
                    bound = MIN(MAX(bound, 1), high);
                    while (bound >= 1 && bound <= high && steps < MOST_STEPS) {
                        i64 step = MIN(steps, 3) + 3 * (direction < 0), depth = reference - bound;
                        i64 threshold = 121 - 8 * depth, distance = clamp(place - threshold + 32, 0, 63);
                        i64 first = STEP_PLACE + (step * 64 + distance) * 8 + clamp((spread - threshold + 32) >> 3, 0, 7);
                        i64 least = decode_mixed(
                            &coder, states, weights + STEP_WEIGHTS + step * 2, first,
                            STEP_DEPTH + clamp(depth, 0, 31) * 64 + distance);
                        if (direction == 0)
                            direction = 2 * least - 1;
                        else if (direction != 2 * least - 1)
                            break;
                        bound += direction;
                        steps++;
                    }
                    i64 exponent = bound - (direction > 0);
                    if (steps == MOST_STEPS)
                        exponent = take_raw(&raw, sign_bit - mantissa_bits);
                    i64 shift = reference - exponent;
                    usual += (16 * shift - usual) >> 3;

                    i64 modelled = 1, prefix = 1;
                    if (expected != 0)
                        modelled = clamp(((121 - 8 * shift - spread) >> 3) + 2, 1, MOST_BITS);
                    modelled = MIN(modelled, mantissa_bits - trailing);
                    for (i64 i = 0; i < modelled; i++) {
                        i64 half = 14 - i - shift, distance = 16;
                        if (half >= 0 && shift >= 0)
                            distance = clamp(distance + ((4 * (expected - ((2 * prefix + 1) << half))) >> half), 0, 31);
                        i64 first = BIT_PLACE + (i * 32 + distance) * 8
                            + clamp((spread - (121 - 8 * shift) + 8 * i + 32) >> 3, 0, 7);
                        i64 second = BIT_CHANNEL + clamp(shift, 0, 15) * 8 + MIN(prefix, 7);
                        prefix = 2 * prefix + decode_mixed(&coder, states, weights + BIT_WEIGHTS + i * 2, first, second);
                    }
                    i64 count = mantissa_bits - modelled - trailing, rest = take_raw(&raw, count);
                    magnitude = (((prefix - ((i64)1 << modelled)) << count) | rest) << trailing;
                    magnitude |= exponent << mantissa_bits;
                }
                i64 value = 0;
                if (nonzero) {
                    i64 shift = reference - (magnitude >> mantissa_bits);
                    value = 65535;
                    if (shift >= 0) {
                        value = (magnitude & (((i64)1 << mantissa_bits) - 1)) | ((i64)1 << mantissa_bits);
                        value = MAX(((value << 16) >> (mantissa_bits + 1)) >> MIN(shift, 16), 1);
                    }
                    if (negative)
                        value = -value;
                }
                words[at] = (int32_t)(uint32_t)(magnitude | negative << sign_bit);
                activity[spot] += (8 * magnitude_of(value - foreseen) - activity[spot]) >> 2;
                above[x + 1] = value;
                north_west = north;
                far_west = west;
                west = value;
            }
        }
    }
    free(above);
    free(activity);
    work[2] = coder.position;
    work[5] = raw.position;
    work[6] = raw.bits;
    work[7] = raw.count;
}

enum { RANKS = 16, OTHER = 14, ZERO = 15 };

/* decode_ranks of 8.3.8.3 */
i64 decode_ranks(
    i64 *work, const uint8_t *data, i64 size, const uint8_t *raw_data, int32_t *words, uint8_t *ranks, i64 channels,
    i64 height, i64 width, i64 mantissa_bits, i64 sign_bit, i64 flags, i64 reference, i64 trailing,
    const i64 *frequencies, const uint8_t *slots, const i64 *starts)
{
    Raw raw = {work[5], work[6], work[7], size, raw_data};
    i64 exponent_bits = sign_bit - mantissa_bits, state = 0, position = 4, at = 0;
    for (int i = 0; i < 4; i++)
        state = state << 8 | data[i];
    for (i64 channel = 0; channel < channels; channel++)
        for (i64 y = 0; y < height; y++)
            for (i64 x = 0; x < width; x++) {
                i64 kind = 0;
                if (x > 0)
                    kind = y > 0 ? (ranks[at - 1] + ranks[at - width] + 1) >> 2 : (2 * ranks[at - 1] + 1) >> 2;
                else if (y > 0)
                    kind = (2 * ranks[at - width] + 1) >> 2;
                i64 slot = state & 0xFF, rank = slots[kind * 256 + slot], entry = kind * RANKS + rank;
                state = frequencies[entry] * (state >> 8) + slot - starts[entry];
                if (state < 0x10000) {
                    state <<= 16;
                    if (position + 1 < size)
                        state |= data[position] << 8 | data[position + 1];
                    position += 2;
                }
                ranks[at] = (uint8_t)rank;
                i64 word = 0;
                if (rank != ZERO) {
                    i64 exponent = MAX(reference - rank, 0);
                    if (rank == OTHER)
                        exponent = take_raw(&raw, exponent_bits);
                    word = take_raw(&raw, mantissa_bits - trailing) << trailing | exponent << mantissa_bits;
                }
                if (flags & HAS_NEGATIVES)
                    word |= take_raw(&raw, 1) << sign_bit;
                words[at++] = (int32_t)(uint32_t)word;
            }
    work[5] = raw.position;
    work[6] = raw.bits;
    work[7] = raw.count;
    return state == 0x10000 ? position : -1;
}
