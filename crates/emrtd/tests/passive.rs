//! Passive authentication over real signed objects and the German and Dutch master lists.

mod common;

use common::data;
use emrtd::time::Time;
use emrtd::trust::{Authority, Standing, TrustStore};
use emrtd::verify::{ChainStatus, GroupStatus, Input, SodSignature, Verdict, verify};
use emrtd::x509::Certificate;
use std::collections::BTreeMap;

fn store() -> Option<TrustStore> {
    let folder = data("masterlist")?;
    let read = |name: &str| std::fs::read(folder.join(name)).expect("is there");
    let root = |name: &str| Certificate::parse(&read(name)).expect("is a certificate");
    let mut store = TrustStore::default();
    for (list, anchor) in
        [("DE_ML_2026-05-28-08-28-45.ml", "DE_ROOT_CA_CSCA07.cer"), ("NL_ML_2026-07-22.ml", "NL_ROOT_CA.cer")]
    {
        let report = store.import(list, &read(list), &[root(anchor)], None).expect("imports");
        eprintln!("{report:?}");
        assert_eq!(report.authority, Authority::Root);
    }
    Some(store)
}

fn input<'a>(sod: &'a [u8], groups: &'a BTreeMap<u8, Vec<u8>>, trust: &'a TrustStore) -> Input<'a> {
    Input {
        sod,
        data_groups: groups,
        complete_read: false,
        active_authentication: None,
        chip_authentication: None,
        trust,
        now: Some(Time(1_795_000_000)),
    }
}

#[test]
fn every_certificate_of_both_master_lists_is_read_and_its_signature_verifies() {
    let Some(store) = store() else { return };
    assert_eq!(store.anchors().len(), 627);
    let count = |standing| store.anchors().iter().filter(|a| store.standing(a) == standing).count();
    for anchor in store
        .anchors()
        .iter()
        .filter(|a| matches!(store.standing(a), Standing::IssuerUnknown | Standing::Broken))
    {
        eprintln!(
            "{:?} {} issuer {}",
            store.standing(anchor),
            anchor.certificate.subject,
            anchor.certificate.issuer
        );
    }
    eprintln!(
        "self-signed {} linked {} issuer unknown {} broken {}",
        count(Standing::SelfSigned),
        count(Standing::Linked),
        count(Standing::IssuerUnknown),
        count(Standing::Broken)
    );
    // Every certificate that is its own issuer carries its own valid signature; of the links (rollover) all but
    // eleven hang on another certificate of the lists, and those eleven name a key that neither list has.
    assert_eq!(
        (count(Standing::SelfSigned), count(Standing::Linked), count(Standing::IssuerUnknown)),
        (414, 202, 11)
    );
    assert_eq!(count(Standing::Broken), 0);
    for anchor in store.anchors().iter().filter(|a| store.standing(a) != Standing::SelfSigned) {
        let c = &anchor.certificate;
        assert!(c.authority_key_id.is_none() || c.authority_key_id != c.subject_key_id, "{}", c.subject);
    }
}

#[test]
fn a_kept_store_remembers_what_was_found_out_and_checks_again_when_it_was_changed() {
    let Some(store) = store() else { return };
    let text = store.to_json().expect("is written");
    let kept = TrustStore::from_json(&text).expect("is read");
    let standings = |store: &TrustStore| {
        store.anchors().iter().map(|a| (a.certificate.fingerprint(), store.standing(a))).collect::<Vec<_>>()
    };
    assert!(kept.anchors().iter().all(|a| a.known_standing().is_some()), "nothing is checked twice");
    assert_eq!(standings(&kept), standings(&store));
    // a store taken into another keeps what is known of it
    let mut whole = TrustStore::default();
    whole.absorb(&kept);
    let unknown = whole.anchors().iter().filter(|a| a.known_standing().is_none()).count();
    assert_eq!(unknown, 11, "those whose issuer may be in the other store");

    let edit = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut file: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
        change(&mut file);
        TrustStore::from_json(&file.to_string()).expect("is read")
    };
    // a finding, a certificate or the seal changed by hand, a certificate left out, a file of an older version
    let changed: [&dyn Fn(&mut serde_json::Value); 4] = [
        &|file| file["certificates"][0]["standing"] = "broken".into(),
        &|file| file["certificates"].as_array_mut().expect("is a list").truncate(626),
        &|file| file["standings_sha256"] = "00".repeat(32).into(),
        &|file| {
            file.as_object_mut().expect("is an object").remove("standings_sha256");
        },
    ];
    for change in changed {
        let again = edit(change);
        assert!(again.anchors().iter().all(|a| a.known_standing().is_none()), "everything is checked again");
        let first = again.anchors().first().expect("is there");
        assert_eq!(again.standing(first), store.standing(&store.anchors()[0]));
    }
}

#[test]
fn a_master_list_is_refused_when_its_signer_does_not_chain_to_the_root() {
    let Some(folder) = data("masterlist") else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).expect("is there");
    let wrong = Certificate::parse(&read("NL_ROOT_CA.cer")).expect("is a certificate");
    let list = read("DE_ML_2026-05-28-08-28-45.ml");
    assert!(TrustStore::default().import("DE", &list, &[wrong], None).is_err());
    let mut changed = list.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    assert!(TrustStore::default().import("DE", &changed, &[], None).is_err());
}

#[test]
fn every_object_of_the_manifest_gets_its_verdict() {
    let (Some(store), Some(folder)) = (store(), data("sod")) else { return };
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("MANIFEST.json")).expect("is there"))
            .expect("is JSON");
    let none = BTreeMap::new();
    let mut wrong = Vec::new();
    for entry in manifest.as_array().expect("is a list") {
        let id = entry["id"].as_str().expect("has an id");
        let expected = entry["expected"].as_str().expect("has a verdict");
        let wanted = match expected {
            e if e.starts_with("genuine") => Verdict::Genuine,
            e if e.starts_with("tampered") => Verdict::Refused,
            e if e.contains("no anchor") => Verdict::Untrusted,
            _ if id == "86fdfc345f91" => Verdict::Genuine,
            _ => Verdict::Untrusted,
        };
        for extension in ["cms", "efsod"] {
            let Ok(bytes) = std::fs::read(folder.join(format!("{id}.{extension}"))) else { continue };
            let report = verify(&input(&bytes, &none, &store));
            eprintln!(
                "{id}.{extension} {:?} {:?} {:?} | {expected} | {:?}",
                report.verdict,
                report.reasons,
                report.warnings,
                report.signing_time.map(|t| t.to_string())
            );
            if report.verdict != wanted {
                wrong.push(format!("{id}.{extension}"));
            }
            if wanted == Verdict::Genuine {
                assert_eq!((report.sod_signature, report.chain), (SodSignature::Valid, ChainStatus::Trusted));
                let known: Vec<&str> =
                    entry["csca"].as_array().expect("is a list").iter().filter_map(|c| c.as_str()).collect();
                let ours = &report.chain_certificates.first().expect("has an issuer").sha256;
                assert!(known.iter().any(|k| ours.starts_with(k.trim_end_matches(".der"))), "{id}: {ours}");
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_specimen_chip_of_2008_matches_but_for_a_group_that_nobody_signed() {
    let (Some(store), Some(folder)) = (store(), data("lds/bsi2008")) else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).expect("is there");
    let mut groups: BTreeMap<u8, Vec<u8>> =
        [1u8, 2, 14].iter().map(|n| (*n, read(&format!("Datagroup{n}.bin")))).collect();
    let sod = read("EF_SOD.bin");
    let report = verify(&input(&sod, &groups, &store));
    eprintln!("{report:#?}");
    assert_eq!(report.verdict, Verdict::Untrusted);
    assert_eq!(report.dg_hashes[&1], GroupStatus::Match);
    assert_eq!(report.dg_hashes[&14], GroupStatus::Match);
    assert_eq!(report.dg_hashes[&3], GroupStatus::NotSupplied);
    groups.insert(15, read("Datagroup15.bin"));
    let report = verify(&input(&sod, &groups, &store));
    assert_eq!(report.dg_hashes[&15], GroupStatus::NotInSod);
    assert_eq!(report.verdict, Verdict::Refused);
    groups.remove(&15);
    groups.get_mut(&2).expect("is there")[5000] ^= 1;
    let report = verify(&input(&sod, &groups, &store));
    assert_eq!(report.reason_codes(), ["issuer_unknown", "dg2_hash_mismatch"]);
}

/// Where in a signed object the bytes are that somebody signed or hashed: content, signed attributes, signatures, the
/// signed part of every certificate. `None` for objects with indefinite lengths, whose parts are not in one piece.
fn protected(object: &[u8]) -> Option<Vec<std::ops::Range<usize>>> {
    use emrtd::ber::{Reader, Tlv, first};
    let range = |part: &[u8]| {
        let start = part.as_ptr() as usize - object.as_ptr() as usize;
        start..start + part.len()
    };
    let mut outer = first(object).ok()?;
    if outer.tag == 0x77 {
        outer = first(outer.content).ok()?;
    }
    let fields = first(outer.children().ok()?.get(1)?.content).ok()?.children().ok()?;
    let inside = |tlv: &Tlv<'_>, at: usize| {
        let part = *tlv.children().ok()?.get(at)?;
        // what children() gives borrows from the object itself
        Some((range(part.raw), range(part.content)))
    };
    let mut ranges = Vec::new();
    let content = first(fields.get(2)?.children().ok()?.get(1)?.content).ok()?;
    ranges.push(range(content.content));
    for certificate in fields.get(3)?.children().ok()? {
        ranges.push(inside(&certificate, 0)?.0);
        ranges.push(inside(&certificate, 2)?.1);
    }
    let signer = first(fields.last()?.content).ok()?;
    let mut parts = Reader::new(signer.content).all().ok()?;
    ranges.push(range(parts.pop()?.content));
    ranges.extend(parts.iter().find(|part| part.tag == 0xA0).map(|part| range(part.content)));
    Some(ranges)
}

/// CMS leaves some bytes unsigned: versions, the list of digests, parameters that mean nothing, and the name by
/// which the certificate is looked up. A change there leaves the report as it was, but for the note that the name
/// differs; a change anywhere else is refused.
#[test]
fn genuine_objects_with_a_changed_byte_bit_or_end_are_refused_or_say_exactly_the_same() {
    let (Some(store), Some(folder)) = (store(), data("sod")) else { return };
    let none = BTreeMap::new();
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0)
    };
    // everything the report says, but for one note
    let said = |report: &emrtd::Report, also_without: &[&str]| {
        let mut report = report.clone();
        report.warnings.retain(|w| {
            !w.starts_with("signer_id_mismatch") && !also_without.iter().any(|code| w.starts_with(code))
        });
        report
    };
    let (mut objects, mut tried, mut same) = (0, 0, 0);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("is there").filter_map(|e| e.ok().map(|e| e.path())).collect();
    files.sort();
    for path in files {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let report = verify(&input(&bytes, &none, &store));
        if report.verdict != Verdict::Genuine {
            continue;
        }
        objects += 1;
        let protected = protected(&bytes);
        for round in 0..90 {
            let mut changed = bytes.clone();
            let at = random() % changed.len();
            changed[at] ^= if round % 2 == 0 {
                1 << (random() % 8)
            } else {
                u8::try_from(random() % 255 + 1).expect("fits")
            };
            let other = verify(&input(&changed, &none, &store));
            tried += 1;
            if other.verdict == Verdict::Genuine {
                same += 1;
                assert_eq!(said(&other, &[]), said(&report, &[]), "{} byte {at}", path.display());
                if let Some(ranges) = &protected {
                    assert!(
                        !ranges.iter().any(|r| r.contains(&at)),
                        "{} byte {at} is signed",
                        path.display()
                    );
                }
            }
        }
        for _ in 0..30 {
            let cut = random() % bytes.len();
            let other = verify(&input(bytes.get(..cut).expect("is shorter"), &none, &store));
            tried += 1;
            if other.verdict == Verdict::Genuine {
                // only what follows the object may be missing
                let without = ["trailing_bytes"];
                assert_eq!(
                    said(&other, &without),
                    said(&report, &without),
                    "{} cut at {cut}",
                    path.display()
                );
                assert!(report.warnings.iter().any(|w| w.starts_with("trailing_bytes")));
            }
        }
    }
    eprintln!("{tried} changes to {objects} objects: {same} say the same, the rest is refused or untrusted");
    assert!(objects >= 14 && tried >= objects * 120);
}

#[test]
fn a_master_list_with_a_changed_bit_is_never_imported_with_other_certificates() {
    let Some(folder) = data("masterlist") else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).expect("is there");
    let root = Certificate::parse(&read("NL_ROOT_CA.cer")).expect("is a certificate");
    let list = read("NL_ML_2026-07-22.ml");
    for step in 0..40usize {
        let mut changed = list.clone();
        let at = step * (list.len() / 40) + step;
        changed[at] ^= 1 << (step % 8);
        let mut store = TrustStore::default();
        if store.import("NL", &changed, std::slice::from_ref(&root), None).is_ok() {
            let mut original = TrustStore::default();
            original.import("NL", &list, std::slice::from_ref(&root), None).expect("imports");
            let (lost, won) = original.diff(&store);
            assert!(lost.is_empty() && won.is_empty(), "byte {at}");
        }
    }
}

#[test]
fn files_with_changed_bits_or_ends_never_panic_and_never_match_their_digest() {
    let (Some(store), Some(folder), Some(samples)) = (store(), data("lds/bsi2008"), data("lds")) else {
        return;
    };
    let read = |name: &str| std::fs::read(folder.join(name)).expect("is there");
    let sod = read("EF_SOD.bin");
    for number in [1u8, 2, 14] {
        let file = read(&format!("Datagroup{number}.bin"));
        for step in 0..60usize {
            let mut changed = file.clone();
            let at = step * file.len() / 60;
            changed[at] ^= 1 << (step % 8);
            if step % 3 == 0 {
                changed.truncate(at);
            }
            let _ = emrtd::lds::describe(&changed);
            let groups = BTreeMap::from([(number, changed)]);
            let report = verify(&input(&sod, &groups, &store));
            assert_eq!(report.dg_hashes[&number], GroupStatus::Mismatch, "DG{number} byte {at}");
            assert_eq!(report.verdict, Verdict::Refused);
        }
    }
    let mut files = Vec::new();
    for folder in [samples, folder] {
        files.extend(
            std::fs::read_dir(folder).expect("is there").filter_map(|e| std::fs::read(e.ok()?.path()).ok()),
        );
    }
    assert!(files.len() > 10);
    for file in files.iter().filter(|file| file.len() < 40_000) {
        for step in 0..200usize {
            let mut changed = file.clone();
            // headers lie at the beginning: half of the changes go there
            let at = if step % 2 == 0 { step * file.len() / 200 } else { step % file.len().min(128) };
            changed[at] = changed[at].wrapping_add(u8::try_from(step).unwrap_or(1) | 1);
            let _ = emrtd::lds::describe(&changed);
            let _ = emrtd::lds::face::parse(&changed);
            let _ = emrtd::lds::describe(file.get(..at).unwrap_or_default());
        }
    }
}
