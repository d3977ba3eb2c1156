//! `bonafide chip …`: verifies what was read from the chip of a passport or identity card, keeps the trust
//! store it is verified against, and shows chip files.

#[cfg(feature = "pcsc")]
mod read;

use anyhow::Context as _;
use emrtd::time::Time;
use emrtd::trust::{self, TrustStore};
use emrtd::x509::Certificate;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to do with chip files.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Judge a signed object (EF.SOD, its CMS, or EF.CardSecurity) and data groups.
    Verify(VerifyArgs),
    /// Keep the certificates that chips are verified against.
    Trust(TrustArgs),
    /// Show what a chip file holds.
    Show(ShowArgs),
    /// Read and judge the document on a contactless reader.
    #[cfg(feature = "pcsc")]
    Read(read::Args),
}

#[derive(clap::Args)]
struct VerifyArgs {
    /// The signed object; with several, one line is printed for each.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    sod: Vec<PathBuf>,
    /// A data group as `NUMBER=FILE`.
    #[arg(long, value_name = "N=FILE", num_args = 1..)]
    dg: Vec<String>,
    /// Master lists, certificates, revocation lists or LDIF files to trust; without any, the trust store.
    #[arg(long, value_name = "MASTERLIST", num_args = 1..)]
    trust: Vec<PathBuf>,
    /// Certificates that the signers of master lists must chain to.
    #[arg(long, value_name = "CERTIFICATE", num_args = 1..)]
    root: Vec<PathBuf>,
    /// The trust store's file.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The chip's answer to an active authentication challenge.
    #[arg(long, value_name = "FILE", requires = "aa_challenge")]
    aa_response: Option<PathBuf>,
    /// The challenge it answers, in hexadecimal (eight bytes).
    #[arg(long, value_name = "HEX", requires = "aa_response")]
    aa_challenge: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct TrustArgs {
    #[command(subcommand)]
    command: TrustCommand,
}

#[derive(clap::Subcommand)]
enum TrustCommand {
    /// Add master lists (.ml), LDIF, PEM or DER files to the store, after checking their signatures.
    Import {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Certificates that the signers of master lists must chain to.
        #[arg(long, value_name = "CERTIFICATE", num_args = 1..)]
        root: Vec<PathBuf>,
        /// The trust store's file.
        #[arg(long, value_name = "FILE")]
        store: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the certificates of the store, or of the given files.
    List {
        /// Files to list in place of the store.
        files: Vec<PathBuf>,
        /// The trust store's file.
        #[arg(long, value_name = "FILE")]
        store: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tell which certificates only one of two stores or files has.
    Diff {
        /// The older one.
        before: PathBuf,
        /// The newer one.
        after: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
struct ShowArgs {
    /// The file: a data group, EF.COM, EF.SOD, EF.CardAccess, EF.CardSecurity, a certificate or a master list.
    file: PathBuf,
    /// Write the face image of DG2 to this file, as the chip holds it.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Verify(args) => verify(args),
        Command::Trust(args) => match &args.command {
            TrustCommand::Import { files, root, store, json } => import(files, root, store.as_deref(), *json),
            TrustCommand::List { files, store, json } => list(files, store.as_deref(), *json),
            TrustCommand::Diff { before, after, json } => diff(before, after, *json),
        },
        Command::Show(args) => show(args),
        #[cfg(feature = "pcsc")]
        Command::Read(args) => read::run(args),
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line is the edge where the time comes in")]
fn now() -> Option<Time> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok().map(Time)
}

/// More than any master list or directory of certificates holds.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Reads a file that may be anything, a device without end too.
fn read_file(path: impl AsRef<Path>) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    let path = path.as_ref();
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() as u64 <= MAX_FILE_BYTES, "{}: larger than 256 MiB", path.display());
    Ok(bytes)
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn roots(paths: &[PathBuf]) -> anyhow::Result<Vec<Certificate>> {
    let mut certificates = Vec::new();
    for path in paths {
        let objects = trust::split(&read_file(path)?);
        let read: Vec<Certificate> =
            objects.iter().filter_map(|object| Certificate::parse(object).ok()).collect();
        anyhow::ensure!(!read.is_empty(), "{}: no certificate inside", path.display());
        certificates.extend(read);
    }
    Ok(certificates)
}

/// Where the store lies: `--store`, `$BONAFIDE_TRUST`, or the user's data folder.
fn store_path(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    if let Some(path) = std::env::var_os("BONAFIDE_TRUST") {
        return Ok(path.into());
    }
    let base = match (std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME")) {
        (Some(data), _) if !data.is_empty() => PathBuf::from(data),
        (_, Some(home)) => PathBuf::from(home).join(".local/share"),
        _ => anyhow::bail!("no home folder: name the store with --store"),
    };
    Ok(base.join("bonafide/trust.json"))
}

fn open_store(path: &Path) -> anyhow::Result<TrustStore> {
    if !path.exists() {
        return Ok(TrustStore::default());
    }
    TrustStore::from_json(&fs_err::read_to_string(path)?).with_context(|| path.display().to_string())
}

/// A store made of files; a `.json` file is a store itself.
fn gather(files: &[PathBuf], roots: &[Certificate]) -> anyhow::Result<TrustStore> {
    let mut store = TrustStore::default();
    for path in files {
        if path.extension().is_some_and(|e| e == "json") {
            anyhow::ensure!(path.exists(), "{}: no such store", path.display());
            store.absorb(&open_store(path)?);
            continue;
        }
        store.gather(&file_name(path), &read_file(path)?, roots, None)?;
    }
    Ok(store)
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let trust = if args.trust.is_empty() {
        open_store(&store_path(args.store.as_deref())?)?
    } else {
        gather(&args.trust, &roots(&args.root)?)?
    };
    let mut data_groups = BTreeMap::new();
    for pair in &args.dg {
        let (number, path) = pair.split_once('=').with_context(|| format!("--dg {pair}: expected N=FILE"))?;
        let number: u8 = number
            .trim_start_matches(|c: char| c.is_ascii_alphabetic())
            .parse()
            .ok()
            .filter(|n| (1..=16).contains(n))
            .with_context(|| format!("--dg {pair}: the number is not 1 to 16"))?;
        data_groups.insert(number, read_file(path)?);
    }
    let challenge = args.aa_challenge.as_deref().map(hex::decode).transpose().context("--aa-challenge")?;
    let response = args.aa_response.as_deref().map(read_file).transpose()?;
    let exchange = challenge.as_deref().zip(response.as_deref());
    for path in &args.sod {
        let sod = read_file(path)?;
        let report = emrtd::verify(&emrtd::Input {
            sod: &sod,
            data_groups: &data_groups,
            complete_read: false,
            active_authentication: exchange.map(|(challenge, response)| {
                emrtd::verify::ActiveAuthentication {
                    challenge,
                    response,
                    // whoever calls the command says where the challenge came from
                    challenge_is_ours: true,
                }
            }),
            chip_authentication: None,
            trust: &trust,
            now: now(),
        });
        if args.json {
            let mut value = serde_json::to_value(&report)?;
            if let Some(object) = value.as_object_mut() {
                object.insert("file".to_owned(), path.display().to_string().into());
            }
            super::print_json(&value)?;
        } else {
            super::print_line(&format!(
                "{}: {}",
                path.display(),
                serde_json::to_value(report.verdict)?.as_str().unwrap_or("")
            ))?;
            for line in report.reasons.iter().chain(&report.warnings) {
                super::print_line(&format!("  {line}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn import(files: &[PathBuf], root: &[PathBuf], store: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let path = store_path(store)?;
    let mut store = open_store(&path)?;
    let roots = roots(root)?;
    for file in files {
        let report = store.import(&file_name(file), &read_file(file)?, &roots, now())?;
        if json {
            super::print_json(&report)?;
        } else {
            super::print_line(&format!(
                "{}: {} certificates, {} new, {} revocation lists, {} refused; vouched for by {}",
                report.source,
                report.certificates,
                report.added,
                report.revocation_lists,
                report.refused.len(),
                serde_json::to_value(report.authority)?.as_str().unwrap_or(""),
            ))?;
            for line in &report.refused {
                super::print_line(&format!("  refused: {line}"))?;
            }
        }
    }
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    // A store half written must never be read: write beside it, then rename.
    let draft = path.with_extension("json.new");
    fs_err::write(&draft, store.to_json()?)?;
    fs_err::rename(&draft, &path)?;
    Ok(ExitCode::SUCCESS)
}

fn list(files: &[PathBuf], store: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let store = if files.is_empty() { open_store(&store_path(store)?)? } else { gather(files, &[])? };
    if json {
        let certificates: Vec<serde_json::Value> = store
            .anchors()
            .iter()
            .map(|anchor| {
                let mut value = serde_json::to_value(anchor.certificate.summary())?;
                if let Some(object) = value.as_object_mut() {
                    object.insert("country".to_owned(), anchor.certificate.subject.country().into());
                    object.insert("standing".to_owned(), serde_json::to_value(store.standing(anchor))?);
                    object.insert("imports".to_owned(), serde_json::to_value(&anchor.imports)?);
                }
                Ok(value)
            })
            .collect::<Result<_, serde_json::Error>>()?;
        super::print_json(&serde_json::json!({
            "certificates": certificates,
            "document_signers": store.document_signers().len(),
            "revocation_lists": store.crls().len(),
            "imports": store.imports(),
            "countries": trust::countries(&store),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for anchor in store.anchors() {
        let summary = anchor.certificate.summary();
        let shortened = summary.sha256.get(..16).unwrap_or(&summary.sha256);
        super::print_line(&format!(
            "{shortened}  {}  until {}  {}",
            summary.subject, summary.not_valid_after, summary.key
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn diff(before: &Path, after: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let (before, after) = (gather(&[before.to_owned()], &[])?, gather(&[after.to_owned()], &[])?);
    let (removed, added) = before.diff(&after);
    let summaries = |list: &[&Certificate]| list.iter().map(|c| c.summary()).collect::<Vec<_>>();
    if json {
        let unchanged = before.anchors().len() - removed.len();
        super::print_json(&serde_json::json!({
            "added": summaries(&added), "removed": summaries(&removed), "unchanged": unchanged,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (sign, list) in [('-', &removed), ('+', &added)] {
        for summary in summaries(list) {
            super::print_line(&format!("{sign} {}  until {}", summary.subject, summary.not_valid_after))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let bytes = read_file(&args.file)?;
    let value = emrtd::lds::describe(&bytes).with_context(|| args.file.display().to_string())?;
    if let Some(path) = &args.image {
        let faces = emrtd::lds::face::parse(&bytes).context("no face inside")?;
        fs_err::write(path, faces.first().map_or(&[][..], |face| &face.bytes))?;
    }
    if args.json {
        super::print_json(&value)?;
    } else {
        super::print_line(&serde_json::to_string_pretty(&value)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
