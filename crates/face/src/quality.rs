//! Judges whether a face picture is good enough, and says what would mend it.
//!
//! Components follow ISO/IEC 29794-5: sharpness, illumination (brightness and
//! evenness), pose, size (distance between the eyes), occlusion, a face cut by
//! the edge, expression (mouth, eyes). Limits and remedies are `data/quality.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use imaging::RgbImage;
use serde::{Deserialize, Serialize};

use crate::align::{Jitter, Template, chip};
use crate::mesh::{Mesh, Pose};

#[derive(Deserialize)]
struct Limit {
    minimum: Option<f32>,
    maximum: Option<f32>,
    remedy: String,
}

static LIMITS: LazyLock<BTreeMap<String, Limit>> =
    LazyLock::new(|| toml::from_str(include_str!("../data/quality.toml")).expect("a test reads the limits"));

/// One thing that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// Its name, such as `sharpness`.
    pub name: &'static str,
    /// What was measured, in the unit the limits file gives.
    pub value: f32,
    /// Whether it is within its limits.
    pub passed: bool,
    /// What the person can do; absent when it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
}

/// All components of one face.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Share of components within limits, 0 to 100.
    pub score: f32,
    /// Each component.
    pub components: Vec<Component>,
}

impl Quality {
    /// Whether every component is within its limits.
    pub fn passed(&self) -> bool {
        self.components.iter().all(|c| c.passed)
    }

    /// A component's value.
    pub fn value(&self, name: &str) -> Option<f32> {
        self.components.iter().find(|c| c.name == name).map(|c| c.value)
    }
}

/// Measures a face.
pub(crate) fn measure(image: &RgbImage, mesh: &Mesh, pose: Pose) -> Quality {
    let mut components = Vec::new();
    let mut add = |name: &'static str, value: f32| {
        let limit = LIMITS.get(name);
        let passed = value.is_finite()
            && limit.is_some_and(|l| {
                l.minimum.is_none_or(|m| value >= m) && l.maximum.is_none_or(|m| value <= m)
            });
        let remedy = limit.filter(|_| !passed).map(|l| l.remedy.as_str());
        components.push(Component { name, value, passed, remedy });
    };
    if let Some(face) = chip(image, mesh, Template::Dlib5, 128, Jitter::NONE) {
        let grey = imaging::grey(&face);
        // The middle of the chip is skin, eyes and nose; the border may be background.
        let inner = image::imageops::crop_imm(&grey, 24, 24, 80, 80).to_image();
        let measured = imaging::quality::measure(&inner);
        add("sharpness", measured.focus);
        add("brightness", measured.brightness);
        add("evenness", evenness(&inner));
    } else {
        add("sharpness", f32::NAN);
    }
    add("yaw", pose.yaw.abs());
    add("pitch", pose.pitch.abs());
    add("roll", pose.roll.abs());
    add("size", mesh.eye_distance());
    add("cut", outside(image, mesh));
    add("occlusion", mesh.presence);
    add("mouth", mesh.mouth_openness());
    let [right, left] = mesh.eye_openness();
    add("eyes", right.max(left));
    let passed = components.iter().filter(|c| c.passed).count();
    Quality { score: 100.0 * passed as f32 / components.len() as f32, components }
}

/// Mean grey of the darker half over that of the brighter, left against right.
fn evenness(face: &imaging::GrayImage) -> f32 {
    let half = face.width() / 2;
    let mean = |from: u32, to: u32| {
        let sum: u64 = face
            .enumerate_pixels()
            .filter(|(x, ..)| (from..to).contains(x))
            .map(|(_, _, p)| u64::from(p[0]))
            .sum();
        sum as f32 / (half * face.height()) as f32
    };
    let (a, b) = (mean(0, half), mean(half, 2 * half));
    a.min(b) / a.max(b).max(1.0)
}

/// Share of the mesh outside of the picture.
fn outside(image: &RgbImage, mesh: &Mesh) -> f32 {
    let inside = |p: &[f32; 3]| {
        (0.0..=image.width() as f32).contains(&p[0]) && (0.0..=image.height() as f32).contains(&p[1])
    };
    mesh.points.iter().filter(|p| !inside(p)).count() as f32 / mesh.points.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_has_limits_and_a_remedy() {
        let mesh = Mesh { points: vec![[0.0; 3]; 468], presence: 1.0 };
        let quality = measure(&RgbImage::new(32, 32), &mesh, Pose::default());
        for component in &quality.components {
            assert!(LIMITS.contains_key(component.name), "{}", component.name);
            assert!(component.passed || component.remedy.is_some_and(|r| r.ends_with('.')));
        }
    }

    #[test]
    fn a_face_that_could_not_be_measured_does_not_pass() {
        let mesh = Mesh { points: vec![[0.0; 3]; 468], presence: f32::NAN };
        assert!(!measure(&RgbImage::new(32, 32), &mesh, Pose::default()).passed());
    }
}
