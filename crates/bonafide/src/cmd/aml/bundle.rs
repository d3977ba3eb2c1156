//! Carries the lists of one data folder to a machine without a network, signed.
//!
//! File: the magic, the length of the manifest (4 bytes, little-endian), the manifest as JSON, an Ed25519 signature
//! (RFC 8032) of everything before it, then the entries of each list in the manifest's order. The manifest holds the
//! size and SHA-256 of each, so one signature covers every byte. It is checked first; nothing is taken before
//! all parts have been seen to be whole.

use std::io::{BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aml::Entity;
use aml::lists::{ListStore, ListVersion};
use anyhow::{Context, bail, ensure};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 8] = b"BFLISTS1";
const SIGNATURE: usize = 64;
/// Most that a manifest may have.
const MAX_MANIFEST: u32 = 1 << 20;
/// Most that the entries of one list may have.
const MAX_PART: u64 = 4 << 30;

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    created_at: u64,
    parts: Vec<Part>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Part {
    version: ListVersion,
    size_bytes: u64,
    sha256: String,
}

/// Makes a key file, readable by its owner alone, and gives the public key in hex.
pub(super) fn keygen(path: &Path) -> anyhow::Result<String> {
    let document = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new())
        .map_err(|_| anyhow::anyhow!("no key could be made"))?;
    let key = read_key(document.as_ref())?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))?;
    file.write_all(document.as_ref())?;
    file.sync_all()?;
    Ok(hex::encode(key.public_key().as_ref()))
}

fn read_key(pkcs8: &[u8]) -> anyhow::Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| anyhow::anyhow!("the key file holds no Ed25519 key"))
}

/// Signs the current version of every list into one file; gives their number.
pub(super) fn create(data: &Path, key: &Path, out: &Path, now: u64) -> anyhow::Result<usize> {
    let key = read_key(&fs_err::read(key)?)?;
    let store = ListStore::new(data);
    let mut manifest = Manifest { created_at: now, parts: Vec::new() };
    let mut contents = Vec::new();
    for list in store.names() {
        let version = store.current(&list)?;
        let mut lines = Vec::new();
        for entity in store.entities(&list)? {
            serde_json::to_writer(&mut lines, &entity)?;
            lines.push(b'\n');
        }
        let sha256 = hex::encode(Sha256::digest(&lines));
        manifest.parts.push(Part { version, size_bytes: lines.len() as u64, sha256 });
        contents.push(lines);
    }
    ensure!(!contents.is_empty(), "no list is stored in {}", data.display());
    let text = serde_json::to_vec(&manifest)?;
    let mut head = MAGIC.to_vec();
    head.extend(u32::try_from(text.len()).context("too many lists")?.to_le_bytes());
    head.extend(text);
    let signature = key.sign(&head);
    let new = out.with_extension("new");
    let mut file = fs_err::File::create(&new)?;
    file.write_all(&head)?;
    file.write_all(signature.as_ref())?;
    for lines in &contents {
        file.write_all(lines)?;
    }
    file.sync_all()?;
    fs_err::rename(&new, out)?;
    Ok(contents.len())
}

/// Takes the lists of a bundle that was signed by the owner of the public key; gives their versions.
pub(super) fn import(
    bundle: &Path,
    public_key: &str,
    data: &Path,
    now: u64,
    force: bool,
) -> anyhow::Result<Vec<ListVersion>> {
    let public_key = hex::decode(public_key.trim()).context("a public key is given in hex")?;
    let mut file = BufReader::new(fs_err::File::open(bundle)?);
    let mut start = [0; 12];
    file.read_exact(&mut start).context("the bundle is cut short")?;
    ensure!(start.starts_with(MAGIC), "not a bundle of lists");
    let [.., a, b, c, d] = start;
    let length = u32::from_le_bytes([a, b, c, d]);
    ensure!(length <= MAX_MANIFEST, "not a bundle of lists");
    let mut head = start.to_vec();
    let mut signature = vec![0; SIGNATURE];
    (&mut file).take(u64::from(length)).read_to_end(&mut head)?;
    file.read_exact(&mut signature).context("the bundle is cut short")?;
    UnparsedPublicKey::new(&ED25519, &public_key)
        .verify(&head, &signature)
        .map_err(|_| anyhow::anyhow!("the bundle is not signed by this key, or was changed"))?;
    let manifest: Manifest = serde_json::from_slice(head.get(start.len()..).unwrap_or_default())?;
    let newest = data.join("bundle");
    let last: u64 =
        fs_err::read_to_string(&newest).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    ensure!(force || manifest.created_at >= last, "a newer bundle was already taken");
    let mut lists: Vec<(ListVersion, Vec<Entity>)> = Vec::new();
    for part in manifest.parts {
        ensure!(part.size_bytes <= MAX_PART, "list {} is too large", part.version.list);
        let mut lines = Vec::new();
        (&mut file).take(part.size_bytes).read_to_end(&mut lines)?;
        if lines.len() as u64 != part.size_bytes || hex::encode(Sha256::digest(&lines)) != part.sha256 {
            bail!("list {} is not as it was signed", part.version.list);
        }
        let entities = serde_json::Deserializer::from_slice(&lines)
            .into_iter::<Entity>()
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("reading list {}", part.version.list))?;
        // The age is that of the list, not of its arrival: a bundle carried for a week is a week old.
        lists.push((ListVersion { entities: entities.len() as u64, ..part.version }, entities));
    }
    ensure!(file.read(&mut [0])? == 0, "something follows what was signed");
    let store = ListStore::new(data);
    let mut taken = Vec::new();
    for (version, entities) in lists {
        ensure!(version.imported_at <= now, "list {} comes from the future: check the clock", version.list);
        store
            .adopt(&version, &entities, force)
            .with_context(|| format!("list {} stays at its last good version", version.list))?;
        taken.push(version);
    }
    fs_err::write(newest, manifest.created_at.to_string())?;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aml::import::Format;

    struct Bench {
        folder: tempfile::TempDir,
        public_key: String,
        bytes: Vec<u8>,
    }

    fn made(list: &str, at: u64) -> Bench {
        let folder = tempfile::tempdir().expect("folder");
        let at_home = folder.path().join("home");
        let (source, key, bundle) =
            (folder.path().join("own.csv"), folder.path().join("key"), folder.path().join("bundle"));
        fs_err::write(&source, list).expect("list");
        ListStore::new(&at_home).import("own", Format::Csv, &source, at, false).expect("import");
        let public_key = keygen(&key).expect("key");
        assert_eq!(create(&at_home, &key, &bundle, at).expect("bundle"), 1);
        let bytes = fs_err::read(&bundle).expect("bundle");
        Bench { folder, public_key, bytes }
    }

    fn take(bench: &Bench, bytes: &[u8], data: &str) -> anyhow::Result<Vec<ListVersion>> {
        let path = bench.folder.path().join("arrived");
        fs_err::write(&path, bytes).expect("write");
        import(&path, &bench.public_key, &bench.folder.path().join(data), 2_000, false)
    }

    const TWO: &str = "id,name\n1,Jan Example\n2,Ana Example\n";

    #[test]
    fn a_bundle_brings_the_lists_and_a_key_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let bench = made(TWO, 1_000);
        let taken = take(&bench, &bench.bytes, "away").expect("taken");
        assert_eq!((taken[0].list.as_str(), taken[0].imported_at), ("own", 1_000));
        let store = ListStore::new(&bench.folder.path().join("away"));
        assert_eq!(store.entities("own").expect("entities").len(), 2);
        let mode = fs_err::metadata(bench.folder.path().join("key")).expect("key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(keygen(&bench.folder.path().join("key")).is_err(), "a key is never overwritten");
    }

    #[test]
    fn a_bundle_with_any_byte_changed_cut_or_added_is_refused() {
        let bench = made(TWO, 1_000);
        for at in 0..bench.bytes.len() {
            let mut changed = bench.bytes.clone();
            changed[at] ^= 1;
            assert!(take(&bench, &changed, "away").is_err(), "byte {at}");
        }
        let shorter = &bench.bytes[..bench.bytes.len() - 1];
        assert!(take(&bench, shorter, "away").is_err());
        assert!(take(&bench, &[bench.bytes.as_slice(), b"\n"].concat(), "away").is_err());
        let store = ListStore::new(&bench.folder.path().join("away"));
        assert!(store.names().is_empty(), "nothing was taken");
    }

    #[test]
    fn a_bundle_of_another_key_or_an_older_one_is_refused() {
        let (bench, other) = (made(TWO, 1_000), made(TWO, 900));
        assert!(take(&bench, &other.bytes, "away").is_err());
        take(&bench, &bench.bytes, "away").expect("taken");
        let older = Bench { public_key: other.public_key.clone(), ..bench };
        let refused = take(&older, &other.bytes, "away").expect_err("older");
        assert!(refused.to_string().contains("newer"), "{refused}");
    }
}
