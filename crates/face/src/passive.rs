//! Passive liveness: does one picture look like a face before the camera or like a picture of one?
//!
//! The nets are slots (`role = "passive-liveness"` in a manifest entry: side, crop
//! scale, colour order, index of the live class). A pair of our own is packaged;
//! the nets an operator adds take its place. Without any the answer is
//! [`Passive::NotEvaluated`], never a pass. A score is evidence
//! against print and screen attacks of ordinary quality; masks, deepfakes and
//! injected video are out of its sight (`docs` and the bench say so).

use std::collections::BTreeMap;
use std::sync::Arc;

use imaging::RgbImage;
use inference::{LoadError, Models, Net};
use serde::{Deserialize, Serialize};

use crate::engine::{Face, FaceError};
use crate::pixels::{Scale, mirrored, tensor};

/// How a liveness net wants its crop and which class is live.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PadSpec {
    /// Side of the square input in pixels.
    pub side: u32,
    /// The face box is enlarged by this, as far as the picture reaches.
    pub crop: f32,
    /// Blue first.
    pub bgr: bool,
    /// Subtracted from 0..255.
    pub mean: f32,
    /// Multiplied afterwards.
    pub factor: f32,
    /// Index of the live class among the logits.
    pub live: usize,
    /// How much the net counts beside others.
    pub weight: f64,
}

impl Default for PadSpec {
    /// MiniFASNet V2 as published.
    fn default() -> Self {
        Self { side: 80, crop: 2.7, bgr: true, mean: 0.0, factor: 1.0, live: 1, weight: 1.0 }
    }
}

impl PadSpec {
    /// Reads the specification from a manifest entry's `parameters`; `role` is left alone.
    ///
    /// # Errors
    /// The text of what does not fit.
    pub fn from_parameters(parameters: &BTreeMap<String, toml::Value>) -> Result<Self, String> {
        let own: toml::Table =
            parameters.iter().filter(|(k, _)| *k != "role").map(|(k, v)| (k.clone(), v.clone())).collect();
        let spec: Self = own.try_into().map_err(|e: toml::de::Error| e.message().to_owned())?;
        if !(16..=512).contains(&spec.side) || !(1.0..=8.0).contains(&spec.crop) || spec.live > 64 {
            return Err("side, crop or live out of range".to_owned());
        }
        if !(0.01..=100.0).contains(&spec.weight) {
            return Err("weight must be from 0.01 to 100".to_owned());
        }
        Ok(spec)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Passive {
    /// Every installed net answered.
    Evaluated {
        /// 0 (attack) to 100 (live): weighted mean of the nets' live probabilities, each over the crop and its mirror image.
        score: f64,
        /// Names and versions of the nets.
        method: String,
    },
    /// No answer: no net is installed, or one failed.
    NotEvaluated {
        /// Why, as a short code: `no_model`, `no_face`, `model_failed`.
        reason: &'static str,
    },
}

impl Passive {
    /// The score when there is one.
    pub fn score(&self) -> Option<f64> {
        match self {
            Passive::Evaluated { score, .. } => Some(*score),
            Passive::NotEvaluated { .. } => None,
        }
    }
}

struct Slot {
    net: Arc<dyn Net>,
    spec: PadSpec,
}

/// The installed liveness nets. May be empty.
pub struct PassiveLiveness {
    slots: Vec<Slot>,
    method: String,
}

impl PassiveLiveness {
    /// Loads the nets whose manifest entries have `role = "passive-liveness"`: an operator's, or else our own.
    ///
    /// # Errors
    /// [`FaceError`] when an entry does not fit or its file cannot be used. A net that is named but not
    /// installed is left out.
    pub fn open(models: &Models) -> Result<Self, FaceError> {
        let mut found: Vec<(bool, Slot, String)> = Vec::new();
        for entry in models.entries() {
            if entry.parameters.get("role").and_then(|r| r.as_str()) != Some("passive-liveness") {
                continue;
            }
            let spec = PadSpec::from_parameters(&entry.parameters)
                .map_err(|why| FaceError::Slot { name: entry.name.clone(), why })?;
            match models.net(&entry.name) {
                Ok(net) => {
                    let name = format!("{}/{}", entry.name, entry.version);
                    found.push((entry.own, Slot { net, spec }, name));
                }
                Err(LoadError::NotInstalled { .. } | LoadError::NotBuiltIn { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if found.iter().any(|(own, ..)| !own) {
            found.retain(|(own, ..)| !own);
        }
        let (slots, names): (Vec<Slot>, Vec<String>) =
            found.into_iter().map(|(_, slot, name)| (slot, name)).unzip();
        Ok(Self { slots, method: names.join("+") })
    }

    /// Whether any net is installed.
    pub fn is_available(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Judges one face of one picture (the whole frame: the nets look at its surroundings).
    pub fn evaluate(&self, image: &RgbImage, face: &Face) -> Passive {
        if self.slots.is_empty() {
            return Passive::NotEvaluated { reason: "no_model" };
        }
        let (mut sum, mut weight) = (0.0, 0.0);
        for slot in &self.slots {
            match slot.live(image, face.bbox) {
                Some(live) => sum += slot.spec.weight * live,
                None => return Passive::NotEvaluated { reason: "model_failed" },
            }
            weight += slot.spec.weight;
        }
        Passive::Evaluated { score: 100.0 * sum / weight, method: self.method.clone() }
    }

    /// Several frames of one capture: the mean of their scores; one that cannot be judged spoils the answer.
    pub fn evaluate_frames<'a>(&self, frames: impl IntoIterator<Item = (&'a RgbImage, &'a Face)>) -> Passive {
        let (mut sum, mut count) = (0.0, 0.0);
        for (image, face) in frames {
            match self.evaluate(image, face) {
                Passive::Evaluated { score, .. } => {
                    sum += score;
                    count += 1.0;
                }
                missing => return missing,
            }
        }
        if count == 0.0 {
            return Passive::NotEvaluated { reason: "no_face" };
        }
        Passive::Evaluated { score: sum / count, method: self.method.clone() }
    }
}

impl Slot {
    fn live(&self, image: &RgbImage, bbox: [f32; 4]) -> Option<f64> {
        let crop = cut(image, frame(image, bbox, self.spec.crop)?, self.spec.side);
        Some((self.one(&crop)? + self.one(&mirrored(&crop))?) / 2.0)
    }

    fn one(&self, crop: &RgbImage) -> Option<f64> {
        let scale = Scale { bgr: self.spec.bgr, mean: [self.spec.mean; 3], factor: [self.spec.factor; 3] };
        let outputs = self.net.run(&[tensor(crop, &scale)]).ok()?;
        let logits = &outputs.first()?.data;
        let top = logits.iter().copied().fold(f32::MIN, f32::max);
        let exps: Vec<f64> = logits.iter().map(|l| f64::from(l - top).exp()).collect();
        let live = exps.get(self.spec.live)? / exps.iter().sum::<f64>();
        live.is_finite().then_some(live)
    }
}

/// Left, top, right, bottom (inclusive, whole pixels) of the enlarged box, moved inside of the picture
/// and shrunk to fit, as the published nets were trained.
fn frame(image: &RgbImage, bbox: [f32; 4], crop: f32) -> Option<[u32; 4]> {
    let (w, h) = (image.width() as f32, image.height() as f32);
    let (bw, bh) = (bbox[2] - bbox[0], bbox[3] - bbox[1]);
    if [bw, bh].iter().any(|v| v.is_nan() || *v < 1.0) || w < 2.0 || h < 2.0 {
        return None;
    }
    let scale = crop.min((w - 1.0) / bw).min((h - 1.0) / bh);
    let half = [bw * scale / 2.0, bh * scale / 2.0];
    let centre = [(bbox[0] + bbox[2]) / 2.0, (bbox[1] + bbox[3]) / 2.0];
    let place = |c: f32, half: f32, size: f32| {
        let low = (c - half).clamp(0.0, (size - 1.0 - 2.0 * half).max(0.0));
        [low, low + 2.0 * half]
    };
    let (x, y) = (place(centre[0], half[0], w), place(centre[1], half[1], h));
    Some([x[0], y[0], x[1].min(w - 1.0), y[1].min(h - 1.0)].map(|v| v.max(0.0) as u32))
}

/// The frame at `side`×`side`, plain bilinear on pixel centres: these nets read the aliasing of such a resize.
fn cut(image: &RgbImage, frame: [u32; 4], side: u32) -> RgbImage {
    let [l, t, r, b] = frame;
    let axis = |from: u32, to: u32| -> Vec<(u32, u32, f32)> {
        let length = (to - from + 1) as f32;
        (0..side)
            .map(|i| {
                let at = ((i as f32 + 0.5) * length / side as f32 - 0.5).clamp(0.0, length - 1.0);
                let low = at.floor();
                (from + low as u32, (from + low as u32 + 1).min(to), at - low)
            })
            .collect()
    };
    let (xs, ys) = (axis(l, r), axis(t, b));
    RgbImage::from_fn(side, side, |x, y| {
        let (x0, x1, fx) = xs[x as usize];
        let (y0, y1, fy) = ys[y as usize];
        let p = |x, y| image.get_pixel(x, y).0.map(f32::from);
        let (a, b, c, d) = (p(x0, y0), p(x1, y0), p(x0, y1), p(x1, y1));
        image::Rgb(std::array::from_fn(|i| {
            let top = a[i] + (b[i] - a[i]) * fx;
            let bottom = c[i] + (d[i] - c[i]) * fx;
            (top + (bottom - top) * fy).round() as u8
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crop_stays_inside_and_keeps_its_shape() {
        let image = RgbImage::new(200, 100);
        // A 20×20 box near the left edge, 2.7 times: 54 wide, moved inside.
        assert_eq!(frame(&image, [0.0, 40.0, 20.0, 60.0], 2.7), Some([0, 23, 54, 77]));
        // A box as large as the picture cannot grow.
        let [l, t, r, b] = frame(&image, [0.0, 0.0, 100.0, 99.0], 4.0).expect("a frame");
        assert!(l == 0 && t == 0 && r <= 199 && b <= 99);
        assert_eq!(frame(&image, [5.0, 5.0, 5.0, 5.0], 2.7), None);
    }

    #[test]
    fn every_recipe_fits_its_slot() {
        let mut weights = Vec::new();
        for recipe in inference::recipe::recipes() {
            match recipe.parameters["role"].as_str() {
                Some("passive-liveness") => {
                    let spec = PadSpec::from_parameters(&recipe.parameters).expect("fits");
                    assert_eq!(recipe.shape, [1, 3, spec.side as usize, spec.side as usize]);
                    weights.push(spec.weight);
                }
                Some("face-embedder") => {
                    let spec = crate::EmbedderSpec::from_parameters(&recipe.parameters).expect("fits");
                    assert_eq!(recipe.shape, [1, 3, spec.side as usize, spec.side as usize]);
                }
                role => assert_eq!(role, Some("face-detector"), "{}", recipe.name),
            }
        }
        assert_eq!(weights, [1.0, 3.0]);
        for bad in ["weight = nan", "weight = 0.0", "crop = 0.5", "live = 'x'", "unknown = 1"] {
            assert!(PadSpec::from_parameters(&toml::from_str(bad).expect("TOML")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_flat_picture_stays_flat_when_cut() {
        let image = RgbImage::from_pixel(50, 50, image::Rgb([10, 20, 30]));
        assert!(cut(&image, [3, 3, 40, 40], 80).pixels().all(|p| p.0 == [10, 20, 30]));
    }

    #[test]
    fn the_packaged_nets_judge_until_an_operator_adds_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = inference::Options { runtime: Some(inference::Runtime::Rten), threads: 1, lanes: 1 };
        let method = || {
            let models = Models::open_with(folder.path(), &options).expect("opens");
            PassiveLiveness::open(&models).expect("loads").method
        };
        assert_eq!(method(), "pad-student-v2/1+pad-student-v1se/1");
        let net = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/pad-student-v2.onnx");
        std::fs::copy(net, folder.path().join("added.onnx")).expect("copies");
        let entry = "[[model]]\nname = 'added'\nversion = '7'\nfile = 'added.onnx'\nlicence = 'Apache-2.0'\n\
                     [model.parameters]\nrole = 'passive-liveness'\n";
        std::fs::write(folder.path().join("operator.toml"), entry).expect("writes");
        assert_eq!(method(), "added/7");
    }

    #[test]
    fn without_a_model_nothing_is_evaluated_and_nothing_passes() {
        let none = PassiveLiveness { slots: Vec::new(), method: String::new() };
        assert!(!none.is_available());
        let frames: [(&RgbImage, &Face); 0] = [];
        assert_eq!(none.evaluate_frames(frames).score(), None);
    }
}
