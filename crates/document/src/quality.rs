//! How good the picture of a side is, and what would mend it.

use crate::page::Page;
use crate::record::Quality;

/// How good the picture is. Focus is the Laplacian's variance on a page at most 1000 pixels wide: photos of
/// filled_docs gave 133–440, the same under a blur of σ = 5 pixels 3–7, scans of specimens 350–600 pixels wide 25 and more.
pub(crate) fn quality(page: &Page) -> Quality {
    let image = if page.image.width() > 1000 {
        imaging::resize(&page.image, 1000, (page.image.height() * 1000 / page.image.width()).max(1))
    } else {
        page.image.clone()
    };
    let measured = imaging::quality::measure(&imaging::grey(&image));
    let scale =
        |v: f32, low: f32, high: f32| ((v.max(1e-3) / low).ln() / (high / low).ln()).clamp(0.0, 1.0) * 100.0;
    let focus_score = scale(measured.focus, BLURRED / 4.0, 250.0);
    let (brightness_issue, brightness_score) = match measured.brightness {
        b if b < 60.0 => ("too_dark", b / 60.0 * 60.0),
        b if b > 235.0 => ("too_bright", (255.0 - b) / 20.0 * 60.0),
        b => ("ok", 100.0 - (b - 150.0).abs() / 90.0 * 40.0),
    };
    let resolution_score = scale(page.image.width().max(page.image.height()) as f32, 250.0, 1000.0);
    let mut remedy = Vec::new();
    if measured.focus < BLURRED {
        remedy.push("hold_still");
    }
    if measured.glare_share > GLARE {
        remedy.push("tilt_away_from_light");
    }
    if brightness_issue == "too_dark" {
        remedy.push("more_light");
    } else if brightness_issue == "too_bright" {
        remedy.push("less_light");
    }
    if page.inside == Some(false) {
        remedy.push("show_whole_document");
    }
    if page.image.width().max(page.image.height()) < 500 {
        remedy.push("move_closer");
    }
    let round = |v: f32| (v.clamp(0.0, 100.0) * 10.0).round() / 10.0;
    Quality {
        focus_score: round(focus_score),
        brightness_score: round(brightness_score),
        brightness_issue,
        resolution_score: round(resolution_score),
        glare_share: (measured.glare_share * 1e4).round() / 1e4,
        is_document_fully_visible: page.inside,
        overall_score: round(0.45 * focus_score + 0.30 * brightness_score + 0.25 * resolution_score),
        remedy,
    }
}

/// Laplacian variance below which a page is blurred: the middle (geometric) between the sharpest blurred and the least sharp photo measured.
const BLURRED: f32 = 16.0;

/// Share of saturated spots from which light hides part of a page: filled_docs with a glare 0.074–0.092, others up to
/// 0.059 (white paper); little lies between, so this asks for another photo and accuses nobody.
const GLARE: f32 = 0.065;
