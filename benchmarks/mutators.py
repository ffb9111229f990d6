"""Mutations of files: bytes, JSON, CSV, Parquet and ROOT, each drawn from one generator."""

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HOSTILE: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, -1e-308, 0.5, "", "x", "é" * 50, "a" * 5000,
    "\ud800", "a\0b", "../../victim", "/etc/passwd", "-1", "1e999", "\x1b[2J", [], [[]], {},
    {"a": {}},     [1, 2, 3], "[[0,0],[1,0],[0,1]]", "[" * 500, 1e300, -1e300, 1e-300, "007", "NaN",
]  # fmt: skip
WORDS = [
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"NaN",
    b"1e999",
    b'"',
    b";",
    b"\n",
    b"9" * 5000,
    b"[" * 999,
]


def mutate_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes that were flipped, cut, doubled, removed, or got a word."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        n = max(len(out), 1)
        at, size = int(rng.integers(n)), int(rng.geometric(0.1))
        kind = rng.integers(7)
        if kind == 0 and out:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            out = out[:at]
        elif kind == 2:
            out[at:at] = out[at : at + size]
        elif kind == 3:
            del out[at : at + size]
        elif kind == 4:
            out[at:at] = WORDS[int(rng.integers(len(WORDS)))]
        elif kind == 5:
            out[at : at + size] = rng.bytes(size)
        elif n >= 8:
            out[at : at + 4] = int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1])).to_bytes(4, "little")
    return bytes(out)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    return [path, *(p for key, item in items for p in _places(item, (*path, key)))]


def mutate_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Return JSON with hostile values, without keys, with other keys or keys that stand twice."""
    if rng.random() < 0.25:
        return mutate_bytes(data, rng)
    value = json.loads(data)
    for _ in range(int(rng.integers(1, 3))):
        places = _places(value)
        path = places[int(rng.integers(len(places)))]
        hostile = HOSTILE[int(rng.integers(len(HOSTILE)))]
        if not path:
            value = value if rng.random() < 0.9 else hostile
            continue
        of = value
        for key in path[:-1]:
            of = of[key]
        kind = rng.integers(5)
        if kind == 0:
            del of[path[-1]]
        elif kind == 1 and isinstance(of, dict):
            of[str(hostile)] = of.pop(path[-1])
        elif kind == 2 and isinstance(of, list):
            of.extend(of[:50])
        else:
            of[path[-1]] = hostile
    text = json.dumps(value)
    if rng.random() < 0.1:
        text = text.replace("{", '{"a": 1, "a": 2, ', 1)
    return text.encode("utf-8", "surrogatepass")


def _mutate_frame(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    table = table.astype(object)
    for _ in range(int(rng.integers(1, 4))):
        name = table.columns[int(rng.integers(len(table.columns)))]
        at, hostile = list(table.columns).index(name), HOSTILE[int(rng.integers(len(HOSTILE)))]
        kind = rng.integers(6)
        if kind == 0:
            table = table.drop(columns=[name])
        elif kind == 1:
            table = table.rename(columns={name: str(hostile)})
        elif kind == 2:
            table = pd.concat([table, table[[name]].iloc[:, :1]], axis=1)
        elif kind == 3:
            table = table.iloc[:0]
        else:
            rows = [hostile] * len(table) if kind == 4 else table.iloc[:, at].tolist()
            rows[: 1 + len(rows) // 2] = [hostile] * len(rows[: 1 + len(rows) // 2])
            table = table.drop(columns=[name]).assign(**{str(name): pd.Series(rows, dtype=object)})
        if not len(table.columns):
            break
    return table


def mutate_csv(data: bytes, rng: np.random.Generator) -> bytes:
    """Return CSV with other cells, columns, separators, decimal signs and encodings."""
    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    table = pd.read_csv(io.BytesIO(data), dtype=object, keep_default_na=False)
    table = _mutate_frame(table, rng) if rng.random() < 0.8 else table
    separator = str(rng.choice(list(",;\t|")))
    text = table.to_csv(index=False, sep=separator, errors="surrogatepass")
    text = text.replace(".", ",") if separator != "," and rng.random() < 0.3 else text
    encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le"]))
    errors = "replace" if encoding == "cp1252" else "surrogatepass"
    return text.encode(encoding, errors)


def mutate_parquet(data: bytes, rng: np.random.Generator) -> bytes:
    """Return Parquet with other cells, columns and words to pandas, or with other bytes."""
    if rng.random() < 0.4:
        return mutate_bytes(data, rng)
    table = pq.read_table(io.BytesIO(data))
    try:
        changed = pa.Table.from_pandas(_mutate_frame(table.to_pandas(), rng), preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, UnicodeError):
        changed = table
    if rng.random() < 0.3:
        words = mutate_json((changed.schema.metadata or {}).get(b"pandas", b"{}"), rng)
        changed = changed.replace_schema_metadata({b"pandas": words})
    out = io.BytesIO()
    try:
        pq.write_table(changed, out)
    except pa.ArrowException:  # a column of objects without keys
        return mutate_bytes(data, rng)
    return out.getvalue()


def mutate_words(words: list[str], rng: np.random.Generator) -> list[str]:
    """Return words of a command line of which one is hostile."""
    out = list(words)
    text = str(HOSTILE[int(rng.integers(len(HOSTILE)))]).replace("\0", "").replace("\ud800", "?")
    out[int(rng.integers(len(out)))] = text
    return out
