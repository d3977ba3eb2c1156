//! Reads watch-lists in the formats their publishers use.
//!
//! Every importer streams: it hands over one [`Entity`] at a time and holds no more
//! than one entry (or one file of additions) in memory. XML is read without a DTD:
//! a document type declaration is refused. Files over [`MAX_FILE_BYTES`] are refused.

mod lines;
mod ofac_csv;
mod tables;
mod trees;
mod un_xml;
pub(crate) mod xml;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::Entity;

/// Largest file an importer opens.
pub const MAX_FILE_BYTES: u64 = 8 << 30;

/// Formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A folder with OFAC's `sdn.csv`, `alt.csv`, `add.csv`, `sdn_comments.csv` (or `cons_*.csv`).
    OfacCsv,
    /// The consolidated list of the UN Security Council.
    UnXml,
    /// OFAC's advanced XML (`sdn_advanced.xml`, `cons_advanced.xml`).
    OfacXml,
    /// The EU's financial sanctions, XML 1.1.
    EuXml,
    /// The EU's financial sanctions, CSV 1.1.
    EuCsv,
    /// The UK Sanctions List, CSV.
    UkCsv,
    /// The UK Sanctions List, XML.
    UkXml,
    /// The US Denied Persons List, tab-separated.
    BisDpl,
    /// The US Consolidated Screening List, CSV.
    UsCsl,
    /// OpenSanctions `targets.simple.csv`.
    OsSimple,
    /// OpenSanctions `entities.ftm.json`, or its delta files.
    OsFtm,
    /// OpenSanctions `targets.nested.json`.
    OsNested,
    /// Senzing JSON lines, as OpenSanctions publishes them.
    Senzing,
    /// The operator's own list: `id, schema, name, aliases, birth_date, countries, gender, identifiers, topics, notes`.
    Csv,
}

impl Format {
    /// Every format, for help texts.
    pub const ALL: [Self; 14] = [
        Self::OfacCsv,
        Self::UnXml,
        Self::OfacXml,
        Self::EuXml,
        Self::EuCsv,
        Self::UkCsv,
        Self::UkXml,
        Self::BisDpl,
        Self::UsCsl,
        Self::OsSimple,
        Self::OsFtm,
        Self::OsNested,
        Self::Senzing,
        Self::Csv,
    ];

    /// The name used on the command line and in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OfacCsv => "ofac-csv",
            Self::UnXml => "un-xml",
            Self::OfacXml => "ofac-xml",
            Self::EuXml => "eu-xml",
            Self::EuCsv => "eu-csv",
            Self::UkCsv => "uk-csv",
            Self::UkXml => "uk-xml",
            Self::BisDpl => "bis-dpl",
            Self::UsCsl => "us-csl",
            Self::OsSimple => "os-simple",
            Self::OsFtm => "os-ftm",
            Self::OsNested => "os-nested",
            Self::Senzing => "senzing",
            Self::Csv => "csv",
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    /// What stands before the list's own keys: `ofac` in `ofac:27588`.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::OfacCsv => "ofac",
            Self::UnXml => "un",
            Self::OfacXml => "ofac",
            Self::EuXml => "eu",
            Self::EuCsv => "eu",
            Self::UkCsv => "uk",
            Self::UkXml => "uk",
            Self::BisDpl => "bis",
            Self::UsCsl => "csl",
            Self::OsSimple => "os",
            Self::OsFtm => "os",
            Self::OsNested => "os",
            Self::Senzing => "senzing",
            Self::Csv => "csv",
        }
    }
}

/// Why a list could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file could not be opened or read.
    #[error("reading {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The file is not in the format it was said to be in.
    #[error("{} is not a valid {format} file: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// The file is larger than is ever read.
    #[error("{} is larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
}

/// What an import found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Entries handed over.
    pub entities: u64,
    /// Names of these entries.
    pub names: u64,
    /// Records that had no usable name or key and were left out.
    pub skipped: u64,
    /// The date the list gives for itself, or empty.
    pub published_at: String,
}

/// Reads a list and hands over each entry.
///
/// # Errors
/// When a file is missing, too large or not in the format.
pub fn import(format: Format, path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<Summary, ImportError> {
    let mut summary = Summary::default();
    let mut counted = |entity: Entity| {
        // Entries without an id of their own would all be one entry.
        if entity.names.is_empty() || entity.key.ends_with(':') {
            return false;
        }
        let names = entity.names.len() as u64;
        sink(entity);
        summary.entities += 1;
        summary.names += names;
        true
    };
    let mut skipped = 0;
    let mut emit = |entity: Entity| {
        if !counted(entity) {
            skipped += 1;
        }
    };
    let published_at = match format {
        Format::OfacCsv => ofac_csv::import(path, &mut emit)?,
        Format::UnXml => un_xml::import(path, &mut emit)?,
        Format::OfacXml => trees::ofac_advanced(path, &mut emit)?,
        Format::EuXml => trees::eu_xml(path, &mut emit)?,
        Format::EuCsv => tables::eu_csv(path, &mut emit)?,
        Format::UkCsv => tables::uk_csv(path, &mut emit)?,
        Format::UkXml => trees::uk_xml(path, &mut emit)?,
        Format::BisDpl => tables::bis(path, &mut emit)?,
        Format::UsCsl => tables::csl(path, &mut emit)?,
        Format::OsSimple => tables::simple(path, &mut emit)?,
        Format::OsFtm | Format::OsNested => lines::ftm(path, format, &mut emit)?,
        Format::Senzing => lines::senzing(path, &mut emit)?,
        Format::Csv => tables::operator(path, &mut emit)?,
    };
    summary.skipped = skipped;
    summary.published_at = published_at;
    Ok(summary)
}

/// Opens a file for streaming after looking at its size.
pub(crate) fn open(path: &Path) -> Result<std::io::BufReader<fs_err::File>, ImportError> {
    let read = |source| ImportError::Read { path: path.to_owned(), source };
    let file = fs_err::File::open(path).map_err(read)?;
    if file.metadata().map_err(read)?.len() > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { path: path.to_owned() });
    }
    Ok(std::io::BufReader::with_capacity(1 << 18, file))
}

/// UTF-8, or Latin-1 where it is not.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&b| char::from(b)).collect(),
    }
}
