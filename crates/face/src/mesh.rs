//! Fits the 468-point mesh (MediaPipe Face Mesh) to a detected face and reads pose from it.

use imaging::{RgbImage, similarity_warp};
use inference::{Net, RunError};

use crate::detect::Detection;
use crate::pixels::{Scale, tensor};

const SIDE: u32 = 192;
const POINTS: usize = 468;
/// The crop around the detector's box, as the mesh was trained on.
const CROP: f32 = 1.5;

/// 468 points of a face.
#[derive(Debug, Clone, PartialEq)]
pub struct Mesh {
    /// x, y in pixels of the picture; z in pixels, towards the camera negative.
    pub points: Vec<[f32; 3]>,
    /// How sure the net is that there is a face, 0 to 1.
    pub presence: f32,
}

/// How a head is turned, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Pose {
    /// Turn to a side: positive when the person turns to their own left.
    pub yaw: f32,
    /// Nod: positive when the chin goes down.
    pub pitch: f32,
    /// Tilt in the picture plane: positive clockwise as seen.
    pub roll: f32,
}

impl Mesh {
    /// A point's place in the picture; the origin for an index that does not exist.
    pub fn point(&self, index: usize) -> [f32; 2] {
        self.points.get(index).map_or([0.0, 0.0], |p| [p[0], p[1]])
    }

    fn space(&self, index: usize) -> [f32; 3] {
        self.points.get(index).copied().unwrap_or_default()
    }

    /// Centre of the person's own right eye.
    pub fn right_eye(&self) -> [f32; 2] {
        middle(self.point(33), self.point(133))
    }

    /// Centre of the person's own left eye.
    pub fn left_eye(&self) -> [f32; 2] {
        middle(self.point(263), self.point(362))
    }

    /// Distance between the eye centres in pixels, corrected for the turn of the head by depth.
    pub fn eye_distance(&self) -> f32 {
        let a = mid3(self.space(33), self.space(133));
        let b = mid3(self.space(263), self.space(362));
        length(sub(a, b))
    }

    /// Left, top, right, bottom of all points in pixels.
    pub fn bounds(&self) -> [f32; 4] {
        let mut b = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for p in &self.points {
            b = [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])];
        }
        b
    }

    /// The turn of the head, from the plane through temples, forehead and chin.
    pub fn pose(&self) -> Pose {
        let x = sub(self.space(454), self.space(234));
        let y = sub(self.space(152), self.space(10));
        let normal = cross(x, y);
        let n = length(normal).max(1e-6);
        // Facing the camera the normal is +z (away): x right, y down, z away.
        let yaw = (normal[0] / n).clamp(-1.0, 1.0).asin().to_degrees();
        let pitch = (-normal[1] / n).clamp(-1.0, 1.0).asin().to_degrees();
        let roll = x[1].atan2(x[0]).to_degrees();
        Pose { yaw: -yaw, pitch, roll }
    }

    /// How open the eyes are: height over width of the lid gap, right and left.
    pub fn eye_openness(&self) -> [f32; 2] {
        let gap = |top: usize, bottom: usize, a: usize, b: usize| {
            length(sub(self.space(top), self.space(bottom)))
                / length(sub(self.space(a), self.space(b))).max(1e-6)
        };
        [gap(159, 145, 33, 133), gap(386, 374, 263, 362)]
    }

    /// How open the mouth is: gap of the inner lips over the mouth's width.
    pub fn mouth_openness(&self) -> f32 {
        length(sub(self.space(13), self.space(14))) / length(sub(self.space(61), self.space(291))).max(1e-6)
    }
}

fn middle(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]
}

fn mid3(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0, (a[2] + b[2]) / 2.0]
}

fn sub(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn length(a: [f32; 3]) -> f32 {
    a.iter().map(|v| v * v).sum::<f32>().sqrt()
}

/// The square that the net looks at: centre in pixels, side in pixels, clockwise angle in radians.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Square {
    centre: [f32; 2],
    side: f32,
    angle: f32,
}

impl Square {
    /// Around a detection: 1.5 times its box, turned so that the eyes are level.
    pub(crate) fn around(face: &Detection) -> Self {
        let [l, t, r, b] = face.bbox;
        let [right, left] = face.eyes;
        Self {
            centre: [(l + r) / 2.0, (t + b) / 2.0],
            side: (r - l).max(b - t) * CROP,
            angle: (left[1] - right[1]).atan2(left[0] - right[0]),
        }
    }

    /// In which a fitted mesh lies as the detector's box would.
    fn of(mesh: &Mesh) -> Self {
        let (right, left) = (mesh.right_eye(), mesh.left_eye());
        let angle = (left[1] - right[1]).atan2(left[0] - right[0]);
        let (sin, cos) = angle.sin_cos();
        // Bounds in the turned frame.
        let mut b = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for p in &mesh.points {
            let q = [p[0] * cos + p[1] * sin, p[1] * cos - p[0] * sin];
            b = [b[0].min(q[0]), b[1].min(q[1]), b[2].max(q[0]), b[3].max(q[1])];
        }
        let (cx, cy) = ((b[0] + b[2]) / 2.0, (b[1] + b[3]) / 2.0);
        Self {
            centre: [cx * cos - cy * sin, cx * sin + cy * cos],
            side: (b[2] - b[0]).max(b[3] - b[1]) * REFIT,
            angle,
        }
    }

    /// Whether the net would see nearly the same in both.
    fn is_near(&self, other: &Self) -> bool {
        let apart = (self.centre[0] - other.centre[0]).hypot(self.centre[1] - other.centre[1]);
        let ratio = self.side / other.side;
        let turn = (self.angle - other.angle + std::f32::consts::PI).rem_euclid(std::f32::consts::TAU)
            - std::f32::consts::PI;
        apart < 0.08 * other.side && (0.87..1.15).contains(&ratio) && turn.abs() < 6_f32.to_radians()
    }
}

/// Fits the mesh within a square.
pub(crate) fn fit(net: &dyn Net, image: &RgbImage, square: Square) -> Result<Option<Mesh>, RunError> {
    let Square { centre, side, angle } = square;
    let reach = (image.width().max(image.height())) as f32 * 8.0;
    if !(side.is_finite() && angle.is_finite()) || side < 8.0 || side > reach {
        return Ok(None);
    }
    let scale = side / SIDE as f32;
    let (sin, cos) = angle.sin_cos();
    let (a, b) = (cos * scale, sin * scale);
    let half = SIDE as f32 / 2.0;
    let m = [a, -b, centre[0] - (a - b) * half, b, a, centre[1] - (b + a) * half];
    let crop = similarity_warp(image, m, SIDE, SIDE);
    let outputs = net.run(&[tensor(&crop, &Scale::uniform(0.0, 1.0 / 255.0))])?;
    let Some(raw) = outputs.iter().find(|t| t.data.len() == 3 * POINTS) else { return Ok(None) };
    let presence =
        outputs.iter().find(|t| t.data.len() == 1).and_then(|t| t.data.first()).copied().unwrap_or(0.0);
    let place =
        |p: &[f32]| [m[0] * p[0] + m[1] * p[1] + m[2], m[3] * p[0] + m[4] * p[1] + m[5], p[2] * scale];
    let points: Vec<_> = raw.data.chunks_exact(3).map(place).collect();
    let sound = points.iter().flatten().all(|v| v.is_finite()) && presence.is_finite();
    Ok(sound.then_some(Mesh { points, presence }))
}

/// Fits the mesh once more in the frame of a first fit; `None` where the first already had that frame, nearly (nine of
/// ten LFW faces), or where the second finds no face.
pub(crate) fn refit(
    net: &dyn Net,
    image: &RgbImage,
    first: &Mesh,
    seen: Square,
) -> Result<Option<(Mesh, Square)>, RunError> {
    let square = Square::of(first);
    if seen.is_near(&square) {
        return Ok(None);
    }
    Ok(fit(net, image, square)?.filter(|m| m.presence >= first.presence * 0.5).map(|mesh| (mesh, square)))
}

/// The square of the second fit in terms of the mesh's own size: the mesh fills what the detector's box fills.
const REFIT: f32 = 1.35;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_near_when_the_net_would_see_the_same() {
        let square = Square { centre: [100.0, 100.0], side: 100.0, angle: 3.13 };
        assert!(square.is_near(&Square { angle: -3.13, ..square }), "a turn over the half circle");
        assert!(!square.is_near(&Square { centre: [110.0, 100.0], ..square }));
        assert!(!square.is_near(&Square { side: 130.0, ..square }));
        assert!(!square.is_near(&Square { angle: 0.0, ..square }));
        assert!(!square.is_near(&Square { side: f32::NAN, ..square }));
    }
}
