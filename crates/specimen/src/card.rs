//! The documents of Utopia: a passport's data page (TD3) and an identity card (TD1).
//!
//! Sizes and places of the zones follow ICAO Doc 9303 parts 4 and 5; the look is
//! our own.

use crate::chance::Chance;
use crate::guilloche::{band, rosette, signature};
use crate::holder::Holder;
use crate::mrz::{self, Content};
use crate::portrait::{Portrait, ghost};
use crate::svg::{Drawing, Style};
use imaging::RgbImage;
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The data page of a passport, TD3, 125 × 88 mm.
    Passport,
    /// An identity card, TD1, 85.60 × 53.98 mm, front and back.
    IdCard,
}

impl Kind {
    /// Width and height in millimetres.
    pub fn size_mm(self) -> (f32, f32) {
        match self {
            Self::Passport => (125.0, 88.0),
            Self::IdCard => (85.6, 53.98),
        }
    }
}

/// What is wrong with a document, as a forger or time would have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A check digit of the MRZ does not fit its field.
    MrzCheckDigit,
    /// The printed date of birth is not that of the MRZ.
    DataDiffersFromMrz,
    /// The document has expired.
    Expired,
    /// The MRZ is typed in a proportional font.
    MrzFont,
}

/// What to draw.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Which document.
    pub kind: Kind,
    /// Decides everything that is not given here.
    pub seed: u64,
    /// The holder's picture.
    pub portrait: Portrait,
    /// The day on which the document is looked at: expiry is relative to it.
    pub today: Date,
    /// The holder; `None`: one drawn from the seed.
    pub holder: Option<Holder>,
    /// What is wrong with it.
    pub fault: Option<Fault>,
    /// Resolution in pixels per millimetre; 12 is about 305 dpi.
    pub pixels_per_mm: f32,
}

impl Spec {
    /// A faultless document of a drawn holder at 12 pixels per millimetre.
    pub fn new(kind: Kind, seed: u64, portrait: Portrait, today: Date) -> Self {
        Self { kind, seed, portrait, today, holder: None, fault: None, pixels_per_mm: 12.0 }
    }
}

/// A drawn document, flat, without surroundings.
#[derive(Debug, Clone)]
pub struct Specimen {
    /// The side with the portrait.
    pub front: RgbImage,
    /// The other side; a passport's data page has none.
    pub back: Option<RgbImage>,
    /// What the document says.
    pub truth: Truth,
}

/// What a document says, for tests and training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// Which document.
    pub kind: Kind,
    /// Its seed.
    pub seed: u64,
    /// Fields as printed: dates as `YYYY-MM-DD`, names with diacritics.
    pub fields: BTreeMap<String, String>,
    /// The MRZ's lines as printed.
    pub mrz: Vec<String>,
    /// `front` or `back`: where the MRZ is.
    pub mrz_side: &'static str,
    /// Boxes on the flat front by field name: left, top, width, height in pixels.
    pub boxes: BTreeMap<String, [f32; 4]>,
    /// The portrait's box on the flat front, in pixels.
    pub portrait: [f32; 4],
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

/// Why a document could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The resolution is not between 2 and 40 pixels per millimetre.
    #[error("a resolution of {0} pixels per millimetre is not between 2 and 40")]
    Resolution(f32),
    /// The portrait has no pixels.
    #[error("the portrait has no pixels")]
    NoPortrait,
    /// The drawing could not be rendered.
    #[error("cannot render the drawing")]
    Render(#[from] resvg::usvg::Error),
}

const LABEL: Style = Style { size_mm: 1.75, bold: false, colour: "#3b5b7a" };
const VALUE: Style = Style { size_mm: 3.0, bold: false, colour: "#14161c" };

/// Draws a document.
///
/// # Errors
/// [`DrawError`] for a resolution or portrait that cannot be used.
pub fn draw(spec: &Spec) -> Result<Specimen, DrawError> {
    if !(2.0..=40.0).contains(&spec.pixels_per_mm) {
        return Err(DrawError::Resolution(spec.pixels_per_mm));
    }
    if spec.portrait.pixels.width() == 0 || spec.portrait.pixels.height() == 0 {
        return Err(DrawError::NoPortrait);
    }
    let entry = Entry::new(spec);
    match spec.kind {
        Kind::Passport => passport(spec, &entry),
        Kind::IdCard => identity_card(spec, &entry),
    }
}

/// What is written into the document.
struct Entry {
    holder: Holder,
    printed_birth: Date,
    number: String,
    personal_number: String,
    issued: Date,
    expiry: Date,
    mrz: Vec<String>,
}

impl Entry {
    fn new(spec: &Spec) -> Self {
        let mut chance = Chance::new(spec.seed, 2);
        let holder = spec.holder.clone().unwrap_or_else(|| Holder::drawn(spec.seed, spec.today, None));
        let years = |n: i32| jiff::Span::new().years(n);
        let days = |n: u32| jiff::Span::new().days(i64::from(n));
        // Ten years of validity (Doc 9303 leaves it to the state), some of them gone.
        let expired = spec.fault == Some(Fault::Expired);
        let age = if expired { 10 * 365 + 30 + chance.below(900) } else { 200 + chance.below(7 * 365) };
        let issued = spec.today.saturating_sub(days(age));
        let expiry = issued.saturating_add(years(10)).saturating_sub(days(1));
        let letters = b"ABCDEFGHJKLMNPRTUVWXYZ";
        let mut number = String::new();
        number.push(char::from(*chance.pick(letters)));
        for _ in 0..7 {
            let _ = write!(number, "{}", chance.below(10));
        }
        number.push(char::from(*chance.pick(letters)));
        let mut personal_number = format!("{:02}", holder.date_of_birth.year().rem_euclid(100));
        for _ in 0..8 {
            let _ = write!(personal_number, "{}", chance.below(10));
        }
        let content = Content {
            holder: &holder,
            date_of_birth: holder.date_of_birth,
            number: &number,
            expiry,
            personal_number: &personal_number,
        };
        let mut mrz = match spec.kind {
            Kind::Passport => mrz::passport(&content),
            Kind::IdCard => mrz::identity_card(&content),
        };
        if spec.fault == Some(Fault::MrzCheckDigit) {
            let (line, at) = if spec.kind == Kind::Passport { (1, 9) } else { (0, 14) };
            if let Some(line) = mrz.get_mut(line) {
                *line = with_wrong_digit(line, at, 1 + chance.below(8));
            }
        }
        let printed_birth = match spec.fault {
            Some(Fault::DataDiffersFromMrz) => {
                holder.date_of_birth.saturating_sub(years(2 + i32::try_from(chance.below(6)).unwrap_or(0)))
            }
            _ => holder.date_of_birth,
        };
        Self { printed_birth, number, personal_number, issued, expiry, mrz, holder }
    }

    fn fields(&self) -> BTreeMap<String, String> {
        let holder = &self.holder;
        [
            ("family_name", holder.surname.clone()),
            ("given_name", holder.given_names.clone()),
            ("sex", holder.sex.to_string()),
            ("date_of_birth", self.printed_birth.to_string()),
            ("place_of_birth", holder.place_of_birth.clone()),
            ("nationality", "UTO".into()),
            ("issuing_state", "UTO".into()),
            ("document_number", self.number.clone()),
            ("personal_number", self.personal_number.clone()),
            ("date_of_issue", self.issued.to_string()),
            ("date_of_expiry", self.expiry.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

/// Raises the digit at `at` by `by` (1 to 9), modulo 10.
fn with_wrong_digit(line: &str, at: usize, by: u32) -> String {
    line.chars()
        .enumerate()
        .map(|(k, c)| match c.to_digit(10) {
            Some(digit) if k == at => char::from_digit((digit + by) % 10, 10).unwrap_or(c),
            _ => c,
        })
        .collect()
}

/// A date as documents print it: day, English month, year (Doc 9303 part 3 §3.8).
fn printed(date: Date) -> String {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let month =
        usize::from(date.month().unsigned_abs()).checked_sub(1).and_then(|k| MONTHS.get(k)).unwrap_or(&"");
    format!("{:02} {month} {:04}", date.day(), date.year())
}

/// The paper with its colours, guilloches and microprint.
fn paper(spec: &Spec, side: u64) -> Result<RgbImage, DrawError> {
    let (width, height) = spec.kind.size_mm();
    let mut chance = Chance::new(spec.seed, 10 + side);
    let (from, to, line, second) = match spec.kind {
        Kind::Passport => ("#e9eef6", "#f6ecdf", "#5b7fa8", "#b0765a"),
        Kind::IdCard => ("#e3f0ea", "#eee9f5", "#4d8f86", "#8671a8"),
    };
    let mut drawing = Drawing::new(width, height);
    drawing.add(&format!(
        r#"<defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="0.6"><stop offset="0" stop-color="{from}"/><stop offset="1" stop-color="{to}"/></linearGradient></defs><rect width="{width}" height="{height}" fill="url(#g)"/>"#
    ));
    for k in 0..5 {
        let y = height * (0.12 + 0.19 * k as f32);
        let swing = chance.between(1.2, 3.2);
        drawing.add(&band(&mut chance, width, y, swing, if k % 2 == 0 { line } else { second }, 0.30));
    }
    drawing.add(&rosette(&mut chance, width * 0.68, height * 0.44, height * 0.30, line, 0.34));
    drawing.add(&rosette(&mut chance, width * 0.93, height * 0.16, height * 0.13, second, 0.42));
    drawing.add(&rosette(&mut chance, width * 0.08, height * 0.86, height * 0.15, second, 0.30));
    let micro = "UTOPIA SPECIMEN ".repeat(if spec.kind == Kind::Passport { 14 } else { 10 });
    drawing.text("microprint", 2.0, 1.6, Style { size_mm: 0.72, bold: false, colour: "#7c93ab" }, &micro);
    let (w, h) = ((width * spec.pixels_per_mm).round() as u32, (height * spec.pixels_per_mm).round() as u32);
    let mut image = RgbImage::from_pixel(w, h, [255, 255, 255].into());
    drawing.render(&mut image, &[])?;
    Ok(image)
}

/// Lays a picture on the paper at a place in millimetres, fading at its edges.
fn lay(image: &mut RgbImage, picture: &RgbImage, x_mm: f32, y_mm: f32, pixels_per_mm: f32, opacity: f32) {
    let (left, top) = ((x_mm * pixels_per_mm).round() as u32, (y_mm * pixels_per_mm).round() as u32);
    let fade = 0.5 * pixels_per_mm;
    let (w, h) = picture.dimensions();
    for (x, y, from) in picture.enumerate_pixels() {
        let Some(to) = image.get_pixel_mut_checked(left + x, top + y) else { continue };
        let edge = x.min(w - 1 - x).min(y).min(h - 1 - y) as f32;
        let alpha = opacity * ((edge + 1.0) / fade).min(1.0);
        for (to, from) in to.0.iter_mut().zip(from.0) {
            *to = (f32::from(*to) * (1.0 - alpha) + f32::from(from) * alpha + 0.5) as u8;
        }
    }
}

/// A labelled field: id, label, value, and where it begins in millimetres.
type Field<'a> = (&'a str, &'a str, String, f32, f32);

fn write_fields(drawing: &mut Drawing, fields: &[Field<'_>], label: Style, value: Style) {
    for (id, name, text, x, y) in fields {
        drawing.text(&format!("label-{id}"), *x, *y, label, name);
        drawing.text(id, *x, *y + label.size_mm * 0.55 + value.size_mm * 0.85, value, text);
    }
}

fn boxes(fields: &[Field<'_>], found: Vec<Option<[f32; 4]>>) -> BTreeMap<String, [f32; 4]> {
    fields.iter().zip(found).filter_map(|((id, ..), found)| Some(((*id).to_owned(), found?))).collect()
}

fn passport(spec: &Spec, entry: &Entry) -> Result<Specimen, DrawError> {
    let scale = spec.pixels_per_mm;
    let mut front = paper(spec, 0)?;
    let (px, py, pw, ph) = (6.0, 17.0, 32.0, 41.1);
    let size = |mm: f32| (mm * scale).round().max(1.0) as u32;
    let photo = spec.portrait.framed(size(pw), size(ph));
    lay(&mut front, &photo, px, py, scale, 1.0);
    lay(&mut front, &ghost(&photo, size(15.0), size(19.3)), 104.0, 40.5, scale, 0.55);

    let holder = &entry.holder;
    let fields: Vec<Field<'_>> = vec![
        ("document_type", "Type", "P".into(), 42.0, 17.0),
        ("issuing_state", "Code of issuing State", "UTO".into(), 54.0, 17.0),
        ("document_number", "Passport No.", entry.number.clone(), 84.0, 17.0),
        ("family_name", "Surname", holder.surname.to_uppercase(), 42.0, 23.9),
        ("given_name", "Given names", holder.given_names.to_uppercase(), 42.0, 30.8),
        ("nationality", "Nationality", "UTOPIAN".into(), 42.0, 37.7),
        ("personal_number", "Personal No.", entry.personal_number.clone(), 72.0, 37.7),
        ("date_of_birth", "Date of birth", printed(entry.printed_birth), 42.0, 44.6),
        ("sex", "Sex", holder.sex.to_string(), 72.0, 44.6),
        ("place_of_birth", "Place of birth", holder.place_of_birth.to_uppercase(), 80.0, 44.6),
        ("date_of_issue", "Date of issue", printed(entry.issued), 42.0, 51.5),
        ("authority", "Authority", "PASSPORT OFFICE".into(), 72.0, 51.5),
        ("date_of_expiry", "Date of expiry", printed(entry.expiry), 42.0, 58.4),
    ];
    let mut drawing = Drawing::new(125.0, 88.0);
    let mut chance = Chance::new(spec.seed, 12);
    drawing.add(&rosette(&mut chance, px + pw, py + ph - 4.0, 5.5, "#5b7fa8", 0.5));
    drawing.text("country", 6.0, 9.6, Style { size_mm: 5.2, bold: true, colour: "#1d3557" }, "UTOPIA");
    drawing.text("title", 42.0, 9.2, Style { size_mm: 4.2, bold: true, colour: "#1d3557" }, "PASSPORT");
    drawing.text("specimen", 84.0, 9.2, Style { size_mm: 4.2, bold: true, colour: "#b3261e" }, "SPECIMEN");
    write_fields(&mut drawing, &fields, LABEL, VALUE);
    drawing.add(&signature(&mut chance, 8.0, 63.2, 26.0));
    drawing.add(r##"<rect x="0" y="65.4" width="125" height="22.6" fill="#ffffff" fill-opacity="0.45"/>"##);
    for (line, y) in entry.mrz.iter().zip([73.4, 79.75]) {
        drawing.mrz_line(&format!("mrz-{y}"), 6.6, y, line, spec.fault == Some(Fault::MrzFont));
    }
    let ids: Vec<&str> = fields.iter().map(|field| field.0).collect();
    let found = drawing.render(&mut front, &ids)?;
    let truth = truth(spec, entry, "front", boxes(&fields, found), [px, py, pw, ph]);
    Ok(Specimen { front, back: None, truth })
}

fn identity_card(spec: &Spec, entry: &Entry) -> Result<Specimen, DrawError> {
    let scale = spec.pixels_per_mm;
    let size = |mm: f32| (mm * scale).round().max(1.0) as u32;
    let mut front = paper(spec, 0)?;
    let (px, py, pw, ph) = (3.5, 12.0, 24.5, 31.5);
    let photo = spec.portrait.framed(size(pw), size(ph));
    lay(&mut front, &photo, px, py, scale, 1.0);
    lay(&mut front, &ghost(&photo, size(12.0), size(15.4)), 70.5, 34.5, scale, 0.55);
    let holder = &entry.holder;
    let label = Style { size_mm: 1.45, ..LABEL };
    let value = Style { size_mm: 2.45, ..VALUE };
    let fields: Vec<Field<'_>> = vec![
        ("family_name", "Surname", holder.surname.to_uppercase(), 31.0, 13.0),
        ("given_name", "Given names", holder.given_names.to_uppercase(), 31.0, 18.9),
        ("sex", "Sex", holder.sex.to_string(), 31.0, 24.8),
        ("nationality", "Nationality", "UTO".into(), 38.5, 24.8),
        ("date_of_birth", "Date of birth", printed(entry.printed_birth), 53.0, 24.8),
        ("place_of_birth", "Place of birth", holder.place_of_birth.to_uppercase(), 31.0, 30.7),
        ("document_number", "Document No.", entry.number.clone(), 31.0, 36.6),
        ("date_of_expiry", "Date of expiry", printed(entry.expiry), 31.0, 42.5),
    ];
    let mut drawing = Drawing::new(85.6, 53.98);
    let mut chance = Chance::new(spec.seed, 12);
    drawing.add(&rosette(&mut chance, px + pw, py + ph - 3.0, 4.2, "#4d8f86", 0.5));
    drawing.text("country", 3.5, 8.4, Style { size_mm: 4.4, bold: true, colour: "#184e45" }, "UTOPIA");
    drawing.text("title", 31.0, 8.2, Style { size_mm: 3.3, bold: true, colour: "#184e45" }, "IDENTITY CARD");
    drawing.text("specimen", 63.5, 8.2, Style { size_mm: 3.0, bold: true, colour: "#b3261e" }, "SPECIMEN");
    write_fields(&mut drawing, &fields, label, value);
    drawing.add(&signature(&mut chance, 5.0, 49.6, 20.0));
    let ids: Vec<&str> = fields.iter().map(|field| field.0).collect();
    let found = drawing.render(&mut front, &ids)?;

    let mut back = paper(spec, 1)?;
    let mut drawing = Drawing::new(85.6, 53.98);
    let rear: Vec<Field<'_>> = vec![
        ("address", "Address", holder.address.to_uppercase(), 5.0, 7.0),
        ("personal_number", "Personal No.", entry.personal_number.clone(), 5.0, 13.5),
        ("date_of_issue", "Date of issue", printed(entry.issued), 33.0, 13.5),
        ("authority", "Authority", "TOWN HALL".into(), 60.0, 13.5),
    ];
    write_fields(&mut drawing, &rear, label, value);
    drawing.text("specimen", 60.0, 8.2, Style { size_mm: 3.0, bold: true, colour: "#b3261e" }, "SPECIMEN");
    drawing.add(r##"<rect x="0" y="30.8" width="85.6" height="23.2" fill="#ffffff" fill-opacity="0.5"/>"##);
    for (line, y) in entry.mrz.iter().zip([36.9, 43.25, 49.6]) {
        drawing.mrz_line(&format!("mrz-{y}"), 4.9, y, line, spec.fault == Some(Fault::MrzFont));
    }
    drawing.render(&mut back, &[])?;
    let truth = truth(spec, entry, "back", boxes(&fields, found), [px, py, pw, ph]);
    Ok(Specimen { front, back: Some(back), truth })
}

fn truth(
    spec: &Spec,
    entry: &Entry,
    mrz_side: &'static str,
    boxes: BTreeMap<String, [f32; 4]>,
    portrait_mm: [f32; 4],
) -> Truth {
    let mut fields = entry.fields();
    if spec.kind == Kind::IdCard {
        fields.insert("address".to_owned(), entry.holder.address.clone());
    }
    Truth {
        kind: spec.kind,
        seed: spec.seed,
        fields,
        mrz: entry.mrz.clone(),
        mrz_side,
        boxes,
        portrait: portrait_mm.map(|mm| mm * spec.pixels_per_mm),
        fault: spec.fault,
    }
}
