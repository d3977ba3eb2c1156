//! The certificates that chips are verified against.
//!
//! The operator's store (`chip/trust.json`, kept by `bonafide chip trust`) holds for every
//! application; what an application imports over HTTP holds for it alone, in a store of its own beside
//! that. Nothing is trusted silently: a file that no given root vouches for is
//! taken only on the caller's explicit word, and every import is an audit row.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use emrtd::{
    time::Time,
    trust::{Authority, Import, Standing, TrustStore},
    x509::{Certificate, Summary},
};
use serde::Serialize;
use serde_json::{Value, json};
use store::{ApplicationId, audit};

use crate::{
    Service,
    access::Access,
    pool::{PoolError, Work},
};

/// A file's state when it was read: a newer one is read again.
type Stamp = Option<(SystemTime, u64)>;

/// What the operator's and the application's own file held together, with the state each was in.
type Read = ([Stamp; 2], Arc<TrustStore>);

/// Where the stores lie, and what was read of them.
pub(crate) struct TrustFiles {
    folder: PathBuf,
    read: Mutex<HashMap<ApplicationId, Read>>,
    writing: tokio::sync::Mutex<()>,
}

fn stamp(file: &Path) -> Stamp {
    let found = std::fs::metadata(file).ok()?;
    Some((found.modified().ok()?, found.len()))
}

fn open(file: &Path) -> Result<TrustStore, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => TrustStore::from_json(&text).map_err(|error| checks::chain(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(TrustStore::default()),
        Err(error) => Err(error.to_string()),
    }
}

impl TrustFiles {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder, read: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }

    fn own(&self, application: ApplicationId) -> PathBuf {
        self.folder.join(format!("trust-{application}.json"))
    }

    /// Everything an application trusts.
    pub(crate) fn of(&self, application: ApplicationId) -> Result<Arc<TrustStore>, String> {
        let files = [self.folder.join("trust.json"), self.own(application)];
        let stamps = [stamp(&files[0]), stamp(&files[1])];
        {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((known, store)) = read.get(&application)
                && *known == stamps
            {
                return Ok(Arc::clone(store));
            }
        }
        let mut store = open(&files[0])?;
        if stamps[1].is_some() {
            store.absorb(&open(&files[1])?);
        }
        let store = Arc::new(store);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(application, (stamps, Arc::clone(&store)));
        Ok(store)
    }

    /// Writes an application's own store: beside the old one first, synced, then in its place.
    fn save(&self, application: ApplicationId, store: &TrustStore) -> Result<(), String> {
        use std::io::Write as _;
        let file = self.own(application);
        let draft = file.with_extension("json.new");
        let text = store.to_json().map_err(|error| checks::chain(&error))?;
        let write = || {
            std::fs::create_dir_all(&self.folder)?;
            let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(&draft)?;
            out.write_all(text.as_bytes())?;
            out.sync_all()?;
            std::fs::rename(&draft, &file)
        };
        write().map_err(|error: std::io::Error| error.to_string())
    }
}

/// A file to be trusted, or compared.
#[derive(Debug, Clone)]
pub struct TrustFile {
    /// Its name, for the record.
    pub name: String,
    /// A master list, certificate, revocation list, PEM or LDIF.
    pub bytes: Vec<u8>,
    /// Certificates that a master list's signer must chain to; PEM or DER.
    pub roots: Option<Vec<u8>>,
    /// The caller vouches for a file that nobody else vouches for.
    pub vouched: bool,
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file itself.
    #[error("{0}")]
    File(String),
    /// The roots.
    #[error("no certificate inside")]
    Roots,
    /// Nobody vouches for it.
    #[error("nobody vouches for the file")]
    NotVouched,
    /// The cores are busy.
    #[error("the cores are busy")]
    Busy,
    /// The trust store's own file.
    #[error("the trust store failed: {0}")]
    Failed(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<PoolError> for TrustError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Busy => Self::Busy,
            broken => Self::Failed(broken.to_string()),
        }
    }
}

/// A certificate of the store.
#[derive(Debug, Clone, Serialize)]
pub struct Trusted {
    /// What it says.
    #[serde(flatten)]
    pub summary: Summary,
    /// Its country, alpha-2.
    pub country: Option<String>,
    /// What is known of its own signature.
    pub standing: Standing,
    /// Numbers of the imports that brought it.
    pub imports: Vec<usize>,
}

/// What an import does, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// The file and who vouches for it.
    pub import: Import,
    /// Certificates that are not trusted now.
    pub added: Vec<Summary>,
    /// Trusted certificates that the file does not have; an import leaves them.
    pub missing: usize,
}

fn summaries(certificates: &[&Certificate]) -> Vec<Summary> {
    certificates.iter().map(|certificate| certificate.summary()).collect()
}

/// Reads a file into a copy of what is trusted and compares; gives the copy for what was found out about signatures.
fn difference(
    trusted: &TrustStore,
    file: &TrustFile,
    now: Time,
) -> Result<(Difference, TrustStore), TrustError> {
    let roots = roots(file)?;
    // Imported into a copy, so that lists whose signer is trusted already are recognised.
    let mut copy = trusted.clone();
    let import = copy
        .import(&file.name, &file.bytes, &roots, Some(now))
        .map_err(|error| TrustError::File(checks::chain(&error)))?;
    let (_, added) = trusted.diff(&copy);
    let number = copy.imports().len().saturating_sub(1);
    let missing = copy.anchors().iter().filter(|anchor| !anchor.imports.contains(&number)).count();
    let added = summaries(&added);
    Ok((Difference { added, missing, import }, copy))
}

fn roots(file: &TrustFile) -> Result<Vec<Certificate>, TrustError> {
    let Some(bytes) = &file.roots else { return Ok(Vec::new()) };
    let roots: Vec<Certificate> =
        emrtd::trust::split(bytes).iter().filter_map(|object| Certificate::parse(object).ok()).collect();
    if roots.is_empty() { Err(TrustError::Roots) } else { Ok(roots) }
}

impl Service {
    /// What an application trusts: certificates, imports and counts.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn chip_trust(&self, access: &Access) -> Result<Value, TrustError> {
        let (trust, application) = (Arc::clone(&self.trust), access.application);
        self.pool
            .run(Work::Upkeep, move || {
                let store = trust.of(application).map_err(TrustError::Failed)?;
                let certificates: Vec<Trusted> = store
                    .anchors()
                    .iter()
                    .map(|anchor| Trusted {
                        summary: anchor.certificate.summary(),
                        country: anchor.certificate.subject.country(),
                        standing: store.standing(anchor),
                        imports: anchor.imports.clone(),
                    })
                    .collect();
                Ok(json!({
                    "certificates": certificates,
                    "document_signers": store.document_signers().len(),
                    "revocation_lists": store.crls().len(),
                    "imports": store.imports(),
                    "countries": emrtd::trust::countries(&store),
                }))
            })
            .await?
    }

    /// What an import of the file would change; nothing is kept.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn compare_chip_trust(
        &self,
        access: &Access,
        file: TrustFile,
    ) -> Result<Difference, TrustError> {
        let (trust, application) = (Arc::clone(&self.trust), access.application);
        let now = Time(self.now().seconds());
        self.pool
            .run(Work::Upkeep, move || {
                let trusted = trust.of(application).map_err(TrustError::Failed)?;
                difference(&trusted, &file, now).map(|(shown, _)| shown)
            })
            .await?
    }

    /// Trusts a file from now on, for this application.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn import_chip_trust(
        &self,
        access: &Access,
        file: TrustFile,
    ) -> Result<Difference, TrustError> {
        let (trust, application) = (Arc::clone(&self.trust), access.application);
        let now = Time(self.now().seconds());
        // One import at a time: each reads, adds and writes the whole store.
        let _writing = trust.writing.lock().await;
        let prepared = Arc::clone(&trust);
        let (own, shown) = self
            .pool
            .run(Work::Upkeep, move || {
                let trusted = prepared.of(application).map_err(TrustError::Failed)?;
                let (mut shown, copy) = difference(&trusted, &file, now)?;
                if shown.import.authority == Authority::Operator && !file.vouched {
                    return Err(TrustError::NotVouched);
                }
                let mut own = open(&prepared.own(application)).map_err(TrustError::Failed)?;
                let mut roots = roots(&file)?;
                if shown.import.authority == Authority::Store && roots.is_empty() {
                    // its signer hangs on what is trusted already, perhaps in the operator's store only
                    roots.extend(trusted.anchors().iter().map(|anchor| anchor.certificate.clone()));
                }
                own.gather(&file.name, &file.bytes, &roots, Some(now))
                    .map_err(|error| TrustError::File(checks::chain(&error)))?;
                own.learn(&copy);
                shown.import = own.check().unwrap_or(shown.import);
                Ok((own, shown))
            })
            .await??;
        // The audit row first: what cannot be recorded is not trusted.
        self.audit_import(access, &shown, "ok").await?;
        let saving = Arc::clone(&trust);
        let saved = self.pool.run(Work::Upkeep, move || saving.save(application, &own)).await?;
        if let Err(reason) = saved {
            self.audit_import(access, &shown, "failed").await?;
            return Err(TrustError::Failed(reason));
        }
        Ok(shown)
    }

    async fn audit_import(
        &self,
        access: &Access,
        shown: &Difference,
        outcome: &'static str,
    ) -> Result<(), store::Error> {
        let (actor, application) = (access.actor(), access.application);
        let details = json!({
            "source": shown.import.source, "authority": shown.import.authority,
            "certificates": shown.import.certificates, "added": shown.added.len(),
            "revocation_lists": shown.import.revocation_lists, "refused": shown.import.refused.len(),
        });
        let object = format!("trust:{}", shown.import.sha256);
        self.store
            .write(move |tx| {
                tx.audit(&audit::Entry {
                    application: Some(application),
                    actor: &actor,
                    action: "chip.trust.import",
                    object: &object,
                    outcome,
                    details: Some(details),
                    ..audit::Entry::default()
                })
            })
            .await
    }
}
