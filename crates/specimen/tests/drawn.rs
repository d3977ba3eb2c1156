//! What is drawn says what its truth says, and is the same every time.

use imaging::RgbImage;
use jiff::civil::{Date, date};
use specimen::{Degradation, Fault, Kind, Portrait, Scene, Spec, draw, photograph, selfie};

const TODAY: Date = date(2026, 11, 23);

/// A stand-in for a portrait: an oval on a plain ground.
fn portrait() -> Portrait {
    let pixels = RgbImage::from_fn(140, 180, |x, y| {
        let (u, v) = ((x as f32 - 70.0) / 34.0, (y as f32 - 90.0) / 46.0);
        if u * u + v * v < 1.0 { [205, 160, 130] } else { [150, 170, 190] }.into()
    });
    Portrait::new(pixels)
}

fn spec(kind: Kind, seed: u64, fault: Option<Fault>) -> Spec {
    Spec { fault, pixels_per_mm: 4.0, ..Spec::new(kind, seed, portrait(), TODAY) }
}

#[test]
fn the_same_seed_draws_the_same_and_another_does_not() {
    for kind in [Kind::Passport, Kind::IdCard] {
        let (one, again) = (draw(&spec(kind, 7, None)), draw(&spec(kind, 7, None)));
        let (one, again) = (one.expect("draws"), again.expect("draws"));
        assert_eq!(one.front, again.front);
        assert_eq!(one.truth, again.truth);
        assert_ne!(one.truth.mrz, draw(&spec(kind, 8, None)).expect("draws").truth.mrz);
    }
}

#[test]
fn sizes_and_sides_are_those_of_doc_9303() {
    let passport = draw(&spec(Kind::Passport, 1, None)).expect("draws");
    assert_eq!((passport.front.dimensions(), passport.back.is_none()), ((500, 352), true));
    assert_eq!((passport.truth.mrz_side, passport.truth.mrz.len()), ("front", 2));
    let card = draw(&spec(Kind::IdCard, 1, None)).expect("draws");
    assert_eq!(card.front.dimensions(), (342, 216));
    assert_eq!(card.back.expect("a back").dimensions(), (342, 216));
    assert_eq!((card.truth.mrz_side, card.truth.mrz.len()), ("back", 3));
}

#[test]
fn every_mrz_written_here_is_read_back_by_the_mrz_crate() {
    let today = mrz::Today::new(2026, 11, 23);
    for seed in 0..30 {
        for kind in [Kind::Passport, Kind::IdCard] {
            let truth = draw(&Spec { pixels_per_mm: 2.0, ..spec(kind, seed, None) }).expect("draws").truth;
            let read = mrz::parse(&truth.mrz, today).expect("an MRZ");
            assert!(read.valid(), "{:?} {:?}", truth.mrz, read.errors);
            assert_eq!(read.document_number, truth.fields["document_number"]);
            let birth = read.birth_date.and_then(|b| b.date).and_then(|d| d.iso());
            assert_eq!(birth.as_ref(), Some(&truth.fields["date_of_birth"]));
            let expiry = read.expiry_date.and_then(|b| b.date).and_then(|d| d.iso());
            assert_eq!(expiry.as_ref(), Some(&truth.fields["date_of_expiry"]));

            let wrong = Spec { pixels_per_mm: 2.0, ..spec(kind, seed, Some(Fault::MrzCheckDigit)) };
            let wrong = draw(&wrong).expect("draws").truth;
            let read = mrz::parse(&wrong.mrz, today).expect("an MRZ");
            assert!(!read.valid(), "{:?}", wrong.mrz);
        }
    }
}

#[test]
fn each_fault_changes_what_it_names_and_nothing_else() {
    for kind in [Kind::Passport, Kind::IdCard] {
        let sound = draw(&spec(kind, 3, None)).expect("draws").truth;
        assert!(sound.fields["date_of_expiry"] > TODAY.to_string());

        let digit = draw(&spec(kind, 3, Some(Fault::MrzCheckDigit))).expect("draws").truth;
        let differing = |a: &[String], b: &[String]| {
            a.iter().zip(b).flat_map(|(a, b)| a.bytes().zip(b.bytes())).filter(|(a, b)| a != b).count()
        };
        assert_eq!(differing(&sound.mrz, &digit.mrz), 1);
        assert_eq!(sound.fields, digit.fields);

        let printed = draw(&spec(kind, 3, Some(Fault::DataDiffersFromMrz))).expect("draws").truth;
        assert_eq!(sound.mrz, printed.mrz);
        assert_ne!(sound.fields["date_of_birth"], printed.fields["date_of_birth"]);

        let expired = draw(&spec(kind, 3, Some(Fault::Expired))).expect("draws").truth;
        assert!(expired.fields["date_of_expiry"] < TODAY.to_string());
        assert_eq!(sound.fields["family_name"], expired.fields["family_name"]);
    }
}

#[test]
fn the_fields_lie_on_the_document_where_the_truth_says() {
    let drawn = draw(&spec(Kind::Passport, 5, None)).expect("draws");
    let (w, h) = (drawn.front.width() as f32, drawn.front.height() as f32);
    for name in ["family_name", "given_name", "document_number", "date_of_birth", "date_of_expiry", "sex"] {
        let [x, y, bw, bh] = drawn.truth.boxes[name];
        assert!(x >= 0.0 && y >= 0.0 && x + bw <= w && y + bh <= h, "{name}");
        let inside = imaging::crop(&drawn.front, x as u32, y as u32, bw.ceil() as u32, bh.ceil() as u32);
        let darkest = inside.pixels().map(|p| p.0[1]).min().expect("pixels");
        assert!(darkest < 100, "{name} is printed in dark ink, darkest {darkest}");
    }
}

#[test]
fn a_photograph_says_where_the_corners_are() {
    let white = RgbImage::from_pixel(500, 316, [255; 3].into());
    for seed in 0..4 {
        let scene = Scene { glare: 0.0, noise: 0.0, ..Scene::degraded(seed, &[Degradation::Perspective]) };
        let (picture, quad) = photograph(&white, &scene);
        let flat = imaging::warp_quad(&picture, &quad, 500, 316);
        let inner = imaging::crop(&flat, 25, 25, 450, 266);
        assert!(inner.pixels().all(|p| p.0[1] > 170), "inside the quad is the document");
        let centre = quad.iter().fold((0.0, 0.0), |c, p| (c.0 + p.x / 4.0, c.1 + p.y / 4.0));
        for p in quad {
            let (x, y) = (p.x + (p.x - centre.0) * 0.08, p.y + (p.y - centre.1) * 0.08);
            if x >= 0.0 && y >= 0.0 && (x as u32) < picture.width() && (y as u32) < picture.height() {
                assert!(picture.get_pixel(x as u32, y as u32).0[1] < 200, "outside the quad is the table");
            }
        }
    }
}

#[test]
fn every_degradation_gives_a_picture_and_all_have_names() {
    let flat = draw(&spec(Kind::IdCard, 2, None)).expect("draws").front;
    for (name, degradation) in Degradation::ALL {
        assert_eq!(Degradation::named(name), Some(degradation));
        let scene = Scene { width: 640, height: 480, ..Scene::degraded(9, &[degradation]) };
        let (picture, quad) = photograph(&flat, &scene);
        assert_eq!(picture.dimensions(), (640, 480), "{name}");
        assert!(quad.iter().all(|p| p.x > 0.0 && p.y > 0.0 && p.x < 640.0 && p.y < 480.0), "{name} {quad:?}");
    }
}

#[test]
fn a_selfie_is_another_picture_of_the_same_size_each_time() {
    let (one, two) = (selfie(&portrait(), 1), selfie(&portrait(), 2));
    assert_eq!((one.dimensions(), two.dimensions()), ((720, 960), (720, 960)));
    assert_ne!(one, two);
    assert_eq!(one, selfie(&portrait(), 1));
}

#[test]
fn an_empty_portrait_and_a_wild_resolution_are_refused() {
    let empty = Spec { portrait: Portrait::new(RgbImage::new(0, 0)), ..spec(Kind::Passport, 1, None) };
    assert!(draw(&empty).is_err());
    for resolution in [0.0, 1e9, f32::NAN] {
        assert!(draw(&Spec { pixels_per_mm: resolution, ..spec(Kind::Passport, 1, None) }).is_err());
    }
}
