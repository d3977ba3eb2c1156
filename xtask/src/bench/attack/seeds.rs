//! What mutations start from: the hostile files of the test data, and pictures of specimens in every format.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use image::{DynamicImage, ImageFormat};

use super::pdf;
use crate::shell;

/// The format of a file, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    Pdf,
    Tiff,
    Jpeg,
    Webp,
    Jp2,
    Png,
    Other,
}

impl Format {
    pub(super) const ALL: [Self; 7] =
        [Self::Pdf, Self::Tiff, Self::Jpeg, Self::Webp, Self::Jp2, Self::Png, Self::Other];

    pub(super) fn of(bytes: &[u8]) -> Self {
        let starts = |magic: &[u8]| bytes.starts_with(magic);
        if starts(pdf::MAGIC) {
            Self::Pdf
        } else if starts(b"II*\0") || starts(b"MM\0*") || starts(b"II+\0") {
            Self::Tiff
        } else if starts(b"\xff\xd8") {
            Self::Jpeg
        } else if starts(b"RIFF") {
            Self::Webp
        } else if starts(super::jp2::MAGIC) || starts(super::jp2::BARE) {
            Self::Jp2
        } else if starts(super::png::MAGIC) {
            Self::Png
        } else {
            Self::Other
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Tiff => "tiff",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Jp2 => "jp2",
            Self::Png => "png",
            Self::Other => "other",
        }
    }
}

/// A file that mutations start from.
pub(super) struct Seed {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) bytes: Vec<u8>,
}

/// Genuine pictures of one person, for the honest client and for the fields beside the attacked one.
pub(super) struct Genuine {
    pub(super) front: Vec<u8>,
    pub(super) selfie: Vec<u8>,
}

fn named(name: &str, bytes: Vec<u8>) -> Seed {
    Seed { name: name.to_owned(), format: Format::of(&bytes), bytes }
}

/// Every file of a folder and the folders in it, in the order of their names.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        fs_err::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_none_or(|extension| extension != "md") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The hostile files and the specimens; the genuine pictures beside them.
pub(super) fn load(bonafide: &Path, data: &Path, work: &Path) -> anyhow::Result<(Vec<Seed>, Genuine)> {
    let hostile = data.join("hostile-uploads");
    let mut seeds = Vec::new();
    for path in files(&hostile).with_context(|| format!("no hostile uploads at {}", hostile.display()))? {
        let name = path.strip_prefix(&hostile).unwrap_or(&path).display().to_string();
        let bytes = fs_err::read(&path)?;
        seeds.push(named(&name, bytes));
    }
    let specimens = work.join("specimens");
    // The day is fixed, so that the same seed gives the same files tomorrow.
    let draw = |kind: &str, resolution: &str, folder: &str| {
        shell::run(
            Command::new(bonafide)
                .args(["specimen", kind, "--seed", "7", "--today", "2026-11-30", "--selfie", "--resolution"])
                .args([resolution, "--out"])
                .arg(specimens.join(folder)),
        )
    };
    draw("id-card", "12", "genuine")?;
    draw("id-card", "4", "card")?;
    draw("passport", "4", "passport")?;
    for (folder, file) in [("card", "front"), ("card", "back"), ("passport", "front"), ("card", "selfie")] {
        let bytes = fs_err::read(specimens.join(folder).join(format!("{file}.jpg")))?;
        let mut picture = image::load_from_memory(&bytes).context("a specimen cannot be decoded")?;
        if picture.width() > 400 {
            picture = picture.thumbnail(400, 400);
        }
        let name = format!("specimen-{folder}-{file}");
        let small = encoded(&picture, ImageFormat::Jpeg)?;
        seeds.push(named(&format!("{name}.pdf"), pdf::of_jpeg(&small, picture.width(), picture.height())));
        seeds.push(named(&format!("{name}-large.jpg"), bytes));
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Tiff, ImageFormat::WebP] {
            let extension = format.extensions_str().first().copied().unwrap_or_default();
            seeds.push(named(&format!("{name}.{extension}"), encoded(&picture, format)?));
        }
    }
    let genuine = specimens.join("genuine");
    let genuine = Genuine {
        front: fs_err::read(genuine.join("front.jpg"))?,
        selfie: fs_err::read(genuine.join("selfie.jpg"))?,
    };
    Ok((seeds, genuine))
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> anyhow::Result<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::from(picture.to_rgb8()).write_to(&mut out, format)?;
    Ok(out.into_inner())
}
