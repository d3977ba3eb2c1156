//! Keeps sealed files in a local folder or any S3.
//!
//! Names are made by the server and say nothing; contents are sealed before they
//! come here. A file in the folder is written beside its place, synced, renamed
//! and its folder synced, so a name that a committed row holds is always whole.
//! The row comes after the file: a crash between leaves an orphan, which
//! [`crate::Store::collect_orphans`] removes.

use crate::clock::Random;
use crate::error::{Error, Result};
use crate::fail;
use bytes::Bytes;
use futures_util::StreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Name of a blob: 32 hexadecimal digits, random.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct BlobId(String);

impl BlobId {
    /// A new name.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self(hex::encode(bytes))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `None` for anything that is not 32 lower-case hexadecimal digits, so no name leaves its folder.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(text.to_owned()))
    }

    fn path(&self) -> (&str, &str) {
        (self.0.get(..2).unwrap_or_default(), &self.0)
    }
}

impl std::fmt::Display for BlobId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl crate::Bind for BlobId {
    fn bind(&self) -> crate::Value<'_> {
        self.0.bind()
    }
}

impl crate::FromColumn for BlobId {
    fn from_column(value: crate::ValueRef<'_>) -> Option<Self> {
        String::from_column(value).and_then(|text| Self::parse(&text))
    }
}

/// A file as the store's folder lists it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) id: BlobId,
    pub(crate) age: Duration,
}

/// Where blobs are.
#[derive(Debug, Clone)]
pub struct Blobs(Place);

#[derive(Debug, Clone)]
enum Place {
    Folder(Arc<PathBuf>),
    S3 { store: Arc<dyn ObjectStore>, prefix: Key },
}

fn failed(source: impl Into<crate::error::Source>) -> Error {
    Error::Blob(source.into())
}

fn io_failed(source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::StorageFull {
        Error::Full(Box::new(source))
    } else {
        failed(source)
    }
}

impl Blobs {
    /// A local folder, made when it is missing.
    ///
    /// # Errors
    /// [`Error::Folder`] when it cannot be made.
    pub fn folder(folder: &Path) -> Result<Self> {
        fs_err::create_dir_all(folder.join("incoming"))
            .map_err(|source| Error::Folder("blob folder cannot be made".to_owned(), Box::new(source)))?;
        Ok(Self(Place::Folder(Arc::new(folder.to_owned()))))
    }

    /// `s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&path_style=true]`; credentials from the usual
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and so on. `file:///PATH` is a folder.
    ///
    /// # Errors
    /// [`Error::Config`] for another scheme or a malformed URL.
    pub fn from_url(url: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("file://") {
            return Self::folder(Path::new(path));
        }
        let rest = url.strip_prefix("s3://").ok_or_else(|| {
            Error::Config(
                "blob store must be file:///PATH or s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME]"
                    .to_owned(),
            )
        })?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            builder = match name {
                "endpoint" => builder.with_endpoint(value).with_allow_http(value.starts_with("http://")),
                "region" => builder.with_region(value),
                "path_style" => builder.with_virtual_hosted_style_request(value == "false"),
                _ => return Err(Error::Config(format!("blob store URL has an unknown setting {name}"))),
            };
        }
        let store = builder.build().map_err(|source| Error::Config(format!("blob store: {source}")))?;
        Ok(Self(Place::S3 { store: Arc::new(store), prefix: Key::from(prefix) }))
    }

    #[cfg(test)]
    pub(crate) fn from_store(store: impl ObjectStore, prefix: &str) -> Self {
        Self(Place::S3 { store: Arc::new(store), prefix: Key::from(prefix) })
    }

    /// Writes a blob; when this returns, it is on the disk (or acknowledged by the S3).
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Blob`].
    pub async fn put(&self, id: &BlobId, bytes: Vec<u8>) -> Result<()> {
        match &self.0 {
            Place::Folder(folder) => {
                let (folder, id) = (Arc::clone(folder), id.clone());
                blocking(move || write_file(&folder, &id, &bytes)).await
            }
            Place::S3 { store, prefix } => {
                fail::hit("blob.write")?;
                store.put(&key(prefix, id), PutPayload::from(bytes)).await.map(|_| ()).map_err(failed)
            }
        }
    }

    /// Reads a blob; `None` when there is none of this name.
    ///
    /// # Errors
    /// [`Error::Blob`].
    pub async fn get(&self, id: &BlobId) -> Result<Option<Bytes>> {
        match &self.0 {
            Place::Folder(folder) => {
                let path = file_of(folder, id);
                blocking(move || match fs_err::read(path) {
                    Ok(bytes) => Ok(Some(Bytes::from(bytes))),
                    Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(io_failed(source)),
                })
                .await
            }
            Place::S3 { store, prefix } => match store.get(&key(prefix, id)).await {
                Ok(found) => found.bytes().await.map(Some).map_err(failed),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(source) => Err(failed(source)),
            },
        }
    }

    /// Removes a blob; one that is not there is no error.
    ///
    /// # Errors
    /// [`Error::Blob`].
    pub async fn delete(&self, id: &BlobId) -> Result<()> {
        match &self.0 {
            Place::Folder(folder) => {
                let path = file_of(folder, id);
                blocking(move || {
                    fail::hit("blob.remove")?;
                    match fs_err::remove_file(path) {
                        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                            Err(io_failed(source))
                        }
                        _ => Ok(()),
                    }
                })
                .await
            }
            Place::S3 { store, prefix } => {
                fail::hit("blob.remove")?;
                match store.delete(&key(prefix, id)).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(source) => Err(failed(source)),
                }
            }
        }
    }

    /// All blobs with their age by the file system's (or the S3's) clock.
    pub(crate) async fn list(&self, now: crate::Time) -> Result<Vec<Listed>> {
        match &self.0 {
            Place::Folder(folder) => {
                let folder = Arc::clone(folder);
                blocking(move || list_folder(&folder)).await
            }
            Place::S3 { store, prefix } => {
                let mut listed = Vec::new();
                let mut stream = store.list(Some(prefix));
                while let Some(meta) = stream.next().await {
                    let meta = meta.map_err(failed)?;
                    let age = now.micros().saturating_sub(meta.last_modified.timestamp_micros());
                    if let Some(id) = meta.location.filename().and_then(BlobId::parse) {
                        listed
                            .push(Listed { id, age: Duration::from_micros(u64::try_from(age).unwrap_or(0)) });
                    }
                }
                Ok(listed)
            }
        }
    }

    /// Removes half-written files older than `age` (local folder only; an S3 shows no halves).
    pub(crate) async fn clear_incoming(&self, age: Duration) -> Result<u64> {
        let Place::Folder(folder) = &self.0 else { return Ok(0) };
        let incoming = folder.join("incoming");
        blocking(move || {
            let mut removed = 0;
            for entry in fs_err::read_dir(incoming).map_err(io_failed)? {
                let entry = entry.map_err(io_failed)?;
                if age_of(&entry.metadata().map_err(io_failed)?) >= age {
                    fs_err::remove_file(entry.path()).map_err(io_failed)?;
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(run: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(run).await.map_err(failed)?
}

fn key(prefix: &Key, id: &BlobId) -> Key {
    let (shard, name) = id.path();
    prefix.clone().join(shard).join(name)
}

fn file_of(folder: &Path, id: &BlobId) -> PathBuf {
    let (shard, name) = id.path();
    folder.join(shard).join(name)
}

fn write_file(folder: &Path, id: &BlobId, bytes: &[u8]) -> Result<()> {
    let temporary = folder.join("incoming").join(id.as_str());
    let written = (|| {
        fail::hit("blob.create")?;
        let mut file = fs_err::File::create_new(&temporary).map_err(io_failed)?;
        fail::hit("blob.write")?;
        file.write_all(bytes).map_err(io_failed)?;
        fail::hit("blob.sync")?;
        file.sync_all().map_err(io_failed)?;
        drop(file);
        let path = file_of(folder, id);
        let shard = path.parent().unwrap_or(folder);
        if !shard.exists() {
            fs_err::create_dir_all(shard).map_err(io_failed)?;
            sync_folder(folder)?;
        }
        fail::hit("blob.rename")?;
        fs_err::rename(&temporary, &path).map_err(io_failed)?;
        sync_folder(shard)
    })();
    if written.is_err() {
        // Best effort: what stays behind is collected later.
        drop(fs_err::remove_file(&temporary));
    }
    written
}

fn sync_folder(folder: &Path) -> Result<()> {
    fail::hit("blob.sync-folder")?;
    fs_err::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_failed)
}

fn age_of(metadata: &std::fs::Metadata) -> Duration {
    metadata.modified().ok().and_then(|time| time.elapsed().ok()).unwrap_or_default()
}

fn list_folder(folder: &Path) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for shard in fs_err::read_dir(folder).map_err(io_failed)? {
        let shard = shard.map_err(io_failed)?;
        if shard.file_name().len() != 2 {
            continue;
        }
        for file in fs_err::read_dir(shard.path()).map_err(io_failed)? {
            let file = file.map_err(io_failed)?;
            if let Some(id) = file.file_name().to_str().and_then(BlobId::parse) {
                listed.push(Listed { id, age: age_of(&file.metadata().map_err(io_failed)?) });
            }
        }
    }
    Ok(listed)
}
