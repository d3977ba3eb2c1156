"""Best F1 of peers on the labelled name pairs, one JSON object on standard output. Called by `cargo xtask bench aml`."""
import csv
import json
import sys
import time

rows = [r for r in csv.DictReader(open(sys.argv[1], newline="", encoding="utf-8")) if r["suite"] == "name_bench"]


def best_f1(score):
    start = time.process_time()
    scored = sorted(((score(r), r["should_match"] == "true") for r in rows), reverse=True)
    took = time.process_time() - start
    positives = sum(p for _, p in scored)
    best, hits = 0.0, 0
    for i, (s, positive) in enumerate(scored):
        hits += positive
        if i + 1 == len(scored) or scored[i + 1][0] < s:
            best = max(best, 2 * hits / (i + 1 + positives))
    return {"f1": round(best, 4), "n": len(rows), "us_per_pair": round(took / len(rows) * 1e6, 1)}


out = {}
from rapidfuzz import fuzz, utils

out["rapidfuzz WRatio"] = best_f1(lambda r: fuzz.WRatio(r["query_name"], r["candidate_name"], processor=utils.default_process))
out["rapidfuzz token_sort_ratio"] = best_f1(lambda r: fuzz.token_sort_ratio(r["query_name"], r["candidate_name"], processor=utils.default_process))
try:
    from nomenklatura.matching import get_algorithm

    try:
        from followthemoney import EntityProxy as Proxy
    except ImportError:
        from followthemoney.proxy import EntityProxy as Proxy
    # Two entities of one id are one to it, and what it made of the first name is kept: every pair needs ids of its own.
    def proxy(side, row, name):
        return Proxy.from_dict(
            {"id": f"{side}-{row['case_id']}", "schema": row["schema"] or "Person", "properties": {"name": [name]}}
        )

    for algorithm in ("logic-v2", "logic-v1"):
        matcher = get_algorithm(algorithm)
        config = matcher.default_config()
        # The first call reads the dictionaries, which is no part of comparing.
        matcher.compare(
            proxy("first", rows[0], rows[0]["query_name"]), proxy("second", rows[0], rows[0]["query_name"]), config
        )
        out[f"nomenklatura {algorithm}"] = best_f1(
            lambda r: matcher.compare(
                proxy("query", r, r["query_name"]), proxy("candidate", r, r["candidate_name"]), config
            ).score
        )
except Exception as error:  # a peer that does not install or changed its interface is named, not hidden
    out["nomenklatura"] = {"skipped": f"{type(error).__name__}: {error}"}
print(json.dumps(out))
