//! Measures a list change against many stored, watched people. Prints one JSON object.
//!
//! `watch_scale PEOPLE`: a list of 10,000 generated entries is imported, so many generated people are enrolled the
//! ordinary way, then a version with 400 changed and 100 new entries is imported and carried to them, and another one.
//! With the first change everybody is read, as at the start of a server; the second costs what changed.
#![expect(clippy::print_stdout, reason = "a tool for the person at the terminal")]
#![expect(clippy::expect_used, reason = "a measurement that cannot be made ends")]

use std::{path::Path, sync::Arc, time::Instant};

use service::{
    Engines, Service,
    screening::{Asked, Person, Settings},
    standalone::Common,
};
use store::{Config, Store};

const ENTRIES: usize = 10_000;
/// People enrolled at the same time.
const AT_ONCE: usize = 64;

/// A name of two or three parts out of some ten thousand, the first of them far commoner than the rest.
fn name(number: usize) -> String {
    const SYLLABLES: [&str; 22] = [
        "ka", "ro", "mi", "ten", "va", "lo", "shi", "bar", "do", "nu", "gel", "sa", "tri", "po", "len", "ha",
        "ri", "zo", "mar", "be", "fan", "ul",
    ];
    let mut state = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x94D0_49BB_1331_11EB;
    let mut next = |below: usize| {
        state ^= state >> 27;
        state = state.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state ^= state >> 31;
        usize::try_from(state % below as u64).unwrap_or(0)
    };
    let parts = 2 + next(2);
    let words: Vec<String> = (0..parts)
        .map(|_| {
            let pool = if next(3) == 0 { 4 } else { SYLLABLES.len() };
            (0..3).map(|_| SYLLABLES[next(pool)]).collect()
        })
        .collect();
    words.join(" ")
}

fn import(folder: &Path, version: usize) {
    let mut text = "id,schema,name,aliases,topics,notes\n".to_owned();
    for entry in 0..ENTRIES + 100 * version {
        let alias = if version > 0 && (400 * (version - 1)..400 * version).contains(&entry) {
            name(entry + 5_000_000)
        } else {
            String::new()
        };
        text.push_str(&format!("{entry},Person,{},{alias},sanction,\n", name(entry + 1_000_000_000)));
    }
    let file = folder.join("own.csv");
    std::fs::write(&file, text).expect("write");
    let lists = aml::lists::ListStore::new(&folder.join("aml"));
    lists.import("own", aml::import::Format::Csv, &file, 1_000, false).expect("import");
    lists.build(&folder.join("aml/index")).expect("index");
}

/// Processor time of this process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn memory_mb(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[tokio::main]
async fn main() {
    let people: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).expect("a number of people");
    let folder = std::env::temp_dir().join(format!("bonafide-watch-scale-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let store = Store::open(Config::in_folder(&folder)).await.expect("store");
    let engines = Engines::open(&folder.join("no-models")).expect("engines");
    let service = Service::new(store, engines, &folder);
    let ready = service.make_ready("scale").await.expect("ready");
    let key = service.create_key(ready.application, "scale", Vec::new()).await.expect("key").api_key;
    let access = service.authenticate(&key).await.expect("store").expect("access");

    import(&folder, 0);
    let (start, before) = (Instant::now(), cpu());
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (service, access, next) = (service.clone(), access.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if number >= people {
                    return;
                }
                let settings = Settings { monitoring: true, ..Settings::default() };
                let asked = Asked::new(&Person { full_name: name(number), ..Person::default() }, settings);
                let common =
                    Common { save: true, vendor_data: Some(format!("person-{number}")), metadata: None };
                // A full queue is said so; the same person is asked for again.
                while service.screen(&access, asked.clone(), common.clone()).await.is_err() {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let enrolled = (start.elapsed().as_secs_f64(), cpu() - before, memory_mb("VmRSS"));

    let mut changes = Vec::new();
    for version in [1, 2] {
        import(&folder, version);
        let (start, before) = (Instant::now(), cpu());
        let shards = service.follow_lists().await.expect("lists");
        let mut jobs = 0;
        loop {
            let done = service.run_ready().await.expect("jobs");
            jobs += done;
            if done == 0 {
                break;
            }
        }
        let behind = service.follow_lists().await.expect("lists");
        let application = access.application;
        let alerts =
            service.store().read(move |tx| tx.screenings(application).count_alerts()).await.expect("store");
        changes.push(serde_json::json!({
            "s": start.elapsed().as_secs_f64(), "cpu_s": cpu() - before, "shards": shards, "jobs": jobs,
            "still_behind": behind, "alerts_so_far": alerts, "rss_mb": memory_mb("VmRSS"),
        }));
    }
    println!(
        "{}",
        serde_json::json!({
            "people": people, "enrol_s": enrolled.0, "enrol_cpu_s": enrolled.1, "rss_before_mb": enrolled.2,
            "first_change": changes[0], "next_change": changes[1], "peak_rss_mb": memory_mb("VmHWM"),
        })
    );
    std::fs::remove_dir_all(&folder).expect("remove");
}
