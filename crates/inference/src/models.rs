//! An opened models folder: what is there, and nets loaded from it once.

use crate::backend::{Backend, Net, Runtime};
use crate::manifest::{Kind, Manifest, ManifestError, ModelEntry};
use crate::metadata::onnx_metadata;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

include!(concat!(env!("OUT_DIR"), "/own.rs"));

/// An opened models folder. Share one per process (`Arc<Models>`): nets are loaded once.
pub struct Models {
    dir: PathBuf,
    entries: Vec<ModelEntry>,
    backend: Backend,
    nets: Mutex<HashMap<String, Slot>>,
}

/// A net that is loaded once even when many ask at the same time.
type Slot = Arc<Mutex<Option<Arc<dyn Net>>>>;

/// How nets are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The back end to use; `None`: ONNX Runtime when its library is installed and loads, else `rten`.
    pub runtime: Option<Runtime>,
    /// Threads of one run. 1 gives the most throughput; 2 halve one document's time.
    pub threads: usize,
    /// How many runs of one net go side by side; more wait.
    pub lanes: usize,
}

impl Options {
    /// From `BONAFIDE_RUNTIME` (`rten` or `ort`) and `BONAFIDE_NET_THREADS`
    /// (1 to 16); otherwise automatic, 1 thread, as many lanes as cores.
    ///
    /// # Errors
    /// [`OpenError::Setting`] for a value that is none of these.
    pub fn from_env() -> Result<Self, OpenError> {
        let variable = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let runtime = match variable("BONAFIDE_RUNTIME").as_deref() {
            None => None,
            Some("rten") => Some(Runtime::Rten),
            Some("ort") => Some(Runtime::Ort),
            Some(_) => return Err(OpenError::Setting { name: "BONAFIDE_RUNTIME", expected: "rten or ort" }),
        };
        let threads = match variable("BONAFIDE_NET_THREADS").map(|v| v.parse()) {
            None => 1,
            Some(Ok(threads @ 1..=16)) => threads,
            Some(_) => {
                return Err(OpenError::Setting {
                    name: "BONAFIDE_NET_THREADS",
                    expected: "a number from 1 to 16",
                });
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { runtime, threads, lanes: cores.div_ceil(threads) })
    }
}

/// Why a models folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An environment variable with an impossible value.
    #[error("{name} must be {expected}")]
    Setting {
        /// Which variable.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The operator's manifest is faulty.
    #[error("cannot use {}", .path.display())]
    Operator {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ManifestError,
    },
    /// A file that is there cannot be read.
    #[error("cannot read the models folder")]
    Read(#[source] std::io::Error),
    /// ONNX Runtime was asked for by name and cannot be used.
    #[error("ONNX Runtime was asked for but cannot be used: {why}")]
    NoOrt {
        /// Why not.
        why: String,
    },
}

/// Why a net cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No manifest names it.
    #[error("no model is called `{name}`")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// Its file is not in the models folder.
    #[error("the model `{name}` is not installed; run `{command}`")]
    NotInstalled {
        /// The name asked for.
        name: String,
        /// The command that installs it.
        command: String,
    },
    /// Part of the program once trained; this build has none.
    #[error("this build has no net `{name}`")]
    NotBuiltIn {
        /// The name asked for.
        name: String,
    },
    /// The file is not the one that the manifest pins.
    #[error(
        "the file of model `{name}` has SHA-256 {found}, expected {expected}; run `bonafide models install`"
    )]
    Changed {
        /// The name asked for.
        name: String,
        /// What the file has.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// The file cannot be read.
    #[error("cannot read the file of model `{name}`")]
    Read {
        /// The name asked for.
        name: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The runtime refused the file.
    #[error("the runtime refused model `{name}`")]
    Runtime {
        /// The name asked for.
        name: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Whether an entry can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Its file is in the folder and has the right hash.
    Installed,
    /// It is part of the program.
    BuiltIn,
    /// Its file is not in the folder, or this build has none.
    Missing,
    /// Its file is there, but is not the one the manifest pins.
    Changed,
}

impl Models {
    /// Opens a models folder with the settings of [`Options::from_env`]. The folder
    /// may be absent: then only our own nets can be used.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(dir, &Options::from_env()?)
    }

    /// Opens a models folder.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(dir: &Path, options: &Options) -> Result<Self, OpenError> {
        let mut entries = operator_entries(dir)?;
        for entry in Manifest::compiled_in().for_this_machine() {
            if !entries.iter().any(|known| known.name == entry.name) {
                entries.push(entry.clone());
            }
        }
        let backend = choose_backend(dir, &entries, options)?;
        for entry in entries.iter_mut().filter(|entry| entry.kind == Kind::Net) {
            entry.metadata = match own_net(entry) {
                Some(onnx) => onnx_metadata(onnx),
                None => match fs_err::read(dir.join(&entry.file)) {
                    Ok(onnx) => onnx_metadata(&onnx),
                    Err(_) => continue,
                },
            };
        }
        tracing::info!(models.runtime = %backend.runtime(), "nets run on {}", backend.runtime());
        Ok(Self { dir: dir.to_owned(), entries, backend, nets: Mutex::default() })
    }

    /// `$BONAFIDE_MODELS`, else `$XDG_DATA_HOME/bonafide/models`, else
    /// `~/.local/share/bonafide/models`.
    pub fn default_dir() -> PathBuf {
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        variable("BONAFIDE_MODELS").unwrap_or_else(|| {
            variable("XDG_DATA_HOME")
                .unwrap_or_else(|| variable("HOME").unwrap_or_default().join(".local/share"))
                .join("bonafide/models")
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What nets run on.
    pub fn runtime(&self) -> Runtime {
        self.backend.runtime()
    }

    /// All entries for this machine: the operator's first, then the manifest's.
    pub fn entries(&self) -> &[ModelEntry] {
        &self.entries
    }

    /// The entry of that name.
    pub fn entry(&self, name: &str) -> Option<&ModelEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The net of that name, loaded at the first call and shared afterwards.
    ///
    /// The file's SHA-256 is compared with the manifest's before it is used.
    ///
    /// # Errors
    /// [`LoadError`]; [`LoadError::NotInstalled`] names the command to run.
    pub fn net(&self, name: &str) -> Result<Arc<dyn Net>, LoadError> {
        let entry = self.entry(name).ok_or_else(|| LoadError::Unknown { name: name.to_owned() })?;
        let slot = {
            let mut nets = self.nets.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(nets.entry(name.to_owned()).or_default())
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(net) = &*slot {
            return Ok(Arc::clone(net));
        }
        let onnx = self.bytes(entry)?;
        let runtime = |source| LoadError::Runtime { name: name.to_owned(), source };
        let net = self.backend.load(onnx).map_err(runtime)?;
        *slot = Some(Arc::clone(&net));
        Ok(net)
    }

    /// Where the file of an installed asset or net lies; `None` when it is missing.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let path = self.dir.join(&self.entry(name)?.file);
        path.is_file().then_some(path)
    }

    /// Whether an entry can be used; reads and hashes its file.
    pub fn presence(&self, entry: &ModelEntry) -> Presence {
        if entry.own {
            return if own_net(entry).is_some() { Presence::BuiltIn } else { Presence::Missing };
        }
        match self.bytes(entry) {
            Ok(_) => Presence::Installed,
            Err(LoadError::Changed { .. }) => Presence::Changed,
            Err(_) => Presence::Missing,
        }
    }

    /// An entry's file, compared with its hash.
    fn bytes(&self, entry: &ModelEntry) -> Result<Vec<u8>, LoadError> {
        let name = || entry.name.clone();
        if entry.own {
            return own_net(entry).map(<[u8]>::to_vec).ok_or_else(|| LoadError::NotBuiltIn { name: name() });
        }
        let bytes = fs_err::read(self.dir.join(&entry.file)).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => LoadError::NotInstalled {
                name: name(),
                command: if entry.opt_in {
                    format!("bonafide models install {}", entry.name)
                } else {
                    "bonafide models install".to_owned()
                },
            },
            _ => LoadError::Read { name: name(), source },
        })?;
        if let Some(expected) = &entry.sha256 {
            let found = hex::encode(Sha256::digest(&bytes));
            if found != *expected {
                return Err(LoadError::Changed { name: name(), found, expected: expected.clone() });
            }
        }
        Ok(bytes)
    }
}

/// The bytes of one of our own nets, when this build has it.
fn own_net(entry: &ModelEntry) -> Option<&'static [u8]> {
    if !entry.own {
        return None;
    }
    OWN_NETS.iter().find(|(file, _)| *file == entry.file).map(|&(_, onnx)| onnx)
}

fn operator_entries(dir: &Path) -> Result<Vec<ModelEntry>, OpenError> {
    let path = dir.join("operator.toml");
    let text = match fs_err::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(OpenError::Read(error)),
    };
    let manifest = Manifest::parse(&text).map_err(|source| OpenError::Operator { path, source })?;
    Ok(manifest.for_this_machine().cloned().map(|entry| ModelEntry { own: false, ..entry }).collect())
}

fn choose_backend(dir: &Path, entries: &[ModelEntry], options: &Options) -> Result<Backend, OpenError> {
    let rten = || Backend::rten(options.threads, options.lanes);
    if options.runtime == Some(Runtime::Rten) {
        return Ok(rten());
    }
    match open_ort(dir, entries, options) {
        Ok(backend) => Ok(backend),
        Err(why) if options.runtime == Some(Runtime::Ort) => Err(OpenError::NoOrt { why }),
        Err(why) => {
            tracing::info!(reason = why, "ONNX Runtime is not used");
            Ok(rten())
        }
    }
}

/// Opens the runtime library of the folder, verified. A process can hold one such
/// library, so once one is open it serves every folder that has the same.
fn open_ort(dir: &Path, entries: &[ModelEntry], options: &Options) -> Result<Backend, String> {
    static OPENED: Mutex<Option<Backend>> = Mutex::new(None);
    let entry = entries
        .iter()
        .find(|entry| entry.kind == Kind::Runtime)
        .ok_or("there is no build of it for this machine")?;
    let library =
        fs_err::canonicalize(dir.join(&entry.file)).map_err(|_| "it is not installed".to_owned())?;
    if !crate::quiet::is_on() {
        return Err(format!(
            "the environment must hold {}={} before its library is loaded: without it the library reports to its maker",
            crate::quiet::VARIABLE,
            crate::quiet::VALUE
        ));
    }
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if opened.is_none() {
        let bytes = fs_err::read(&library).map_err(|error| error.to_string())?;
        // A library is code: one that is not the pinned one is not run.
        if entry.sha256.as_ref().is_none_or(|expected| hex::encode(Sha256::digest(&bytes)) != *expected) {
            return Err("its library is not the one that the manifest pins".to_owned());
        }
        *opened = Some(Backend::ort(&library, options.threads, options.lanes)?);
    }
    match &*opened {
        Some(Backend::Ort { environment, .. }) => Ok(Backend::Ort {
            environment: environment.clone(),
            threads: options.threads,
            lanes: options.lanes,
        }),
        _ => Err("it did not open".to_owned()),
    }
}
