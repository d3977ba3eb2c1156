//! The store itself: opens (and at first start makes) everything, runs transactions, rotates keys, clears orphans.

use crate::audit;
use crate::blobs::Blobs;
use crate::clock::{Clock, Random, SystemClock, SystemRandom};
use crate::error::{Error, Result};
use crate::ids::ApplicationId;
use crate::keys::{self, Key, Keyring, rotation};
use crate::queue::Queue;
use crate::tx::{Dialect, Shared, Tx};
use crate::{migrate, postgres, sqlite};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where the root key comes from.
#[derive(Debug, Clone, Default)]
pub enum RootKey {
    /// `root.key` in the data folder, made at first start.
    #[default]
    InFolder,
    /// A file of 64 hexadecimal digits that only its owner may read; never made here.
    File(PathBuf),
    /// Given (from an environment variable or a key service).
    Given(Key),
}

impl RootKey {
    /// The variable that may hold the root key as 64 hexadecimal digits.
    pub const VARIABLE: &str = "BONAFIDE_ROOT_KEY";

    /// As the operator says: the file, else the variable, else the data folder.
    ///
    /// # Errors
    /// [`Error::RootKey`] when the variable is malformed.
    pub fn from_settings(file: Option<PathBuf>) -> Result<Self> {
        match (file, std::env::var(Self::VARIABLE)) {
            (Some(path), _) => Ok(Self::File(path)),
            (None, Ok(text)) if !text.is_empty() => {
                Key::from_hex(&zeroize::Zeroizing::new(text)).map(Self::Given)
            }
            _ => Ok(Self::InFolder),
        }
    }
}

/// Settings of a store.
#[derive(Clone)]
pub struct Config {
    /// Folder of the database, blobs and root key, as far as these are not elsewhere.
    pub data_dir: PathBuf,
    /// `postgres://…`; `None` for `bonafide.db` in the data folder.
    pub database_url: Option<String>,
    /// See [`Blobs::from_url`]; `None` for `blobs/` in the data folder.
    pub blobs_url: Option<String>,
    /// Where the root key comes from.
    pub root_key: RootKey,
    /// Whether a missing folder and database are made (a server's first start) or an error (a look at what is there).
    pub make_missing: bool,
    /// Connections that write on PostgreSQL (SQLite has one writer).
    pub writers: usize,
    /// Connections that only read.
    pub readers: usize,
    /// Most transactions that may wait; more are refused with [`Error::Overloaded`].
    pub most_waiting: usize,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The database URL may hold a password.
        out.debug_struct("Config").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

impl Config {
    /// Everything in one folder, with the machine's clock and randomness.
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database_url: None,
            blobs_url: None,
            root_key: RootKey::InFolder,
            make_missing: true,
            writers: 12,
            readers: 4,
            most_waiting: 10_000,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        }
    }
}

/// How the store is.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Health {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Whether a write transaction commits.
    pub writable: bool,
    /// Whether a read works.
    pub readable: bool,
    /// Transactions that wait.
    pub waiting: usize,
}

/// What [`Store::collect_orphans`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct GarbageReport {
    /// Blobs looked at.
    pub blobs: u64,
    /// Blobs without a row, removed.
    pub orphans: u64,
    /// Half-written files, removed.
    pub incoming: u64,
}

/// Rows, blobs, keys, jobs, events and the audit log. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    writes: Arc<Queue>,
    reads: Arc<Queue>,
    blobs: Blobs,
    dialect: Dialect,
    data_dir: PathBuf,
    database: PathBuf,
    root_in_folder: bool,
    created: Vec<String>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Store").field("dialect", &self.0.dialect).finish_non_exhaustive()
    }
}

const ROOT_KEY_FILE: &str = "root.key";
const COMING_ROOT_KEY_FILE: &str = "root.key.new";
const DATABASE_FILE: &str = "bonafide.db";
/// Subject keys rewrapped in one transaction.
const REWRAP_AT_ONCE: i64 = 500;

impl Store {
    /// Opens a store; makes folder, database and root key where they are missing (see [`Store::created`]) and
    /// brings the schema up to date.
    ///
    /// # Errors
    /// [`Error::Folder`], [`Error::RootKey`], [`Error::Newer`], [`Error::Unavailable`], [`Error::Config`].
    pub async fn open(config: Config) -> Result<Self> {
        crate::fail::arm_from_environment();
        let store = tokio::task::spawn_blocking(move || Self::start(config))
            .await
            .map_err(|source| Error::Unavailable(Box::new(source)))??;
        store.settle_root_key().await?;
        Ok(store)
    }

    fn start(config: Config) -> Result<Self> {
        let mut created = Vec::new();
        if !config.make_missing && !config.data_dir.is_dir() {
            return Err(Error::Config(format!("there is no folder {}", config.data_dir.display())));
        }
        make_private_folder(&config.data_dir, &mut created)?;
        let url = config.database_url.as_deref().filter(|url| !url.is_empty());
        let postgres_url = match url {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Some(url.to_owned())
            }
            Some(url) if !url.starts_with("sqlite:") => {
                return Err(Error::Config("database URL must begin with postgres:// or sqlite:".to_owned()));
            }
            _ => None,
        };
        let database = match url.and_then(|url| url.strip_prefix("sqlite:")) {
            Some(path) => PathBuf::from(path.strip_prefix("//").unwrap_or(path)),
            None => config.data_dir.join(DATABASE_FILE),
        };
        if !config.make_missing && postgres_url.is_none() && !database.is_file() {
            return Err(Error::Config(format!("there is no database {}", database.display())));
        }
        let now = config.clock.now();
        let blobs = match &config.blobs_url {
            Some(url) => Blobs::from_url(url)?,
            None => Blobs::folder(&config.data_dir.join("blobs"))?,
        };

        let mut sqlite_writer = None;
        let is_new = if let Some(url) = &postgres_url {
            let mut session = postgres::Session::connect(url, true)?;
            let applied = migrate::postgres(&mut session, now)?;
            report_migrations(&applied, "PostgreSQL database", &mut created);
            applied.first() == Some(&1)
        } else {
            let connection = sqlite::open_writer(&database)?;
            let applied = migrate::sqlite(&connection, now)?;
            report_migrations(&applied, &format!("database {}", database.display()), &mut created);
            sqlite_writer = Some(connection);
            applied.first() == Some(&1)
        };
        let root = root_key(&config, is_new, &mut created)?;

        let shared = Arc::new(Shared {
            clock: config.clock,
            random: config.random,
            keyring: Keyring::new(root),
            jobs: tokio::sync::Notify::new(),
            events: tokio::sync::Notify::new(),
            numbers: Mutex::default(),
        });
        let writes = Arc::new(Queue::new(config.most_waiting));
        let reads = Arc::new(Queue::new(config.most_waiting));
        let mut threads = Vec::new();
        let dialect = if let Some(url) = postgres_url {
            for (write, count) in [(true, config.writers.max(1)), (false, config.readers.max(1))] {
                for _ in 0..count {
                    let (url, shared) = (url.clone(), Arc::clone(&shared));
                    let queue = Arc::clone(if write { &writes } else { &reads });
                    let name = if write { "store-write" } else { "store-read" };
                    threads.push(spawn(name, move || postgres::run_loop(&url, write, &queue, &shared))?);
                }
            }
            Dialect::Postgres
        } else {
            if let Some(connection) = sqlite_writer {
                let (queue, shared) = (Arc::clone(&writes), Arc::clone(&shared));
                threads.push(spawn("store-write", move || sqlite::write_loop(&connection, &queue, &shared))?);
            }
            for _ in 0..config.readers.max(1) {
                let connection = sqlite::open_reader(&database)?;
                let (queue, shared) = (Arc::clone(&reads), Arc::clone(&shared));
                threads.push(spawn("store-read", move || sqlite::read_loop(&connection, &queue, &shared))?);
            }
            Dialect::Sqlite
        };
        Ok(Self(Arc::new(Inner {
            shared,
            writes,
            reads,
            blobs,
            dialect,
            data_dir: config.data_dir,
            database,
            root_in_folder: matches!(config.root_key, RootKey::InFolder),
            created,
            threads: Mutex::new(threads),
        })))
    }

    /// Loads the audit key; ends a rotation that a crash has left between the database and the key file.
    async fn settle_root_key(&self) -> Result<()> {
        let coming = self.0.data_dir.join(COMING_ROOT_KEY_FILE);
        if self.0.root_in_folder && coming.exists() {
            let new = keys::read_key_file(&coming)?;
            let probe = new.clone();
            if self.read(move |tx| rotation::opens(tx, &probe)).await? {
                self.replace_key_file()?;
                self.0.shared.keyring.set_roots(vec![new]);
            } else {
                fs_err::remove_file(&coming).map_err(|source| Error::RootKey(source.to_string()))?;
            }
        }
        self.write(Keyring::load).await
    }

    /// What [`Store::open`] had to make, in words for the operator.
    #[must_use]
    pub fn created(&self) -> &[String] {
        &self.0.created
    }

    /// Which engine it runs on.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// The store's clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.shared.clock)
    }

    /// The store's randomness.
    #[must_use]
    pub fn random(&self) -> Arc<dyn Random> {
        Arc::clone(&self.0.shared.random)
    }

    /// Runs a writing transaction; returns after its commit is on the disk. When the caller goes away, the
    /// transaction still runs to its end. A closure that returns `Err`, panics, or has a failed statement
    /// writes nothing.
    ///
    /// # Errors
    /// The closure's own, or [`Error`] converted into it.
    pub async fn write<T, E>(
        &self,
        run: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        answer(self.0.writes.push(run)).await
    }

    /// Runs a reading transaction on a snapshot. Writing in it fails.
    ///
    /// # Errors
    /// The closure's own, or [`Error`] converted into it.
    pub async fn read<T, E>(
        &self,
        run: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        answer(self.0.reads.push(run)).await
    }

    /// Waits until a job was queued by this process (or `most` has passed; other processes are not heard).
    pub async fn wait_for_jobs(&self, most: Duration) {
        drop(tokio::time::timeout(most, self.0.shared.jobs.notified()).await);
    }

    /// Waits until an event was written by this process, or `most` has passed.
    pub async fn wait_for_events(&self, most: Duration) {
        drop(tokio::time::timeout(most, self.0.shared.events.notified()).await);
    }

    /// Seals bytes as a new blob of a subject: returns the object's id and the blob's name for
    /// [`crate::rows::objects::NewObject`]. The blob is on the disk when this returns.
    ///
    /// # Errors
    /// As [`Blobs::put`].
    pub async fn put_blob(
        &self,
        key: &crate::SubjectKey,
        plain: Vec<u8>,
    ) -> Result<(crate::ObjectId, crate::BlobId)> {
        let shared = Arc::clone(&self.0.shared);
        let key = key.clone();
        let (id, sealed) = tokio::task::spawn_blocking(move || {
            let id = crate::ObjectId(crate::ids::new_uuid(shared.clock.now(), &*shared.random));
            key.seal(&*shared.random, id, "blob", &plain).map(|sealed| (id, sealed))
        })
        .await
        .map_err(|source| Error::Blob(Box::new(source)))??;
        let blob = crate::BlobId::generate(&*self.0.shared.random);
        self.0.blobs.put(&blob, sealed).await?;
        Ok((id, blob))
    }

    /// Reads and opens an object's bytes; `None` when the blob is gone.
    ///
    /// # Errors
    /// [`Error::Blob`] and [`Error::Seal`].
    pub async fn get_blob(&self, object: &crate::rows::objects::Object) -> Result<Option<Vec<u8>>> {
        let Some(sealed) = self.0.blobs.get(&object.blob).await? else { return Ok(None) };
        let (key, id) = (object.key.clone(), object.id);
        tokio::task::spawn_blocking(move || key.open(id, "blob", &sealed))
            .await
            .map_err(|source| Error::Blob(Box::new(source)))?
            .map(Some)
    }

    /// Deletes blobs whose rows are gone. What fails is left to [`Store::collect_orphans`]; returns how many went.
    pub async fn delete_blobs(&self, blobs: &[crate::BlobId]) -> usize {
        let mut deleted = 0;
        for blob in blobs {
            match self.0.blobs.delete(blob).await {
                Ok(()) => deleted += 1,
                Err(failure) => {
                    tracing::warn!(error = %failure, "blob is left to the next collection of orphans")
                }
            }
        }
        deleted
    }

    /// Removes blobs that no row names and half-written files, both only from `age` on: an upload in progress has
    /// its blob before its row.
    ///
    /// # Errors
    /// [`Error::Blob`] and those of the database.
    pub async fn collect_orphans(&self, age: Duration) -> Result<GarbageReport> {
        let incoming = self.0.blobs.clear_incoming(age).await?;
        let listed = self.0.blobs.list(self.0.shared.clock.now()).await?;
        let mut report = GarbageReport { blobs: listed.len() as u64, orphans: 0, incoming };
        let old: Vec<_> = listed.into_iter().filter(|blob| blob.age >= age).map(|blob| blob.id).collect();
        for chunk in old.chunks(500) {
            let chunk = chunk.to_vec();
            let orphans = self
                .read(move |tx| {
                    let mut orphans = Vec::new();
                    for blob in chunk {
                        if !tx.blob_is_used(&blob)? {
                            orphans.push(blob);
                        }
                    }
                    Ok::<_, Error>(orphans)
                })
                .await?;
            for orphan in orphans {
                self.0.blobs.delete(&orphan).await?;
                report.orphans += 1;
            }
        }
        Ok(report)
    }

    /// After an erasure: makes SQLite fold its write-ahead log into the database and empty it, so that no old page
    /// stays in a file. PostgreSQL has its own ways (`VACUUM`, recycling of the log).
    ///
    /// # Errors
    /// Those of the database.
    pub async fn scrub(&self) -> Result<()> {
        if self.0.dialect == Dialect::Postgres {
            return Ok(());
        }
        let path = self.0.database.clone();
        tokio::task::spawn_blocking(move || {
            let connection = sqlite::open_writer(&path)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(sqlite::error)
        })
        .await
        .map_err(|source| Error::Unavailable(Box::new(source)))?
    }

    /// Checks the audit log.
    ///
    /// # Errors
    /// Those of the database; findings are in the report.
    pub async fn verify_audit(&self, checkpoint: Option<audit::Checkpoint>) -> Result<audit::Report> {
        self.read(move |tx| audit::verify(tx, checkpoint.as_ref())).await
    }

    /// Takes a checkpoint of the audit log.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_checkpoint(&self) -> Result<audit::Checkpoint> {
        self.read(audit::checkpoint).await
    }

    /// Replaces the root key and rewraps all application keys; the old root then opens nothing. With the root key in
    /// the data folder its file is replaced too; otherwise the operator gives the new key at the next start.
    ///
    /// # Errors
    /// [`Error::RootKey`] and those of the database; the old key stays then.
    pub async fn rotate_root(&self, new: Key) -> Result<()> {
        let keyring = &self.0.shared.keyring;
        let old = keyring.present_root()?;
        if self.0.root_in_folder {
            keys::write_key_file(&self.0.data_dir.join(COMING_ROOT_KEY_FILE), &new)?;
        }
        // Both open while the change is under way.
        keyring.set_roots(vec![old.clone(), new.clone()]);
        let by = new.clone();
        let done = self
            .write(move |tx| {
                rotation::rewrap_root(tx, &by)?;
                tx.audit(&audit::Entry {
                    actor: "system",
                    action: "key.rotate-root",
                    object: "root-key",
                    ..Default::default()
                })
            })
            .await;
        match done {
            Ok(()) => {
                keyring.set_roots(vec![new]);
                if self.0.root_in_folder { self.replace_key_file() } else { Ok(()) }
            }
            Err(failure) => {
                keyring.set_roots(vec![old]);
                if self.0.root_in_folder {
                    // What stays is settled at the next start.
                    drop(fs_err::remove_file(self.0.data_dir.join(COMING_ROOT_KEY_FILE)));
                }
                Err(failure)
            }
        }
    }

    fn replace_key_file(&self) -> Result<()> {
        let folder = &self.0.data_dir;
        fs_err::rename(folder.join(COMING_ROOT_KEY_FILE), folder.join(ROOT_KEY_FILE))
            .and_then(|()| fs_err::File::open(folder))
            .and_then(|folder| folder.sync_all())
            .map_err(|source| Error::RootKey(format!("file cannot be replaced: {source}")))
    }

    /// Gives an application a new key and rewraps its subjects' keys, some at a time, while work goes on. The old
    /// version stays for what it sealed itself (secrets of webhooks).
    ///
    /// # Errors
    /// Those of the database; a rotation that was broken off is continued by the next.
    pub async fn rotate_application_key(&self, application: ApplicationId) -> Result<u64> {
        let version = self
            .write(move |tx| {
                let version = rotation::add_application_key(tx, application)?;
                tx.audit(&audit::Entry {
                    application: Some(application),
                    actor: "system",
                    action: "key.rotate-application",
                    object: "application-key",
                    ..Default::default()
                })?;
                Ok::<_, Error>(version)
            })
            .await?;
        self.0.shared.keyring.set_newest(application, version);
        let mut rewrapped = 0;
        loop {
            let count = self
                .write(move |tx| rotation::rewrap_subject_keys(tx, application, version, REWRAP_AT_ONCE))
                .await?;
            if count == 0 {
                return Ok(rewrapped);
            }
            rewrapped += count as u64;
        }
    }

    /// Tries a read and an empty write.
    pub async fn health(&self) -> Health {
        let readable = self.read(|tx| tx.query("SELECT 1", &[], |_| Ok(()))).await.is_ok();
        let writable = self.write(|tx| tx.query("SELECT 1", &[], |_| Ok(()))).await.is_ok();
        Health {
            engine: match self.0.dialect {
                Dialect::Sqlite => "sqlite",
                Dialect::Postgres => "postgres",
            },
            writable,
            readable,
            waiting: self.0.writes.len() + self.0.reads.len(),
        }
    }

    /// Takes no more transactions, lets those that wait finish, and ends the threads.
    pub async fn close(&self) {
        self.0.writes.close();
        self.0.reads.close();
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        drop(joined.await);
    }
}

async fn answer<T, E: From<Error>>(
    pushed: Result<tokio::sync::oneshot::Receiver<Result<T, E>>>,
) -> Result<T, E> {
    pushed.map_err(E::from)?.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| Error::Unavailable(Box::new(source)))
}

fn report_migrations(applied: &[i64], what: &str, created: &mut Vec<String>) {
    match applied {
        [] => {}
        [1, ..] => created.push(what.to_owned()),
        steps => created.push(format!("{what}: schema brought to version {}", steps.last().unwrap_or(&0))),
    }
}

fn make_private_folder(folder: &Path, created: &mut Vec<String>) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder
        .create(folder)
        .map_err(|source| Error::Folder(format!("{} cannot be made", folder.display()), Box::new(source)))?;
    created.push(format!("data folder {}", folder.display()));
    Ok(())
}

fn root_key(config: &Config, is_new: bool, created: &mut Vec<String>) -> Result<Key> {
    let path = config.data_dir.join(ROOT_KEY_FILE);
    match &config.root_key {
        RootKey::Given(key) => Ok(key.clone()),
        RootKey::File(path) => keys::read_key_file(path),
        RootKey::InFolder if path.exists() => keys::read_key_file(&path),
        RootKey::InFolder if is_new => {
            let key = Key::generate(&*config.random);
            keys::write_key_file(&path, &key)?;
            created.push(format!("root key {} (keep a copy apart from the database)", path.display()));
            Ok(key)
        }
        RootKey::InFolder => Err(Error::RootKey(format!(
            "{} is missing, and without it this database cannot be opened; put the copy back",
            path.display()
        ))),
    }
}
