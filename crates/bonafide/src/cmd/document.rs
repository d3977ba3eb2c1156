//! `bonafide document read` — reads identity documents from pictures on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use checks::document::PortraitSearch;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// Tesseract, for scripts that the packaged models do not read.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct TesseractArgs {
    /// Read lines in other scripts than Latin with Tesseract, in these of its languages (`rus`, `ell+ara`)
    #[arg(long, value_name = "LANGUAGES", env = "BONAFIDE_TESSERACT")]
    tesseract: Option<String>,
    /// The program, when it is not on the PATH
    #[arg(long, value_name = "FILE", env = "BONAFIDE_TESSERACT_PROGRAM")]
    tesseract_program: Option<PathBuf>,
}

/// Signers of seals that are trusted.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SealArgs {
    /// Check the signatures of seals in barcodes with the certificates (DER or PEM) in this folder
    #[arg(long, value_name = "DIR", env = "BONAFIDE_SEAL_SIGNERS")]
    seal_signers: Option<PathBuf>,
}

impl SealArgs {
    /// Reads what was given; `None` when nothing was.
    pub(crate) fn find(&self) -> anyhow::Result<Option<document::SealSigners>> {
        let folder = self.seal_signers.as_deref().filter(|folder| !folder.as_os_str().is_empty());
        Ok(folder.map(document::SealSigners::in_folder).transpose()?)
    }
}

impl TesseractArgs {
    /// Looks for what was chosen; `None` when nothing was.
    pub(crate) fn find(&self) -> anyhow::Result<Option<document::Tesseract>> {
        let languages = self.tesseract.as_deref().filter(|languages| !languages.is_empty());
        let find = |languages| document::Tesseract::find(self.tesseract_program.as_deref(), languages);
        Ok(languages.map(find).transpose()?)
    }
}

#[derive(clap::Subcommand)]
enum Action {
    /// Read one document, or every picture of a folder as a document of its own.
    Read {
        /// Picture of the front: JPEG, PNG, WebP, TIFF or PDF.
        #[arg(required_unless_present = "batch", conflicts_with = "batch")]
        front: Option<PathBuf>,
        /// Picture of the back.
        #[arg(long, conflicts_with = "batch")]
        back: Option<PathBuf>,
        /// A folder: every picture in it and below, one line of JSON each.
        #[arg(long, value_name = "DIR")]
        batch: Option<PathBuf>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
        /// Judge on this day instead of today (YYYY-MM-DD).
        #[arg(long, value_name = "DAY")]
        today: Option<jiff::civil::Date>,
        /// Further templates (`*.toml`).
        #[arg(long, value_name = "DIR")]
        templates: Option<PathBuf>,
        /// Folder of models.
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
        /// Specimens of issuing authorities raise no signal.
        #[arg(long)]
        allow_specimens: bool,
        /// Look for the holder's portrait too, and compare it with the ghost portrait beside it.
        #[arg(long)]
        portrait: bool,
        #[command(flatten)]
        tesseract: TesseractArgs,
        #[command(flatten)]
        seals: SealArgs,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Action::Read {
        front,
        back,
        batch,
        json,
        today,
        templates,
        models,
        allow_specimens,
        portrait,
        tesseract,
        seals,
    } = &args.action;
    let engines = Engines {
        reader: open(models.as_deref(), templates.as_deref())?,
        tesseract: tesseract.find()?,
        seal_signers: seals.find()?,
        faces: portrait.then(|| faces(models.as_deref())).transpose()?,
    };
    let options = document::Options {
        specimens_allowed: *allow_specimens,
        ..document::Options::on(today.unwrap_or_else(self::today))
    };
    if let Some(dir) = batch {
        let mut files = Vec::new();
        pictures(dir, &mut files)?;
        files.sort();
        read_all(&engines, dir, &files, &options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(front) = front else { anyhow::bail!("name a picture or --batch DIR") };
    let name = front.to_string_lossy().into_owned();
    match read(&engines, front, back.as_deref(), &options) {
        Ok(record) if *json => super::print_json(&line(&name, &record)?)?,
        Ok(record) => print(&record)?,
        Err(error) => {
            if *json {
                super::print_json(&failure(&name, &error))?;
            }
            return Err(error);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads files on every core, one each, and prints their lines in the order of the files.
fn read_all(
    engines: &Engines,
    dir: &Path,
    files: &[PathBuf],
    options: &document::Options,
) -> anyhow::Result<()> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(files.len().max(1));
    let next = AtomicUsize::new(0);
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(at) else { return };
                    let name = file.strip_prefix(dir).unwrap_or(file).to_string_lossy().into_owned();
                    let value = match read(engines, file, None, options) {
                        Ok(record) => line(&name, &record),
                        Err(error) => Ok(failure(&name, &error)),
                    };
                    // Nobody listens any more once printing failed.
                    if send.send((at, value)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        let mut printed = 0;
        for (at, value) in receive {
            waiting.insert(at, value);
            while let Some(value) = waiting.remove(&printed) {
                super::print_json(&value?)?;
                printed += 1;
            }
        }
        Ok(())
    })
}

/// The reader on the installed models, with an operator's templates beside the built-in ones.
pub(crate) fn open(models: Option<&Path>, templates: Option<&Path>) -> anyhow::Result<document::Reader> {
    let dir = models.map_or_else(inference::Models::default_dir, Path::to_path_buf);
    let models =
        inference::Models::open(&dir).with_context(|| format!("opening the models in {}", dir.display()))?;
    let reader = document::Reader::open(&models)?;
    if let Some(folder) = templates {
        let mut catalogue = document::Catalogue::built_in();
        catalogue
            .add_folder(folder)
            .map_err(|(path, error)| anyhow::Error::new(error).context(path.display().to_string()))?;
        reader.set_catalogue(catalogue);
    }
    Ok(reader)
}

/// What reads.
struct Engines {
    reader: document::Reader,
    tesseract: Option<document::Tesseract>,
    seal_signers: Option<document::SealSigners>,
    faces: Option<face::Engine>,
}

/// The engine of faces on the installed models.
fn faces(models: Option<&Path>) -> anyhow::Result<face::Engine> {
    let dir = models.map_or_else(inference::Models::default_dir, Path::to_path_buf);
    Ok(face::Engine::open(&inference::Models::open(&dir)?)?)
}

fn read(
    engines: &Engines,
    front: &Path,
    back: Option<&Path>,
    options: &document::Options,
) -> anyhow::Result<document::Record> {
    let open = |path: &Path| -> anyhow::Result<imaging::Picture> {
        decoder::decode(&fs_err::read(path)?, &imaging::Limits::default())
            .with_context(|| path.display().to_string())
    };
    let front = open(front)?;
    let back = back.map(open).transpose()?;
    let search = engines.faces.as_ref().map(PortraitSearch::new);
    let find = |page: &imaging::RgbImage| search.as_ref().and_then(|search| search.find(page));
    let options = document::Options {
        portrait_finder: search.is_some().then_some(&find as document::PortraitFinder<'_>),
        ..*options
    };
    let mut record = engines.reader.read(&front, back.as_ref(), &options)?;
    if let Some(search) = search {
        let ghost = search.ghost(&record.sides).map_err(anyhow::Error::msg)?;
        record.signals.extend(ghost.filter(|signal| signal.present()));
    }
    if let Some(tesseract) = &engines.tesseract {
        tesseract.add_to(&mut record)?;
    }
    if let Some(signers) = &engines.seal_signers {
        signers.check(&mut record);
    }
    Ok(record)
}

/// The record as one JSON object with the file's name.
fn line(file: &str, record: &document::Record) -> anyhow::Result<serde_json::Value> {
    let mut value = serde_json::to_value(record)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("file".to_owned(), file.into());
    }
    Ok(value)
}

/// What a picture that gave no record prints: the documented code where there is one.
fn failure(file: &str, error: &anyhow::Error) -> serde_json::Value {
    let code = error.downcast_ref::<document::ReadError>().and_then(document::ReadError::code);
    serde_json::json!({
        "file": file,
        "error": code.map_or_else(|| format!("{error:#}"), str::to_owned),
        "identified_by": null, "document_type": null, "issuing_state": null,
        "fields": {}, "mrz": null, "quality": {}, "signals": code.map(|c| vec![serde_json::json!({ "risk": c, "score": 1.0 })]).unwrap_or_default(),
    })
}

fn print(record: &document::Record) -> anyhow::Result<()> {
    let text = |v: &Option<String>| v.clone().unwrap_or_else(|| "unknown".to_owned());
    super::print_line(&format!(
        "{} of {}, identified by {:?}",
        text(&record.document_type),
        text(&record.issuing_state),
        record.identified_by
    ))?;
    for (name, field) in &record.fields {
        super::print_line(&format!(
            "  {name:<20} {}  ({:?}, {:.2})",
            field.value, field.source, field.confidence
        ))?;
    }
    if let Some(mrz) = &record.mrz {
        super::print_line(&format!("  {} {}", mrz.format, if mrz.valid { "valid" } else { "NOT valid" }))?;
        for line in &mrz.lines {
            super::print_line(&format!("    {line}"))?;
        }
    }
    for line in &record.native_text {
        super::print_line(&format!("  {}  ({:.2})", line.text, line.confidence))?;
    }
    for signal in &record.signals {
        super::print_line(&format!("  ! {} {:.2}", signal.risk, signal.score))?;
    }
    Ok(())
}

/// Every picture in a folder and below.
pub(crate) fn pictures(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs_err::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            pictures(&path, files)?;
        } else if path.extension().and_then(|e| e.to_str()).is_some_and(|e| {
            matches!(
                e.to_ascii_lowercase().as_str(),
                "jpg" | "jpeg" | "png" | "webp" | "tif" | "tiff" | "pdf"
            )
        }) {
            files.push(path);
        }
    }
    Ok(())
}

/// The day as this machine has it: the command line is the edge where time comes in.
#[expect(clippy::disallowed_methods, reason = "the command line is the edge where time comes in")]
pub(crate) fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}
