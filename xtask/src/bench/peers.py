"""Runs rapidocr and PassportEye over a folder of pictures and scores them against cases.json.

rapidocr reads lines, not documents, so it is scored by what a careful user would make of its lines: its zone is the
last two or three lines that look like one (spaces removed, the alphabet of ICAO Doc 9303-3 §4.3, the standard's
lengths), and a field counts as read when its value stands in any line, printed or in the zone, or a date in any of
the usual forms. That is kinder than a reader that must say which field a value is. PassportEye gives the zone and
its fields. Neither is asked for what is not on the picture. Each runs one picture after the other and several side by
side, and its faster way stands.
"""

import concurrent.futures, json, logging, os, queue, re, sys, time, unicodedata, warnings
import importlib.metadata as metadata

# What the peers say about their own loading and their dependencies is no result.
logging.disable(logging.INFO)
warnings.filterwarnings("ignore")

folder, cases = sys.argv[1], json.load(open(sys.argv[2]))
out = {"peers": {}, "runs": [], "versions": {}, "flops_per_pixel": {}}


def fold(text):
    text = "".join(c for c in unicodedata.normalize("NFKD", text.upper()) if not unicodedata.combining(c))
    return re.sub(r"[^A-Z0-9]", "", text)


def dates(iso):
    y, m, d = iso.split("-")
    month = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"][int(m) - 1]
    return {y[2:] + m + d, y + m + d, d + m + y, m + d + y, d + month + y, d + month + y[2:]}


def count(name, make, workers=1):
    """Reads all pictures with `workers` readers side by side. Of several runs under one name the faster one stands."""
    mrz, fields, mn, fn = 0, 0, 0, 0
    readers = queue.SimpleQueue()
    for _ in range(workers):
        reader = make()
        reader(os.path.join(folder, sorted(cases)[0]))  # nets and first allocations are not counted
        readers.put(reader)

    def one(file):
        reader = readers.get()
        try:
            return reader(os.path.join(folder, file))
        except Exception as error:
            print(name, file, repr(error), file=sys.stderr)
            return None, lambda field, value: False
        finally:
            readers.put(reader)

    wall, cpu = time.perf_counter(), os.times()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        read = list(pool.map(one, sorted(cases)))
    used, spent_wall = os.times(), time.perf_counter() - wall
    for (file, case), (zone, values) in zip(sorted(cases.items()), read):
        if case["mrz"]:
            mn += 1
            mrz += zone == case["mrz"]
        for field, value in case["fields"].items():
            fn += 1
            fields += bool(values(field, value))
    spent = sum(used[:4]) - sum(cpu[:4])
    row = {
        "mrz": [mrz, mn],
        "fields": [fields, fn],
        "wall_ms": spent_wall * 1000 / len(cases),
        "cpu_ms": spent * 1000 / len(cases),
        "side_by_side": workers,
    }
    out["runs"].append({"name": name, **row})
    if name not in out["peers"] or row["wall_ms"] < out["peers"][name]["wall_ms"]:
        out["peers"][name] = row


from functools import partial

from rapidocr import RapidOCR



def rapid(engine, file):
    texts = list(engine(file).txts or [])
    squeezed = [re.sub(r"\s", "", t).upper().replace("«", "<<") for t in texts]
    zone = [t for t in squeezed if len(t) in (30, 36, 44) and "<" in t and re.fullmatch("[A-Z0-9<]+", t)]
    zone = zone[-3:] if zone and len(zone[-1]) == 30 else zone[-2:]
    folded = [fold(t) for t in texts]

    def has(field, value):
        if field == "gender":
            return any(t == value or t in (value + "/" + value,) for t in squeezed) or any(
                re.search(r"\d{7}" + value + r"\d{7}", t) for t in squeezed
            )
        wanted = dates(value) if "date" in field else {fold(value)}
        return any(w in t for w in wanted for t in folded)

    return zone, has


# As it comes, one picture after the other on all cores; then a picture a core, which is how we run ourselves.
count("rapidocr 3.10.0", lambda: partial(rapid, RapidOCR()))
alone = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
count("rapidocr 3.10.0", lambda: partial(rapid, RapidOCR(params=alone)), os.cpu_count())

try:
    from passporteye import read_mrz

    def eye(file):
        zone = read_mrz(file)
        if zone is None:
            return None, lambda field, value: False
        read = zone.to_dict()
        names = {
            "last_name": "surname", "first_name": "names", "gender": "sex", "date_of_birth": "date_of_birth",
            "expiration_date": "expiration_date", "document_number": "number", "issuing_state": "country",
        }

        def has(field, value):
            text = fold(str(read.get(names[field], "")))
            return text in dates(value) if "date" in field else text == fold(value)

        return zone.aux["text"].split("\n"), has

    count("PassportEye 2.2.2", lambda: eye)
    count("PassportEye 2.2.2", lambda: eye, os.cpu_count())
except Exception as error:
    print("PassportEye does not run here:", repr(error), file=sys.stderr)

for package in ("rapidocr", "onnxruntime", "PassportEye"):
    try:
        out["versions"][package] = metadata.version(package)
    except metadata.PackageNotFoundError:
        pass

# Multiplications and additions of convolutions and matrix products, by input pixel.
import numpy, onnx, rapidocr
from onnx import shape_inference


def flops(path, shape):
    model = onnx.load(path)
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape):
        dim.ClearField("dim_param")
        dim.dim_value = size
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in list(graph.value_info) + list(graph.input) + list(graph.output)}
    shapes.update({w.name: list(w.dims) for w in graph.initializer})
    for node in graph.node:
        if node.op_type == "Constant":
            for a in node.attribute:
                if a.name == "value":
                    shapes[node.output[0]] = list(a.t.dims)
    total, unknown = 0, 0
    for node in graph.node:
        result = shapes.get(node.output[0])
        if node.op_type in ("Conv", "ConvTranspose"):
            weight = shapes.get(node.input[1])
            source = result if node.op_type == "Conv" else shapes.get(node.input[0])
            if not source or not weight or 0 in source:
                unknown += 1
                continue
            total += 2 * int(numpy.prod(source)) * int(numpy.prod(weight[1:]))
        elif node.op_type in ("MatMul", "Gemm"):
            left = shapes.get(node.input[0])
            if not result or not left or 0 in result or 0 in left:
                unknown += 1
                continue
            total += 2 * int(numpy.prod(result)) * left[-1]
    if unknown:
        print(path, unknown, "products of unknown shape are not counted", file=sys.stderr)
    return total / (shape[2] * shape[3])


models = os.path.join(os.path.dirname(rapidocr.__file__), "models")
for net, file, shape in (
    ("ppocr-v6-det", os.path.join(models, "PP-OCRv6_det_small.onnx"), (1, 3, 640, 960)),
    ("ppocr-v6-det-tiny", os.path.join(sys.argv[4], "ppocr-v6-det-tiny.onnx"), (1, 3, 640, 960)),
    ("ppocr-v6-rec-tiny", os.path.join(sys.argv[4], "ppocr-v6-rec-tiny.onnx"), (1, 3, 48, 320)),
    ("ppocr-v6-rec", os.path.join(models, "PP-OCRv6_rec_small.onnx"), (1, 3, 48, 320)),
    ("mrz-lines", sys.argv[3], (1, 1, 32, 512)),
):
    if os.path.isfile(file):
        out["flops_per_pixel"][net] = flops(file, shape)

# The most one core does: a matrix product that fits its caches, best of several.
left = numpy.random.rand(1024, 1024).astype(numpy.float32)
best = 0.0
for _ in range(12):
    start = time.process_time()
    left @ left
    best = max(best, 2 * 1024**3 / (time.process_time() - start) / 1e9)
out["peak_gflops"] = best
print(json.dumps(out))
