//! Warps, resizes, measures and hashes on pictures whose answer is known.

use imaging::{
    Point, Projection, Quad, RgbImage, crop, fit_within, grey, hash, invert_similarity, quality, resize,
    rotate90, similarity_warp, warp_quad,
};
use proptest::prelude::*;

/// A smooth picture: any correct sampling of it is close to its formula.
fn smooth(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = ((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32);
        value(u, v).into()
    })
}

fn value(u: f32, v: f32) -> [u8; 3] {
    [(20.0 + 200.0 * u) as u8, (20.0 + 200.0 * v) as u8, (120.0 + 60.0 * (3.0 * u + 2.0 * v).sin()) as u8]
}

fn largest_error(image: &RgbImage, at: impl Fn(f32, f32) -> [u8; 3]) -> i32 {
    let (w, h) = image.dimensions();
    image
        .enumerate_pixels()
        .flat_map(|(x, y, pixel)| {
            let want = at((x as f32 + 0.5) / w as f32, (y as f32 + 0.5) / h as f32);
            (0..3).map(move |k| (i32::from(pixel.0[k]) - i32::from(want[k])).abs())
        })
        .max()
        .unwrap_or(0)
}

#[test]
fn resizing_a_smooth_picture_keeps_it_in_place() {
    let image = smooth(600, 400);
    for (w, h) in [(150, 100), (233, 77), (599, 401), (40, 300)] {
        assert!(largest_error(&resize(&image, w, h), value) <= 6, "{w} × {h}");
    }
    assert_eq!(fit_within(&image, 300).dimensions(), (300, 200));
    assert_eq!(fit_within(&image, 900).dimensions(), (600, 400));
}

#[test]
fn a_constant_picture_stays_constant_at_every_size() {
    let image = RgbImage::from_pixel(37, 23, [255, 128, 1].into());
    for (w, h) in [(1, 1), (5, 99), (100, 3), (36, 22)] {
        assert!(resize(&image, w, h).pixels().all(|p| p.0 == [255, 128, 1]));
    }
}

#[test]
fn warping_the_whole_picture_is_a_resize() {
    let image = smooth(600, 400);
    let corners = [(0.0, 0.0), (600.0, 0.0), (600.0, 400.0), (0.0, 400.0)].map(|(x, y)| Point::new(x, y));
    for (w, h) in [(600, 400), (150, 100), (90, 300)] {
        assert!(largest_error(&warp_quad(&image, &corners, w, h), value) <= 6, "{w} × {h}");
    }
}

/// A picture of which every pixel matters: nothing about it is smooth.
fn rough(width: u32, height: u32) -> RgbImage {
    let mut state = 1_u32;
    RgbImage::from_fn(width, height, |_, _| {
        image::Rgb(std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }))
    })
}

#[test]
fn a_warp_mixes_four_neighbours_exactly_inside_and_at_the_edges() {
    let image = rough(23, 17);
    // A quarter and three eighths of a pixel aside, in whole 256ths.
    let moved = similarity_warp(&image, [1.0, 0.0, 0.25, 0.0, 1.0, 0.375], 23, 17);
    let at = |x: u32, y: u32, k: usize| u32::from(image.get_pixel(x.min(22), y.min(16)).0[k]);
    for (x, y, pixel) in moved.enumerate_pixels() {
        // Past the last pixel's outer edge nothing is drawn.
        if x == 22 || y == 16 {
            continue;
        }
        for k in 0..3 {
            let upper = at(x, y, k) * 192 + at(x + 1, y, k) * 64;
            let lower = at(x, y + 1, k) * 192 + at(x + 1, y + 1, k) * 64;
            let want = (upper * 160 + lower * 96 + (1 << 15)) >> 16;
            assert_eq!(u32::from(pixel.0[k]), want, "{x} {y} {k}");
        }
    }
}

#[test]
fn a_resize_weighs_every_pixel_it_covers_once() {
    let image = rough(61, 47);
    // Half the size, triangle filter: weights 1, 3, 3, 1 eighths along each side (two pixels each way).
    let image = crop(&image, 0, 0, 60, 46);
    let half = resize(&image, 30, 23);
    for (x, y, pixel) in
        half.enumerate_pixels().filter(|(x, y, _)| (1..29).contains(x) && (1..22).contains(y))
    {
        for k in 0..3 {
            let weights = [1.0, 3.0, 3.0, 1.0_f32];
            let mut sum = 0.0;
            for (j, wy) in weights.iter().enumerate() {
                for (i, wx) in weights.iter().enumerate() {
                    let p = image.get_pixel(2 * x + i as u32 - 1, 2 * y + j as u32 - 1).0[k];
                    sum += wx * wy * f32::from(p) / 64.0;
                }
            }
            assert!((f32::from(pixel.0[k]) - sum).abs() <= 0.51, "{x} {y} {k}: {} {sum}", pixel.0[k]);
        }
    }
}

#[test]
fn a_quad_taken_out_and_put_back_is_where_it_was() {
    let quad: Quad =
        [(120.0, 60.0), (520.0, 90.0), (480.0, 370.0), (100.0, 330.0)].map(|(x, y)| Point::new(x, y));
    let out = warp_quad(&smooth(600, 400), &quad, 400, 300);
    let whole = [(0.0, 0.0), (400.0, 0.0), (400.0, 300.0), (0.0, 300.0)].map(|(x, y)| Point::new(x, y));
    let map = Projection::between(&whole, &quad).expect("a proper quad");
    let want = |u: f32, v: f32| {
        let p = map.apply(Point::new(u * 400.0, v * 300.0));
        value(p.x / 600.0, p.y / 400.0)
    };
    assert!(largest_error(&out, want) <= 4);
}

#[test]
fn a_steep_perspective_shows_each_pixel_where_it_lies() {
    let image = rough(300, 200);
    let quad: Quad =
        [(20.0, 10.0), (280.0, 60.0), (270.0, 120.0), (8.0, 195.0)].map(|(x, y)| Point::new(x, y));
    let out = warp_quad(&image, &quad, 301, 203);
    let whole = [(0.0, 0.0), (301.0, 0.0), (301.0, 203.0), (0.0, 203.0)].map(|(x, y)| Point::new(x, y));
    let map = Projection::between(&whole, &quad).expect("a proper quad");
    for (x, y, pixel) in out.enumerate_pixels() {
        let p = map.apply(Point::new(x as f32 + 0.5, y as f32 + 0.5));
        let (u, v) = (p.x - 0.5, p.y - 0.5);
        let (ax, ay) = (u.fract(), v.fract());
        for k in 0..3 {
            let at = |dx, dy| f32::from(image.get_pixel(u as u32 + dx, v as u32 + dy).0[k]);
            let across = |dy| at(0, dy) * (1.0 - ax) + at(1, dy) * ax;
            let want = across(0) * (1.0 - ay) + across(1) * ay;
            assert!((f32::from(pixel.0[k]) - want).abs() <= 6.0, "{x} {y} {k}: {} {want}", pixel.0[k]);
        }
    }
}

#[test]
fn quarter_turns_follow_the_clock() {
    let mut image = RgbImage::new(3, 2);
    image.put_pixel(0, 0, [255, 0, 0].into());
    assert_eq!(rotate90(&image, 1).get_pixel(1, 0).0, [255, 0, 0]);
    assert_eq!(rotate90(&image, 2).get_pixel(2, 1).0, [255, 0, 0]);
    assert_eq!(rotate90(&image, 5).dimensions(), (2, 3));
}

#[test]
fn a_similarity_and_its_inverse_meet() {
    let m = [0.8, -0.3, 12.0, 0.3, 0.8, -4.0];
    let back = invert_similarity(m).expect("a similarity");
    let (x, y) = (m[0] * 7.0 + m[1] * 9.0 + m[2], m[3] * 7.0 + m[4] * 9.0 + m[5]);
    assert!((back[0] * x + back[1] * y + back[2] - 7.0).abs() < 1e-4);
    assert!((back[3] * x + back[4] * y + back[5] - 9.0).abs() < 1e-4);
    let image = smooth(300, 300);
    let out = similarity_warp(&image, [1.0, 0.0, 50.0, 0.0, 1.0, 80.0], 100, 100);
    assert!(largest_error(&out, |u, v| value((u * 100.0 + 50.0) / 300.0, (v * 100.0 + 80.0) / 300.0)) <= 2);
}

#[test]
fn cropping_stops_at_the_edge() {
    let image = smooth(20, 10);
    assert_eq!(crop(&image, 15, 5, 100, 100).dimensions(), (5, 5));
    assert_eq!(crop(&image, 50, 50, 4, 4).dimensions(), (0, 0));
    assert_eq!(crop(&image, 3, 2, 4, 4).get_pixel(0, 0), image.get_pixel(3, 2));
}

#[test]
fn blur_lowers_focus_and_a_lamp_raises_glare() {
    let sharp =
        RgbImage::from_fn(400, 300, |x, y| if (x / 6 + y / 6) % 2 == 0 { [30; 3] } else { [200; 3] }.into());
    let blurred = resize(&resize(&sharp, 60, 45), 400, 300);
    let (sharp_q, blurred_q) = (quality::measure(&grey(&sharp)), quality::measure(&grey(&blurred)));
    assert!(sharp_q.focus > 20.0 * blurred_q.focus, "{sharp_q:?} {blurred_q:?}");
    assert_eq!(sharp_q.glare_share, 0.0);
    let mut lamp = sharp.clone();
    for y in 100..160 {
        for x in 100..160 {
            lamp.put_pixel(x, y, [255; 3].into());
        }
    }
    let share = quality::measure(&grey(&lamp)).glare_share;
    assert!((0.02..0.03).contains(&share), "a 60 × 60 spot of 400 × 300: {share}");
    let dark = quality::measure(&grey(&RgbImage::from_pixel(50, 50, [5; 3].into())));
    assert_eq!((dark.dark_share, dark.brightness.round(), dark.contrast), (1.0, 5.0, 0.0));
}

#[test]
fn the_hash_survives_reencoding_and_tells_pictures_apart() {
    let scene = |k: f32| {
        RgbImage::from_fn(320, 240, move |x, y| {
            let (u, v) = (x as f32 / 320.0, y as f32 / 240.0);
            let wave = (u * (7.0 + k) + k).sin() * (v * (5.0 + 2.0 * k)).cos();
            [(128.0 + 100.0 * wave) as u8; 3].into()
        })
    };
    let one = scene(0.0);
    let jpeg = imaging::encode_jpeg(&resize(&one, 200, 150), 40);
    let again = imaging::decode(&jpeg, &imaging::Limits::default()).expect("decodes").pixels;
    assert!(hash::distance(hash::perceptual(&one), hash::perceptual(&again)) <= 6);
    assert!(hash::distance(hash::perceptual(&one), hash::perceptual(&scene(4.0))) >= 16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_quad_and_any_map_give_a_picture_of_the_size_asked(
        corners in prop::collection::vec((any::<f32>(), any::<f32>()), 4),
        m in prop::array::uniform6(any::<f32>()),
        w in 0u32..40,
        h in 0u32..40,
    ) {
        let image = smooth(30, 20);
        let quad: Quad = std::array::from_fn(|k| Point::new(corners[k].0, corners[k].1));
        prop_assert_eq!(warp_quad(&image, &quad, w, h).dimensions(), (w, h));
        prop_assert_eq!(similarity_warp(&image, m, w, h).dimensions(), (w, h));
    }
}
