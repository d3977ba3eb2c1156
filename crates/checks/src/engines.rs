//! The readers and nets behind the checks, loaded once and shared by all.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use inference::{LoadError, Models, OpenError};

/// Why engines cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnginesError {
    /// The models folder cannot be opened.
    #[error("could not open the models folder")]
    Open(#[from] OpenError),
    /// A model is missing or does not load.
    #[error("could not load a model")]
    Load(#[from] LoadError),
    /// A face model is missing or does not fit.
    #[error("could not load a face model")]
    Face(#[from] face::FaceError),
    /// An opt-in model is not there.
    #[error("{0}")]
    OptIn(&'static str),
}

/// How the model of ages is installed.
const AGE_MISSING: &str =
    "the age model is not installed: it is opt-in, install it with `bonafide models install faceres-age`";

/// A part that is loaded when it is first needed; a failed load is tried again at the next need.
type Slot<T> = Mutex<Option<Arc<T>>>;

/// The engines of one process.
pub struct Engines {
    models: Arc<Models>,
    reader: Slot<document::Reader>,
    faces: Slot<face::Engine>,
    passive: Slot<face::PassiveLiveness>,
    ages: Slot<Option<face::age::AgeEstimator>>,
    tesseract: Option<document::Tesseract>,
    seal_signers: Option<document::SealSigners>,
}

fn load<T, E>(slot: &Slot<T>, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, EnginesError>
where
    EnginesError: From<E>,
{
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = &*slot {
        return Ok(Arc::clone(loaded));
    }
    let loaded = Arc::new(make()?);
    *slot = Some(Arc::clone(&loaded));
    Ok(loaded)
}

impl Engines {
    /// Engines over a models folder. Models that are missing are reported by the checks that need them.
    ///
    /// # Errors
    /// When the folder or the operator's manifest in it is faulty.
    pub fn open(models: &Path) -> Result<Self, EnginesError> {
        Ok(Self {
            models: Arc::new(Models::open(models)?),
            reader: Slot::default(),
            faces: Slot::default(),
            passive: Slot::default(),
            ages: Slot::default(),
            tesseract: None,
            seal_signers: None,
        })
    }

    /// The same, with Tesseract for scripts that the models do not read.
    #[must_use]
    pub fn with_tesseract(self, tesseract: Option<document::Tesseract>) -> Self {
        Self { tesseract, ..self }
    }

    /// Tesseract, where the operator chose it.
    pub fn tesseract(&self) -> Option<&document::Tesseract> {
        self.tesseract.as_ref()
    }

    /// The same, with certificates of signers of seals that the operator trusts.
    #[must_use]
    pub fn with_seal_signers(self, seal_signers: Option<document::SealSigners>) -> Self {
        Self { seal_signers, ..self }
    }

    /// Trusted signers of seals, where the operator gave some.
    pub fn seal_signers(&self) -> Option<&document::SealSigners> {
        self.seal_signers.as_ref()
    }

    /// The models behind the engines.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The reader of documents.
    ///
    /// # Errors
    /// When one of its models is missing.
    pub fn reader(&self) -> Result<Arc<document::Reader>, EnginesError> {
        load(&self.reader, || document::Reader::open(&self.models))
    }

    /// The engine of faces.
    ///
    /// # Errors
    /// When one of its models is missing.
    pub fn faces(&self) -> Result<Arc<face::Engine>, EnginesError> {
        load(&self.faces, || face::Engine::open(&self.models))
    }

    /// Passive liveness, with as many nets as are installed; perhaps none.
    ///
    /// # Errors
    /// When an installed model does not load.
    pub fn passive(&self) -> Result<Arc<face::PassiveLiveness>, EnginesError> {
        load(&self.passive, || face::PassiveLiveness::open(&self.models))
    }

    /// Age estimation; `None` when its opt-in model is not installed.
    ///
    /// # Errors
    /// When an installed model does not load.
    pub fn ages(&self) -> Result<Arc<Option<face::age::AgeEstimator>>, EnginesError> {
        load(&self.ages, || match face::age::AgeEstimator::open(&self.models) {
            Ok(ages) => Ok(Some(ages)),
            Err(face::FaceError::Load(LoadError::NotInstalled { .. })) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Whether these engines can be used: `reader`, `faces`, `age`, as manifests name them.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn require(&self, names: &[String]) -> Result<(), EnginesError> {
        for name in names {
            match name.as_str() {
                "reader" => drop(self.reader()?),
                "faces" => drop(self.faces()?),
                "age" if self.ages()?.is_none() => return Err(EnginesError::OptIn(AGE_MISSING)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Loads everything now, so that the first check does not wait for it; says what is missing.
    pub fn warm(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for error in [self.reader().err(), self.faces().err()].into_iter().flatten() {
            missing.push(chain(&error));
        }
        missing
    }
}

/// An error with its causes, for the operator.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
