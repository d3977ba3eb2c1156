//! Turns a chip into a template and compares two templates.
//!
//! The embedder is a slot: [`EmbedderSpec`] says how a net wants its chip, and
//! an operator's manifest entry fills it. A template is the mean over a few
//! frames of the face (see [`Effort`]), each made unit length first, so that the cosine of two templates is their dot product.

use std::collections::BTreeMap;

use imaging::RgbImage;
use inference::{Net, RunError, Tensor};
use serde::{Deserialize, Serialize};

use crate::align::{Jitter, Template as Frame, chip};
use crate::mesh::Mesh;
use crate::pixels::{Scale, mirrored, tensor};

/// How an embedder wants its input and what it gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbedderSpec {
    /// Side of the square chip in pixels.
    pub side: u32,
    /// Colour order: blue first when true.
    pub bgr: bool,
    /// Subtracted per channel from 0..255, in the net's channel order.
    pub mean: [f32; 3],
    /// The result is multiplied by this, per channel.
    pub factor: [f32; 3],
    /// Where the face lies in the chip.
    pub template: Frame,
    /// Length of the embedding.
    pub dimension: usize,
    /// How templates are compared: only `cosine`.
    pub metric: Metric,
    /// Whether the net takes several chips at once; false unless stated.
    #[serde(default)]
    pub batch: bool,
}

/// How templates are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Cosine of the angle between them.
    Cosine,
}

impl Default for EmbedderSpec {
    /// The packaged dlib net.
    fn default() -> Self {
        Self {
            side: 150,
            bgr: false,
            mean: [0.0; 3],
            factor: [1.0; 3],
            template: Frame::DlibMesh,
            dimension: 128,
            metric: Metric::Cosine,
            batch: true,
        }
    }
}

impl EmbedderSpec {
    /// Reads the specification from a manifest entry's `parameters`; other keys (`role`) are left alone.
    ///
    /// # Errors
    /// The text of what does not fit.
    pub fn from_parameters(parameters: &BTreeMap<String, toml::Value>) -> Result<Self, String> {
        let own: toml::Table =
            parameters.iter().filter(|(k, _)| *k != "role").map(|(k, v)| (k.clone(), v.clone())).collect();
        let spec: Self = own.try_into().map_err(|e: toml::de::Error| e.message().to_owned())?;
        let sound = (16..=1024).contains(&spec.side) && (8..=4096).contains(&spec.dimension);
        if sound { Ok(spec) } else { Err("side or dimension out of range".to_owned()) }
    }
}

/// How much computing a template is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// The chip alone.
    Single,
    /// Two frames: nearer, and wider and mirrored.
    Pair,
    /// Three frames: nearer, wider, and the mirrored chip. Errors of the alignment average out.
    #[default]
    Ensemble,
}

/// A frame and whether it is mirrored.
type View = (Jitter, bool);

impl Effort {
    fn views(self) -> &'static [View] {
        const NEAR: View = (Jitter { zoom: 0.92, ..Jitter::NONE }, false);
        const WIDE: View = (Jitter { zoom: 1.1, ..Jitter::NONE }, true);
        match self {
            Effort::Single => &[(Jitter::NONE, false)],
            Effort::Pair => &[NEAR, WIDE],
            Effort::Ensemble => &[NEAR, WIDE, (Jitter::NONE, true)],
        }
    }
}

/// Version of how chips are cut and frames averaged: part of every template's model, since templates of
/// different recipes compare slightly differently. Raise it with any change to alignment or [`Effort`].
pub(crate) const RECIPE: u32 = 2;

/// A face as a vector, sealed like any biometric datum when stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Unit length.
    pub vector: Vec<f32>,
    /// Name and version of the embedder and of the recipe of its frames; templates of others never compare.
    pub model: String,
}

impl Template {
    /// A template from any vector of the model; it is made unit length.
    ///
    /// `None` for a vector that has no direction or is not finite.
    pub fn new(mut vector: Vec<f32>, model: &str) -> Option<Self> {
        normalise(&mut vector).then(|| Self { vector, model: model.to_owned() })
    }

    /// Bytes for storage: version 1, length of the model name, the name, little-endian f32.
    pub fn to_bytes(&self) -> Vec<u8> {
        let name = &self.model.as_bytes()[..self.model.len().min(255)];
        let mut out = vec![1, name.len() as u8];
        out.extend_from_slice(name);
        out.extend(self.vector.iter().flat_map(|v| v.to_le_bytes()));
        out
    }

    /// Reads [`Template::to_bytes`]; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [1, length, rest @ ..] = bytes else { return None };
        let (name, raw) = rest.split_at_checked(usize::from(*length))?;
        if raw.len() % 4 != 0 || raw.len() > 4 * 4096 {
            return None;
        }
        let vector = raw.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        Self::new(vector, std::str::from_utf8(name).ok()?)
    }

    /// Cosine with another template of the same model; `None` across models.
    pub fn cosine(&self, other: &Self) -> Option<f32> {
        (self.model == other.model && self.vector.len() == other.vector.len())
            .then(|| dot(&self.vector, &other.vector).clamp(-1.0, 1.0))
    }
}

/// Dot product, in independent lanes so that it vectorises.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (ca, cb) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = ca.remainder().iter().zip(cb.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in ca.zip(cb) {
        for i in 0..16 {
            lanes[i] += x[i] * y[i];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Makes a vector unit length; false when that is impossible.
pub(crate) fn normalise(vector: &mut [f32]) -> bool {
    let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    if !norm.is_finite() || norm < 1e-12 {
        return false;
    }
    vector.iter_mut().for_each(|v| *v /= norm);
    true
}

/// Frames of a face through the embedder, each unit length. `None` when the face cannot be aligned or the net answers nonsense.
pub(crate) fn embed_frames(
    net: &dyn Net,
    spec: &EmbedderSpec,
    image: &RgbImage,
    mesh: &Mesh,
    views: &[View],
) -> Result<Option<Vec<Vec<f32>>>, RunError> {
    let scale = Scale { bgr: spec.bgr, mean: spec.mean, factor: spec.factor };
    let mut inputs: Vec<Tensor> = Vec::new();
    for &(jitter, mirror) in views {
        let Some(mut chip) = chip(image, mesh, spec.template, spec.side, jitter) else { return Ok(None) };
        if mirror {
            chip = mirrored(&chip);
        }
        let one = tensor(&chip, &scale);
        match inputs.first_mut().filter(|_| spec.batch) {
            // One run over all frames reads the weights once: 5.2 ms a frame instead of 6.
            Some(all) => {
                all.shape[0] += 1;
                all.data.extend(one.data);
            }
            None => inputs.push(one),
        }
    }
    let mut vectors = Vec::with_capacity(views.len());
    for input in inputs {
        let expected = input.shape[0] * spec.dimension;
        let outputs = net.run(&[input])?;
        let Some(output) = outputs.into_iter().find(|t| t.data.len() == expected) else { return Ok(None) };
        vectors.extend(output.data.chunks_exact(spec.dimension).map(<[f32]>::to_vec));
    }
    Ok(vectors.iter_mut().all(|v| normalise(v)).then_some(vectors))
}

/// The mean direction over the frames of a face.
pub(crate) fn embed(
    net: &dyn Net,
    spec: &EmbedderSpec,
    image: &RgbImage,
    mesh: &Mesh,
    effort: Effort,
) -> Result<Option<Vec<f32>>, RunError> {
    let Some(vectors) = embed_frames(net, spec, image, mesh, effort.views())? else { return Ok(None) };
    let mut sum = vec![0.0; spec.dimension];
    for vector in &vectors {
        sum.iter_mut().zip(vector).for_each(|(s, v)| *s += v);
    }
    Ok(normalise(&mut sum).then_some(sum))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn templates_of_different_models_never_compare() {
        let a = Template::new(vec![1.0, 0.0], "a/1").expect("a direction");
        let b = Template::new(vec![1.0, 0.0], "b/1").expect("a direction");
        assert_eq!(a.cosine(&b), None);
        assert_eq!(a.cosine(&a), Some(1.0));
    }

    #[test]
    fn a_vector_without_direction_is_no_template() {
        assert!(Template::new(vec![0.0; 4], "a/1").is_none());
        assert!(Template::new(vec![f32::NAN, 1.0], "a/1").is_none());
    }

    #[test]
    fn an_operators_parameters_fill_the_slot_and_nonsense_is_refused() {
        let table: BTreeMap<String, toml::Value> = toml::from_str(
            "role = 'face-embedder'\nside = 112\ndimension = 512\ntemplate = 'arcface5'\nmean = [127.5, 127.5, 127.5]\nfactor = [0.00784, 0.00784, 0.00784]",
        )
        .expect("valid TOML");
        let spec = EmbedderSpec::from_parameters(&table).expect("fits");
        assert_eq!((spec.side, spec.dimension, spec.template), (112, 512, Frame::Arcface5));
        // Most published files take one chip at a time.
        assert!(!spec.batch);
        let bad: BTreeMap<String, toml::Value> = toml::from_str("side = 0").expect("valid TOML");
        assert!(EmbedderSpec::from_parameters(&bad).is_err());
    }

    proptest! {
        #[test]
        fn stored_templates_come_back_the_same(values in prop::collection::vec(-1.0_f32..1.0, 1..64)) {
            if let Some(template) = Template::new(values, "m/1") {
                let back = Template::from_bytes(&template.to_bytes()).expect("own bytes");
                prop_assert!(back.cosine(&template).expect("same model") > 0.9999);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Template::from_bytes(&bytes);
        }
    }
}
