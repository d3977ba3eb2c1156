//! Measures how evenly the characters of a machine readable zone stand.
//!
//! ICAO Doc 9303-3 §4 asks for OCR-B size 1 in constant spacing, 10 characters to the inch (2.54 mm). In a zone
//! typed over in an everyday font narrow and wide letters stand at their own widths. The recogniser's own peaks tell
//! where each character stands, so nothing is looked at twice. The distance of the lines tells nothing: pictures of
//! genuine documents give 1.57 to 2.64 character pitches from line to line.

use crate::mrz_zone::{Decoded, peaks};

/// Unevenness from which a zone is not set in a font of constant spacing. Measured where the characters could be
/// counted: 72 zones in OCR-B (29 specimens, 27 of filled_docs, 16 drawn) 0.055 to 0.111, most of it the recogniser's
/// own steps; the same 16 drawn in a proportional font of the same length 0.179 to 0.252, 12 of them with a line that counts
/// here. The threshold is the geometric middle.
pub(crate) const UNEVEN: f32 = 0.14;

/// Root mean square distance of the characters from even spacing, as a share of their pitch, in the worst line that
/// was read as it stands; `None` where no line was.
pub(crate) fn unevenness(decoded: &Decoded) -> Option<f32> {
    let lines = decoded.strips.iter().zip(&decoded.mrz.lines);
    lines
        .filter(|(strip, line)| strip.text == **line)
        .filter_map(|(strip, _)| uneven(&peaks(&strip.scores)))
        .max_by(f32::total_cmp)
}

/// Even spacing as a parabola: a page seen aslant stretches it steadily, a font with widths of its own does not.
fn uneven(places: &[f32]) -> Option<f32> {
    let n = places.len();
    if n < 10 {
        return None;
    }
    // Least squares with the powers of an index that runs from -1 to 1, so that odd and even moments fall apart.
    let t = |i: usize| 2.0 * i as f32 / (n - 1) as f32 - 1.0;
    let moment = |power: i32| (0..n).map(|i| t(i).powi(power)).sum::<f32>();
    let product = |power: i32| places.iter().enumerate().map(|(i, x)| x * t(i).powi(power)).sum::<f32>();
    let (m0, m2, m4) = (moment(0), moment(2), moment(4));
    let slope = product(1) / m2;
    let bend = (m0 * product(2) - m2 * product(0)) / (m0 * m4 - m2 * m2);
    let middle = (product(0) - bend * m2) / m0;
    let pitch = slope * 2.0 / (n - 1) as f32;
    if pitch <= 1e-6 {
        return None;
    }
    let square = |(i, x): (usize, &f32)| (x - middle - slope * t(i) - bend * t(i).powi(2)).powi(2);
    Some((places.iter().enumerate().map(square).sum::<f32>() / n as f32).sqrt() / pitch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_spacing_seen_aslant_is_even_and_letters_at_their_own_widths_are_not() {
        let slanted: Vec<f32> = (0..44).map(|i| 0.02 + 0.021 * i as f32 + 2e-5 * (i * i) as f32).collect();
        assert!(uneven(&slanted).expect("a line") < 0.01);
        // 22 letters, then 22 fillers of two thirds of their width.
        let own: Vec<f32> = (0..44)
            .map(|i| if i < 22 { 0.025 * i as f32 } else { 0.55 + 0.0167 * (i - 22) as f32 })
            .collect();
        assert!(uneven(&own).expect("a line") > 2.0 * UNEVEN);
        assert!(uneven(&[0.1; 44]).is_none() && uneven(&[0.1, 0.2]).is_none());
    }
}
