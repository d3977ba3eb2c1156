//! Estimates age from a face, with its uncertainty, and answers a threshold with a buffer.
//!
//! The net (`faceres-age`) is installed only when the operator asks for it; its
//! licence note is in the manifest. It is weak, and biased upward for the
//! young: an answer near the threshold is [`Answer::Uncertain`], which a
//! workflow turns into a request for a document. It must not be the only gate
//! to what minors may not have.

use std::sync::Arc;

use imaging::RgbImage;
use inference::{Models, Net};
use serde::{Deserialize, Serialize};

use crate::engine::{Face, FaceError};
use crate::pixels::{Scale, tensor};

/// The net's name in the manifest.
const MODEL: &str = "faceres-age";
const SIDE: u32 = 224;

/// What the errors were on people whose age is known (`data/age.toml`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Errors {
    /// Enlargement of the face box for the net's crop.
    crop: f32,
    /// Years around the estimate that held 90 % of the true ages.
    half_width_90_years: f64,
    #[serde(rename = "measured_on")]
    _measured_on: String,
}

/// An estimate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Age {
    /// Expected age in years.
    pub years: f64,
    /// The range that held 90 % of the true ages in the calibration set.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Name and version of the net.
    pub method: String,
}

/// The answer to "is this person at least so old?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// At least the threshold and the buffer.
    Over,
    /// Below the threshold by at least the buffer.
    Under,
    /// Too close to tell: ask for a document.
    Uncertain,
}

impl Age {
    /// Whether the person is at least `threshold` years old, with `buffer` years of doubt to both
    /// sides ("Challenge 25": threshold 18, buffer 7). What is not a number is uncertain.
    pub fn at_least(&self, threshold: f64, buffer: f64) -> Answer {
        Answer::of(self.years, threshold, buffer)
    }
}

impl Answer {
    /// The same for an estimate in years.
    pub fn of(years: f64, threshold: f64, buffer: f64) -> Self {
        let buffer = buffer.max(0.0);
        if years >= threshold + buffer {
            Self::Over
        } else if years < threshold - buffer {
            Self::Under
        } else {
            Self::Uncertain
        }
    }
}

/// The age net, loaded.
pub struct AgeEstimator {
    net: Arc<dyn Net>,
    errors: Errors,
    method: String,
}

impl AgeEstimator {
    /// Loads the net.
    ///
    /// # Errors
    /// [`FaceError::Load`] naming the command that installs it.
    pub fn open(models: &Models) -> Result<Self, FaceError> {
        let errors = toml::from_str(include_str!("../data/age.toml")).expect("a test reads the error data");
        let version = models.entry(MODEL).map_or("", |e| e.version.as_str());
        Ok(Self { net: models.net(MODEL)?, errors, method: format!("{MODEL}/{version}") })
    }

    /// The age of one face. `None` when the net does not answer with a distribution.
    ///
    /// # Errors
    /// [`FaceError::Run`] when the net fails.
    pub fn estimate(&self, image: &RgbImage, face: &Face) -> Result<Option<Age>, FaceError> {
        let [l, t, r, b] = face.bbox;
        let side = (r - l).max(b - t) * self.errors.crop;
        let (right, left) = (face.mesh.right_eye(), face.mesh.left_eye());
        let (sin, cos) = (left[1] - right[1]).atan2(left[0] - right[0]).sin_cos();
        let scale = side / SIDE as f32;
        let (a, b2) = (cos * scale, sin * scale);
        let half = SIDE as f32 / 2.0;
        let centre = [(l + r) / 2.0, (t + b) / 2.0];
        let m = [a, -b2, centre[0] - (a - b2) * half, b2, a, centre[1] - (b2 + a) * half];
        if imaging::invert_similarity(m).is_none() {
            return Ok(None);
        }
        let crop = imaging::similarity_warp(image, m, SIDE, SIDE);
        let outputs = self.net.run(&[tensor(&crop, &Scale::uniform(0.0, 1.0))])?;
        let Some(shares) = outputs.iter().find(|o| o.data.len() == 100) else { return Ok(None) };
        Ok(expected(&shares.data).map(|years| Age {
            years,
            low: (years - self.errors.half_width_90_years).max(0.0),
            high: years + self.errors.half_width_90_years,
            method: self.method.clone(),
        }))
    }
}

/// Mean of the distribution over ages 0..100.
fn expected(shares: &[f32]) -> Option<f64> {
    let total: f64 = shares.iter().map(|&p| f64::from(p)).sum();
    let sum: f64 = shares.iter().enumerate().map(|(age, &p)| age as f64 * f64::from(p)).sum();
    (total.is_finite() && (0.5..2.0).contains(&total)).then(|| sum / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_data_reads() {
        let errors: Errors = toml::from_str(include_str!("../data/age.toml")).expect("reads");
        assert!(errors.half_width_90_years > 0.0 && errors.crop >= 1.0);
    }

    #[test]
    fn a_threshold_with_a_buffer_has_three_answers() {
        let age = |years| Age { years, low: years - 9.0, high: years + 9.0, method: String::new() };
        assert_eq!(age(25.0).at_least(18.0, 7.0), Answer::Over);
        assert_eq!(age(24.9).at_least(18.0, 7.0), Answer::Uncertain);
        assert_eq!(age(11.0).at_least(18.0, 7.0), Answer::Uncertain);
        assert_eq!(age(10.9).at_least(18.0, 7.0), Answer::Under);
        assert_eq!(age(f64::NAN).at_least(18.0, 7.0), Answer::Uncertain);
    }

    #[test]
    fn a_distribution_that_is_none_gives_no_age() {
        let mut shares = vec![0.0; 100];
        shares[30] = 0.5;
        shares[40] = 0.5;
        assert_eq!(expected(&shares), Some(35.0));
        assert_eq!(expected(&[0.0; 100]), None);
        assert_eq!(expected(&[f32::NAN; 100]), None);
    }
}
