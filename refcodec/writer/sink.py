"""The sink of a stream: writes units, and keeps the table of their positions for the index."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from refcodec.encoder.encoding import CodedFeature, CodedRun
from refcodec.encoder.ranges import batch_elements
from refcodec.errors import CallerError
from refcodec.files import storage_error
from refcodec.hashes import stored_hash, unit_hash
from refcodec.quantise import dequantise
from refcodec.shapes import of_layer
from refcodec.stream.index import CodedUnitTable
from refcodec.stream.limits import Demand
from refcodec.syntax.codes import HashTarget, UnitType
from refcodec.syntax.structures import (
    CODED_FEATURE,
    CODED_FEATURE_BATCH,
    END,
    FEATURE_PARAMETER_SET,
    HASH,
    INDEX,
    METADATA,
    MODEL_IDS,
    UNIT_STRUCTURES,
    FeatureParameterSet,
    ModelUnit,
)
from refcodec.syntax.units import build_stream_header, build_unit
from refcodec.writer.limits import StreamLimits
from refcodec.writer.numbering import Numbering

__all__ = ["Sink"]


class Sink:
    """Writes units to a file or a pipe, in the order of the calls.

    name     : name of the output in messages.
    seekable : true if the stream header can be rewritten at the end.
    limits   : profile and level of the stream.
    written  : number of features so far.
    """

    def __init__(
        self, target: BinaryIO, name: str, limits: StreamLimits, *, seekable: bool
    ) -> None:
        self._target = target
        self._name = name
        self._limits = limits
        self._origin = target.tell() if seekable else 0
        self._seekable = seekable
        self._position = 0
        self._table = CodedUnitTable()
        self._numbering = Numbering()
        self._models: dict[tuple[UnitType, bytes], int] = {}  # model_ids by the content of units
        self.written = 0

    def begin(self, metadata: Mapping[str, str]) -> None:
        """Write the stream header, and metadata if there are any."""
        self._put(build_stream_header(self._limits.profile, self._limits.declared))
        if metadata:
            texts = [(key.encode(), value.encode()) for key, value in metadata.items()]
            entries = [
                {"key_size": len(key), "key": key, "value_size": len(value), "value": value}
                for key, value in texts
            ]
            elements = {"entry_count": len(entries), "entries": entries}
            self._put_unit(UnitType.METADATA, METADATA.build_whole(elements))

    def put_model(self, kind: UnitType, unit: ModelUnit) -> int:
        """Write a model unit, unless the stream has its model; returns the model_id to name it by.

        Raises CallerError for more models than have numbers.
        """
        structure = UNIT_STRUCTURES[kind]
        content = kind, structure.build_whole(replace(unit, model_id=0))
        if content not in self._models:
            number = len(self._models)
            if number == MODEL_IDS:
                raise CallerError(f"a stream has at most {MODEL_IDS} models")
            self._limits.admit_model(unit)
            self._models[content] = number
            self._table.parameter_set_offsets.append(self._position)
            self._put_unit(kind, structure.build_whole(replace(unit, model_id=number)))
        return self._models[content]

    def put_parameter_set(self, fps: FeatureParameterSet, rank: int = 0) -> FeatureParameterSet:
        """Write a parameter set, unless it is in force; returns it with its fps_id, to be used at once.

        rank : distinguishes parameter sets of equal content.
        """
        numbered = self._numbering.find(fps, rank)
        if numbered is None:
            numbered = self._numbering.put_in_force(fps, rank)
            self._table.parameter_set_offsets.append(self._position)
            payload = FEATURE_PARAMETER_SET.build_whole(numbered)
            self._put_unit(UnitType.FEATURE_PARAMETER_SET, payload)
        return numbered

    def release_parameter_set(self, fps: FeatureParameterSet, rank: int) -> None:
        """Let another parameter set take the fps_id of this one."""
        self._numbering.release(fps, rank)

    def put_feature(
        self, fps: FeatureParameterSet, one: CodedFeature, whole: bytes | None = None
    ) -> None:
        """Write a coded feature.

        whole : its payload; None for the one that it was coded to.
        """
        elements = {
            "fps_id": fps.fps_id,
            "token_count_minus1": one.coded.samples.shape[1] - 1,
            "continuation_flag": int(one.continues),
            "access_point_flag": int(one.coded.access_point),
            "parameters": one.parameters,
            "sample_hash": stored_hash(one.coded.samples, fps.sample_hash_size),
            "substream_size": list(one.coded.substreams),
            "payload": one.coded.data if whole is None else whole,
        }
        payload = CODED_FEATURE.build_whole(elements, fps=fps)
        self.put_coded(UnitType.CODED_FEATURE, payload, 1, one.coded.access_point)

    def put_batch(
        self,
        fps: FeatureParameterSet,
        batch: Sequence[CodedFeature],
        whole: bytes | None = None,
    ) -> None:
        """Write features that share their parameters as a coded feature batch.

        whole : a payload of all of them together; None where each has its own.
        """
        sizes = np.array([len(one.coded.data) for one in batch])
        base = int(sizes.min())
        elements = {
            "fps_id": fps.fps_id,
            "feature_count_minus1": len(batch) - 1,
            "joint_flag": int(whole is not None),
            "payloads_apart": int(whole is None),
            "payload_size_base": base,
            "payload_size_bits": int(sizes.max() - base).bit_length(),
            "payload_size_delta": sizes - base,
            **batch_elements([one.parameters for one in batch], batch[0].share.code_shift),
            "sample_hashes": b"".join(
                stored_hash(one.coded.samples, fps.sample_hash_size) for one in batch
            ),
            "payloads": b"".join(one.coded.data for one in batch) if whole is None else whole,
        }
        payload = CODED_FEATURE_BATCH.build_whole(elements, fps=fps)
        self.put_coded(UnitType.CODED_FEATURE_BATCH, payload, len(batch), True)

    def put_hashes(self, run: CodedRun, features: Sequence[CodedFeature]) -> None:
        """Write the hash units of the coded unit that holds these features, of a run."""
        transform = None if run.model is None else run.model.transform
        decoded = [
            (
                one.coded.samples,
                of_layer(
                    dequantise(one.coded.samples, run.fps, one.parameters, transform), run.fps
                ),
            )
            for one in features
        ]
        for target in HashTarget:
            elements = {"hash_target": target, "sha256": unit_hash(target, decoded)}
            self.put_hash(HASH.build_whole(elements))

    def put_coded(self, kind: UnitType, payload: bytes, features: int, access_point: bool) -> None:
        """Write a coded unit that is whole already; its parameter set is in force."""
        self._table.add(self._position, features, access_point)
        self.written += features
        self._put_unit(kind, payload)

    def put_hash(self, payload: bytes) -> None:
        """Write a hash unit, right after its coded unit."""
        self._put_unit(UnitType.HASH, payload)

    def flush(self) -> None:
        """Hand every byte to whoever is behind the file."""
        with self._storage_errors():
            self._target.flush()

    def finish(self, *, index: bool | None, level: int | None) -> None:
        """Write the index and the end unit, and rewrite the stream header if that is possible.

        index : true to write one; None writes one for more than one coded unit.
        level : level to declare; None for the lowest that the features need.
        """
        wanted = len(self._table) > 1 if index is None else index
        end: dict[str, int] = {}
        if wanted and len(self._table):
            end = {"index_offset": self._position, "feature_count": self.written}
            self._put_unit(UnitType.INDEX, INDEX.build_whole(self._table.elements()))
        self._put_unit(UnitType.END, END.build_whole(end, unit_size=16 if end else 0))
        if self._seekable:  # now the profile and the lowest level are known
            with self._storage_errors():
                self._target.seek(self._origin)
            size, self._position = self._position, 0
            self._put(build_stream_header(self._limits.profile, level or self._limits.reached))
            with self._storage_errors():
                self._target.seek(self._origin + size)
        self.flush()

    # -- bytes

    def _put_unit(self, kind: UnitType, payload: bytes) -> None:
        self._limits.require(Demand(unit_size=len(payload)), f"a unit of {len(payload)} bytes")
        self._put(build_unit(kind, payload))

    def _put(self, data: bytes) -> None:
        with self._storage_errors():
            rest = memoryview(data)
            while rest:  # a raw file may write only a part
                taken = self._target.write(rest)
                if taken is None and not isinstance(self._target, io.RawIOBase):
                    break  # an output that returns no count has written all
                rest = rest[taken or 0 :]
        self._position += len(data)

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # the reader of the pipe has left: not an error of storage
            raise
        except OSError as error:
            raise storage_error(error, self._name) from None
