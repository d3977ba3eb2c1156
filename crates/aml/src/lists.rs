//! Versions of watch-lists: what an index was built from, and the folder that keeps them.
//!
//! ```text
//! DIR/lists/ofac/current                      the version in use
//! DIR/lists/ofac/3f2a…/version.json           [`ListVersion`]
//! DIR/lists/ofac/3f2a…/sequence               its number in the order of imports
//! DIR/lists/ofac/3f2a…/entities.jsonl         one entity a line
//! ```
//! A version is written beside the last and becomes current by renaming one small
//! file, so a crash leaves the old one in use. A list that shrank too much or does
//! not parse is refused and the last good one stays.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::import::{Format, ImportError, import};
use crate::index::Builder;
use crate::model::Entity;
use crate::screen::{ENGINE_VERSION, INDEX_FILE};

/// One version of one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListVersion {
    /// The list: `ofac`, `un`, or the operator's name for it.
    pub list: String,
    /// The format it came in.
    pub format: Format,
    /// SHA-256 of the source, lower-case hex.
    pub sha256: String,
    /// The date the publisher gives, or empty.
    pub published_at: String,
    /// When it was imported, seconds since 1970; 0 where nobody recorded it.
    pub imported_at: u64,
    /// Entries.
    pub entities: u64,
    /// Names.
    pub names: u64,
    /// Records left out because they had no usable name.
    pub skipped: u64,
}

/// What an index was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the matcher that built it.
    pub engine_version: String,
    /// The lists.
    pub lists: Vec<ListVersion>,
}

impl Manifest {
    /// Reads `manifest.json` of an index folder.
    #[must_use]
    pub fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs_err::read(dir.join("manifest.json")).ok()?).ok()
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, dir: &Path) -> std::io::Result<()> {
        replace(&dir.join("manifest.json"), &serde_json::to_vec_pretty(self)?)
    }
}

/// Why a list was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It could not be read.
    #[error("importing the list")]
    Import(#[from] ImportError),
    /// The store could not be read or written.
    #[error("working in the list store")]
    Io(#[from] std::io::Error),
    /// A stored record is damaged.
    #[error("reading a stored list")]
    Json(#[from] serde_json::Error),
    /// It has far fewer entries than the version in use.
    #[error(
        "the new version has {new} entries and the one in use {old}: refused as incomplete (allowed loss {allowed_percent} %)"
    )]
    Shrank {
        /// Entries in use.
        old: u64,
        /// Entries of the refused version.
        new: u64,
        /// What would have been allowed.
        allowed_percent: u32,
    },
    /// It has no entries.
    #[error("the list has no entries")]
    Empty,
    /// No such list or version.
    #[error("no list {0} is stored")]
    Unknown(String),
    /// The name of a list is used as a folder.
    #[error("a list is named with 1 to 40 lower-case letters, digits or hyphens")]
    BadName,
}

/// How one entity changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its key.
    pub key: String,
    /// Added, modified or removed.
    pub kind: ChangeKind,
    /// Which fields differ: `names`, `births`, `countries`, `identifiers`, `gender`, `topics`, `schema`, `details`.
    pub fields: Vec<String>,
    /// True when a field that decides a match changed.
    pub material: bool,
}

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The entry is new.
    Added,
    /// The entry is not as it was.
    Modified,
    /// The entry is gone.
    Removed,
}

/// The changes between two versions of a list, by key, and the entities as they are now (or last were).
pub fn diff<'a>(old: &'a [Entity], new: &'a [Entity]) -> Vec<(Change, &'a Entity)> {
    let before: HashMap<&str, &Entity> = old.iter().map(|e| (e.key.as_str(), e)).collect();
    let now: HashMap<&str, &Entity> = new.iter().map(|e| (e.key.as_str(), e)).collect();
    let mut out = Vec::new();
    for entity in new {
        match before.get(entity.key.as_str()) {
            None => out.push((
                Change {
                    key: entity.key.clone(),
                    kind: ChangeKind::Added,
                    fields: Vec::new(),
                    material: true,
                },
                entity,
            )),
            Some(previous) if *previous != entity => {
                let fields = changed_fields(previous, entity);
                if !fields.is_empty() {
                    let material = previous.fingerprint() != entity.fingerprint();
                    out.push((
                        Change { key: entity.key.clone(), kind: ChangeKind::Modified, fields, material },
                        entity,
                    ));
                }
            }
            Some(_) => {}
        }
    }
    for entity in old {
        if !now.contains_key(entity.key.as_str()) {
            out.push((
                Change {
                    key: entity.key.clone(),
                    kind: ChangeKind::Removed,
                    fields: Vec::new(),
                    material: true,
                },
                entity,
            ));
        }
    }
    out
}

fn changed_fields(a: &Entity, b: &Entity) -> Vec<String> {
    fn same<T: Ord + Clone>(a: &[T], b: &[T]) -> bool {
        let (mut a, mut b) = (a.to_vec(), b.to_vec());
        a.sort();
        b.sort();
        a == b
    }
    let mut fields = Vec::new();
    let mut note = |same: bool, name: &str| {
        if !same {
            fields.push(name.to_owned());
        }
    };
    note(same(&a.names, &b.names), "names");
    note(same(&a.births, &b.births), "births");
    note(same(&a.countries, &b.countries), "countries");
    note(same(&a.identifiers, &b.identifiers), "identifiers");
    note(a.gender == b.gender, "gender");
    note(same(&a.topics, &b.topics), "topics");
    note(a.schema == b.schema, "schema");
    let details = same(&a.programs, &b.programs)
        && same(&a.addresses, &b.addresses)
        && same(&a.notes, &b.notes)
        && same(&a.positions, &b.positions);
    note(details, "details");
    fields
}

/// How a stored list stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListStatus {
    /// The version in use.
    pub current: ListVersion,
    /// Seconds since it was imported, or since its publisher had nothing newer.
    pub age_s: u64,
    /// True when it is older than it should be: an alarm.
    pub stale: bool,
    /// Versions kept, newest first.
    pub versions: Vec<String>,
    /// The last refusal, if the last import was refused.
    pub refused: Option<String>,
}

/// A folder of list versions.
#[derive(Clone, Debug)]
pub struct ListStore {
    dir: PathBuf,
    /// Loss of entries, in percent, from which a version is refused.
    pub allowed_loss_percent: u32,
    /// Age, in seconds, from which a list is stale.
    pub stale_after_s: u64,
}

impl ListStore {
    /// The store in `dir`; nothing is written until something is imported.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.join("lists"), allowed_loss_percent: 5, stale_after_s: 3 * 86_400 }
    }

    fn folder(&self, list: &str) -> Result<PathBuf, ListError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if list.is_empty() || list.len() > 40 || !list.chars().all(plain) {
            return Err(ListError::BadName);
        }
        Ok(self.dir.join(list))
    }

    /// Takes a new version of a list and makes it current.
    ///
    /// # Errors
    /// When it cannot be read or is refused; the version in use stays in use and the refusal is noted.
    pub fn import(
        &self,
        list: &str,
        format: Format,
        source: &Path,
        now: u64,
        force: bool,
    ) -> Result<(ListVersion, Vec<Change>), ListError> {
        let folder = self.folder(list)?;
        noted(&folder, self.take(&folder, list, format, source, now, force))
    }

    fn take(
        &self,
        folder: &Path,
        list: &str,
        format: Format,
        source: &Path,
        now: u64,
        force: bool,
    ) -> Result<(ListVersion, Vec<Change>), ListError> {
        let mut entities = Vec::new();
        let summary = import(format, source, &mut |mut entity| {
            // What stands before the colon of a key is its list: two lists of one format have the same ids.
            if let Some((_, id)) = entity.key.split_once(':').filter(|(prefix, _)| *prefix != list) {
                entity.key = format!("{list}:{id}");
            }
            entities.push(entity);
        })?;
        let version = ListVersion {
            list: list.to_owned(),
            format,
            sha256: hash_source(source)?,
            published_at: summary.published_at,
            imported_at: now,
            entities: entities.len() as u64,
            names: summary.names,
            skipped: summary.skipped,
        };
        let changes = self.keep(folder, &version, &entities, force)?;
        Ok((version, changes))
    }

    /// Takes a version that another installation imported, as a signed bundle brings it.
    ///
    /// # Errors
    /// When it is refused or cannot be written; the version in use stays in use and the refusal is noted.
    pub fn adopt(
        &self,
        version: &ListVersion,
        entities: &[Entity],
        force: bool,
    ) -> Result<Vec<Change>, ListError> {
        let folder = self.folder(&version.list)?;
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if version.sha256.len() != 64 || !version.sha256.chars().all(hex) {
            return Err(ListError::BadName);
        }
        noted(&folder, self.keep(&folder, version, entities, force))
    }

    /// Stores a version and makes it current, unless it lost too many entries.
    fn keep(
        &self,
        folder: &Path,
        version: &ListVersion,
        entities: &[Entity],
        force: bool,
    ) -> Result<Vec<Change>, ListError> {
        if entities.is_empty() {
            return Err(ListError::Empty);
        }
        let old = self.entities(&version.list).unwrap_or_default();
        let (was, is) = (old.len() as u64, entities.len() as u64);
        if !force && is * 100 < was * u64::from(100 - self.allowed_loss_percent.min(100)) {
            return Err(ListError::Shrank { old: was, new: is, allowed_percent: self.allowed_loss_percent });
        }
        let place = folder.join(&version.sha256[..16]);
        fs_err::create_dir_all(&place)?;
        let mut out = BufWriter::new(fs_err::File::create(place.join("entities.jsonl.new"))?);
        for entity in entities {
            serde_json::to_writer(&mut out, entity)?;
            out.write_all(b"\n")?;
        }
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        fs_err::rename(place.join("entities.jsonl.new"), place.join("entities.jsonl"))?;
        let last = self.kept(&version.list)?.first().map_or(0, |kept| kept.0);
        replace(&place.join("sequence"), (last + 1).to_string().as_bytes())?;
        replace(&place.join("version.json"), &serde_json::to_vec_pretty(version)?)?;
        replace(&folder.join("current"), &version.sha256.as_bytes()[..16])?;
        Ok(diff(&old, entities).into_iter().map(|c| c.0).collect())
    }

    /// Notes that the publisher was asked at `now` and has nothing newer: the version in use is not stale.
    ///
    /// # Errors
    /// When the list is not stored or the note cannot be written.
    pub fn checked(&self, list: &str, now: u64) -> Result<(), ListError> {
        let folder = self.folder(list)?;
        self.current(list)?;
        replace(&folder.join("checked"), now.to_string().as_bytes())?;
        Ok(())
    }

    /// Notes that the publisher's present version could not be taken: [`Self::status`] shows it.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn refused(&self, list: &str, reason: &str) -> Result<(), ListError> {
        let folder = self.folder(list)?;
        fs_err::create_dir_all(&folder)?;
        replace(&folder.join("refused"), reason.as_bytes())?;
        Ok(())
    }

    /// The names of the stored lists.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(&self.dir) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|e| e.path().join("current").exists())
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The version of a list that is in use.
    ///
    /// # Errors
    /// When the list is not stored or its record is damaged.
    pub fn current(&self, list: &str) -> Result<ListVersion, ListError> {
        let folder = self.folder(list)?;
        let current = fs_err::read_to_string(folder.join("current"))
            .map_err(|_| ListError::Unknown(list.to_owned()))?;
        self.version(list, current.trim())
    }

    fn version(&self, list: &str, version: &str) -> Result<ListVersion, ListError> {
        let bytes = fs_err::read(self.folder(list)?.join(version).join("version.json"))
            .map_err(|_| ListError::Unknown(format!("{list} {version:.20}")))?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// The versions of a list with their numbers, the last imported first. Two imports may fall in one second; a
    /// version kept by an older program has no number and comes after those that have.
    fn kept(&self, list: &str) -> Result<Vec<(u64, ListVersion)>, ListError> {
        let folder = self.folder(list)?;
        let mut versions: Vec<(u64, ListVersion)> = fs_err::read_dir(&folder)?
            .flatten()
            .filter_map(|entry| {
                let version = self.version(list, &entry.file_name().to_string_lossy()).ok()?;
                let sequence = fs_err::read_to_string(entry.path().join("sequence"));
                Some((sequence.ok().and_then(|text| text.parse().ok()).unwrap_or(0), version))
            })
            .collect();
        versions.sort_by_key(|(sequence, version)| std::cmp::Reverse((*sequence, version.imported_at)));
        Ok(versions)
    }

    /// The version of a list that was in use at some time (seconds since 1970), as far as it is kept.
    ///
    /// # Errors
    /// When the list is not stored or its record is damaged.
    pub fn version_at(&self, list: &str, at: u64) -> Result<Option<ListVersion>, ListError> {
        let kept = self.kept(list)?;
        Ok(kept.into_iter().map(|(_, version)| version).find(|version| version.imported_at <= at))
    }

    /// The entities of the version in use.
    ///
    /// # Errors
    /// When the list is not stored or damaged.
    pub fn entities(&self, list: &str) -> Result<Vec<Entity>, ListError> {
        let current = self.current(list)?;
        self.entities_of(list, &current.sha256[..16])
    }

    /// The entities of one version, by the first characters of its hash.
    ///
    /// # Errors
    /// When there is no such version or it is damaged.
    pub fn entities_of(&self, list: &str, version: &str) -> Result<Vec<Entity>, ListError> {
        if !version.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(ListError::Unknown(list.to_owned()));
        }
        let file = fs_err::File::open(self.folder(list)?.join(version).join("entities.jsonl"))?;
        let mut out = Vec::new();
        for line in BufReader::new(file).lines() {
            out.push(serde_json::from_str(&line?)?);
        }
        Ok(out)
    }

    /// How every list stands at `now` (seconds since 1970).
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn status(&self, now: u64) -> Result<Vec<ListStatus>, ListError> {
        let mut out = Vec::new();
        for list in self.names() {
            let current = self.current(&list)?;
            let folder = self.folder(&list)?;
            let versions = self.kept(&list)?;
            let asked = fs_err::read_to_string(folder.join("checked")).ok().and_then(|t| t.parse().ok());
            let age_s = now.saturating_sub(current.imported_at.max(asked.unwrap_or(0)));
            out.push(ListStatus {
                stale: age_s > self.stale_after_s,
                age_s,
                versions: versions.into_iter().map(|(_, v)| v.sha256[..16].to_owned()).collect(),
                refused: fs_err::read_to_string(folder.join("refused")).ok(),
                current,
            });
        }
        Ok(out)
    }

    /// Builds an index of all current versions into `out`.
    ///
    /// # Errors
    /// When a list is damaged or the folder cannot be written.
    pub fn build(&self, out: &Path) -> Result<Manifest, ListError> {
        let mut builder = Builder::new();
        let mut manifest = Manifest { engine_version: ENGINE_VERSION.to_owned(), lists: Vec::new() };
        for list in self.names() {
            for entity in self.entities(&list)? {
                builder.add(&entity)?;
            }
            manifest.lists.push(self.current(&list)?);
        }
        write_index(builder, &manifest, out)?;
        Ok(manifest)
    }
}

/// Notes a refusal beside the list, or takes the last note away.
fn noted<T>(folder: &Path, outcome: Result<T, ListError>) -> Result<T, ListError> {
    match &outcome {
        Ok(_) => {
            let _ = fs_err::remove_file(folder.join("refused"));
        }
        Err(error) => {
            fs_err::create_dir_all(folder)?;
            replace(&folder.join("refused"), error.to_string().as_bytes())?;
        }
    }
    outcome
}

/// Imports lists straight into an index folder, without keeping versions.
///
/// # Errors
/// When a list cannot be read or the folder cannot be written.
pub fn index_lists(lists: &[(Format, PathBuf)], out: &Path, now: u64) -> Result<Manifest, ListError> {
    let mut builder = Builder::new();
    let mut manifest = Manifest { engine_version: ENGINE_VERSION.to_owned(), lists: Vec::new() };
    for (format, path) in lists {
        let mut failed = None;
        let summary = import(*format, path, &mut |entity| {
            if let Err(error) = builder.add(&entity) {
                failed = Some(error);
            }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        manifest.lists.push(ListVersion {
            list: format.prefix().to_owned(),
            format: *format,
            sha256: hash_source(path)?,
            published_at: summary.published_at,
            imported_at: now,
            entities: summary.entities,
            names: summary.names,
            skipped: summary.skipped,
        });
    }
    write_index(builder, &manifest, out)?;
    Ok(manifest)
}

/// Writes index and manifest; the index appears under its name only when it is complete.
fn write_index(builder: Builder, manifest: &Manifest, out: &Path) -> Result<(), ListError> {
    fs_err::create_dir_all(out)?;
    let new = out.join(format!("{INDEX_FILE}.new"));
    builder.write(&new)?;
    fs_err::rename(&new, out.join(INDEX_FILE))?;
    manifest.write(out)?;
    Ok(())
}

/// Writes a file under another name, syncs it and renames it over the old one.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs_err::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs_err::rename(new, path)
}

/// SHA-256 of a file, or of the files of a folder with their names in order.
fn hash_source(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = fs_err::read_dir(path)?.flatten().map(|e| e.path()).filter(|p| p.is_file()).collect();
        files.sort();
    }
    let mut buffer = vec![0; 1 << 16];
    for file in files {
        hasher.update(
            file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default().as_bytes(),
        );
        let mut input = fs_err::File::open(&file)?;
        loop {
            let n = input.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
    }
    Ok(hex::encode(hasher.finalize()))
}
