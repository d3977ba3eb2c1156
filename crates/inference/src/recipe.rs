//! Models that an operator adds: recipes for known files, and the entry in `operator.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::convert::{self, Architecture, ConvertError};
use crate::manifest::{Manifest, ManifestError, ModelEntry};

const RECIPES: &str = include_str!("../../../models/recipes.toml");

/// What must be known about a model file that no package carries.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The name by which the program knows it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How the file becomes ONNX; absent: it is ONNX.
    #[serde(default)]
    pub convert: Option<RecipeConversion>,
    /// Where it is published.
    pub url: String,
    /// SHA-256 of the published file, where known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Licence of the weights.
    pub licence: String,
    /// Where it comes from and what is known of its training data.
    pub provenance: String,
    /// Its input and output in words.
    pub input: String,
    /// The shape of its input, with which it is tried before it is accepted.
    pub shape: Vec<usize>,
    /// Values a check needs: its role first of all.
    pub parameters: BTreeMap<String, toml::Value>,
}

/// A conversion a recipe can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecipeConversion {
    /// A PyTorch state dict of Minivision's MiniFASNet.
    Minifasnet,
}

/// Why a model cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The file is not the published one.
    #[error("the file has SHA-256 {found}, the recipe expects {expected}")]
    OtherFile {
        /// Hash of the file.
        found: String,
        /// Hash in the recipe.
        expected: String,
    },
    /// The file cannot be converted.
    #[error("cannot convert the file")]
    Convert(#[from] ConvertError),
    /// The runtime refuses the model, or it fails on an empty picture.
    #[error("the model does not run")]
    Run(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operator's manifest is damaged.
    #[error("cannot use operator.toml")]
    Manifest(#[from] ManifestError),
    /// The operator's manifest cannot be written.
    #[error("cannot write operator.toml")]
    Write(#[from] toml::ser::Error),
    /// The models folder cannot be read or written.
    #[error("cannot write to the models folder")]
    Folder(#[from] std::io::Error),
    /// The name would not be a file name.
    #[error("a model's name consists of lower-case letters, digits and hyphens")]
    Name,
}

/// All recipes.
///
/// # Panics
/// Never: a test reads the same text.
pub fn recipes() -> Vec<Recipe> {
    #[derive(Deserialize)]
    struct File {
        recipe: Vec<Recipe>,
    }
    toml::from_str::<File>(RECIPES).expect("a test reads the recipes").recipe
}

/// Adds a model file to the folder under `name` by a recipe: checks, converts, tries and enters it.
///
/// `any_file` accepts a file that is not the published one. The entry takes effect when the folder is opened next.
///
/// # Errors
/// [`AddError`]; the folder is left as it was.
pub fn add(
    dir: &Path,
    name: &str,
    recipe: &Recipe,
    bytes: &[u8],
    any_file: bool,
) -> Result<ModelEntry, AddError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return Err(AddError::Name);
    }
    let found = hex::encode(Sha256::digest(bytes));
    if let Some(expected) = recipe.sha256.as_ref().filter(|e| **e != found && !any_file) {
        return Err(AddError::OtherFile { found, expected: expected.clone() });
    }
    let onnx = match recipe.convert {
        Some(RecipeConversion::Minifasnet) => convert::torch_state_dict(bytes, Architecture::MiniFasNet)?,
        None => bytes.to_vec(),
    };
    let entry = ModelEntry {
        name: name.to_owned(),
        kind: crate::Kind::Net,
        version: recipe.version.clone(),
        file: format!("{name}.onnx"),
        sha256: Some(hex::encode(Sha256::digest(&onnx))),
        package: None,
        parts: Vec::new(),
        convert: None,
        own: false,
        opt_in: true,
        target: None,
        licence: recipe.licence.clone(),
        provenance: recipe.provenance.clone(),
        input: recipe.input.clone(),
        measured: String::new(),
        parameters: recipe.parameters.clone(),
        metadata: BTreeMap::new(),
    };
    fs_err::create_dir_all(dir)?;
    let path = dir.join("operator.toml");
    let mut manifest = match fs_err::read_to_string(&path) {
        Ok(text) => Manifest::parse(&text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Manifest { packages: Vec::new(), models: Vec::new() }
        }
        Err(error) => return Err(error.into()),
    };
    manifest.models.retain(|m| m.name != name);
    manifest.models.push(entry.clone());
    let text = toml::to_string(&manifest)?;
    Manifest::parse(&text)?;
    try_out(&onnx, &recipe.shape)?;
    // The file first, then the entry that names it; each appears whole or not at all.
    write_whole(dir, &entry.file, &onnx)?;
    write_whole(dir, "operator.toml", text.as_bytes())?;
    Ok(entry)
}

/// Loads the model and runs it once on zeros.
fn try_out(onnx: &[u8], shape: &[usize]) -> Result<(), AddError> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| AddError::Run(e);
    let net = crate::backend::Backend::rten(1, 1).load(onnx.to_vec()).map_err(failed)?;
    let zeros = crate::Tensor::new(shape.to_vec(), vec![0.0; shape.iter().product()]);
    net.run(&[zeros]).map_err(|e| failed(Box::new(e)))?;
    Ok(())
}

fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(dir.join(name))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::onnx::Graph;
    use crate::{LoadError, Models};

    /// A net of the recipe's input shape that pools each channel and multiplies into `outputs` values.
    fn small(shape: &[usize], outputs: usize) -> Vec<u8> {
        let mut graph = Graph::default();
        graph.input("x", shape);
        let pooled = graph.node("GlobalAveragePool", &["x"], Vec::new());
        let flat = graph.node("Flatten", &[&pooled], Vec::new());
        let w = graph.floats(&[3, outputs], (0..3 * outputs).map(|i| i as f32 + 1.0).collect());
        graph.named("MatMul", &[&flat, &w], "y", Vec::new());
        graph.output("y", &[1, outputs]);
        graph.encode("small")
    }

    #[test]
    fn every_recipe_reads_and_has_a_role() {
        for recipe in recipes() {
            assert!(recipe.parameters.contains_key("role"), "{}", recipe.name);
            assert!(recipe.shape.len() == 4 && recipe.shape.iter().product::<usize>() < 1 << 22);
        }
    }

    #[test]
    fn an_added_model_runs_with_its_parameters_and_a_second_one_replaces_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let recipe = recipes().into_iter().find(|r| r.name == "sface").expect("a recipe");
        for outputs in [128, 64] {
            add(dir.path(), "sface", &recipe, &small(&recipe.shape, outputs), true).expect("adds");
            let models = Models::open_with(
                dir.path(),
                &crate::Options { runtime: Some(crate::Runtime::Rten), threads: 1, lanes: 1 },
            )
            .expect("opens");
            let entry = models.entry("sface").expect("an entry");
            assert_eq!(entry.parameters["role"].as_str(), Some("face-embedder"));
            let zeros = crate::Tensor::new(recipe.shape.clone(), vec![1.0; recipe.shape.iter().product()]);
            let output = models.net("sface").expect("loads").run(&[zeros]).expect("runs");
            assert_eq!(output[0].data.len(), outputs);
        }
    }

    #[test]
    fn small_nets_of_the_published_signatures_are_accepted_and_run() {
        let dir = tempfile::tempdir().expect("a folder");
        let find = |name: &str| recipes().into_iter().find(|r| r.name == name).expect("a recipe");
        for (name, outputs) in [("sface", 128), ("auraface", 512)] {
            let recipe = find(name);
            add(dir.path(), name, &recipe, &small(&recipe.shape, outputs), true).expect("adds");
        }
        // YuNet: four maps (class, object, box, points) at strides 8, 16 and 32.
        let yunet = find("yunet");
        let mut graph = Graph::default();
        graph.input("input", &yunet.shape);
        let pooled = graph.node("GlobalAveragePool", &["input"], Vec::new());
        let flat = graph.node("Flatten", &[&pooled], Vec::new());
        for stride in [8, 16, 32] {
            let cells = (640 / stride) * (640 / stride);
            for (map, width) in [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)] {
                let w = graph.floats(&[3, cells * width], vec![0.0; 3 * cells * width]);
                let row = graph.node("MatMul", &[&flat, &w], Vec::new());
                let shape = graph.ints(vec![1, cells as i64, width as i64]);
                let name = format!("{map}_{stride}");
                graph.named("Reshape", &[&row, &shape], &name, Vec::new());
                graph.output(&name, &[1, cells, width]);
            }
        }
        add(dir.path(), "yunet", &yunet, &graph.encode("yunet"), true).expect("adds");
        let options = crate::Options { runtime: Some(crate::Runtime::Rten), threads: 1, lanes: 1 };
        let models = Models::open_with(dir.path(), &options).expect("opens");
        for (name, outputs) in [("sface", 128), ("auraface", 512), ("yunet", 6_400)] {
            let zeros = crate::Tensor::new(find(name).shape, vec![0.0; find(name).shape.iter().product()]);
            let got = models.net(name).expect("loads").run(&[zeros]).expect("runs");
            assert_eq!(got.len(), if name == "yunet" { 12 } else { 1 });
            assert_eq!(got[0].data.len(), outputs);
        }
    }

    #[test]
    fn another_file_than_the_published_one_needs_a_word() {
        let dir = tempfile::tempdir().expect("a folder");
        let recipe = recipes().into_iter().find(|r| r.name == "minifasnet-v2").expect("a recipe");
        let error = add(dir.path(), "minifasnet-v2", &recipe, b"something else", false).expect_err("refused");
        assert!(matches!(error, AddError::OtherFile { .. }));
        assert!(!dir.path().join("operator.toml").exists());
    }

    #[test]
    fn a_file_that_is_no_model_leaves_the_folder_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let recipe = recipes().into_iter().find(|r| r.name == "yunet").expect("a recipe");
        assert!(matches!(add(dir.path(), "yunet", &recipe, b"no model", true), Err(AddError::Run(_))));
        assert!(add(dir.path(), "../yunet", &recipe, b"no model", true).is_err());
        let models = Models::open(dir.path()).expect("opens");
        assert!(matches!(models.net("yunet"), Err(LoadError::Unknown { .. })));
    }
}
