//! Repairs the mutated zones of the development set and holds the rates that were measured.

use mrz::{Today, repair};
use serde_json::Value;

const TODAY: Today = Today::new(2026, 11, 23);

fn test_data(path: &str) -> Option<Value> {
    let root = std::env::var("BONAFIDE_TESTDATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned());
    match std::fs::read_to_string(format!("{root}/{path}")) {
        Ok(text) => serde_json::from_str(&text).ok(),
        Err(_) => {
            eprintln!("skipped: no test data");
            None
        }
    }
}

fn lines(value: &Value) -> Vec<String> {
    value["lines"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|l| l.as_str().map(ToOwned::to_owned))
        .collect()
}

#[test]
fn untouched_zones_stay_untouched_and_most_mutations_are_repaired() {
    let Some(data) = test_data("mrz/synthetic_dev.json") else { return };
    let (mut certain, mut certain_wrong, mut clean, mut clean_ambiguous) = (0, 0, 0, 0);
    let (mut changed, mut promised) = (0_usize, 0.0);
    let (mut n, mut repaired, mut repaired_sure, mut told, mut silent, mut unseen, mut failed) =
        (0, 0, 0, 0, 0, 0, 0);
    for document in data.as_array().into_iter().flatten() {
        let original = lines(document);
        let whole = repair(&original, TODAY);
        assert_eq!(whole.lines, original, "{}", document["id"]);
        assert!(whole.valid && whole.corrections.is_empty(), "{}: {whole:?}", document["id"]);
        clean += 1;
        clean_ambiguous += usize::from(whole.ambiguous);
        for mutation in document["ocr_mutations"].as_array().into_iter().flatten() {
            n += 1;
            let read = lines(mutation);
            let result = repair(&read, TODAY);
            for c in result.corrections.iter().filter(|c| c.certain && c.why != mrz::Why::Length) {
                certain += 1;
                let truth = original.get(c.line).and_then(|l| l.get(c.pos..=c.pos));
                certain_wrong += usize::from(truth != Some(c.to.as_str()));
            }
            if result.valid && !result.corrections.is_empty() {
                changed += 1;
                promised += result.confidence;
            }
            if result.lines == original {
                repaired += 1;
                repaired_sure += usize::from(result.valid && !result.ambiguous);
            } else if result.ambiguous {
                told += 1;
            } else if !result.valid {
                failed += 1;
            } else if result.corrections.is_empty() {
                unseen += 1;
            } else {
                silent += 1;
            }
            if std::env::var("SHOW").is_ok() && result.lines != original {
                eprintln!(
                    "{} ambiguous={} valid={}\n  {}\n  {}\n  {}\n  alt {:?}",
                    document["id"],
                    result.ambiguous,
                    result.valid,
                    original.join("|"),
                    read.join("|"),
                    result.lines.join("|"),
                    result.alternatives
                );
            }
        }
    }
    eprintln!(
        "mutations {n}: repaired {repaired} (of them valid and unambiguous {repaired_sure}); not repaired: \
         told ambiguous {told}, told invalid {failed}, left as read because every rule holds {unseen}, wrong and silent {silent}"
    );
    eprintln!("corrections marked certain {certain}, wrong {certain_wrong}");
    eprintln!(
        "confidence: {promised:.0} right readings promised of {changed} changed; clean zones {clean}, ambiguous {clean_ambiguous}"
    );
    assert!(
        (promised / changed as f64 - repaired as f64 / changed as f64).abs() < 0.05,
        "{promised} {repaired} {changed}"
    );
    assert!(clean_ambiguous * 100 <= clean, "{clean_ambiguous} of {clean}");
    assert!(repaired_sure >= 60, "{repaired_sure}");
    assert!(repaired * 100 >= n * 70, "{repaired} of {n}");
    assert_eq!(silent, 0);
    assert!(certain_wrong * 100 <= certain, "{certain_wrong} of {certain}");
}
