//! Lists our own nets under `models/` so that they become part of the program.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest folder");
    let models = Path::new(&root).join("../../models");
    println!("cargo:rerun-if-changed={}", models.display());
    let mut files: Vec<String> = std::fs::read_dir(&models)
        .expect("the models folder stands in the repository")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".onnx"))
        .collect();
    files.sort();
    let mut code = String::from(
        "/// File names and contents of our own nets.\nstatic OWN_NETS: &[(&str, &[u8])] = &[\n",
    );
    for file in files {
        let path = models.join(&file);
        writeln!(code, "    ({file:?}, include_bytes!({:?})),", path.display().to_string())
            .expect("writing to a string cannot fail");
    }
    code.push_str("];\n");
    let out = std::env::var("OUT_DIR").expect("cargo sets the output folder");
    std::fs::write(Path::new(&out).join("own.rs"), code).expect("the output folder can be written");
}
