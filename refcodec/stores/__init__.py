"""Stores of features that outgrow one machine, built and verified by dask: zarr arrays of DFC streams.

    plan = refcodec.stores.read_plan(Path("store.toml"))
    with refcodec.stores.cluster("tcp://scheduler:8786") as client:
        refcodec.stores.build(plan, client)
        refcodec.stores.verify(plan.target, client)
        refcodec.stores.export(plan.target, Path("features.parquet"), client)

A build that was interrupted goes on where it was: chunks that are done stay. The manifest has the size and
the SHA-256 of each.
"""

from refcodec.stores.exporting import export
from refcodec.stores.manifest import Manifest
from refcodec.stores.plan import StorePlan, read_plan
from refcodec.stores.work import Fault, build, cluster, verify

__all__ = ["Fault", "Manifest", "StorePlan", "build", "cluster", "export", "read_plan", "verify"]
