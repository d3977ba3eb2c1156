#!/usr/bin/env python3
"""Derives countries.tsv (code, then names) from rust/data/territories data.jsonl of rigour 2.6.1 (MIT; see crates/names/data/NOTICE.md).

    python3 build_countries.py path/to/data.jsonl
"""
import json, sys
from pathlib import Path

rows = []
for line in open(sys.argv[1]):
    t = json.loads(line)
    code = t["code"]
    if len(code) != 2:
        continue
    names = [t["name"], t.get("full_name", "")] + t.get("names_strong", []) + t.get("names_weak", [])
    kept = []
    for n in names:
        n = " ".join(n.lower().split())
        if n and n not in kept and len(n) > 3 and "\t" not in n and "|" not in n:
            kept.append(n)
    rows.append(f"{code}\t{t.get('alpha3') or ''}\t" + "|".join(kept[:40]))
Path(__file__).with_name("countries.tsv").write_text("\n".join(sorted(rows)) + "\n")
print(len(rows))
