//! Sequences of numbers, without pictures: the bench does the same with rendered pixels.

use super::*;

/// Points of a head: a bowed surface, in eye distances, z away from the camera.
fn head() -> Vec<[f32; 3]> {
    let mut points = Vec::new();
    for i in 0..18 {
        for j in 0..26 {
            let (x, y) = (-1.1 + 2.2 * i as f32 / 17.0, -1.3 + 2.6 * j as f32 / 25.0);
            let nose = -0.45 * (-(x * x + (y - 0.2) * (y - 0.2)) * 8.0).exp();
            points.push([x, y, 0.55 * x * x + 0.25 * y * y + nose]);
        }
    }
    points
}

fn flat() -> Vec<[f32; 3]> {
    head().into_iter().map(|[x, y, _]| [x, y, 0.0]).collect()
}

fn project(points: &[[f32; 3]], pose: Pose) -> Vec<[f32; 2]> {
    let ((sy, cy), (sp, cp)) = (pose.yaw.to_radians().sin_cos(), pose.pitch.to_radians().sin_cos());
    points
        .iter()
        .map(|[x, y, z]| {
            let (x, z) = (x * cy + z * sy, z * cy - x * sy);
            let (y, z) = (y * cp - z * sp, z * cp + y * sp);
            let w = 60.0 * 8.0 / (8.0 + z);
            [320.0 + x * w, 240.0 + y * w]
        })
        .collect()
}

fn pose_at(challenge: &Challenge, at_ms: u64) -> Pose {
    let Task::Active3d { prompts } = &challenge.task else { return Pose::default() };
    let mut pose = Pose::default();
    for p in prompts {
        // Rises from 300 ms after the prompt, holds, and is back after 1,400 ms.
        let t = at_ms as f32 - p.at_ms as f32;
        let share = ((t - 300.0) / 300.0).clamp(0.0, 1.0).min(((1_400.0 - t) / 300.0).clamp(0.0, 1.0));
        match p.action {
            Move::Left => pose.yaw += 22.0 * share,
            Move::Right => pose.yaw -= 22.0 * share,
            Move::Up => pose.pitch -= 20.0 * share,
            Move::Down => pose.pitch += 20.0 * share,
        }
    }
    pose
}

fn record(shown: &Challenge, surface: &[[f32; 3]], light: f32) -> Vec<Observation> {
    let template = Template::new(vec![1.0, 0.5], "m/1").expect("a direction");
    (0..=shown.duration_ms / 100)
        .map(|i| {
            let at_ms = i * 100;
            let pose = pose_at(shown, at_ms);
            let (mut skin, mut skin_side) = ([120.0, 95.0, 80.0], [90.0, 70.0, 60.0]);
            // The sides of a bowed surface take less of the light, those of a flat one as much.
            let bowed = surface.iter().any(|p| p[2] != 0.0);
            if let Task::Flashing { flashes } = &shown.task
                && let Some(f) = flashes.iter().rev().find(|f| f.at_ms + 80 <= at_ms)
            {
                skin.iter_mut().zip(f.rgb).for_each(|(s, on)| *s *= if on { 1.0 + light } else { 1.0 });
                let light = if bowed { light * 0.6 } else { light };
                skin_side.iter_mut().zip(f.rgb).for_each(|(s, on)| *s *= if on { 1.0 + light } else { 1.0 });
            }
            Observation {
                nonce: shown.nonce,
                at_ms,
                points: project(surface, pose),
                eye_distance: 60.0,
                pose,
                template: template.clone(),
                skin,
                skin_side,
                faces: 1,
                same_from: 0.9,
                parts: (0..10).map(|place| (place, i)).collect(),
            }
        })
        .collect()
}

/// A recording answering `old`, offered for `new`.
fn replayed(old: &Challenge, new: &Challenge) -> Vec<Observation> {
    let mut frames = record(old, &head(), 0.2);
    frames.iter_mut().for_each(|f| f.nonce = new.nonce);
    frames
}

#[test]
fn a_person_who_does_what_is_asked_passes() {
    for seed in 0..50 {
        let challenge = Challenge::active_3d(seed);
        let report = verify(&challenge, &record(&challenge, &head(), 0.0));
        assert!(report.passed(), "{seed}: {:?}", report.failed().collect::<Vec<_>>());
        let challenge = Challenge::flashing(seed);
        let report = verify(&challenge, &record(&challenge, &head(), 0.05));
        assert!(report.passed(), "{seed}: {:?}", report.failed().collect::<Vec<_>>());
    }
}

#[test]
fn a_person_who_holds_the_head_low_passes_and_a_flat_picture_held_so_does_not() {
    for seed in 0..50 {
        let challenge = Challenge::active_3d(seed);
        for (surface, live) in [(head(), true), (flat(), false)] {
            let mut frames = record(&challenge, &surface, 0.0);
            for frame in &mut frames {
                frame.pose.pitch += 14.0;
                frame.points = project(&surface, frame.pose);
            }
            let report = verify(&challenge, &frames);
            assert_eq!(report.passed(), live, "{seed}: {:?}", report.failed().collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_flat_picture_turned_as_asked_does_not_pass() {
    for seed in 0..50 {
        let challenge = Challenge::active_3d(seed);
        let report = verify(&challenge, &record(&challenge, &flat(), 0.0));
        assert!(report.failed().any(|c| c.name == "depth"), "{seed}");
        let challenge = Challenge::flashing(seed);
        let report = verify(&challenge, &record(&challenge, &flat(), 0.05));
        assert!(report.failed().any(|c| c.name == "relief"), "{seed}");
    }
}

#[test]
fn a_clip_of_another_challenge_does_not_pass() {
    for seed in 0..200 {
        let new = Challenge::active_3d(seed);
        assert!(!verify(&new, &replayed(&Challenge::active_3d(seed + 1_000), &new)).passed(), "3D {seed}");
        let new = Challenge::flashing(seed);
        assert!(!verify(&new, &replayed(&Challenge::flashing(seed + 1_000), &new)).passed(), "{seed}");
    }
}

#[test]
fn skin_that_does_not_answer_the_light_does_not_pass() {
    let challenge = Challenge::flashing(3);
    let report = verify(&challenge, &record(&challenge, &head(), 0.0));
    assert!(report.failed().any(|c| c.name == "chroma"));
}

#[test]
fn frames_of_another_session_repeated_frames_and_other_people_do_not_pass() {
    let challenge = Challenge::active_3d(1);
    let frames = record(&challenge, &head(), 0.0);
    let spoil = |f: &dyn Fn(&mut Observation)| {
        let mut frames = frames.clone();
        frames.iter_mut().skip(3).for_each(f);
        verify(&challenge, &frames).failed().map(|c| c.name).collect::<Vec<_>>()
    };
    assert_eq!(spoil(&|f| f.nonce = 5), ["nonce"]);
    // Frozen, but for one part that the attacker changes in every frame.
    let frozen = |f: &mut Observation| f.parts.iter_mut().skip(1).for_each(|p| p.1 = 5);
    assert_eq!(spoil(&frozen), ["repeated_frames"]);
    assert_eq!(spoil(&|f| f.parts.clear()), ["repeated_frames"]);
    assert_eq!(spoil(&|f| f.faces = 2), ["faces"]);
    assert_eq!(
        spoil(&|f| f.template = Template::new(vec![0.0, 1.0], "m/1").expect("a direction")),
        ["identity"]
    );
    assert!(!verify(&challenge, &frames[..5]).passed());
}

#[test]
fn a_seed_gives_one_challenge_and_flashes_stay_below_three_a_second() {
    assert_eq!(Challenge::active_3d(9), Challenge::active_3d(9));
    for seed in 0..100 {
        let Task::Flashing { flashes } = Challenge::flashing(seed).task else {
            unreachable!("made as flashing")
        };
        assert!(flashes.windows(2).all(|w| w[1].at_ms - w[0].at_ms >= 500 && w[0].rgb != w[1].rgb));
    }
}

#[test]
fn a_plane_leaves_no_residual_and_numbers_that_are_none_leave_none() {
    let (a, b) =
        (project(&flat(), Pose::default()), project(&flat(), Pose { yaw: 25.0, pitch: 5.0, roll: 0.0 }));
    assert!(plane_residual(&a, &b, 60.0).expect("a plane") < 1e-3);
    assert_eq!(plane_residual(&[[f32::NAN; 2]; 10], &[[1.0; 2]; 10], 60.0), None);
    assert_eq!(plane_residual(&[[1.0; 2]; 10], &[[1.0; 2]; 10], 60.0), None);
}

#[test]
fn a_frame_that_differs_in_one_corner_keeps_its_other_parts_and_flat_ones_are_left_out() {
    let a = RgbImage::from_fn(120, 120, |x, y| {
        if x < 60 { image::Rgb([(x * 31 + y * 17) as u8; 3]) } else { image::Rgb([255; 3]) }
    });
    let mut b = a.clone();
    b.put_pixel(0, 0, image::Rgb([1, 2, 3]));
    let (a, b) = (parts(&a), parts(&b));
    assert_eq!(a.len(), 72, "the burnt-out half is left out");
    assert_eq!(a.iter().filter(|p| b.contains(p)).count(), 71);
    assert!(parts(&RgbImage::new(3, 3)).is_empty());
}
