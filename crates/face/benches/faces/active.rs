//! Active liveness on drawn sequences: live heads, flat pictures moved alike, recordings of other challenges.

use std::path::Path;

use face::active::{Challenge, Move, Observation, Task, observe, verify};
use face::{Engine, Pose};
use imaging::RgbImage;
use serde_json::{Value, json};

use crate::render::{Noise, Relief};
use crate::{decode, pictures, prominent, rate, say};

/// Whether a sequence passed, and why not.
type Outcome = (bool, Vec<String>);

/// A slow phone: the page asks for a frame every 170 ms. Fewer frames are the harder case, and keep 2 × 3 × 200
/// sequences within five minutes.
const FRAME_MS: u64 = 250;

/// A person answering the challenge: slower or quicker, further or less far, never quite still.
fn pose_at(challenge: &Challenge, at_ms: u64, seed: u64) -> Pose {
    let mut noise = Noise(seed | 1);
    let (delay, reach, pace) =
        (300.0 + 60.0 * noise.next(), 1.0 + 0.12 * noise.next(), 300.0 + 40.0 * noise.next());
    let mut jitter = Noise((seed ^ (at_ms << 20)) | 1);
    let mut pose = Pose { yaw: 0.6 * jitter.next(), pitch: 0.6 * jitter.next(), roll: 0.0 };
    if let Task::Active3d { prompts } = &challenge.task {
        for p in prompts {
            let t = at_ms as f32 - p.at_ms as f32;
            let share =
                ((t - delay) / pace).clamp(0.0, 1.0).min(((delay + 1_050.0 - t) / pace).clamp(0.0, 1.0))
                    * reach;
            match p.action {
                Move::Left => pose.yaw += 24.0 * share,
                Move::Right => pose.yaw -= 24.0 * share,
                Move::Up => pose.pitch -= 22.0 * share,
                Move::Down => pose.pitch += 22.0 * share,
            }
        }
    }
    pose
}

fn light_at(challenge: &Challenge, at_ms: u64) -> [f32; 3] {
    let Task::Flashing { flashes } = &challenge.task else { return [0.0; 3] };
    let shown = flashes.iter().rev().find(|f| f.at_ms + 70 <= at_ms);
    shown.map_or([0.0; 3], |f| f.rgb.map(|on| if on { 0.12 } else { 0.0 }))
}

fn record(
    engine: &Engine,
    relief: &Relief,
    challenge: &Challenge,
    light: bool,
    seed: u64,
) -> anyhow::Result<Vec<Observation>> {
    let mut frames = Vec::new();
    let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut at_ms = 0;
    while at_ms <= challenge.duration_ms {
        let lit = if light { light_at(challenge, at_ms) } else { [0.0; 3] };
        let picture = relief.draw(pose_at(challenge, at_ms, seed), lit, &mut noise);
        if let Some(frame) = observe(engine, &picture, challenge.nonce, at_ms)? {
            frames.push(frame);
        }
        at_ms += FRAME_MS;
    }
    Ok(frames)
}

fn small(image: &RgbImage) -> RgbImage {
    imaging::fit_within(image, 256)
}

pub(crate) fn measure(engine: &Engine, data: &Path) -> anyhow::Result<Value> {
    let count: usize = std::env::var("ACTIVE_SEQUENCES").ok().and_then(|v| v.parse().ok()).unwrap_or(200);
    let files: Vec<_> = pictures(&data.join("documents/faces_london"))?
        .into_iter()
        .filter(|f| f.to_string_lossy().contains("neutral"))
        .collect();
    // Other challenges and other movements of the same people: for confirming what was chosen on the first ones.
    let first: u64 = std::env::var("ACTIVE_FIRST_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
    let sequences: Vec<usize> = (0..count).collect();
    let mut out = serde_json::Map::new();
    let only = std::env::var("ACTIVE_KIND").ok();
    for (kind, make) in
        [("ACTIVE_3D", Challenge::active_3d as fn(u64) -> Challenge), ("FLASHING", Challenge::flashing)]
    {
        if only.as_deref().is_some_and(|o| o != kind) {
            continue;
        }
        let results = crate::parallel(&sequences, |&i| -> anyhow::Result<Option<[Outcome; 3]>> {
            let picture = small(&decode(&files[i % files.len()])?);
            let Some(face) = prominent(engine, &picture)? else { return Ok(None) };
            let seed = first + i as u64;
            let challenge = make(seed * 7_919);
            let judged = |frames: &[Observation], challenge: &Challenge| {
                let report = verify(challenge, frames);
                let why = report.failed().map(|c| format!("{} {:.3}", c.name, c.value)).collect();
                (report.passed(), why)
            };
            let live = record(engine, &Relief::new(&picture, &face.mesh, false), &challenge, true, seed)?;
            let flat = record(engine, &Relief::new(&picture, &face.mesh, true), &challenge, true, seed)?;
            // The live recording offered for another challenge, with that one's nonce.
            let other = make(seed * 104_729 + 13);
            let mut replay = live.clone();
            replay.iter_mut().for_each(|f| f.nonce = other.nonce);
            Ok(Some([judged(&live, &challenge), judged(&flat, &challenge), judged(&replay, &other)]))
        });
        let (mut passed, mut n) = ([0_usize; 3], 0);
        let mut reasons: [std::collections::BTreeMap<String, usize>; 3] = Default::default();
        for result in results {
            let Some(result) = result? else { continue };
            n += 1;
            for (k, (ok, why)) in result.into_iter().enumerate() {
                passed[k] += usize::from(ok);
                if n <= 3 {
                    say(&format!("  sample {n} {}: {ok} {why:?}", ["live", "flat", "replay"][k]));
                }
                for w in why {
                    let name = w.split(' ').next().unwrap_or_default().to_owned();
                    *reasons[k].entry(name).or_default() += 1;
                }
            }
        }
        say(&format!(
            "{kind}: live passed {} of {n}, flat pictures {} of {n}, replayed clips {} of {n}; refused live by {:?}, flat by {:?}, replay by {:?}",
            passed[0], passed[1], passed[2], reasons[0], reasons[1], reasons[2]
        ));
        out.insert(
            kind.into(),
            json!({
                "live_passed": rate(passed[0], n), "flat_passed": rate(passed[1], n), "replay_passed": rate(passed[2], n),
                "refused_by": { "live": reasons[0], "flat": reasons[1], "replay": reasons[2] },
            }),
        );
    }
    Ok(Value::Object(out))
}
