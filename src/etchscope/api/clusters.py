"""What work on many machines needs beside a store: a cluster's connection, and parts of a run."""

from etchscope.run.executors.cluster import connected
from etchscope.run.shares import PartReport, Share

__all__ = ["PartReport", "Share", "connected"]
