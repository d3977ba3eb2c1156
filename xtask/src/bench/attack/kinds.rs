//! Every kind of file that is sent, by name, and which file a number stands for.

use super::{
    dice::Dice,
    jp2, jpeg, mutate, pdf, png,
    seeds::{Format, Seed},
    tiff, webp,
};

/// Largest file that is sent, in bytes: what an attacker can send by the thousand.
pub(super) const LARGEST: usize = 1_100_000;

type Make = fn(&mut Dice) -> Vec<u8>;

/// Generated kinds.
pub(super) const KINDS: &[(&str, Make)] = &[
    ("pdf-media-box", pdf::media_box),
    ("pdf-calculator-deep", pdf::calculator_deep),
    ("pdf-calculator-slow", pdf::calculator_slow),
    ("pdf-calculator-stack", pdf::calculator_stack),
    ("pdf-stitched-functions", pdf::stitched),
    ("pdf-sampled-functions", pdf::sampled),
    ("pdf-gradients", pdf::gradients),
    ("pdf-meshes", pdf::meshes),
    ("pdf-tilings", pdf::tilings),
    ("pdf-fills", pdf::fills),
    ("pdf-long-path", pdf::long_path),
    ("pdf-strokes", pdf::strokes),
    ("pdf-dashes", pdf::dashes),
    ("pdf-clips", pdf::clips),
    ("pdf-forms", pdf::forms),
    ("pdf-soft-masks", pdf::soft_masks),
    ("pdf-type3-fonts", pdf::type3_fonts),
    ("pdf-inline-images", pdf::inline_images),
    ("pdf-jbig2", pdf::jbig2_images),
    ("pdf-ccitt", pdf::ccitt_images),
    ("pdf-jpx", pdf::jpx_images),
    ("pdf-dct", pdf::dct_images),
    ("pdf-predictors", pdf::predictors),
    ("pdf-filter-bombs", pdf::filter_bombs),
    ("pdf-encrypted", pdf::encrypted),
    ("pdf-object-streams", pdf::object_streams),
    ("pdf-table-streams", pdf::table_streams),
    ("pdf-cycles", pdf::cycles),
    ("pdf-deep", pdf::deep),
    ("pdf-page-trees", pdf::page_trees),
    ("pdf-annotations", pdf::annotations),
    ("pdf-colour-spaces", pdf::colour_spaces),
    ("pdf-flood-images", pdf::flood_images),
    ("pdf-texts", pdf::texts),
    ("pdf-numbers", pdf::numbers),
    ("pdf-revisions", pdf::revisions),
    ("pdf-contents", pdf::contents),
    ("tiff-strips", tiff::strips),
    ("tiff-flood", tiff::flood),
    ("tiff-tiles", tiff::tiles),
    ("tiff-many-strips", tiff::many_strips),
    ("tiff-samples", tiff::samples),
    ("tiff-lying-counts", tiff::lying_counts),
    ("tiff-directories", tiff::directories),
    ("tiff-big", tiff::big),
    ("jpg-flood", jpeg::flood),
    ("jpg-huge", jpeg::huge),
    ("jpg-many-scans", jpeg::many_scans),
    ("jpg-restarts", jpeg::restarts),
    ("jpg-many-tables", jpeg::many_tables),
    ("jpg-wrong-tables", jpeg::wrong_tables),
    ("jpg-disorder", jpeg::disorder),
    ("jpg-metadata", jpeg::metadata),
    ("webp-lossless-bomb", webp::lossless_bomb),
    ("webp-lossless-noise", webp::lossless_noise),
    ("webp-lossy", webp::lossy),
    ("webp-canvas", webp::canvas),
    ("webp-animated", webp::animated),
    ("webp-lengths", webp::lengths),
    ("jp2-huge", jp2::huge),
    ("jp2-tiles", jp2::tiles),
    ("jp2-structure", jp2::structure),
    ("jp2-components", jp2::components),
    ("jp2-packets", jp2::packets),
    ("jp2-boxes", jp2::boxes),
    ("png-flood", png::flood),
    ("png-huge", png::huge),
    ("png-excess", png::excess),
    ("png-many-chunks", png::many_chunks),
    ("png-text-bomb", png::text_bomb),
    ("png-animated", png::animated),
    ("png-palette", png::palette),
    ("png-exif", png::exif),
];

/// A file to send.
pub(super) struct Sample {
    pub(super) kind: String,
    /// What a mutation was made from.
    pub(super) from: String,
    pub(super) bytes: Vec<u8>,
}

/// The file of a number: each generated kind in turn, and in a third of all cases a mutation, of a seed or of a generated file.
pub(super) fn sample(seed: u64, number: u64, seeds: &[Seed]) -> Sample {
    let mut dice = Dice::new(seed, number);
    if number % 3 != 2 {
        // What is no third, counted on.
        let turn = (number / 3 * 2 + number % 3) as usize;
        let (name, make) = KINDS[turn % KINDS.len()];
        return Sample { kind: name.to_owned(), from: String::new(), bytes: make(&mut dice) };
    }
    let turn = (number / 3) as usize;
    // A seed as it is, first; then what is made of it.
    if let Some(given) = seeds.get(turn) {
        return Sample {
            kind: format!("as-given-{}", given.format.name()),
            from: given.name.clone(),
            bytes: given.bytes.clone(),
        };
    }
    let format = Format::ALL[turn % Format::ALL.len()];
    let of_format: Vec<&Seed> = seeds.iter().filter(|seed| seed.format == format).collect();
    let made;
    let from = match of_format.get(dice.below(of_format.len())) {
        Some(given) if dice.percent(60) => *given,
        _ => {
            let kinds: Vec<&(&str, Make)> =
                KINDS.iter().filter(|(name, _)| name.starts_with(format.name())).collect();
            match kinds.get(dice.below(kinds.len())) {
                Some((name, make)) => {
                    made = Seed { name: (*name).to_owned(), format, bytes: make(&mut dice) };
                    &made
                }
                None => {
                    return Sample { kind: "noise".to_owned(), from: String::new(), bytes: dice.bytes(512) };
                }
            }
        }
    };
    let bytes = mutate::mutate(from, &of_format, &mut dice);
    Sample { kind: format!("mutated-{}", format.name()), from: from.name.clone(), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_draws_the_same_file_of_the_same_seed_with_its_magic_and_within_its_bound() {
        for (index, (name, make)) in KINDS.iter().enumerate() {
            let mut distinct = std::collections::BTreeSet::new();
            for seed in 0..12 {
                let draw = || make(&mut Dice::new(seed, index as u64));
                let bytes = draw();
                assert_eq!(bytes, draw(), "{name} of seed {seed}");
                assert!(bytes.len() <= LARGEST, "{name} of seed {seed} has {} bytes", bytes.len());
                let format = Format::of(&bytes);
                assert!(name.starts_with(format.name()), "{name} of seed {seed} looks like {format:?}");
                distinct.insert(bytes);
            }
            assert!(distinct.len() > 1, "{name} draws one file only");
        }
    }

    #[test]
    fn numbers_go_through_every_kind_and_every_seed() {
        let seeds = [
            Seed { name: "a".into(), format: Format::Jpeg, bytes: jpeg::huge(&mut Dice::new(1, 1)) },
            Seed { name: "b".into(), format: Format::Other, bytes: b"GIF89a".to_vec() },
        ];
        let mut kinds: Vec<String> = (0..150).map(|number| sample(3, number, &seeds).kind).collect();
        kinds.sort();
        kinds.dedup();
        for (name, _) in KINDS {
            assert!(kinds.iter().any(|kind| kind == name), "{name} is never drawn");
        }
        for name in ["as-given-jpg", "as-given-other", "mutated-pdf", "mutated-jp2", "mutated-other"] {
            assert!(kinds.iter().any(|kind| kind == name), "{name} is never drawn");
        }
        assert_eq!(sample(3, 77, &seeds).bytes, sample(3, 77, &seeds).bytes);
    }

    #[test]
    fn a_generated_kind_has_the_name_of_one_format_and_no_other() {
        for (name, _) in KINDS {
            let formats = Format::ALL.iter().filter(|format| name.starts_with(format.name())).count();
            assert_eq!(formats, 1, "{name}");
        }
    }
}
