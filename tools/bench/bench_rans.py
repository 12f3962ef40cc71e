#!/usr/bin/env python3
"""Measures static tables and the learned coder against constriction and CompressAI's rANS.

    pip install --target PEERS constriction compressai --no-deps
    python tools/bench/bench_rans.py --peers PEERS [--symbols 4000000] [--features 1000000] [--json OUT.json]

Decoders take turns on the same symbols in one process, on one thread; a time is the least processor time of
several, so that a loaded machine disturbs it little. Sizes are exact. Without ``--peers``, refcodec alone.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import refcodec
from refcodec import EntropyModel
from refcodec.entropy.static import excess_order
from refcodec.entropy.symbols import (
    decode_symbols,
    encode_apart,
    encode_symbols_of,
    make_tables,
    slots_of,
)
from refcodec.errors import PayloadError
from refcodec.tables import scale_frequencies

SCALES = np.geomspace(0.11, 256.0, 64)
Decoder = tuple[Callable[[], Any], int]
"""Decodes all symbols; and the bytes that it reads."""


def least(run: Callable[[], Any], times: int) -> float:
    """The least processor time of several runs, in seconds; the first compiles, and does not count."""
    run()
    found = []
    for _ in range(times):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def drawn(index: Any, seed: int) -> Any:
    """Values of normal distributions of the scales of these numbers."""
    noise = np.random.default_rng(seed).normal(0, 1, len(index))
    return np.rint(noise * SCALES[index]).astype(np.int64)


def symbols_of(values: Any, index: Any, tables: Any) -> Any:
    """Symbols of values under the family of tables by scale."""
    count = tables.values[index]
    offsets = values + count // 2
    inside = (offsets >= 0) & (offsets < count)
    beyond = np.where(offsets < 0, -2 * offsets - 1, 2 * (offsets - count))
    return np.where(inside, offsets, count + beyond).astype(np.int32)


def ideal(symbols: Any, index: Any, tables: Any) -> float:
    """Bytes of the code lengths of symbols, with those of excesses."""
    count = tables.values[index]
    place = tables.begin[index] + np.minimum(symbols, count)
    bits = 14 - np.log2(tables.bounds[place + 1] - tables.bounds[place])
    order = np.array([excess_order(int(one)) for one in tables.values])[index]
    length = np.floor(np.log2(np.maximum(symbols - count, 0) + (1 << order)))
    return float((bits + np.where(symbols >= count, 2 * length - order + 1, 0)).sum()) / 8


# --- decoders --------------------------------------------------------------------------------------


def own(values: Any, index: Any, same: bool) -> Decoder:
    """The engine, with a table for each symbol or one for all."""
    family = scale_frequencies()
    chosen = [family[int(index[0])]] if same else list(family)
    tables = make_tables(chosen, [len(one) - 1 for one in chosen])
    index = np.zeros(len(index), np.int32) if same else index
    symbols = symbols_of(values, index, tables)
    payload = encode_symbols_of(symbols, index[:1] if same else index, tables)
    slots = slots_of(tables) if same else None
    assert np.array_equal(decode_symbols(payload, len(symbols), index, tables, slots), symbols)
    return lambda: decode_symbols(payload, len(symbols), index, tables, slots), len(payload)


def constriction(values: Any, index: Any, same: bool) -> Decoder:
    """constriction's ANS coder: a categorical model for one table, quantised Gaussians otherwise."""
    library: Any = importlib.import_module("constriction")

    coder = library.stream.stack.AnsCoder()
    if same:
        reach = int(np.abs(values).max())
        shares = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * SCALES[index[0]] ** 2)) + 1e-9
        model = library.stream.model.Categorical(shares / shares.sum(), perfect=False)
        arguments: tuple[Any, ...] = ()
        given = (values + reach).astype(np.int32)
    else:
        model = library.stream.model.QuantizedGaussian(-2000, 2000)
        arguments = (np.zeros(len(index)), SCALES[index])
        given = values.astype(np.int32)
    coder.encode_reverse(given, model, *arguments)
    words = coder.get_compressed()

    def run() -> Any:
        decoder = library.stream.stack.AnsCoder(words)
        return decoder.decode(model, *(arguments or (len(given),)))

    assert np.array_equal(run(), given)
    return run, 4 * len(words)


def compressai(values: Any, index: Any, same: bool) -> Decoder:
    """CompressAI's rANS, which takes lists: a table of 16 bits for each scale."""
    place = next(Path(one) for one in sys.path if list(Path(one).glob("compressai/ans*.so")))
    spec = importlib.util.spec_from_file_location("ans", next(place.glob("compressai/ans*.so")))
    assert spec is not None
    assert spec.loader is not None
    library = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(library)
    family = [4 * one for one in scale_frequencies()]
    bounds = [[0, *np.cumsum(one).tolist()] for one in family]
    sizes, offsets = [len(one) for one in bounds], [-(len(one) // 2 - 1) for one in family]
    arguments = index.tolist(), bounds, sizes, offsets
    data = library.RansEncoder().encode_with_indexes(values.tolist(), *arguments)

    def run() -> Any:
        return library.RansDecoder().decode_with_indexes(data, *arguments)

    assert run() == values.tolist()
    return run, len(data)


def speeds(count: int, peers: bool) -> Iterator[dict[str, Any]]:
    """Rows of the comparison: many symbols of one table, and of a table for each."""
    chance = np.random.default_rng(0)
    cases = {
        "one table, scale 1": np.full(count, 18, np.int32),
        "one table, scale 8": np.full(count, 35, np.int32),
        "a table for each": chance.integers(0, 64, count).astype(np.int32),
    }
    for name, index in cases.items():
        values, same = drawn(index, 1), name.startswith("one")
        for coder in (own, *((constriction, compressai) if peers else ())):
            part = slice(None) if coder is own else slice(0, count // 4)
            run, size = coder(values[part], index[part], same)
            done = len(values[part])
            yield {
                "case": name,
                "coder": coder.__name__,
                "million symbols a second": round(done / least(run, 5) / 1e6, 1),
                "bits a symbol": round(8 * size / done, 4),
            }


# --- small payloads --------------------------------------------------------------------------------


def overheads() -> dict[str, Any]:
    """Bytes over the code lengths, of payloads of 64 latents; and how many flipped bits go unnoticed."""
    chance = np.random.default_rng(2)
    family = list(scale_frequencies())
    tables = make_tables(family, [len(one) - 1 for one in family])
    index = chance.integers(0, 20, 64).astype(np.int32)
    alone, separate, missed, tried = [], [], 0, 0
    for seed in range(2000):
        symbols = symbols_of(drawn(index, seed), index, tables)
        least_bytes = ideal(symbols, index, tables)
        payload = bytearray(encode_symbols_of(symbols, index, tables))
        alone.append(len(payload) - least_bytes)
        separate.append(len(encode_apart(symbols[None], index, tables)[0]) - least_bytes)
        for _ in range(10):
            bit = int(chance.integers(8 * len(payload)))
            payload[bit // 8] ^= 1 << bit % 8
            tried += 1
            try:
                decode_symbols(bytes(payload), 64, index, tables)
                missed += 1
            except PayloadError:
                pass
            payload[bit // 8] ^= 1 << bit % 8
    return {
        "one lane, bytes over ideal, mean": round(float(np.mean(alone)), 3),
        "one lane, bytes over ideal, most": round(max(alone), 3),
        "decodable alone, bytes over ideal, mean": round(float(np.mean(separate)), 3),
        "decodable alone, bytes over ideal, most": round(max(separate), 3),
        "flipped bits that go unnoticed": f"{missed} of {tried}",
    }


# --- many features ---------------------------------------------------------------------------------


def features_of(count: int) -> Any:
    """Vectors of 64 latents, two in three of them constant, as a trained bottleneck gives them."""
    chance = np.random.default_rng(3)
    scales = np.where(np.arange(64) < 40, 0.02, np.geomspace(0.2, 0.8, 64))
    found = np.empty((count, 64), np.int8)
    for start in range(0, count, 65_536):
        part = found[start : start + 65_536]
        part[:] = np.rint(chance.laplace(0, 1, part.shape) * scales)
    return found


def many(count: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file of many features: bytes, seconds to write and read, and features by number."""
    features = features_of(count)
    model = EntropyModel.fit(features[:20_000])
    per_feature = model.code_length(features[:100_000]) / 8 / min(count, 100_000)
    for joint in (False, True):
        path = folder / f"{'joint' if joint else 'separate'}.dfc"
        start = time.process_time()
        with refcodec.create(
            path, coder="learned", quantiser="none", model=model, joint=joint
        ) as writer:
            for one in features:
                writer.write(one)
        written = time.process_time() - start
        with refcodec.open(path) as reader:
            start = time.process_time()
            read = sum(1 for _ in reader)
            passed = time.process_time() - start
            numbers = np.random.default_rng(4).integers(0, count, 1000).tolist()
            reader[0]
            start = time.process_time()
            found = [reader[number] for number in numbers]
            each = (time.process_time() - start) / 1000
        assert read == count
        assert all(np.array_equal(one, features[i]) for one, i in zip(found, numbers, strict=True))
        size = path.stat().st_size
        yield {
            "batches": "joint" if joint else "each decodable alone",
            "bytes": size,
            "bytes a feature": round(size / count, 4),
            "over ideal": round(size / count - per_feature, 4),
            "model bytes": model.size,
            "write, features a second": round(count / written),
            "read, features a second": round(count / passed),
            "by number, ms": round(1000 * each, 3),
        }


def main() -> int:
    """Measure, and print each row as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", type=Path, help="folder of constriction and compressai")
    parser.add_argument("--symbols", type=int, default=4_000_000)
    parser.add_argument("--features", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    options = parser.parse_args()
    if options.peers is not None:
        sys.path.append(str(options.peers))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in (
            speeds(options.symbols, options.peers is not None),
            iter([overheads()]),
            many(options.features, Path(folder)),
        ):
            for row in part:
                rows.append(row)
                print(json.dumps(row), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
