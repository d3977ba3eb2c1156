//! `bench decoder`: what decoding in a process of its own costs for each picture.
//!
//! The example `cost` of crate `decoder` decodes the test pictures of documents in its own process and in a child, in
//! turns, so that a drift of the machine's speed meets both. Then the largest pictures that the limits allow.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::shell::{cargo, output};

pub(crate) fn run(data: &Path) -> anyhow::Result<Value> {
    let documents = data.join("documents");
    let mut pictures = Vec::new();
    for folder in ["filled_docs", "mrz_specimens/arg0s1080_mrz", "docxpand_blank", "aamva_card_photos"] {
        collect(&documents.join(folder), &mut pictures)?;
    }
    pictures.sort();
    let example = ["run", "--release", "--quiet", "-p", "decoder", "--example", "cost", "--"];
    let printed = output(cargo().args(example).args(&pictures))?;
    let rows: Vec<Value> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    eprintln!(
        "| pictures | n | here, ms | in a child, ms | more, ms (p25 to p75) | peak of the child, MiB |"
    );
    eprintln!("|---|---|---|---|---|---|");
    for row in &rows {
        let result = &row["result"];
        eprintln!(
            "| {} | {} | {} | {} | {} ({} to {}) | {} |",
            row["set"].as_str().unwrap_or_default(),
            result["n"],
            result["here_ms"]["p50"],
            result["child_ms"]["p50"],
            result["more_ms"]["p50"],
            result["more_ms"]["p25"],
            result["more_ms"]["p75"],
            result["peak_mib_of_the_child"],
        );
    }
    Ok(json!({ "rows": rows }))
}

fn collect(folder: &Path, pictures: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs_err::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "jpg" || kind == "png") {
            pictures.push(path);
        }
    }
    Ok(())
}
