//! The engine: a models folder opened for faces.

use std::sync::Arc;

use imaging::RgbImage;
use inference::{LoadError, Models, Net, RunError};

use crate::align::Jitter;
use crate::detect::{self, Detection, Detector};
use crate::embed::{Effort, EmbedderSpec, RECIPE, Template, embed, embed_frames};
use crate::mesh::{self, Mesh, Pose};
use crate::quality::{self, Quality};
use crate::score::Calibration;

/// A face in a picture.
#[derive(Debug, Clone)]
pub struct Face {
    /// Left, top, right, bottom of the detector's box in pixels; may reach over the edge.
    pub bbox: [f32; 4],
    /// The detector's confidence, 0 to 1.
    pub confidence: f32,
    /// Eye corners and base of the nose: the points the face is aligned by, in pixels.
    pub landmarks: [[f32; 2]; 5],
    /// All 468 points.
    pub mesh: Mesh,
    /// How the head is turned.
    pub pose: Pose,
    /// Clockwise quarter turns that bring the picture upright for this face.
    pub quarter_turns: u8,
    /// Whether the picture will do, and what would mend it.
    pub quality: Quality,
}

impl Face {
    /// Area of the box in square pixels.
    pub fn area(&self) -> f32 {
        (self.bbox[2] - self.bbox[0]).max(0.0) * (self.bbox[3] - self.bbox[1]).max(0.0)
    }
}

/// How alike two faces are.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Similarity {
    /// 0 to 100; see [`Calibration`] for what it means.
    pub score_0_100: f64,
    /// Cosine of the templates, -1 to 1.
    pub raw: f64,
}

/// Where a score falls in the calibrated bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Too unlike.
    Decline,
    /// A person has to look.
    Review,
    /// Alike enough.
    Approve,
}

/// Why faces cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum FaceError {
    /// A net is not there.
    #[error("cannot load a face model")]
    Load(#[from] LoadError),
    /// A net failed.
    #[error("a face model failed")]
    Run(#[from] RunError),
    /// An operator's model or calibration does not fit its slot.
    #[error("model `{name}` does not fit its slot: {why}")]
    Slot {
        /// Which model.
        name: String,
        /// What does not fit.
        why: String,
    },
    /// A calibration file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file's name.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Templates of different embedders.
    #[error("the templates come from different models")]
    DifferentModels,
}

/// Faces of one picture at most.
const MAX_FACES: usize = 32;
/// A mesh below this presence is no face.
const PRESENCE: f32 = 0.2;

/// The nets for faces, ready to run. Shared between threads.
pub struct Engine {
    detector: Arc<dyn Net>,
    detector_kind: Detector,
    mesh: Arc<dyn Net>,
    embedder: Arc<dyn Net>,
    spec: EmbedderSpec,
    model: String,
    calibration: Calibration,
    effort: Effort,
    refits: u8,
}

impl Engine {
    /// Loads detector, mesh and embedder; an operator's models for these slots go first.
    ///
    /// # Errors
    /// [`FaceError`] naming the missing model and the command that installs it, or what does not fit.
    pub fn open(models: &Models) -> Result<Self, FaceError> {
        Self::open_with(models, Effort::default())
    }

    /// The same with a chosen effort a template.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_with(models: &Models, effort: Effort) -> Result<Self, FaceError> {
        Self::load(models, effort, true)
    }

    /// The same for an embedder that has no calibration yet: only for making one. Its scores mean nothing.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_uncalibrated(models: &Models) -> Result<Self, FaceError> {
        Self::load(models, Effort::default(), false)
    }

    fn load(models: &Models, effort: Effort, calibrated: bool) -> Result<Self, FaceError> {
        let slot = |role: &str| {
            models.entries().iter().find(|e| e.parameters.get("role").and_then(|r| r.as_str()) == Some(role))
        };
        let (detector_name, detector_kind) = match slot("face-detector") {
            Some(entry) => {
                let side = entry.parameters.get("side").and_then(toml::Value::as_integer).unwrap_or(640);
                let side = u32::try_from(side).ok().filter(|s| s % 32 == 0 && (64..=2048).contains(s));
                let why = || "side must be a multiple of 32 from 64 to 2048".to_owned();
                let side = side.ok_or_else(|| FaceError::Slot { name: entry.name.clone(), why: why() })?;
                (entry.name.as_str(), Detector::YuNet { side })
            }
            None => ("blazeface", Detector::BlazeFace),
        };
        let (embedder_name, spec) = match slot("face-embedder") {
            Some(entry) => {
                let spec = EmbedderSpec::from_parameters(&entry.parameters)
                    .map_err(|why| FaceError::Slot { name: entry.name.clone(), why })?;
                (entry.name.as_str(), spec)
            }
            None => ("dlib-face-embedder", EmbedderSpec::default()),
        };
        let version = models.entry(embedder_name).map_or("", |e| e.version.as_str());
        let model = format!("{embedder_name}/{version}+{RECIPE}");
        let calibration = match read_calibration(models, embedder_name, &model) {
            Err(FaceError::Slot { .. }) if !calibrated => Calibration::packaged(),
            other => other?,
        };
        Ok(Self {
            detector: models.net(detector_name)?,
            detector_kind,
            mesh: models.net("facemesh")?,
            embedder: models.net(embedder_name)?,
            spec,
            model,
            calibration,
            effort,
            refits: 1,
        })
    }

    /// The same engine fitting the mesh `refits` more times (1 unless set): for measuring what that gains.
    #[must_use]
    pub fn with_refits(self, refits: u8) -> Self {
        Self { refits, ..self }
    }

    /// One embedding of one frame of a face, unit length: for measuring ensembles.
    ///
    /// # Errors
    /// [`FaceError::Run`] when the embedder fails.
    pub fn embedding(
        &self,
        image: &RgbImage,
        face: &Face,
        jitter: Jitter,
        mirror: bool,
    ) -> Result<Option<Vec<f32>>, FaceError> {
        let frames = embed_frames(&*self.embedder, &self.spec, image, &face.mesh, &[(jitter, mirror)])?;
        Ok(frames.and_then(|frames| frames.into_iter().next()))
    }

    /// Name and version of the embedder and of the recipe, as in [`Template::model`].
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Length of the embedder's templates.
    pub fn dimension(&self) -> usize {
        self.spec.dimension
    }

    /// What scores mean for this embedder.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// All faces of a picture, the most prominent (large, confident, central) first.
    ///
    /// # Errors
    /// [`FaceError::Run`] when a net fails.
    pub fn faces(&self, image: &RgbImage) -> Result<Vec<Face>, FaceError> {
        if image.width() < 16 || image.height() < 16 {
            return Ok(Vec::new());
        }
        let mut faces = Vec::new();
        for detection in detect::detect(&*self.detector, self.detector_kind, image, MAX_FACES)? {
            if let Some(face) = self.fit(image, &detection)? {
                faces.push(face);
            }
        }
        let (w, h) = (image.width() as f32, image.height() as f32);
        let weight = |f: &Face| {
            let (x, y) = ((f.bbox[0] + f.bbox[2]) / w - 1.0, (f.bbox[1] + f.bbox[3]) / h - 1.0);
            f.area() * f.confidence * (1.0 - 0.5 * x.hypot(y).min(1.0))
        };
        faces.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        Ok(faces)
    }

    fn fit(&self, image: &RgbImage, detection: &Detection) -> Result<Option<Face>, FaceError> {
        let mut square = mesh::Square::around(detection);
        let Some(mut fitted) = mesh::fit(&*self.mesh, image, square)? else { return Ok(None) };
        if fitted.presence < PRESENCE {
            return Ok(None);
        }
        // The mesh is fitted again in its own frame where the detector's box was far from it.
        for _ in 0..self.refits {
            let Some(better) = mesh::refit(&*self.mesh, image, &fitted, square)? else { break };
            (fitted, square) = better;
        }
        let pose = fitted.pose();
        Ok(Some(Face {
            bbox: detection.bbox,
            confidence: detection.confidence,
            landmarks: [263, 362, 33, 133, 2].map(|i| fitted.point(i)),
            quality: quality::measure(image, &fitted, Pose { roll: leaning(pose.roll), ..pose }),
            pose,
            // The detector also finds turned faces; the fitted mesh says how they are turned.
            quarter_turns: ((-pose.roll / 90.0).round() as i32).rem_euclid(4) as u8,
            mesh: fitted,
        }))
    }

    /// The template of a face of this picture. `None` when the face cannot be aligned.
    ///
    /// # Errors
    /// [`FaceError::Run`] when the embedder fails.
    pub fn template(&self, image: &RgbImage, face: &Face) -> Result<Option<Template>, FaceError> {
        self.template_with(image, face, self.effort)
    }

    /// The same with a chosen effort.
    ///
    /// # Errors
    /// [`FaceError::Run`] when the embedder fails.
    pub fn template_with(
        &self,
        image: &RgbImage,
        face: &Face,
        effort: Effort,
    ) -> Result<Option<Template>, FaceError> {
        let vector = embed(&*self.embedder, &self.spec, image, &face.mesh, effort)?;
        Ok(vector.and_then(|v| Template::new(v, &self.model)))
    }

    /// How alike two faces are.
    ///
    /// # Errors
    /// [`FaceError::DifferentModels`] when the templates cannot be compared.
    pub fn compare(&self, a: &Template, b: &Template) -> Result<Similarity, FaceError> {
        let raw = f64::from(a.cosine(b).ok_or(FaceError::DifferentModels)?);
        Ok(Similarity { score_0_100: self.calibration.score(raw), raw })
    }

    /// Where a score falls.
    pub fn band(&self, score: f64) -> Band {
        if score.is_nan() || score < self.calibration.decline_below {
            Band::Decline
        } else if score >= self.calibration.approve_from {
            Band::Approve
        } else {
            Band::Review
        }
    }
}

/// How far a face leans from the nearest quarter turn, in degrees: a turned picture is no bad pose.
fn leaning(roll: f32) -> f32 {
    roll - 90.0 * (roll / 90.0).round()
}

/// The name of an embedder's calibration in the models folder.
pub fn calibration_file(embedder: &str) -> String {
    format!("calibration-{embedder}.toml")
}

fn read_calibration(models: &Models, name: &str, model: &str) -> Result<Calibration, FaceError> {
    let file = calibration_file(name);
    let path = models.dir().join(&file);
    let calibration = match fs_err::read_to_string(&path) {
        Ok(text) => Calibration::parse(&text).map_err(|why| FaceError::Slot { name: file.clone(), why })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Calibration::packaged(),
        Err(source) => return Err(FaceError::Read { path: file, source }),
    };
    if calibration.model == model {
        return Ok(calibration);
    }
    // Scores of an embedder that nobody calibrated would mean nothing.
    let why = format!(
        "it has no calibration (the one found is for `{}`); run `bonafide face calibrate --csv PAIRS` or remove the model",
        calibration.model
    );
    Err(FaceError::Slot { name: name.to_owned(), why })
}
