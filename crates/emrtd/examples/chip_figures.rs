//! Measures the crate on real documents and the simulated chip, and prints the figures as JSON.
//!
//! `cargo run --release -p emrtd --example chip_figures -- DATA_FOLDER`; `cargo xtask bench chip` calls it.
#![expect(clippy::print_stdout, reason = "a program whose output is its purpose")]

use emrtd::cipher::Suite;
use emrtd::pace::Mapping;
use emrtd::simulator::{Issuer, NOW, Recipe, carry, seeded};
use emrtd::terminal::{Settings, Step, Terminal};
use emrtd::trust::{Standing, TrustStore};
use emrtd::verify::Verdict;
use emrtd::x509::Certificate;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// CPU time of this process in milliseconds; wall time where the system does not tell.
fn cpu_ms(started: Instant) -> f64 {
    let ticks = std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| {
        let after = stat.rsplit_once(") ")?.1.to_owned();
        let fields: Vec<&str> = after.split(' ').collect();
        let number = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok());
        Some((number(11)? + number(12)?) * 10.0)
    });
    ticks.unwrap_or_else(|| started.elapsed().as_secs_f64() * 1000.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Median CPU milliseconds of one call: ten rounds of enough calls to outlast the clock's tick.
fn measure(mut call: impl FnMut()) -> f64 {
    let started = Instant::now();
    call();
    let once = started.elapsed().as_secs_f64().max(1e-6);
    let calls = ((0.15 / once) as usize).clamp(1, 2000);
    let rounds = (0..7).map(|_| {
        let before = cpu_ms(started);
        for _ in 0..calls {
            call();
        }
        (cpu_ms(started) - before) / calls as f64
    });
    median(rounds.collect())
}

/// Every certificate whose signature is not its own, with whose it is: the links, and those that no certificate of the
/// lists made.
fn exceptions(store: &TrustStore) -> Vec<Value> {
    store
        .anchors()
        .iter()
        .filter(|anchor| store.standing(anchor) != Standing::SelfSigned)
        .map(|anchor| {
            let summary = anchor.certificate.summary();
            json!({
                "standing": store.standing(anchor), "subject": summary.subject, "issuer": summary.issuer,
                "serial_number": summary.serial_number, "sha256": summary.sha256,
                "not_valid_after": summary.not_valid_after, "signature_algorithm": summary.signature_algorithm,
            })
        })
        .collect()
}

fn main() {
    let data = std::env::args().nth(1).unwrap_or_else(|| "../shared/data".to_owned());
    let folder = Path::new(&data).join("emrtd");
    let read = |relative: &str| std::fs::read(folder.join(relative)).unwrap_or_default();
    let lists = [
        ("DE_ML_2026-05-28-08-28-45.ml", "DE_ROOT_CA_CSCA07.cer"),
        ("NL_ML_2026-07-22.ml", "NL_ROOT_CA.cer"),
    ];
    let import = || {
        let mut store = TrustStore::default();
        for (list, root) in lists {
            let root = Certificate::parse(&read(&format!("masterlist/{root}"))).ok();
            let roots: Vec<Certificate> = root.into_iter().collect();
            let _ = store.import(list, &read(&format!("masterlist/{list}")), &roots, None);
        }
        store
    };
    let started = Instant::now();
    let before = cpu_ms(started);
    let store = import();
    let import_ms = cpu_ms(started) - before;
    let kept = store.to_json().unwrap_or_default();
    let load_ms = measure(|| {
        let _ = TrustStore::from_json(&kept);
    });
    let standing = |wanted| store.anchors().iter().filter(|a| store.standing(a) == wanted).count();

    let mut figures: BTreeMap<String, Value> = BTreeMap::new();
    figures.insert(
        "certificates".to_owned(),
        json!({
            "all": store.anchors().len(), "self_signed": standing(Standing::SelfSigned),
            "linked": standing(Standing::Linked), "issuer_unknown": standing(Standing::IssuerUnknown),
            "broken": standing(Standing::Broken), "import_cpu_ms": import_ms,
            "load_cpu_ms": load_ms,
            "exceptions": exceptions(&store),
        }),
    );

    // passive authentication of every object of the manifest
    let manifest: Value = serde_json::from_slice(&read("sod/MANIFEST.json")).unwrap_or_default();
    let none = BTreeMap::new();
    let (mut right, mut all) = (0, 0);
    let mut table = Vec::new();
    let mut by_type: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for entry in manifest.as_array().into_iter().flatten() {
        let (Some(id), Some(expected)) = (entry["id"].as_str(), entry["expected"].as_str()) else { continue };
        let sod = read(&format!("sod/{id}.cms"));
        let input = emrtd::Input {
            sod: &sod,
            data_groups: &none,
            complete_read: false,
            active_authentication: None,
            chip_authentication: None,
            trust: &store,
            now: Some(NOW),
        };
        let report = emrtd::verify(&input);
        let wanted = match expected {
            e if e.starts_with("genuine") => Some(Verdict::Genuine),
            e if e.starts_with("tampered") => Some(Verdict::Refused),
            e if e.contains("no anchor") => Some(Verdict::Untrusted),
            _ => None,
        };
        if let Some(wanted) = wanted {
            all += 1;
            right += usize::from(report.verdict == wanted);
        }
        table.push(json!({
            "id": id, "expected": expected, "verdict": report.verdict, "reasons": report.reasons,
            "warnings": report.warnings, "signature_algorithm": report.signature_algorithm,
            "chain": report.chain_certificates.first().map(|c| &c.subject), "as_expected": wanted.map(|w| w == report.verdict),
        }));
        if report.verdict == Verdict::Genuine {
            let signer = report.certificate_summary.as_ref().map(|c| c.key.clone()).unwrap_or_default();
            let issuer = report.chain_certificates.first().map(|c| c.key.clone()).unwrap_or_default();
            let cost = measure(|| drop(emrtd::verify(&input)));
            by_type.entry(format!("{signer} under {issuer}")).or_default().push(cost);
        }
    }
    figures.insert("manifest".to_owned(), json!({"right": right, "of": all, "objects": table}));
    let costs: BTreeMap<String, Value> =
        by_type.into_iter().map(|(k, v)| (k, json!({"cpu_ms": median(v.clone()), "n": v.len()}))).collect();
    figures.insert("passive_authentication".to_owned(), json!(costs));

    // a whole reading of a 20 KB face through a carrier with 60 ms delay each way round
    let Some(issuer) = Issuer::european("UT", &mut seeded(1)) else { return };
    let mut trust = TrustStore::default();
    let _ = trust.import("csca", &issuer.csca, &[], None);
    let mut readings: BTreeMap<String, Value> = BTreeMap::new();
    let accesses = [
        ("BAC 3DES", vec![], None),
        (
            "PACE-GM AES-128 + chip authentication",
            vec![(Mapping::Generic, Suite::Aes128, 13)],
            Some((Suite::Aes128, 13)),
        ),
        (
            "PACE-GM AES-256 P-521 + chip authentication",
            vec![(Mapping::Generic, Suite::Aes256, 18)],
            Some((Suite::Aes256, 18)),
        ),
        ("PACE-CAM AES-128", vec![(Mapping::ChipAuthentication, Suite::Aes128, 13)], None),
    ];
    for (name, pace, chip_authentication) in accesses {
        for block in [223usize, 2048] {
            let recipe = Recipe { pace: pace.clone(), chip_authentication, ..Recipe::passport(20_000) };
            let settings = Settings { block, ..Settings::default() };
            let mut terminal_ms = 0.0;
            let mut result = None;
            let Some(mut chip) = recipe.issue(&issuer, Box::new(seeded(2))) else { continue };
            let Some(password) = recipe.password() else { continue };
            let mut terminal = Terminal::new(password, settings, Box::new(seeded(3)));
            let clock = Instant::now();
            let mut step = terminal.start();
            while let Step::Send(batch) = step {
                let responses = carry(&mut chip, &batch);
                let begun = Instant::now();
                step = terminal.on_responses(&responses);
                terminal_ms += begun.elapsed().as_secs_f64() * 1000.0;
            }
            if let Step::Done(reading) = step {
                let report = reading.judge(&trust, Some(NOW));
                result = Some(json!({
                    "verdict": report.verdict, "chip_authentication": report.chip_authentication,
                    "round_trips": reading.round_trips, "commands": reading.commands,
                    "bytes": reading.data_groups.values().map(Vec::len).sum::<usize>() + reading.sod.len(),
                    "terminal_ms": terminal_ms, "wall_without_delay_ms": clock.elapsed().as_secs_f64() * 1000.0,
                    "network_ms_at_60_ms": reading.round_trips * 60,
                    "network_ms_one_command_at_a_time": reading.commands * 60,
                }));
            }
            readings.insert(format!("{name}, blocks of {block}"), json!(result));
        }
    }
    figures.insert("reading_20_kb".to_owned(), json!(readings));
    println!("{}", serde_json::to_string_pretty(&figures).unwrap_or_default());
}
