//! Active liveness: a challenge the server chooses, and the judgement of what the camera then saw.
//!
//! Pure functions of the challenge and of [`Observation`]s (one a frame). Two
//! challenges: `ACTIVE_3D` asks for head movements in an order and at moments
//! that come from the server's seed; `FLASHING` lights the face with colours in
//! such an order (at most two changes a second, below the three flashes a second of WCAG
//! 2.3.1). Neither needs the other, so each is the accessible alternative of
//! the other. A challenge is used once: the caller consumes its nonce.
//!
//! What is checked: nonce, order and latency, one identity through all frames,
//! depth (a head that turns is no plane: the homography between two meshes
//! leaves a residual), light that answers the screen, and frames that repeat,
//! wholly or in most parts. Out of sight: masks, deepfakes driven in real time.

use imaging::RgbImage;
use serde::{Deserialize, Serialize};

use crate::embed::{Effort, Template};
use crate::engine::{Engine, Face, FaceError};
use crate::mesh::Pose;

/// A head movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// To the person's own left.
    Left,
    /// To the person's own right.
    Right,
    /// Chin up.
    Up,
    /// Chin down.
    Down,
}

const MOVES: [Move; 4] = [Move::Left, Move::Right, Move::Up, Move::Down];

impl Move {
    /// How far the head has gone this way, in degrees from the resting pose.
    fn extent(self, pose: Pose, rest: Pose) -> f32 {
        match self {
            Move::Left => pose.yaw - rest.yaw,
            Move::Right => rest.yaw - pose.yaw,
            Move::Up => rest.pitch - pose.pitch,
            Move::Down => pose.pitch - rest.pitch,
        }
    }
}

/// One prompt of `ACTIVE_3D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// What to do.
    pub action: Move,
    /// When the page shows it, in milliseconds from the start.
    pub at_ms: u64,
}

/// One colour of `FLASHING`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// Red, green, blue on or off.
    pub rgb: [bool; 3],
    /// When the page shows it, in milliseconds from the start.
    pub at_ms: u64,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Task {
    /// Head movements.
    #[serde(rename = "ACTIVE_3D")]
    Active3d {
        /// In order.
        prompts: Vec<Prompt>,
    },
    /// Colours on the screen.
    #[serde(rename = "FLASHING")]
    Flashing {
        /// In order.
        flashes: Vec<Flash>,
    },
}

/// A challenge, valid once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Returned with every frame.
    pub nonce: u64,
    /// The task.
    pub task: Task,
    /// Length of the whole capture in milliseconds.
    pub duration_ms: u64,
}

/// SplitMix64: a small generator, so that a seed gives the same challenge everywhere.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// How long a movement may take from its prompt.
const ANSWER_MS: u64 = 1_400;
/// Nobody answers a prompt sooner.
const REACTION_MS: u64 = 120;

impl Challenge {
    /// Five head movements, no two alike in a row, at moments nobody can foresee. `seed` is fresh server randomness.
    pub fn active_3d(seed: u64) -> Self {
        let mut random = Seeded(seed);
        let nonce = random.next();
        let (mut prompts, mut at_ms, mut last) = (Vec::new(), 600 + random.below(700), None);
        while prompts.len() < 5 {
            let action = MOVES[random.below(4) as usize];
            if last == Some(action) {
                continue;
            }
            last = Some(action);
            prompts.push(Prompt { action, at_ms });
            at_ms += ANSWER_MS + random.below(1_100);
        }
        Self { nonce, task: Task::Active3d { prompts }, duration_ms: at_ms }
    }

    /// Twelve colours, neighbours different in at least one channel, half a second or more each.
    pub fn flashing(seed: u64) -> Self {
        let mut random = Seeded(seed);
        let nonce = random.next();
        let (mut flashes, mut at_ms, mut last) = (Vec::new(), 500, 0);
        while flashes.len() < 12 {
            let bits = 1 + random.below(7);
            if bits == last {
                continue;
            }
            last = bits;
            flashes.push(Flash { rgb: [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0], at_ms });
            at_ms += 500 + random.below(250);
        }
        Self { nonce, task: Task::Flashing { flashes }, duration_ms: at_ms }
    }
}

/// What one frame shows. Made by [`observe`] from pixels, or by a test.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Sent with the frame.
    pub nonce: u64,
    /// Milliseconds from the start, by the page's clock.
    pub at_ms: u64,
    /// Mesh points: x, y in pixels.
    pub points: Vec<[f32; 2]>,
    /// Distance between the eyes in pixels.
    pub eye_distance: f32,
    /// How the head is turned.
    pub pose: Pose,
    /// Who it is.
    pub template: Template,
    /// Mean red, green, blue of the skin that faces the camera (forehead, bridge of the nose), 0..255.
    pub skin: [f32; 3],
    /// The same of the skin that turns away from it (sides of the face).
    pub skin_side: [f32; 3],
    /// Faces in the frame.
    pub faces: usize,
    /// Cosine from which two frames are held to show one person, by the embedder's calibration.
    pub same_from: f64,
    /// Checksums of the parts of the frame that have any structure, by their place: equal only for identical pixels.
    pub parts: Vec<(u16, u64)>,
}

/// Reads one frame. `None` when it shows no face that can be aligned.
///
/// # Errors
/// [`FaceError::Run`] when a net fails.
pub fn observe(
    engine: &Engine,
    image: &RgbImage,
    nonce: u64,
    at_ms: u64,
) -> Result<Option<Observation>, FaceError> {
    let faces = engine.faces(image)?;
    let Some(face) = faces.first() else { return Ok(None) };
    let Some(template) = engine.template_with(image, face, Effort::Single)? else { return Ok(None) };
    Ok(Some(Observation {
        nonce,
        at_ms,
        points: face.mesh.points.iter().map(|p| [p[0], p[1]]).collect(),
        eye_distance: face.mesh.eye_distance(),
        pose: face.pose,
        template,
        skin: skin(image, face, &[9, 151, 108, 337, 6]),
        skin_side: skin(image, face, &[127, 356, 234, 454, 93, 323]),
        faces: faces.len(),
        same_from: engine.calibration().cosine(SAME_PERSON),
        parts: parts(image),
    }))
}

/// Mean colour of small patches around mesh points, drawn a little towards the middle of the face.
fn skin(image: &RgbImage, face: &Face, points: &[usize]) -> [f32; 3] {
    let radius = (face.mesh.eye_distance() * 0.08).max(1.0) as i64;
    let centre = face.mesh.point(6);
    let (mut sum, mut count) = ([0.0_f64; 3], 0.0);
    for &point in points {
        let p = face.mesh.point(point);
        let [x, y] = [p[0] + (centre[0] - p[0]) * 0.1, p[1] + (centre[1] - p[1]) * 0.1];
        for dy in -radius..=radius {
            for dx in -radius..=radius {
                let (px, py) = (x as i64 + dx, y as i64 + dy);
                if let (Ok(px), Ok(py)) = (u32::try_from(px), u32::try_from(py))
                    && let Some(p) = image.get_pixel_checked(px, py)
                {
                    sum.iter_mut().zip(p.0).for_each(|(s, v)| *s += f64::from(v));
                    count += 1.0;
                }
            }
        }
    }
    sum.map(|s| if count > 0.0 { (s / count) as f32 } else { 0.0 })
}

/// Checksums (FNV-1a) of a 12×12 grid. Parts without structure (black, burnt out) are left out: a camera
/// gives those alike again and again.
fn parts(image: &RgbImage) -> Vec<(u16, u64)> {
    let (w, h) = (image.width() / GRID, image.height() / GRID);
    let mut out = Vec::new();
    for (place, (row, column)) in (0..GRID).flat_map(|r| (0..GRID).map(move |c| (r, c))).enumerate() {
        let (mut hash, mut low, mut high) = (0xcbf2_9ce4_8422_2325_u64, u8::MAX, u8::MIN);
        for y in row * h..(row + 1) * h {
            for x in column * w..(column + 1) * w {
                for value in image.get_pixel(x, y).0 {
                    hash = (hash ^ u64::from(value)).wrapping_mul(0x0100_0000_01b3);
                }
                let green = image.get_pixel(x, y).0[1];
                (low, high) = (low.min(green), high.max(green));
            }
        }
        if high.saturating_sub(low) >= STRUCTURE {
            out.push((place as u16, hash));
        }
    }
    out
}

/// One check of a sequence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Its name, such as `order`.
    pub name: &'static str,
    /// What was measured.
    pub value: f64,
    /// What it is held against.
    pub threshold: f64,
    /// Whether it is as a live person would be.
    pub passed: bool,
}

/// The judgement of a sequence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Every check that was made.
    pub checks: Vec<Check>,
    /// Name and version of the method.
    pub method: &'static str,
}

impl Report {
    /// Whether every check passed; an empty report passes nothing.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|c| c.passed)
    }

    /// The checks that did not pass.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|c| !c.passed)
    }
}

/// Name and version of the method; the version rises with any change to what passes.
pub const METHOD: &str = "active-liveness/2";

/// Limits, from generated sequences (`cargo xtask bench faces`, table "active").
const MIN_FRAMES: usize = 12;
const MAX_GAP_MS: f64 = 700.0;
/// A movement counts from here on, in degrees.
const MOVED: f32 = 11.0;
/// Score every frame must keep with the most frontal one: one other person in 30 would reach it.
const SAME_PERSON: f64 = 25.0;
/// Parts of a frame along each side.
const GRID: u32 = 12;
/// Least difference of grey within a part that is looked at.
const STRUCTURE: u8 = 12;
/// Share of a frame's parts that were all seen before which makes it a repeated one.
const SEEN_BEFORE: f64 = 0.5;
/// Root mean square residual of the homography, in eye distances.
const DEPTH: f64 = 0.035;
/// Correlation of colours shown and colours given back.
const CHROMA: f64 = 0.70;
/// Answer of the skin at the sides over that in the middle: a head turns away from the screen there, paper does not.
const RELIEF: f64 = 0.88;

/// Judges a sequence against its challenge.
pub fn verify(challenge: &Challenge, frames: &[Observation]) -> Report {
    let mut report = Report { checks: Vec::new(), method: METHOD };
    let mut check = |name, value: f64, threshold: f64, passed: bool| {
        report.checks.push(Check { name, value, threshold, passed: passed && value.is_finite() });
    };
    check("frames", frames.len() as f64, MIN_FRAMES as f64, frames.len() >= MIN_FRAMES);
    if frames.len() < MIN_FRAMES {
        return report;
    }
    let foreign = frames.iter().filter(|f| f.nonce != challenge.nonce).count();
    check("nonce", foreign as f64, 0.0, foreign == 0);
    let gaps: Vec<f64> = frames.windows(2).map(|w| w[1].at_ms as f64 - w[0].at_ms as f64).collect();
    let widest = gaps.iter().copied().fold(0.0, f64::max);
    check("gap_ms", widest, MAX_GAP_MS, widest <= MAX_GAP_MS && gaps.iter().all(|g| *g > 0.0));
    let last = frames.last().map_or(0, |f| f.at_ms);
    let covered = last + 700 >= challenge.duration_ms && last <= challenge.duration_ms + 3_000;
    check("duration_ms", last as f64, challenge.duration_ms as f64, covered);
    let crowd = frames.iter().map(|f| f.faces).max().unwrap_or(0);
    check("faces", crowd as f64, 1.0, crowd == 1);
    let frontal = frames.iter().min_by(|a, b| turned(a.pose).total_cmp(&turned(b.pose)));
    let Some(frontal) = frontal else { return report };
    let identity = frames
        .iter()
        .filter(|f| turned(f.pose) < 25.0)
        .map(|f| f64::from(f.template.cosine(&frontal.template).unwrap_or(f32::NAN)))
        .fold(1.0, |low: f64, c| if c.is_nan() { f64::NAN } else { low.min(c) });
    check("identity", identity, frontal.same_from, identity >= frontal.same_from);
    let repeated = repeats(frames);
    check("repeated_frames", repeated, 0.2, repeated <= 0.2);
    match &challenge.task {
        Task::Active3d { prompts } => {
            let answered = answered(prompts, challenge.duration_ms, frames);
            check("order", answered as f64, prompts.len() as f64, answered == prompts.len());
            let depth = depth(frontal, frames);
            check("depth", depth, DEPTH, depth >= DEPTH);
        }
        Task::Flashing { flashes } => {
            let (chroma, relief) = chroma(flashes, frames);
            check("chroma", chroma, CHROMA, chroma >= CHROMA);
            check("relief", relief, RELIEF, relief <= RELIEF);
        }
    }
    report
}

fn turned(pose: Pose) -> f32 {
    pose.yaw.hypot(pose.pitch)
}

/// Share of frames most of whose parts were seen before, pixel for pixel: a camera never gives the same noise
/// twice, and to change a few pixels of a still picture, or a corner of it, does not make it a new one. A
/// frame without structure counts as repeated.
fn repeats(frames: &[Observation]) -> f64 {
    let mut seen = std::collections::HashSet::new();
    let repeated = frames
        .iter()
        .filter(|f| {
            let known = f.parts.iter().filter(|p| !seen.insert(**p)).count();
            known as f64 >= SEEN_BEFORE * f.parts.len() as f64
        })
        .count();
    repeated as f64 / frames.len().max(1) as f64
}

/// How many prompts were answered in order: the movement asked for comes after its prompt, within its time,
/// and none of the others comes in its place.
fn answered(prompts: &[Prompt], duration_ms: u64, frames: &[Observation]) -> usize {
    let before = prompts.first().map_or(0, |p| p.at_ms + REACTION_MS);
    let resting: Vec<Pose> = frames.iter().filter(|f| f.at_ms < before).map(|f| f.pose).collect();
    if resting.is_empty() {
        return 0;
    }
    let n = resting.len() as f32;
    let rest = Pose {
        yaw: resting.iter().map(|p| p.yaw).sum::<f32>() / n,
        pitch: resting.iter().map(|p| p.pitch).sum::<f32>() / n,
        roll: 0.0,
    };
    // Nothing may have moved before it was asked to.
    if resting.iter().any(|p| MOVES.iter().any(|m| m.extent(*p, rest) > MOVED / 2.0)) {
        return 0;
    }
    let mut count = 0;
    for (index, prompt) in prompts.iter().enumerate() {
        let until = prompts.get(index + 1).map_or(duration_ms + 3_000, |p| p.at_ms + REACTION_MS);
        let window: Vec<_> =
            frames.iter().filter(|f| f.at_ms >= prompt.at_ms + REACTION_MS && f.at_ms < until).collect();
        let reach =
            |m: Move| window.iter().filter(|f| m.extent(f.pose, rest) >= MOVED).map(|f| f.at_ms).min();
        let asked = reach(prompt.action).filter(|at| *at <= prompt.at_ms + ANSWER_MS);
        let returned = window.last().is_some_and(|f| MOVES.iter().all(|m| m.extent(f.pose, rest) < MOVED));
        let other = MOVES.iter().any(|m| *m != prompt.action && reach(*m).is_some());
        if asked.is_none() || other || !returned {
            break;
        }
        count += 1;
    }
    count
}

/// Residual of a plane's motion between the most frontal frame and those turned away from it, in eye distances.
///
/// Turned from that frame, not from the camera: who holds the head low, or the camera high, is turned all the
/// time, and frames between which nothing moved show no depth in anybody.
fn depth(frontal: &Observation, frames: &[Observation]) -> f64 {
    let away = |pose: Pose| (pose.yaw - frontal.pose.yaw).hypot(pose.pitch - frontal.pose.pitch);
    let mut residuals: Vec<f64> = frames
        .iter()
        .filter(|f| away(f.pose) >= MOVED)
        .filter_map(|f| plane_residual(&frontal.points, &f.points, f64::from(frontal.eye_distance)))
        .collect();
    residuals.sort_by(f64::total_cmp);
    // Median: one bad mesh neither saves a picture nor spoils a person.
    residuals.get(residuals.len() / 2).copied().unwrap_or(0.0)
}

/// Root mean square distance, in units of `unit`, that the best homography leaves between two point sets.
pub fn plane_residual(from: &[[f32; 2]], to: &[[f32; 2]], unit: f64) -> Option<f64> {
    if from.len() != to.len() || from.len() < 8 || unit.is_nan() || unit <= 0.0 {
        return None;
    }
    let (from, _) = centred(from)?;
    let (to, spread) = centred(to)?;
    // Least squares with h22 = 1 on centred, scaled points.
    let mut normal = [[0.0_f64; 9]; 8];
    for (p, q) in from.iter().zip(&to) {
        let rows = [
            ([p[0], p[1], 1.0, 0.0, 0.0, 0.0, -q[0] * p[0], -q[0] * p[1]], q[0]),
            ([0.0, 0.0, 0.0, p[0], p[1], 1.0, -q[1] * p[0], -q[1] * p[1]], q[1]),
        ];
        for (row, value) in rows {
            for (i, a) in row.iter().enumerate() {
                for (j, b) in row.iter().enumerate() {
                    normal[i][j] += a * b;
                }
                normal[i][8] += a * value;
            }
        }
    }
    let h = solve(normal)?;
    let sum: f64 = from
        .iter()
        .zip(&to)
        .map(|(p, q)| {
            let w = h[6] * p[0] + h[7] * p[1] + 1.0;
            let x = (h[0] * p[0] + h[1] * p[1] + h[2]) / w - q[0];
            let y = (h[3] * p[0] + h[4] * p[1] + h[5]) / w - q[1];
            x * x + y * y
        })
        .sum();
    let residual = (sum / from.len() as f64).sqrt() * spread / unit;
    residual.is_finite().then_some(residual)
}

/// Points about their mean, scaled to unit spread; the spread in pixels.
fn centred(points: &[[f32; 2]]) -> Option<(Vec<[f64; 2]>, f64)> {
    let n = points.len() as f64;
    let mean = |i: usize| points.iter().map(|p| f64::from(p[i])).sum::<f64>() / n;
    let (mx, my) = (mean(0), mean(1));
    let moved: Vec<_> = points.iter().map(|p| [f64::from(p[0]) - mx, f64::from(p[1]) - my]).collect();
    let spread = (moved.iter().map(|p| p[0] * p[0] + p[1] * p[1]).sum::<f64>() / n).sqrt();
    (spread > 1e-6).then(|| (moved.iter().map(|p| [p[0] / spread, p[1] / spread]).collect(), spread))
}

/// Gaussian elimination with pivoting.
fn solve(mut m: [[f64; 9]; 8]) -> Option<[f64; 8]> {
    for column in 0..8 {
        let pivot = (column..8).max_by(|&a, &b| m[a][column].abs().total_cmp(&m[b][column].abs()))?;
        m.swap(column, pivot);
        if m[column][column].is_nan() || m[column][column].abs() <= 1e-12 {
            return None;
        }
        for row in 0..8 {
            if row != column {
                let factor = m[row][column] / m[column][column];
                let source = m[column];
                m[row].iter_mut().zip(source).for_each(|(v, s)| *v -= factor * s);
            }
        }
    }
    Some(std::array::from_fn(|i| m[i][8] / m[i][i]))
}

/// Correlation between the colours shown and the colours the skin gave back, over all channels, and how
/// much of the answer is left at the sides of the face.
///
/// Both are taken as differences from their mean, so that steady room light drops out; the skin may
/// lag by the camera's delay, up to 300 ms.
fn chroma(flashes: &[Flash], frames: &[Observation]) -> (f64, f64) {
    let shown = |at: u64| flashes.iter().rev().find(|f| f.at_ms <= at).map(|f| f.rgb);
    // A channel against the mean of all three.
    let apart = |v: [f64; 3]| v.map(|x| x - v.iter().sum::<f64>() / 3.0);
    let log = |v: [f32; 3]| apart(v.map(|x| f64::from(x.max(1.0)).ln()));
    let mut best = (-1.0_f64, f64::INFINITY);
    for lag in [0_u64, 60, 120, 180, 240, 300] {
        let rows: Vec<[[f64; 3]; 3]> = frames
            .iter()
            .filter_map(|f| {
                let rgb = shown(f.at_ms.checked_sub(lag)?)?;
                Some([apart(rgb.map(|on| if on { 1.0 } else { 0.0 })), log(f.skin), log(f.skin_side)])
            })
            .collect();
        if rows.len() < 8 {
            return (0.0, f64::INFINITY);
        }
        let n = rows.len() as f64;
        let mut mean = [[0.0; 3]; 3];
        for (m, v) in rows.iter().flat_map(mean_slots) {
            mean[m / 3][m % 3] += v / n;
        }
        let (mut xx, mut xy, mut yy, mut xz) = (0.0, 0.0, 0.0, 0.0);
        for row in &rows {
            for c in 0..3 {
                let [x, y, z] = [0, 1, 2].map(|k| row[k][c] - mean[k][c]);
                xx += x * x;
                xy += x * y;
                yy += y * y;
                xz += x * z;
            }
        }
        // A camera's own noise is about a thousandth; light that changes less than that is no answer.
        if yy / n < 1e-6 {
            return (0.0, f64::INFINITY);
        }
        let r = xy / (xx * yy).sqrt().max(1e-12);
        if r > best.0 {
            best = (r, xz / xy);
        }
    }
    best
}

/// The nine values of a row with their places.
fn mean_slots(row: &[[f64; 3]; 3]) -> impl Iterator<Item = (usize, f64)> {
    row.iter().flatten().copied().enumerate()
}

#[cfg(test)]
mod tests;
