//! `cargo xtask bench faces`: verification, liveness, search, speed and age, side by side with the usual Python tools.
//!
//! The figures of this project come from `cargo bench -p face --bench faces`
//! (same profile as a release). faiss and dlib run in a virtual environment
//! under `target/`; where they do not install, the table says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::setup;

/// Measures faces; `data` is the folder of test data.
pub(crate) fn run(data: &Path) -> anyhow::Result<Value> {
    setup::program()?;
    let data = std::fs::canonicalize(data).with_context(|| format!("no test data at {}", data.display()))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let target = std::path::absolute(target)?;
    std::fs::create_dir_all(target.join("bench"))?;
    let out = target.join("bench/faces-rust.json");
    let status = Command::new("cargo")
        .args(["bench", "--quiet", "-p", "face", "--bench", "faces", "--", "--data"])
        .arg(&data)
        .arg("--out")
        .arg(&out)
        .arg("--install-age")
        .arg(target.join("bench/age-models"))
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the bench of crate `face` failed");
    }
    let mut report: Value = serde_json::from_slice(&std::fs::read(&out)?)?;
    report["peers"] = peers(&target.join("bench/faces-python"), &data).unwrap_or_else(|error| {
        eprintln!("python peers were not measured: {error:#}");
        json!({ "not_measured": format!("{error:#}") })
    });
    Ok(report)
}

/// faiss and `face_recognition` (dlib) in a virtual environment.
fn peers(venv: &Path, data: &Path) -> anyhow::Result<Value> {
    let python = venv.join("bin/python");
    if !python.exists() {
        checked(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
        checked(Command::new(venv.join("bin/pip")).args([
            "install",
            "--quiet",
            "numpy",
            "pillow",
            "faiss-cpu",
            "dlib-bin",
            "click",
            "face_recognition_models",
            // What deepface needs for the net and the detector measured below.
            "onnxruntime",
            "opencv-python-headless",
            "gdown",
            "tqdm",
            "requests",
            "pandas",
            "werkzeug",
            // face_recognition_models asks for `pkg_resources`, which newer ones no longer have.
            "setuptools<81",
        ]))?;
        // Without the dependencies `dlib`, which would be compiled (dlib-bin is the same), and `retina-face`, which
        // brings TensorFlow and is not used here.
        checked(Command::new(venv.join("bin/pip")).args([
            "install",
            "--quiet",
            "--no-deps",
            "face_recognition",
            "deepface",
        ]))?;
    }
    let output =
        Command::new(python).arg("-c").arg(PEERS).arg(data).output().context("cannot start python")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let value: Value = serde_json::from_slice(&output.stdout)?;
    eprintln!("peers: {value}");
    Ok(value)
}

fn checked(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} failed") }
}

/// `face_recognition.face_encodings` as its users call it, and faiss's exact inner product over as many vectors
/// as ours, one thread. deepface fetches its weights from outside of the package registries at the first call; only
/// its `Dlib` net and `dlib` detector can be had from a registry (the files of face_recognition_models), so those run.
const PEERS: &str = r#"
import glob, json, os, sys, time
out = {}
import numpy as np
try:
    import faiss
    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1_000_000, 128), dtype=np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(128); index.add(x)
    times = []
    for i in range(30):
        t = time.perf_counter(); index.search(x[i:i + 1], 10); times.append(time.perf_counter() - t)
    out["faiss_flat_f32_1m_p50_ms"] = sorted(times)[15] * 1e3
    sq = faiss.IndexScalarQuantizer(128, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    sq.train(x[:100_000]); sq.add(x)
    times = []
    for i in range(30):
        t = time.perf_counter(); sq.search(x[i:i + 1], 10); times.append(time.perf_counter() - t)
    out["faiss_sq8_1m_p50_ms"] = sorted(times)[15] * 1e3
    del x, index, sq
except ImportError as e:
    out["faiss"] = str(e)
files = sorted(glob.glob(os.path.join(sys.argv[1], "documents/faces_london/*.jpg")))[:20]
try:
    import face_recognition
    images = [face_recognition.load_image_file(f) for f in files]
    cpu = time.process_time(); n = 0
    for image in images:
        n += len(face_recognition.face_encodings(image)[:1])
    out["face_recognition_cpu_ms_per_face"] = (time.process_time() - cpu) / max(n, 1) * 1e3
    out["face_recognition_faces"] = n
except (ImportError, SystemExit) as e:
    out["face_recognition"] = str(e)
try:
    import shutil, face_recognition_models
    home = os.path.join(sys.prefix, "deepface"); weights = os.path.join(home, ".deepface", "weights")
    os.makedirs(weights, exist_ok=True); os.environ["DEEPFACE_HOME"] = home
    for path in (face_recognition_models.face_recognition_model_location(), face_recognition_models.pose_predictor_five_point_model_location()):
        shutil.copy(path, weights)
    from deepface import DeepFace
    represent = lambda f: DeepFace.represent(f, model_name="Dlib", detector_backend="dlib")
    represent(files[0])
    cpu = time.process_time(); n = 0
    for f in files:
        n += len(represent(f)[:1])
    out["deepface_dlib_cpu_ms_per_face"] = (time.process_time() - cpu) / max(n, 1) * 1e3
except Exception as e:
    out["deepface"] = "not measured: " + str(e)
print(json.dumps(out))
"#;
