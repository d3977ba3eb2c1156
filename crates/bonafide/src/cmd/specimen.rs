//! `bonafide specimen`: draws fictitious documents of Utopia with their truth.

use anyhow::{Context as _, bail};
use decoder::decode;
use imaging::{Limits, RgbImage, encode_jpeg};
use inference::Models;
use specimen::{Degradation, Fault, Holder, Kind, Portrait, Scene, Spec, draw, photograph, selfie};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Draws a fictitious document with any portrait, seeded, and says what it holds.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which document.
    #[arg(value_enum)]
    kind: KindName,
    /// Decides everything that is drawn; the same seed draws the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Picture of the holder [default: the installed demonstration portrait].
    #[arg(long, value_name = "FILE")]
    portrait: Option<PathBuf>,
    /// Where the face is in it, brow to chin: LEFT,TOP,WIDTH,HEIGHT in pixels.
    #[arg(long, value_name = "BOX", value_delimiter = ',')]
    face: Vec<f32>,
    /// Folder for front.jpg, back.jpg, selfie.jpg and truth.json.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Photograph the document: photo, rotate, perspective, blur, motion, jpeg, dark,
    /// bright, glare, noise, lowres, screen, photocopy. May be given several times.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    degrade: Vec<String>,
    /// Sex of the holder [default: drawn; F with the installed portrait].
    #[arg(long, value_enum)]
    sex: Option<SexName>,
    /// What is wrong with the document.
    #[arg(long, value_enum)]
    fault: Option<FaultName>,
    /// Day on which the document is looked at, YYYY-MM-DD [default: today].
    #[arg(long, value_name = "DATE")]
    today: Option<jiff::civil::Date>,
    /// Also make a selfie of the holder: a second view from the same portrait.
    #[arg(long)]
    selfie: bool,
    /// Pixels per millimetre of the flat document.
    #[arg(long, default_value_t = 12.0)]
    resolution: f32,
    /// Print what was written as JSON on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum KindName {
    /// A passport's data page (TD3).
    Passport,
    /// An identity card (TD1), front and back.
    IdCard,
}

#[derive(Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
enum SexName {
    /// Female.
    F,
    /// Male.
    M,
    /// Unspecified.
    X,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum FaultName {
    /// A check digit of the MRZ does not fit.
    MrzCheckDigit,
    /// The printed date of birth is not that of the MRZ.
    DataDiffersFromMrz,
    /// Expired before the day given.
    Expired,
    /// The MRZ is typed in a proportional font.
    MrzFont,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let degradations = args
        .degrade
        .iter()
        .map(|name| Degradation::named(name).with_context(|| format!("no degradation is called `{name}`")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let kind = match args.kind {
        KindName::Passport => Kind::Passport,
        KindName::IdCard => Kind::IdCard,
    };
    let portrait = portrait(args)?;
    let sex = match args.sex {
        Some(SexName::F) => Some('F'),
        Some(SexName::M) => Some('M'),
        Some(SexName::X) => Some('X'),
        None => args.portrait.is_none().then_some('F'),
    };
    let today = args.today.unwrap_or_else(today);
    let spec = Spec {
        holder: Some(Holder::drawn(args.seed, today, sex)),
        fault: args.fault.map(|fault| match fault {
            FaultName::MrzCheckDigit => Fault::MrzCheckDigit,
            FaultName::DataDiffersFromMrz => Fault::DataDiffersFromMrz,
            FaultName::Expired => Fault::Expired,
            FaultName::MrzFont => Fault::MrzFont,
        }),
        pixels_per_mm: args.resolution,
        ..Spec::new(kind, args.seed, portrait.clone(), today)
    };
    let drawn = draw(&spec)?;
    fs_err::create_dir_all(&args.out)?;
    let mut truth = serde_json::to_value(&drawn.truth)?;
    let mut written = serde_json::Map::new();
    let sides = [("front", Some(&drawn.front), 0), ("back", drawn.back.as_ref(), 1)];
    for (side, image, turn) in sides {
        let Some(image) = image else { continue };
        let path = args.out.join(format!("{side}.jpg"));
        if degradations.is_empty() {
            save(&path, image)?;
        } else {
            // The two sides are two pictures: each has its own table and light.
            let scene = Scene::degraded(args.seed.wrapping_mul(2).wrapping_add(turn), &degradations);
            let (photo, quad) = photograph(image, &scene);
            truth["quad"][side] = serde_json::json!(quad.map(|p| [p.x, p.y]));
            save(&path, &photo)?;
        }
        written.insert(side.to_owned(), path.display().to_string().into());
    }
    truth["degradations"] = serde_json::to_value(&degradations)?;
    if args.selfie {
        let path = args.out.join("selfie.jpg");
        save(&path, &selfie(&portrait, args.seed))?;
        written.insert("selfie".to_owned(), path.display().to_string().into());
    }
    let path = args.out.join("truth.json");
    fs_err::write(&path, serde_json::to_vec_pretty(&truth)?)?;
    written.insert("truth".to_owned(), path.display().to_string().into());
    if args.json {
        super::print_json(&written)?;
    } else {
        for path in written.values().filter_map(|path| path.as_str()) {
            super::print_line(path)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn save(path: &Path, image: &RgbImage) -> anyhow::Result<()> {
    Ok(fs_err::write(path, encode_jpeg(image, 95))?)
}

/// The portrait given, or the installed one of the demonstration.
fn portrait(args: &Args) -> anyhow::Result<Portrait> {
    let face = match args.face.as_slice() {
        [] => None,
        &[left, top, width, height] => Some([left, top, width, height]),
        _ => bail!("--face takes four numbers: LEFT,TOP,WIDTH,HEIGHT"),
    };
    if let Some(path) = &args.portrait {
        let pixels = decode(&fs_err::read(path)?, &Limits::default())
            .with_context(|| format!("cannot use the portrait {}", path.display()))?
            .pixels;
        return Ok(match face {
            Some(face) => Portrait::with_face(pixels, face),
            None => Portrait::new(pixels),
        });
    }
    installed_portrait(&Models::open(&Models::default_dir())?, "portrait-astronaut")
}

/// A portrait of the demonstration, from the models folder.
pub(crate) fn installed_portrait(models: &Models, name: &str) -> anyhow::Result<Portrait> {
    let path = models.path(name).with_context(|| {
        format!("the portrait `{name}` is not installed; run `bonafide models install` or give --portrait")
    })?;
    let pixels = decode(&fs_err::read(&path)?, &Limits::default())?.pixels;
    let face =
        models.entry(name).and_then(|entry| entry.parameters.get("face")?.as_array()).and_then(|found| {
            let numbers: Vec<f32> = found.iter().filter_map(|v| v.as_integer().map(|v| v as f32)).collect();
            <[f32; 4]>::try_from(numbers).ok()
        });
    Ok(match face {
        Some(face) => Portrait::with_face(pixels, face),
        None => Portrait::new(pixels),
    })
}

#[expect(clippy::disallowed_methods, reason = "a command is the edge of the program: here the day comes in")]
fn today() -> jiff::civil::Date {
    jiff::Zoned::now().date()
}
