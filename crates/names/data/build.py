#!/usr/bin/env python3
"""Derives the embedded name tables. Run by hand when a source changes; the build never runs it.

    pip download --no-deps --no-binary :all: rigour==2.6.1 names==0.3.0   # and unpack both
    python3 build.py rigour-2.6.1 names-0.3.0

parts.z       groups of equivalent name parts across scripts. Source: rust/data/names/person_names.txt
              of rigour 2.6.1 (MIT, see NOTICE.md), derived from Wikidata (CC0). Group identifiers and
              Latin spellings that fold to the same ASCII are left out.
words.z       legal forms, business words, titles and ordinals with their classes. Source: org_types.json,
              symbols.json, stopwords.json and ordinals.json of the same package (MIT).
population.z  how common a name part is: US Census 1990 name files (public domain) as carried by the
              `names` package; parts per million, the commonest 12,000 surnames and all given names.
"""
import json, sys, unicodedata, zlib
from pathlib import Path

rigour, census = Path(sys.argv[1]), Path(sys.argv[2])
here = Path(__file__).parent
names = rigour / "rust/data/names"


def ascii_fold(text):
    out = unicodedata.normalize("NFKD", text.lower())
    return "".join(c for c in out if not unicodedata.combining(c))


def write(name, lines):
    raw = ("\n".join(lines) + "\n").encode()
    packed = zlib.compress(raw, 9)
    (here / name).write_bytes(packed)
    print(name, len(lines), "lines", len(raw), "bytes ->", len(packed))


groups = []
for line in (names / "person_names.txt").read_text().splitlines():
    forms, kept, seen = line.rsplit("=>", 1)[0].split(","), [], set()
    for form in (f.strip() for f in forms):
        folded = ascii_fold(form)
        if not folded or " " in folded or folded in seen:
            continue
        seen.add(folded)
        kept.append(folded if folded.isascii() else form.lower())
    if len(kept) > 1:
        groups.append(sorted(kept))
groups.sort()
write("parts.z", [",".join(group) for group in groups])

words = []
for entry in json.loads((names / "org_types.json").read_text()):
    label = entry.get("generic") or entry.get("compare") or entry.get("display") or ""
    forms = list(entry["aliases"]) + [entry.get("display") or ""] + [entry.get("compare") or ""]
    forms = sorted({" ".join(f.lower().split()) for f in forms if f})
    words.append(f"form\t{label}\t" + "|".join(forms))
symbols = json.loads((names / "symbols.json").read_text())
for table in ("org_domains", "org_symbols"):
    for label, forms in symbols[table].items():
        words.append(f"word\t{label}\t" + "|".join(sorted({f.lower() for f in forms})))
for label, forms in symbols["person_symbols"].items():
    words.append(f"person\t{label}\t" + "|".join(sorted({f.lower() for f in forms})))
stop = json.loads((names / "stopwords.json").read_text())
words.append("title\tTITLE\t" + "|".join(sorted({f.lower() for f in stop["person_name_prefixes"]})))
for entry in json.loads((rigour / "rust/data/text/ordinals.json").read_text()) if (rigour / "rust/data/text/ordinals.json").exists() else json.loads(next(rigour.rglob("ordinals.json")).read_text()):
    words.append(f"number\t{entry['number']}\t" + "|".join(sorted({f.lower() for f in entry["forms"] if len(f) > 1})))
write("words.z", words)

share = {}
for file, weight, limit in (("dist.all.last", 1.0, 12000), ("dist.male.first", 0.5, 10**9), ("dist.female.first", 0.5, 10**9)):
    for line in (census / "names" / file).read_text().splitlines()[:limit]:
        word, percent = line.split()[:2]
        share[word.lower()] = share.get(word.lower(), 0.0) + float(percent) * 1e4 * weight
write("population.z", [f"{word} {max(1, round(ppm))}" for word, ppm in sorted(share.items())])
