//! Faces on pictures, for every check that looks at one: found once, listed as the API lists them, and their quality.

use evidence::Signal;
use face::Face;
use imaging::RgbImage;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Engines, chain, pictures::decode_photo};

/// A picture with the faces in it, the most prominent first.
pub struct Look {
    /// The picture, as far as it was looked at.
    pub image: RgbImage,
    /// The faces.
    pub faces: Vec<Face>,
}

impl Look {
    /// The most prominent face.
    pub fn main(&self) -> Option<&Face> {
        self.faces.first()
    }

    /// Leaves out turned faces where the caller did not ask for turned pictures to be tried (`rotate_image`).
    pub fn keep_upright(&mut self, turned_too: bool) {
        self.faces.retain(|face| turned_too || face.quarter_turns == 0);
    }
}

/// Decodes a picture of a person and finds the faces.
///
/// # Errors
/// Why there is none, in words.
pub fn look(engines: &Engines, bytes: Option<&[u8]>) -> Result<Look, String> {
    let bytes = bytes.ok_or("no picture of the person")?;
    let picture = decode_photo(bytes).map_err(|error| error.message())?;
    look_at(engines, &picture.pixels)
}

/// Finds the faces of a decoded picture.
///
/// # Errors
/// When the engine fails, in words.
pub fn look_at(engines: &Engines, pixels: &RgbImage) -> Result<Look, String> {
    let engine = engines.faces().map_err(|error| chain(&error))?;
    // A face fills a good part of a selfie: more pixels than this only cost time.
    let image = imaging::fit_within(pixels, 1280);
    let faces = engine.faces(&image).map_err(|error| chain(&error))?;
    Ok(Look { image, faces })
}

/// The template of the most prominent face; `None` where there is none, or no net to make one.
pub fn template(engines: &Engines, look: &Look) -> Option<face::Template> {
    engines.faces().ok()?.template(&look.image, look.main()?).ok()?
}

/// The faces of a picture as the API lists them.
#[derive(Debug, Clone, Serialize)]
pub struct Entities {
    entities: Vec<Entity>,
    /// Degrees by which the picture is turned for its most prominent face.
    best_angle: i64,
}

#[derive(Debug, Clone, Serialize)]
struct Entity {
    bbox: Vec<i64>,
    confidence: f32,
    age: Option<()>,
    gender: Option<()>,
    race: Option<()>,
}

/// Faces as the API lists them.
pub fn entities(look: &Look) -> Entities {
    let entities = look
        .faces
        .iter()
        .map(|face| {
            #[expect(clippy::cast_possible_truncation, reason = "pixels of a picture")]
            let bbox = face.bbox.iter().map(|edge| edge.round() as i64).collect();
            Entity { bbox, confidence: face.confidence, age: None, gender: None, race: None }
        })
        .collect();
    let best_angle = look.main().map_or(0, |face| i64::from(face.quarter_turns) * 90);
    Entities { entities, best_angle }
}

/// Whether more than one face is in front of the camera, as a signal.
pub fn several_faces(look: &Look) -> Vec<Signal> {
    let Some(face) = look.main() else { return Vec::new() };
    // A second face counts when it is not far smaller than the first: people in the background are not in front of the camera.
    let rivals = look.faces.iter().skip(1).filter(|other| other.area() > 0.25 * face.area()).count();
    let shows = json!({ "faces": rivals + 1 });
    (rivals > 0)
        .then(|| Signal::certain("MULTIPLE_FACES_DETECTED", "face.detect/1", shows))
        .into_iter()
        .collect()
}

/// Quality and number of faces, as signals.
pub(crate) fn common_signals(look: &Look) -> Vec<Signal> {
    let mut signals = Vec::new();
    let Some(face) = look.main() else {
        signals.push(Signal::certain("NO_FACE_DETECTED", "face.detect/1", Value::Null));
        return signals;
    };
    signals.extend(several_faces(look));
    if !face.quality.passed() {
        let failed: Vec<Value> = face
            .quality
            .components
            .iter()
            .filter(|component| !component.passed)
            .map(|component| json!({ "component": component.name, "value": component.value, "remedy": component.remedy }))
            .collect();
        signals.push(Signal::certain("LOW_FACE_QUALITY", "face.quality/1", json!({ "components": failed })));
    }
    signals
}

/// What a judged selfie shows of itself, whatever it was judged for; without status and warnings.
#[derive(Debug, Serialize)]
pub(crate) struct SelfieBlock {
    pub(crate) method: String,
    pub(crate) score: Option<f64>,
    pub(crate) model: Option<String>,
    user_image: Option<Entities>,
    face_quality: Option<f32>,
    face_luminance: Option<f32>,
    pub(crate) age_estimation: Option<f64>,
    video_url: Option<()>,
    matches: [(); 0],
}

impl SelfieBlock {
    /// The block of a selfie that nothing has judged yet.
    pub(crate) fn of(look: Option<&Look>) -> Self {
        let face = look.and_then(Look::main);
        Self {
            method: "PASSIVE".to_owned(),
            score: None,
            model: None,
            user_image: look.map(entities),
            face_quality: face.map(|face| face.quality.score),
            face_luminance: face.and_then(|face| face.quality.value("brightness")),
            age_estimation: None,
            video_url: None,
            matches: [],
        }
    }
}
