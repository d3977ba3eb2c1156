//! Keeps the floors of ARCHITECTURE.md: a crate uses only those below it.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// Floor of each crate, as ARCHITECTURE.md has it. Within floor 1 the standards may use each other.
const FLOORS: &[(&str, u8)] = &[
    ("bonafide", 7),
    ("server", 6),
    ("service", 5),
    ("checks", 4),
    ("store", 3),
    ("workflow", 3),
    ("egress", 3),
    ("decoder", 2),
    ("document", 2),
    ("face", 2),
    ("aml", 2),
    ("evidence", 1),
    ("imaging", 1),
    ("inference", 1),
    ("mrz", 1),
    ("barcode", 1),
    ("emrtd", 1),
    ("names", 1),
    ("idnumber", 1),
];

#[test]
fn no_crate_uses_one_above_it() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if matches!(name, "xtask" | "specimen") {
            continue;
        }
        let floor = *floors
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no floor; give it one here and in ARCHITECTURE.md"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            let is_dev = dependency["kind"] == "dev";
            if let Some(below) = floors.get(used).filter(|_| !is_dev) {
                assert!(
                    *below < floor || (floor == 1 && *below == 1),
                    "{name} (floor {floor}) uses {used} (floor {below})"
                );
            }
        }
    }
}

/// Crates that may decode in their own process: the decoders, the process they run in, and the drawer of specimens, which
/// reads back what it wrote itself.
const DECODING: [&str; 4] = ["imaging", "emrtd", "decoder", "specimen"];

#[test]
fn strangers_pictures_are_decoded_by_the_decoder_crate_alone() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(crates).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !DECODING.contains(&name.as_str()) {
            rust_files(&entry.path().join("src"), &mut files);
        }
    }
    assert!(files.len() > 100, "only {} files were found", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // Tests come last in a file.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let imported = text.split("use imaging::{").skip(1).any(|rest| {
            let names = rest.split('}').next().unwrap_or_default();
            names.split(',').any(|name| name.trim().starts_with("decode"))
        });
        let direct = ["imaging::decode", ".decode_jpeg2000(", "use_this_process"];
        let named = direct.into_iter().find(|name| text.contains(name));
        assert!(!imported && named.is_none(), "{} decodes in its own process: {named:?}", file.display());
    }
}

fn rust_files(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
}

/// Crates that open connections to elsewhere, and who may use them: the one client, and the database's and the
/// bucket's own drivers, which go where the operator configured.
const OUTWARD: &[(&str, &[&str])] = &[
    ("hyper", &["egress", "server"]),
    ("hyper-util", &["egress", "server"]),
    ("ureq", &[]),
    ("reqwest", &[]),
    ("curl", &[]),
    ("isahc", &[]),
    ("minreq", &[]),
    ("attohttpc", &[]),
    ("lettre", &[]),
    ("hickory-resolver", &[]),
    ("tokio-postgres", &["store"]),
    ("object_store", &["store"]),
];

#[test]
fn only_the_outgoing_client_and_the_drivers_of_the_store_reach_out() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(&root)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"] != "dev") {
            let used = dependency["name"].as_str().unwrap();
            let who = OUTWARD.iter().find(|(outward, _)| *outward == used).map(|(_, who)| *who);
            assert!(who.is_none_or(|who| who.contains(&name)), "{name} uses {used}");
            // The server speaks the other half of HTTP with the same library.
            let mut features = dependency["features"].as_array().unwrap().iter().filter_map(Value::as_str);
            let calls = who.is_some() && features.any(|feature| feature.starts_with("client"));
            assert!(!calls || name == "egress", "{name} uses the client of {used}");
        }
    }
    // Nor does any other crate open a connection by hand, or start a program that does.
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root.join("crates")).unwrap().flatten() {
        if entry.file_name() != "egress" {
            rust_files(&entry.path().join("src"), &mut files);
        }
    }
    assert!(files.len() > 100, "only {} files were found", files.len());
    // One probe of the decoder's child shows that it cannot connect.
    let meant = |file: &&std::path::PathBuf| {
        !file.ends_with("decoder/src/served.rs") && !file.components().any(|part| part.as_os_str() == "tests")
    };
    for file in files.iter().filter(meant) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let ways =
            ["TcpStream::connect", "TcpSocket", "UdpSocket", "lookup_host", "ToSocketAddrs", "new(\"curl\")"];
        let way = ways.into_iter().find(|way| code.contains(way));
        assert!(way.is_none(), "{} holds {way:?}: outgoing calls go through `egress`", file.display());
    }
}

#[test]
fn every_file_that_the_map_names_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = 0;
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        for part in text.split('`') {
            if ["crates/", "models/", "openapi/", "xtask/"].iter().any(|start| part.starts_with(start))
                && !part.contains([' ', '*', '{'])
            {
                seen += 1;
                assert!(root.join(part).exists(), "{document} names {part}, which does not exist");
            }
        }
    }
    assert!(seen >= 5, "only {seen} paths were found");
}
