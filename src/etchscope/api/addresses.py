"""Addresses of stores whose catalogue is in PostgreSQL."""

from etchscope.store.postgresql import is_address
from etchscope.store.settings import locate_store

__all__ = ["is_address", "locate_store"]
