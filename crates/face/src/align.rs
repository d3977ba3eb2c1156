//! Places a face in an embedder's frame: mesh points → similarity → chip.

use std::sync::LazyLock;

use imaging::{RgbImage, invert_similarity, similarity_warp};

use crate::mesh::Mesh;

/// Where an embedder wants the face: pairs of a mesh point and its place in the unit square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Template {
    /// dlib's chip, found by all points of the mesh: where each lies in dlib's own chips, and how surely, was
    /// measured (`data/alignment.csv`, `training/align/`). Mesh points that mark the same spots as dlib's five lie
    /// up to 2 % of the chip beside them, and five points carry more of the mesh's noise than all do.
    DlibMesh,
    /// dlib's five points (eye corners, base of the nose) with padding 0.25.
    Dlib5,
    /// The ArcFace 112×112 template (eye centres, nose tip, mouth corners), as SFace, AuraFace and others use it.
    Arcface5,
}

/// dlib's mean face (`get_face_chip_details`, five points), at the mesh points that mark the same spots.
const DLIB: [(usize, [f32; 2]); 5] = [
    (263, [0.859_567_5, 0.213_498_15]),
    (362, [0.646_060_5, 0.228_967_44]),
    (33, [0.120_575_06, 0.213_727_45]),
    (133, [0.334_085_06, 0.229_064_24]),
    (2, [0.490_112_3, 0.627_797_5]),
];
const DLIB_PADDING: f32 = 0.25;

/// Place in the unit chip and weight of every mesh point.
static DLIB_MESH: LazyLock<Vec<([f32; 2], f32)>> = LazyLock::new(|| {
    let number = |text: Option<&str>| text.and_then(|t| t.parse::<f32>().ok()).unwrap_or(f32::NAN);
    let lines = include_str!("../data/alignment.csv").lines().skip(1);
    lines
        .map(|line| {
            let mut columns = line.split(',');
            ([number(columns.next()), number(columns.next())], number(columns.next()))
        })
        .collect()
});

/// ArcFace's template in pixels of 112.
const ARCFACE: [[f32; 2]; 5] =
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];

/// A change of the frame, for ensembles of chips.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// Shift in shares of the chip's side.
    pub shift: [f32; 2],
    /// Above 1 shows more around the face.
    pub zoom: f32,
    /// In degrees, clockwise.
    pub turn: f32,
}

impl Jitter {
    /// No change.
    pub const NONE: Self = Self { shift: [0.0, 0.0], zoom: 1.0, turn: 0.0 };
}

/// Cuts the face out of the picture as `template` asks, `side`×`side` pixels.
///
/// Outside of the picture the chip is black. `None` when the mesh is degenerate.
pub(crate) fn chip(
    image: &RgbImage,
    mesh: &Mesh,
    template: Template,
    side: u32,
    jitter: Jitter,
) -> Option<RgbImage> {
    let mut pairs: Vec<Pair> = Vec::with_capacity(DLIB_MESH.len());
    match template {
        Template::DlibMesh => {
            for (index, &(p, weight)) in DLIB_MESH.iter().enumerate() {
                pairs.push((p, mesh.point(index), weight));
            }
        }
        Template::Dlib5 => {
            for (index, p) in DLIB {
                let p = p.map(|v| (v + DLIB_PADDING) / (2.0 * DLIB_PADDING + 1.0));
                pairs.push((p, mesh.point(index), 1.0));
            }
        }
        Template::Arcface5 => {
            let sources = [mesh.right_eye(), mesh.left_eye(), mesh.point(1), mesh.point(61), mesh.point(291)];
            for (p, source) in ARCFACE.into_iter().zip(sources) {
                pairs.push((p.map(|v| v / 112.0), source, 1.0));
            }
        }
    }
    let (sin, cos) = jitter.turn.to_radians().sin_cos();
    for (p, ..) in &mut pairs {
        let [x, y] = [(p[0] - 0.5) / jitter.zoom, (p[1] - 0.5) / jitter.zoom];
        *p = [x * cos - y * sin + 0.5 + jitter.shift[0], x * sin + y * cos + 0.5 + jitter.shift[1]]
            .map(|v| v * side as f32);
    }
    let m = similarity(&pairs)?;
    Some(similarity_warp(image, m, side, side))
}

/// A point of the template, the point of the picture that belongs there, and how much it counts.
type Pair = ([f32; 2], [f32; 2], f32);

/// The similarity (turn, scale, shift) that brings the first points of the pairs closest to the second.
///
/// Weighted least squares over four unknowns, solved in closed form. `None` when the points coincide.
pub(crate) fn similarity(pairs: &[Pair]) -> Option<[f32; 6]> {
    let sum = |f: &dyn Fn(&Pair) -> f32| pairs.iter().map(|p| p.2 * f(p)).sum::<f32>();
    let n = sum(&|_| 1.0);
    let (mx, my) = (sum(&|p| p.0[0]) / n, sum(&|p| p.0[1]) / n);
    let (nx, ny) = (sum(&|p| p.1[0]) / n, sum(&|p| p.1[1]) / n);
    let spread = sum(&|p| (p.0[0] - mx).powi(2) + (p.0[1] - my).powi(2));
    let a = sum(&|p| (p.0[0] - mx) * (p.1[0] - nx) + (p.0[1] - my) * (p.1[1] - ny)) / spread;
    let b = sum(&|p| (p.0[0] - mx) * (p.1[1] - ny) - (p.0[1] - my) * (p.1[0] - nx)) / spread;
    let m = [a, -b, nx - a * mx + b * my, b, a, ny - b * mx - a * my];
    (m.iter().all(|v| v.is_finite()) && invert_similarity(m).is_some()).then_some(m)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similarity_is_recovered_exactly() {
        let map = |p: [f32; 2]| [2.0 * p[0] - 0.5 * p[1] + 3.0, 0.5 * p[0] + 2.0 * p[1] - 7.0];
        let pairs: Vec<_> = [[0.0, 0.0], [10.0, 1.0], [4.0, 8.0]].iter().map(|&p| (p, map(p), 0.5)).collect();
        let m = similarity(&pairs).expect("not degenerate");
        for (got, want) in m.iter().zip([2.0, -0.5, 3.0, 0.5, 2.0, -7.0]) {
            assert!((got - want).abs() < 1e-4, "{m:?}");
        }
    }

    #[test]
    fn points_on_one_spot_have_no_frame() {
        assert_eq!(similarity(&[([1.0, 1.0], [5.0, 5.0], 1.0); 5]), None);
    }

    #[test]
    fn every_mesh_point_has_its_place_and_weight() {
        assert_eq!(DLIB_MESH.len(), 468);
        assert!(DLIB_MESH.iter().all(|(p, w)| p.iter().all(|v| (-0.5..1.5).contains(v)) && *w > 0.0));
        // The eye corners lie near dlib's own.
        for (index, p) in DLIB {
            let own = p.map(|v| (v + DLIB_PADDING) / (2.0 * DLIB_PADDING + 1.0));
            let (measured, _) = DLIB_MESH[index];
            assert!((own[0] - measured[0]).hypot(own[1] - measured[1]) < 0.03, "point {index}");
        }
    }
}
