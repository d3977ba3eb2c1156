//! Seals personal data under one key per person, so that erasing the key erases the person.
//!
//! # Design
//! *Root key* (32 bytes, a file of mode 0600, an environment variable or a file named by the operator; never
//! in the database) → *application keys* (random, versioned, wrapped by the root) → *subject keys* (random,
//! wrapped by the application's newest key) → *object keys* (derived for every single sealing).
//! Rotating the root or an application key rewraps the keys one floor below and touches no data.
//!
//! A sealed value is `algorithm (1) | key version (4, big-endian) | salt (12) | nonce (12) | ciphertext | tag (16)`.
//! Algorithm 1: object key = HMAC-SHA256(key, "bonafide object key 1" ‖ salt), then AES-256-GCM. Salt and nonce are
//! 192 random bits together, so the chance that two sealings under one key ever share both stays below 2⁻⁵⁰ up to
//! 2⁷⁰ sealings: no counter has to survive a crash, and no limit has to be watched.
//!
//! The associated data names the place: application, subject, object and column, each with its length. A value
//! that was moved to another row, column, person or tenant does not open.
//!
//! Values that must be found again (a vendor's user id, a document number) are found by a *blind index*:
//! HMAC-SHA256 under the application's index key, which is wrapped like its other keys but never changes.

use crate::clock::Random;
use crate::error::{Error, Result};
use crate::fail;
use crate::ids::{ApplicationId, SubjectId};
use crate::tx::Tx;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use zeroize::{Zeroize, Zeroizing};

const ALGORITHM: u8 = 1;
const HEADER: usize = 1 + 4 + 12 + 12;
const TAG: usize = 16;

/// Bytes that sealing adds to a value.
pub const SEAL_OVERHEAD: usize = HEADER + TAG;

/// 32 bytes of key; wiped when dropped, `Debug` shows nothing.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("‹redacted›")
    }
}

impl Key {
    /// A new random key.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// From 64 hexadecimal digits, as a key file holds them.
    ///
    /// # Errors
    /// [`Error::RootKey`] for anything else.
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes)
            .map_err(|_| Error::RootKey("is not 64 hexadecimal digits".to_owned()))?;
        Ok(Self(bytes))
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0))
    }

    fn from_slice(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| Error::Seal)
    }

    fn object_key(&self, salt: &[u8]) -> Result<LessSafeKey> {
        let mut message = Vec::with_capacity(21 + salt.len());
        message.extend_from_slice(b"bonafide object key 1");
        message.extend_from_slice(salt);
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), &message);
        UnboundKey::new(&AES_256_GCM, derived.as_ref()).map(LessSafeKey::new).map_err(|_| Error::Seal)
    }

    /// Seals `plain` for the place that `place` names.
    fn seal(&self, version: u32, random: &dyn Random, place: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        fail::hit("seal.encrypt")?;
        let mut once = [0u8; 24];
        random.fill(&mut once);
        let (salt, nonce) = once.split_at(12);
        let mut sealed = Vec::with_capacity(plain.len() + SEAL_OVERHEAD);
        sealed.push(ALGORITHM);
        sealed.extend_from_slice(&version.to_be_bytes());
        sealed.extend_from_slice(&once);
        sealed.extend_from_slice(plain);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Seal)?;
        // The header is authenticated too: a changed version is a changed value.
        let (header, body) = sealed.split_at_mut(HEADER);
        let aad = [&*header, place].concat();
        let tag = self
            .object_key(salt)?
            .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
            .map_err(|_| Error::Seal)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Key::seal`] made for the same place.
    fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let (header, body) = sealed.split_at_checked(HEADER).ok_or(Error::Seal)?;
        if header.first() != Some(&ALGORITHM) {
            return Err(Error::Seal);
        }
        let salt = header.get(5..17).ok_or(Error::Seal)?;
        let nonce = header.get(17..29).ok_or(Error::Seal)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Seal)?;
        let aad = [header, place].concat();
        let mut body = body.to_vec();
        let length = self
            .object_key(salt)?
            .open_in_place(nonce, Aad::from(aad), &mut body)
            .map_err(|_| Error::Seal)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// HMAC-SHA256 of `message`.
    pub(crate) fn mac(&self, message: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), message);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// The prepared form for many MACs in a row.
    pub(crate) fn mac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

/// Joins the parts of a place, each with its length, so that no two places read the same.
fn place(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        joined.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

/// SHA-256, for values that are random already (tokens) or public.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    digest
}

/// A person's key: seals and opens everything that is about them.
#[derive(Debug, Clone)]
pub struct SubjectKey {
    application: ApplicationId,
    subject: SubjectId,
    version: u32,
    key: Key,
}

impl SubjectKey {
    /// Whose key it is.
    #[must_use]
    pub fn subject(&self) -> SubjectId {
        self.subject
    }

    fn place(&self, object: &str, column: &str) -> Vec<u8> {
        place(&[
            self.application.0.as_bytes(),
            self.subject.0.as_bytes(),
            object.as_bytes(),
            column.as_bytes(),
        ])
    }

    /// Seals bytes for a column of an object (`object` is the row's id, or the blob's).
    ///
    /// # Errors
    /// Only a set fail point makes it fail.
    pub fn seal(
        &self,
        random: &dyn Random,
        object: impl ToString,
        column: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        self.key.seal(self.version, random, &self.place(&object.to_string(), column), plain)
    }

    /// Opens what was sealed for the same object and column.
    ///
    /// # Errors
    /// [`Error::Seal`] when it was changed, moved, or sealed by another key.
    pub fn open(&self, object: impl ToString, column: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        self.key.open(&self.place(&object.to_string(), column), sealed)
    }

    /// Seals a value as JSON.
    ///
    /// # Errors
    /// [`Error::Json`] when it does not encode.
    pub fn seal_json(
        &self,
        random: &dyn Random,
        object: impl ToString,
        column: &str,
        value: &impl Serialize,
    ) -> Result<Vec<u8>> {
        let plain = Zeroizing::new(serde_json::to_vec(value).map_err(Error::Json)?);
        self.seal(random, object, column, &plain)
    }

    /// Opens a value sealed as JSON.
    ///
    /// # Errors
    /// [`Error::Seal`] and [`Error::Json`].
    pub fn open_json<T: DeserializeOwned>(
        &self,
        object: impl ToString,
        column: &str,
        sealed: &[u8],
    ) -> Result<T> {
        serde_json::from_slice(&self.open(object, column, sealed)?).map_err(Error::Json)
    }
}

/// An application's key: wraps its subjects' keys and seals what belongs to no person (webhook secrets).
#[derive(Debug, Clone)]
pub struct ApplicationKey {
    application: ApplicationId,
    version: u32,
    key: Key,
    index: Key,
}

impl ApplicationKey {
    /// Seals bytes that belong to the application itself.
    ///
    /// # Errors
    /// Only a set fail point makes it fail.
    pub fn seal(
        &self,
        random: &dyn Random,
        object: impl ToString,
        column: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        self.key.seal(self.version, random, &self.place(&object.to_string(), column), plain)
    }

    /// Opens what [`ApplicationKey::seal`] made under this version.
    ///
    /// # Errors
    /// [`Error::Seal`].
    pub fn open(&self, object: impl ToString, column: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        self.key.open(&self.place(&object.to_string(), column), sealed)
    }

    fn place(&self, object: &str, column: &str) -> Vec<u8> {
        place(&[self.application.0.as_bytes(), b"", object.as_bytes(), column.as_bytes()])
    }

    /// The blind index of a value within a domain (`vendor_data`, `document_number`): equal values of one
    /// application and domain give equal bytes, and nobody without the key can test a guess.
    #[must_use]
    pub fn blind_index(&self, domain: &str, value: &[u8]) -> [u8; 32] {
        self.index.mac(&place(&[domain.as_bytes(), value]))
    }

    fn subject_place(&self, subject: SubjectId) -> Vec<u8> {
        place(&[b"subject key", self.application.0.as_bytes(), subject.0.as_bytes()])
    }

    fn wrap_subject_key(&self, random: &dyn Random, subject: SubjectId, key: &Key) -> Result<Vec<u8>> {
        self.key.seal(self.version, random, &self.subject_place(subject), &key.0)
    }

    fn unwrap_subject_key(&self, subject: SubjectId, wrapped: &[u8]) -> Result<Key> {
        Key::from_slice(&Zeroizing::new(self.key.open(&self.subject_place(subject), wrapped)?))
    }
}

/// The version of the key that a sealed value names.
fn version_of(sealed: &[u8]) -> Result<u32> {
    let bytes = sealed.get(1..5).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).ok_or(Error::Seal)?;
    Ok(u32::from_be_bytes(bytes))
}

/// The keys a process holds: the root, and application keys as they are needed. Subject keys are never kept.
pub(crate) struct Keyring {
    /// The present root first; during a rotation also the coming one.
    roots: RwLock<Vec<Key>>,
    audit: OnceLock<Key>,
    applications: Mutex<HashMap<(ApplicationId, u32), Arc<ApplicationKey>>>,
    newest: Mutex<HashMap<ApplicationId, u32>>,
}

const AUDIT_KEY: &str = "audit";

impl Keyring {
    pub(crate) fn new(root: Key) -> Self {
        Self {
            roots: RwLock::new(vec![root]),
            audit: OnceLock::new(),
            applications: Mutex::default(),
            newest: Mutex::default(),
        }
    }

    fn root(&self) -> Result<Key> {
        self.roots.read().unwrap_or_else(PoisonError::into_inner).first().cloned().ok_or(Error::Seal)
    }

    fn open_by_root(&self, place: &[u8], wrapped: &[u8]) -> Result<Key> {
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let opened = roots.iter().find_map(|root| root.open(place, wrapped).ok()).ok_or(Error::Seal)?;
        Key::from_slice(&Zeroizing::new(opened))
    }

    /// The key of the audit log's chain. Loaded when the store is opened.
    pub(crate) fn audit(&self) -> Result<&Key> {
        self.audit.get().ok_or_else(|| Error::RootKey("the audit key is not loaded".to_owned()))
    }

    /// Loads the audit key, making it in a new database; so also proves that the root key is the right one.
    pub(crate) fn load(tx: &mut Tx<'_>) -> Result<()> {
        let place = place(&[b"system key", AUDIT_KEY.as_bytes()]);
        let stored = tx.query_opt(FIND_SYSTEM_KEY, params![AUDIT_KEY], |row| row.get::<Vec<u8>>(0))?;
        let keyring = &tx.shared.keyring;
        let key = if let Some(wrapped) = stored {
            keyring
                .open_by_root(&place, &wrapped)
                .map_err(|_| Error::RootKey("is not the one this database was made with".to_owned()))?
        } else {
            let key = Key::generate(tx.random());
            let wrapped = keyring.root()?.seal(1, tx.random(), &place, &key.0)?;
            tx.execute(INSERT_SYSTEM_KEY, params![AUDIT_KEY, wrapped, tx.now()])?;
            key
        };
        // A second load (after a reconnect) finds the same key.
        drop(tx.shared.keyring.audit.set(key));
        Ok(())
    }
}

fn root_place(application: ApplicationId, version: u32, what: &str) -> Vec<u8> {
    place(&[b"application key", application.0.as_bytes(), &version.to_be_bytes(), what.as_bytes()])
}

statements! {
    FIND_SYSTEM_KEY = "SELECT wrapped FROM system_keys WHERE name = $1";
    INSERT_SYSTEM_KEY = "INSERT INTO system_keys (name, wrapped, created_at) VALUES ($1, $2, $3)";
    LIST_SYSTEM_KEYS = "SELECT name, wrapped FROM system_keys FOR UPDATE";
    REWRAP_SYSTEM_KEY = "UPDATE system_keys SET wrapped = $2 WHERE name = $1";
    INSERT_APPLICATION_KEY = "INSERT INTO application_keys (application_id, version, wrapped_key, wrapped_index, created_at) \
        VALUES ($1, $2, $3, $4, $5)";
    FIND_APPLICATION_KEY = "SELECT wrapped_key, wrapped_index FROM application_keys WHERE application_id = $1 AND version = $2";
    NEWEST_APPLICATION_KEY = "SELECT version FROM application_keys WHERE application_id = $1 ORDER BY version DESC LIMIT 1";
    LIST_APPLICATION_KEYS = "SELECT application_id, version, wrapped_key, wrapped_index FROM application_keys FOR UPDATE";
    REWRAP_APPLICATION_KEY = "UPDATE application_keys SET wrapped_key = $3, wrapped_index = $4 \
        WHERE application_id = $1 AND version = $2";
    INSERT_SUBJECT_KEY = "INSERT INTO subject_keys (application_id, subject_id, version, application_key_version, wrapped) \
        VALUES ($1, $2, $3, $4, $5)";
    FIND_SUBJECT_KEY = "SELECT version, wrapped FROM subject_keys WHERE application_id = $1 AND subject_id = $2 \
        ORDER BY version DESC LIMIT 1";
    OLD_SUBJECT_KEYS = "SELECT subject_id, version, wrapped FROM subject_keys \
        WHERE application_id = $1 AND application_key_version < $2 LIMIT $3 FOR UPDATE";
    REWRAP_SUBJECT_KEY = "UPDATE subject_keys SET wrapped = $4, application_key_version = $5 \
        WHERE application_id = $1 AND subject_id = $2 AND version = $3";
    DELETE_SUBJECT_KEYS = "DELETE FROM subject_keys WHERE application_id = $1 AND subject_id = $2";
}

impl Tx<'_> {
    /// The application's newest key.
    ///
    /// # Errors
    /// [`Error::Seal`] when the application has none, or the root key does not open it.
    pub fn application_key(&mut self, application: ApplicationId) -> Result<Arc<ApplicationKey>> {
        let shared = self.shared;
        let known =
            shared.keyring.newest.lock().unwrap_or_else(PoisonError::into_inner).get(&application).copied();
        let version = match known {
            Some(version) => version,
            None => self
                .query_opt(NEWEST_APPLICATION_KEY, params![application], |row| row.get(0))?
                .ok_or(Error::Seal)?,
        };
        let key = self.application_key_version(application, version)?;
        if known.is_none() {
            shared.keyring.newest.lock().unwrap_or_else(PoisonError::into_inner).insert(application, version);
        }
        Ok(key)
    }

    /// The application's key of one version, for opening what an older one sealed.
    fn application_key_version(
        &mut self,
        application: ApplicationId,
        version: u32,
    ) -> Result<Arc<ApplicationKey>> {
        let shared = self.shared;
        let cache = &shared.keyring.applications;
        if let Some(key) = cache.lock().unwrap_or_else(PoisonError::into_inner).get(&(application, version)) {
            return Ok(Arc::clone(key));
        }
        let (wrapped, wrapped_index) = self
            .query_opt(FIND_APPLICATION_KEY, params![application, version], |row| {
                Ok((row.get::<Vec<u8>>(0)?, row.get::<Vec<u8>>(1)?))
            })?
            .ok_or(Error::Seal)?;
        let key = shared.keyring.open_by_root(&root_place(application, version, "key"), &wrapped)?;
        let index =
            shared.keyring.open_by_root(&root_place(application, version, "index"), &wrapped_index)?;
        let key = Arc::new(ApplicationKey { application, version, key, index });
        cache.lock().unwrap_or_else(PoisonError::into_inner).insert((application, version), Arc::clone(&key));
        Ok(key)
    }

    /// Opens a value that [`ApplicationKey::seal`] made, whichever version it names.
    ///
    /// # Errors
    /// [`Error::Seal`].
    pub fn open_application_value(
        &mut self,
        application: ApplicationId,
        object: impl ToString,
        column: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>> {
        self.application_key_version(application, version_of(sealed)?)?.open(object, column, sealed)
    }

    /// Gives a new application its first key.
    pub(crate) fn create_application_key(&mut self, application: ApplicationId) -> Result<()> {
        let index = Key::generate(self.random());
        self.insert_application_key(application, 1, &index).map(|_| ())
    }

    fn insert_application_key(
        &mut self,
        application: ApplicationId,
        version: u32,
        index: &Key,
    ) -> Result<()> {
        let key = Key::generate(self.random());
        let root = self.shared.keyring.root()?;
        let wrapped = root.seal(1, self.random(), &root_place(application, version, "key"), &key.0)?;
        let wrapped_index =
            root.seal(1, self.random(), &root_place(application, version, "index"), &index.0)?;
        let now = self.now();
        self.execute(INSERT_APPLICATION_KEY, params![application, version, wrapped, wrapped_index, now])?;
        Ok(())
    }

    /// Gives a new subject its key.
    pub(crate) fn create_subject_key(
        &mut self,
        application: ApplicationId,
        subject: SubjectId,
    ) -> Result<SubjectKey> {
        let key = Key::generate(self.random());
        let by = self.application_key(application)?;
        let wrapped = by.wrap_subject_key(self.random(), subject, &key)?;
        self.defer(INSERT_SUBJECT_KEY, params![application, subject, 1_i64, by.version, wrapped])?;
        Ok(SubjectKey { application, subject, version: 1, key })
    }

    /// The key of a subject. It is read and unwrapped at every use, so that an erasure holds at once.
    ///
    /// # Errors
    /// [`Error::NoSubjectKey`] after an erasure.
    pub fn subject_key(&mut self, application: ApplicationId, subject: SubjectId) -> Result<SubjectKey> {
        let found = self.query_opt(FIND_SUBJECT_KEY, params![application, subject], |row| {
            Ok((row.get::<u32>(0)?, row.get::<Vec<u8>>(1)?))
        })?;
        let (version, wrapped) = found.ok_or(Error::NoSubjectKey)?;
        self.unwrap_subject_key(application, subject, version, &wrapped)
    }

    /// Unwraps a subject's key that a query has joined in.
    pub(crate) fn unwrap_subject_key(
        &mut self,
        application: ApplicationId,
        subject: SubjectId,
        version: u32,
        wrapped: &[u8],
    ) -> Result<SubjectKey> {
        let by = self.application_key_version(application, version_of(wrapped)?)?;
        Ok(SubjectKey { application, subject, version, key: by.unwrap_subject_key(subject, wrapped)? })
    }

    pub(crate) fn delete_subject_keys(
        &mut self,
        application: ApplicationId,
        subject: SubjectId,
    ) -> Result<u64> {
        self.execute(DELETE_SUBJECT_KEYS, params![application, subject])
    }
}

/// Rotation, in pieces that each fit one transaction; `Store::rotate_*` drives them.
pub(crate) mod rotation {
    use super::{
        AUDIT_KEY, ApplicationId, Arc, Error, FIND_SYSTEM_KEY, Key, Keyring, LIST_APPLICATION_KEYS,
        LIST_SYSTEM_KEYS, NEWEST_APPLICATION_KEY, OLD_SUBJECT_KEYS, PoisonError, REWRAP_APPLICATION_KEY,
        REWRAP_SUBJECT_KEY, REWRAP_SYSTEM_KEY, Result, SubjectId, Tx, Zeroizing, place, root_place,
    };

    /// Makes a new newest key for the application; subjects still hang on the old one.
    pub(crate) fn add_application_key(tx: &mut Tx<'_>, application: ApplicationId) -> Result<u32> {
        let newest: u32 = tx
            .query_opt(NEWEST_APPLICATION_KEY, params![application], |row| row.get(0))?
            .ok_or(Error::Seal)?;
        let index = tx.application_key_version(application, newest)?.index.clone();
        tx.insert_application_key(application, newest + 1, &index)?;
        Ok(newest + 1)
    }

    /// Rewraps up to `most` subject keys; returns how many there were.
    pub(crate) fn rewrap_subject_keys(
        tx: &mut Tx<'_>,
        application: ApplicationId,
        version: u32,
        most: i64,
    ) -> Result<usize> {
        let newest = tx.application_key_version(application, version)?;
        let old = tx.query(OLD_SUBJECT_KEYS, params![application, version, most], |row| {
            Ok((row.get::<SubjectId>(0)?, row.get::<u32>(1)?, row.get::<Vec<u8>>(2)?))
        })?;
        for (subject, subject_version, wrapped) in &old {
            let by: Arc<super::ApplicationKey> =
                tx.application_key_version(application, super::version_of(wrapped)?)?;
            let key = by.unwrap_subject_key(*subject, wrapped)?;
            let wrapped = newest.wrap_subject_key(tx.random(), *subject, &key)?;
            tx.defer(REWRAP_SUBJECT_KEY, params![application, *subject, *subject_version, wrapped, version])?;
        }
        Ok(old.len())
    }

    /// Rewraps everything that hangs on the root: afterwards the old root opens nothing.
    pub(crate) fn rewrap_root(tx: &mut Tx<'_>, new: &Key) -> Result<()> {
        let systems =
            tx.query(LIST_SYSTEM_KEYS, params![], |row| Ok((row.get::<String>(0)?, row.get::<Vec<u8>>(1)?)))?;
        for (name, wrapped) in systems {
            let place = place(&[b"system key", name.as_bytes()]);
            let key = tx.shared.keyring.open_by_root(&place, &wrapped)?;
            let wrapped = new.seal(1, tx.random(), &place, &key.0)?;
            tx.execute(REWRAP_SYSTEM_KEY, params![name, wrapped])?;
        }
        let keys = tx.query(LIST_APPLICATION_KEYS, params![], |row| {
            Ok((
                row.get::<ApplicationId>(0)?,
                row.get::<u32>(1)?,
                row.get::<Vec<u8>>(2)?,
                row.get::<Vec<u8>>(3)?,
            ))
        })?;
        for (application, version, wrapped, wrapped_index) in keys {
            let again = |what: &str, wrapped: &[u8]| {
                let place = root_place(application, version, what);
                let key = tx.shared.keyring.open_by_root(&place, wrapped)?;
                new.seal(1, tx.random(), &place, &key.0)
            };
            let (wrapped, wrapped_index) = (again("key", &wrapped)?, again("index", &wrapped_index)?);
            tx.execute(REWRAP_APPLICATION_KEY, params![application, version, wrapped, wrapped_index])?;
        }
        Ok(())
    }

    /// Whether a root key opens this database.
    pub(crate) fn opens(tx: &mut Tx<'_>, root: &Key) -> Result<bool> {
        let place = place(&[b"system key", AUDIT_KEY.as_bytes()]);
        let stored = tx.query_opt(FIND_SYSTEM_KEY, params![AUDIT_KEY], |row| row.get::<Vec<u8>>(0))?;
        Ok(stored.is_none_or(|wrapped| root.open(&place, &wrapped).map(Zeroizing::new).is_ok()))
    }

    impl Keyring {
        /// Replaces the roots this process tries, the present one first.
        pub(crate) fn set_roots(&self, roots: Vec<Key>) {
            *self.roots.write().unwrap_or_else(PoisonError::into_inner) = roots;
        }
        /// The present root.
        pub(crate) fn present_root(&self) -> Result<Key> {
            self.root()
        }
        /// From now on the application seals with this version.
        pub(crate) fn set_newest(&self, application: ApplicationId, version: u32) {
            self.newest.lock().unwrap_or_else(PoisonError::into_inner).insert(application, version);
        }
    }
}

/// Reads a key file; refuses one that others may read.
pub(crate) fn read_key_file(path: &Path) -> Result<Key> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs_err::metadata(path)
            .map_err(|source| Error::RootKey(format!("cannot be read: {source}")))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(Error::RootKey(format!(
                "file may be read by others (mode {:o}; chmod 600 it)",
                mode & 0o777
            )));
        }
    }
    let text = Zeroizing::new(
        fs_err::read_to_string(path).map_err(|source| Error::RootKey(format!("cannot be read: {source}")))?,
    );
    Key::from_hex(&text)
}

/// Writes a key file of mode 0600 that did not exist, and syncs it and its folder.
pub(crate) fn write_key_file(path: &Path, key: &Key) -> Result<()> {
    use std::io::Write;
    let failed = |source: std::io::Error| Error::RootKey(format!("cannot be written: {source}"));
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(format!("{}\n", key.to_hex().as_str()).as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    if let Some(folder) = path.parent() {
        fs_err::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests_support {
    use super::{ApplicationId, Key, SubjectId, SubjectKey};

    /// A subject's key that hangs on nothing, with ids of zeros.
    pub(crate) fn subject_key(key: &Key) -> SubjectKey {
        SubjectKey {
            application: ApplicationId(uuid::Uuid::nil()),
            subject: SubjectId(uuid::Uuid::nil()),
            version: 1,
            key: key.clone(),
        }
    }
}
