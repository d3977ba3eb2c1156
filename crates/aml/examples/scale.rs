//! Measures the index at size, and a list delta against watched people. Prints one JSON object.
//!
//! `scale names N LISTS…` or `scale delta N LISTS…`, a list being `FORMAT=PATH`: its names are taken apart and
//! put together anew to make N people.
#![expect(clippy::print_stdout, reason = "a tool for the person at the terminal")]

use std::time::{Duration, Instant};

use aml::import::{Format, import};
use aml::index::Builder;
use aml::lists::{Manifest, diff};
use aml::monitor::{Newcomers, People};
use aml::{Entity, INDEX_FILE, NameKind, Profile, Query, Schema, Screener};

/// A small generator with a fixed seed (SplitMix64): figures must be repeatable.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    fn name(&mut self, parts: &[String]) -> String {
        let mut words = vec![parts[self.next(parts.len())].clone(), parts[self.next(parts.len())].clone()];
        if self.next(3) == 0 {
            words.push(parts[self.next(parts.len())].clone());
        }
        // A third of the surnames are not on any list: syllables make the vocabulary grow as it does in life.
        if self.next(3) == 0 {
            const SYLLABLES: [&str; 24] = [
                "ka", "ro", "mi", "ten", "va", "lo", "shi", "bar", "do", "nu", "gel", "sa", "tri", "po",
                "len", "ha", "ri", "zo", "mar", "ki", "be", "fan", "os", "ul",
            ];
            let count = 3 + self.next(2);
            words.push((0..count).map(|_| SYLLABLES[self.next(SYLLABLES.len())]).collect());
        }
        words.join(" ")
    }
}

fn cpu() -> Duration {
    // utime of this process in clock ticks of 10 ms is too coarse for one query, fine for sums.
    let stat = fs_err::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .nth(11)
        .and_then(|t| t.parse().ok())
        .unwrap_or(0);
    Duration::from_millis(ticks * 10)
}

fn rss_mb() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let kb = status
        .lines()
        .find(|l| l.starts_with("VmRSS"))
        .and_then(|l| l.split_whitespace().nth(1))
        .and_then(|n| n.parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

fn person(key: String, name: &str) -> Entity {
    let mut entity = Entity::new(key, Schema::Person);
    entity.add_name(name, NameKind::Primary);
    entity
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mode = args.next().expect("names or delta");
    let count: usize = args.next().expect("count").parse().expect("a number");
    let mut listed: Vec<Entity> = Vec::new();
    for list in args {
        let (format, path) = list.split_once('=').expect("FORMAT=PATH");
        import(Format::parse(format).expect("format"), path.as_ref(), &mut |e| listed.push(e)).expect("list");
    }
    let mut parts: Vec<String> = Vec::new();
    for entity in listed.iter().filter(|e| e.schema == Schema::Person) {
        parts.extend(entity.caption().split([' ', ',', '-']).filter(|w| w.len() > 2).map(str::to_owned));
    }
    let dir = std::env::temp_dir().join(format!("bonafide-aml-scale-{}", std::process::id()));
    fs_err::create_dir_all(&dir).expect("folder");
    let mut dice = Dice(20_261_123);
    let out = if mode == "names" {
        at_size(count, &parts, &dir, &mut dice)
    } else {
        delta(count, listed, &parts, &dir, &mut dice)
    };
    println!("{out}");
    fs_err::remove_dir_all(&dir).expect("remove");
}

fn at_size(count: usize, parts: &[String], dir: &std::path::Path, dice: &mut Dice) -> serde_json::Value {
    let start = cpu();
    let mut builder = Builder::new();
    for i in 0..count {
        builder.add(&person(format!("x:{i}"), &dice.name(parts))).expect("entity");
    }
    builder.write(&dir.join(INDEX_FILE)).expect("write");
    Manifest::default().write(dir).expect("manifest");
    let build_s = (cpu() - start).as_secs_f64();
    names::preload();
    let opened = Instant::now();
    let screener = Screener::open(dir).expect("open");
    let open_s = opened.elapsed().as_secs_f64();
    let profile = Profile { threshold: 0.0, name_only: true, ..Profile::default() };
    let mut times = Vec::new();
    let mut all = Duration::ZERO;
    let before = cpu();
    for _ in 0..2_000 {
        let mut name = dice.name(parts).to_lowercase();
        let at = 1 + dice.next(name.len() - 1);
        if name.is_char_boundary(at) && name.is_char_boundary(at + 1) {
            name.remove(at);
        }
        let query = Query { names: vec![name], schema: Schema::Person, ..Query::default() };
        let start = Instant::now();
        let hits = screener.rank(&query, &profile);
        let took = start.elapsed();
        all += took;
        times.push(took);
        assert!(hits.len() <= 10);
    }
    let used = cpu() - before;
    times.sort_unstable();
    let ms = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    serde_json::json!({
        "names": count, "build_cpu_s": build_s, "open_s": open_s, "queries": times.len(), "queries_per_cpu_s": times.len() as f64 / used.as_secs_f64().max(0.01),
        "wall_p50_ms": ms(0.5), "wall_p99_ms": ms(0.99), "mean_cpu_ms": used.as_secs_f64() * 1e3 / times.len() as f64,
        "wall_over_cpu": all.as_secs_f64() / used.as_secs_f64().max(0.01), "rss_mb": rss_mb(),
    })
}

fn delta(
    count: usize,
    listed: Vec<Entity>,
    parts: &[String],
    dir: &std::path::Path,
    dice: &mut Dice,
) -> serde_json::Value {
    let before = cpu();
    let mut newcomers = Newcomers::default();
    for i in 0..count {
        let query = Query { names: vec![dice.name(parts)], schema: Schema::Person, ..Query::default() };
        newcomers.add(i, &query).expect("person");
    }
    let mut people = People::default();
    people.add(newcomers).expect("index");
    let build_s = (cpu() - before).as_secs_f64();
    let mut new = listed.clone();
    for (i, entity) in new.iter_mut().filter(|e| e.schema == Schema::Person).step_by(7).take(400).enumerate()
    {
        entity.add_name(&format!("{} {}", dice.name(parts), i), NameKind::Alias);
    }
    for i in 0..100 {
        new.push(person(format!("ofac:new-{i}"), &dice.name(parts)));
    }
    let mut builder = Builder::new();
    for entity in &new {
        builder.add(entity).expect("entity");
    }
    builder.write(&dir.join(INDEX_FILE)).expect("write");
    let screener = Screener::open(dir).expect("open");
    let changes = diff(&listed, &new);
    let profile = Profile::default();
    let start = cpu();
    let first = people.meant(&changes, &screener, |_| &profile);
    let used = cpu() - start;
    let same = first == people.meant(&changes, &screener, |_| &profile);
    serde_json::json!({"people": count, "build_cpu_s": build_s, "changed_entities": changes.len(), "matches": first.len(), "cpu_s": used.as_secs_f64(), "same_when_repeated": same, "rss_mb": rss_mb()})
}
