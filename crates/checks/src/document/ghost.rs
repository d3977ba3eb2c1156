//! Compares the portrait of a document with the smaller copy of it that many documents carry.
//!
//! Who puts another portrait into a picture often leaves the ghost portrait as
//! it was. Only a second face that can be compared says anything: most ghosts
//! are too small or too pale to be found, and then nothing is said.

use std::sync::{Mutex, PoisonError};

use document::Upright;
use evidence::Signal;
use face::Face;
use imaging::RgbImage;
use serde_json::json;

use crate::chain;

/// Finds the portrait for the reader of documents, and remembers the faces of the page that it stands on.
pub struct PortraitSearch<'a> {
    engine: &'a face::Engine,
    /// Pages looked at, and the faces of the last.
    found: Mutex<(usize, Vec<Face>)>,
}

impl<'a> PortraitSearch<'a> {
    /// A search with this engine, for one reading.
    pub fn new(engine: &'a face::Engine) -> Self {
        Self { engine, found: Mutex::default() }
    }

    /// The largest face of a page: left, top, right, bottom in pixels.
    pub fn find(&self, page: &RgbImage) -> Option<[f32; 4]> {
        let faces = self.engine.faces(page).unwrap_or_default();
        let largest = faces.first().map(|face| face.bbox);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        *found = (found.0 + 1, faces);
        largest
    }

    /// What a smaller face beside the portrait says, present or not; `None` where there is none to compare.
    ///
    /// # Errors
    /// When the engine fails, in words.
    pub fn ghost(self, sides: &[Upright]) -> Result<Option<Signal>, String> {
        // The reader asks about one side after the other until the portrait is found.
        let (looked_at, on_page) = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        match sides.get(usize::wrapping_sub(looked_at, 1)) {
            Some(side) => signal(self.engine, &side.image, &on_page),
            None => Ok(None),
        }
    }
}

/// A second face narrower than this, in pixels, cannot be compared.
const LEAST_WIDTH: f32 = 40.0;
/// A ghost is smaller than the portrait: at most this share of its width.
const MOST_SHARE: f32 = 0.8;

/// The signal when no smaller face on the page is that of the portrait. The limit is the engine's own, under which two
/// faces are taken for two persons. Measured on drawn pages with a grey, half-transparent ghost (40 persons, ghost
/// faces of about 45 and 70 pixels): 155 of the same person 49.8 to 95.9, 150 of another 11.8 to 33.9, the limit 40; a
/// second face was found on 305 of 480. On 59 pages of specimens and filled documents two had a second face; the one
/// that could be compared came to 79.4. Real swaps were not at hand.
fn signal(engine: &face::Engine, page: &RgbImage, faces: &[Face]) -> Result<Option<Signal>, String> {
    let width = |face: &Face| face.bbox[2] - face.bbox[0];
    let Some((portrait, others)) = faces.split_first() else { return Ok(None) };
    let ghosts = others.iter().filter(|face| {
        face.quarter_turns == portrait.quarter_turns
            && width(face) >= LEAST_WIDTH
            && width(face) <= MOST_SHARE * width(portrait)
    });
    let template = |face: &Face| engine.template(page, face).map_err(|error| chain(&error));
    let mut portrait_template = None;
    let mut best: Option<f64> = None;
    for ghost in ghosts {
        if portrait_template.is_none() {
            portrait_template = template(portrait)?;
        }
        let (Some(one), Some(other)) = (&portrait_template, template(ghost)?) else { continue };
        let score = engine.compare(one, &other).map_err(|error| chain(&error))?.score_0_100;
        best = Some(best.map_or(score, |best| best.max(score)));
    }
    let limit = engine.calibration().decline_below;
    Ok(best.map(|score| {
        let shows = json!({ "ghost_portrait_similarity": score, "limit": limit });
        let (unlike, least) = (1.0 - score / 100.0, 1.0 - limit / 100.0);
        Signal::measured("PORTRAIT_MANIPULATION_DETECTED", unlike, least, "portrait.ghost/1", shows)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with a portrait and a paler, smaller picture at its right.
    fn page(portrait: &RgbImage, ghost: &RgbImage) -> RgbImage {
        let mut page = RgbImage::from_pixel(1000, 630, [205, 208, 190].into());
        let portrait = imaging::resize(portrait, 300, 300);
        for (x, y, pixel) in portrait.enumerate_pixels() {
            page.put_pixel(50 + x, 180 + y, *pixel);
        }
        let ghost = imaging::grey(&imaging::resize(ghost, 170, 170));
        for (x, y, grey) in ghost.enumerate_pixels() {
            for channel in &mut page.get_pixel_mut(675 + x, 300 + y).0 {
                *channel = channel.midpoint(grey.0[0]);
            }
        }
        page
    }

    #[test]
    fn a_ghost_of_another_person_is_seen_and_that_of_the_same_is_not() {
        let folder = std::env::var_os("BONAFIDE_TESTDATA")
            .map_or_else(|| "../../../shared/data".into(), std::path::PathBuf::from)
            .join("documents/faces_london");
        let models = inference::Models::open(&inference::Models::default_dir()).ok();
        let engine = models.and_then(|models| face::Engine::open(&models).ok());
        let read = |name: &str| {
            let bytes = std::fs::read(folder.join(name)).ok()?;
            Some(imaging::decode(&bytes, &imaging::Limits::default()).ok()?.pixels)
        };
        let people = (read("001_neutral.jpg"), read("002_neutral.jpg"));
        let (Some(engine), (Some(one), Some(other))) = (engine, people) else {
            println!("skipped: no models or no test data");
            return;
        };
        let seen = |ghost: &RgbImage| {
            let page = page(&one, ghost);
            let faces = engine.faces(&page).expect("faces are looked for");
            assert_eq!(faces.len(), 2, "portrait and ghost");
            signal(&engine, &page, &faces).expect("compared").expect("both are faces").present()
        };
        assert!(seen(&other) && !seen(&one));
    }
}
