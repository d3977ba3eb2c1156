#!/usr/bin/env python3
"""Derives `name_words.bin` from the name tables of the `names` room. Run by hand when those change; the build never runs it.

    python3 build_name_words.py

A Bloom filter of 2^21 bits and 7 probes over the Latin name parts of `crates/names/data/parts.z` (rigour 2.6.1, MIT,
from Wikidata, CC0) and `population.z` (US Census 1990, public domain); about one foreign word in 170 seems to be in it.
Probes: FNV-1a of 64 bits over the upper-case letters; bit = (low + i * (high | 1)) mod 2^21, low and high its 32-bit halves.
"""
import re, zlib
from pathlib import Path

here = Path(__file__).parent
names = here / "../../names/data"
words = set()
for line in zlib.decompress((names / "parts.z").read_bytes()).decode().split("\n"):
    words |= {form.upper() for form in line.split(",") if re.fullmatch("[a-z]+", form)}
for line in zlib.decompress((names / "population.z").read_bytes()).decode().split("\n"):
    words |= {form.upper() for form in line.split(" ")[:1] if re.fullmatch("[a-z]+", form)}

BITS = 1 << 21
table = bytearray(BITS // 8)
for word in words:
    h = 0xCBF29CE484222325
    for byte in word.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    low, high = h % 2**32, h >> 32 | 1
    for i in range(7):
        bit = (low + i * high) % BITS
        table[bit // 8] |= 1 << bit % 8
(here / "name_words.bin").write_bytes(table)
print(len(words), "words,", sum(b.bit_count() for b in table) / BITS, "of the bits set")
