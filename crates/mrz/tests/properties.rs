//! Whatever the bytes: no panic, bounded work, promises kept.

use mrz::{Step, Today, clean, decode, greedy, parse, repair};
use proptest::prelude::*;

const TODAY: Today = Today::new(2026, 11, 23);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_text_is_parsed_or_refused(lines in prop::collection::vec(".{0,50}", 0..5)) {
        let _ = parse(&lines, TODAY);
        let cleaned: Vec<String> = lines.iter().map(|l| clean(l)).collect();
        let _ = parse(&cleaned, TODAY);
    }

    #[test]
    fn any_text_is_repaired_or_returned(lines in prop::collection::vec("[0-9A-Z<]{28,46}", 1..4)) {
        let outcome = repair(&lines, TODAY);
        // Without a correction the text is what was read.
        if outcome.corrections.is_empty() {
            prop_assert_eq!(&outcome.lines, &lines);
        }
        prop_assert_eq!(outcome.valid, outcome.parsed(TODAY).is_some_and(|m| m.valid()));
    }

    #[test]
    fn zones_with_foreign_characters_do_no_harm(lines in prop::collection::vec(".{0,70}", 0..6)) {
        let _ = repair(&lines, TODAY);
    }

    #[test]
    fn a_letter_in_a_name_is_never_another_letter_after_repair(
        name in "[A-Z]{2,12}<<[A-Z]{1,10}", at in 0usize..44, with in "[0-9A-Z<]",
    ) {
        let first = format!("{:<<44}", format!("P<UTO{name}"));
        let mut second = "L898902C36UTO7408122F1204159ZE184226B<<<<<10".to_owned();
        second.replace_range(at..=at, &with);
        let outcome = repair(&[first.as_str(), second.as_str()], TODAY);
        prop_assert_eq!(&outcome.lines[0], &first);
    }

    #[test]
    fn any_scores_are_decoded_without_harm(raw in prop::collection::vec(prop::collection::vec(-0.5f32..1.5, 38), 0..60), copies in 1usize..4) {
        let steps: Vec<Step> = raw.iter().filter_map(|s| s.as_slice().try_into().ok()).collect();
        let lines = vec![steps.clone(); copies];
        let _ = greedy(&steps);
        if let Some(reading) = decode(&lines, TODAY) {
            prop_assert_eq!(reading.lines.len(), copies);
        }
    }
}

#[test]
fn scores_that_are_no_numbers_do_no_harm() {
    let steps = vec![[f32::NAN; 38]; 64];
    let _ = decode(&[steps.clone(), steps.clone()], TODAY);
    let _ = greedy(&steps);
}
