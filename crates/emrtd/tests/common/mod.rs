//! Finds the test data, which is not part of the repository.

use std::path::PathBuf;

/// A path inside the test data; `None`, said on standard output, without them.
pub(crate) fn data(relative: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BONAFIDE_TESTDATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("emrtd").join(relative);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: no test data at emrtd/{relative}");
    None
}
