//! The embedded tables: equivalent name parts, legal forms, business words, particles, population shares.
//!
//! Unpacked once at first use (about 8 MB of hashes; the texts are dropped). What
//! each file is and where it comes from stands in `data/NOTICE.md`.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::analyse::{self, Kind};
use crate::script::Script;

/// Group numbers of nicknames start here; below are the name-part groups.
const NICKNAMES: u32 = 1 << 24;
/// Classes of business words.
const WORDS: u32 = 1 << 25;
/// Classes of legal forms.
const FORMS: u32 = 1 << 26;
/// Numbers, by value.
const NUMBERS: u32 = 1 << 27;
/// Classes of particles.
const PARTICLES: u32 = 1 << 28;

/// True for the classes of particles that are part of what a person is called: *abd*, *abu*.
pub(crate) fn tells(particle: u32) -> bool {
    matches!(particle.wrapping_sub(PARTICLES), 3 | 4)
}

/// A token in more groups than this says nothing by being in one more.
const MAX_GROUPS: usize = 12;

/// The tables in the shape they are looked up.
pub(crate) struct Lexicon {
    keys: Vec<u64>,
    /// Where the keys with these first 16 bits start.
    starts: Vec<u32>,
    groups: Vec<u32>,
    sizes: Vec<u16>,
    population: HashMap<u64, f32>,
    nicknames: HashMap<u64, Vec<u32>>,
    words: HashMap<u64, u32>,
    forms: HashMap<u64, (u32, u16)>,
    form_words: HashMap<u64, ()>,
    form_labels: Vec<String>,
    titles: HashMap<u64, ()>,
    particles: HashMap<u64, u32>,
    numbers: HashMap<u64, u32>,
}

/// The tables, unpacked on the first call.
pub(crate) fn lexicon() -> &'static Lexicon {
    static LEXICON: OnceLock<Lexicon> = OnceLock::new();
    LEXICON.get_or_init(Lexicon::load)
}

/// Unpacks the tables now, so that the first comparison is not the one that waits for it.
pub fn preload() {
    let _ = lexicon();
}

/// A stable 64-bit hash (FNV-1a with a final mix); index files hold its values.
#[must_use]
pub fn hash(text: &str) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    for &b in text.as_bytes() {
        h = (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    }
    h ^= h >> 32;
    h = h.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    h ^ (h >> 29)
}

impl Lexicon {
    fn load() -> Self {
        let parts = unpack(include_bytes!("../data/parts.z"));
        let mut pairs: Vec<(u64, u32)> = Vec::with_capacity(600_000);
        let mut sizes = Vec::with_capacity(170_000);
        for (number, line) in parts.lines().enumerate() {
            let group = u32::try_from(number).unwrap_or(u32::MAX);
            let mut size = 0u16;
            for form in line.split(',') {
                if let Some(key) = part_key(form) {
                    pairs.push((key, group));
                    size = size.saturating_add(1);
                }
            }
            sizes.push(size);
        }
        drop(parts);
        pairs.sort_unstable();
        pairs.dedup();
        let (keys, groups): (Vec<u64>, Vec<u32>) = pairs.into_iter().unzip();
        let first = |bits: u64| keys.partition_point(|&k| k >> 48 < bits);
        let starts = (0..=1u64 << 16).map(|bits| u32::try_from(first(bits)).unwrap_or(u32::MAX)).collect();

        let mut population = HashMap::new();
        for line in unpack(include_bytes!("../data/population.z")).lines() {
            if let Some((word, ppm)) = line.split_once(' ')
                && let Ok(ppm) = ppm.parse::<f32>()
            {
                population.insert(hash(word), ppm * 1e-6);
            }
        }

        let mut nicknames: HashMap<u64, Vec<u32>> = HashMap::new();
        let lines = include_str!("../data/nicknames.tsv").lines().filter(|l| !l.starts_with('#'));
        for (group, line) in (NICKNAMES..).zip(lines) {
            for word in line.split_whitespace() {
                nicknames.entry(hash(word)).or_default().push(group);
            }
        }
        let mut particles = HashMap::new();
        let lines = include_str!("../data/particles.tsv").lines().filter(|l| !l.starts_with('#'));
        for (class, line) in (PARTICLES..).zip(lines) {
            for word in line.split_once('\t').map(|p| p.1).unwrap_or_default().split_whitespace() {
                particles.entry(hash(word)).or_insert(class);
            }
        }
        for (class, word) in [(0, "ال"), (1, "بن"), (1, "ابن"), (1, "בן"), (4, "ابو"), (4, "أبو"), (3, "عبد")]
        {
            particles.insert(hash(word), PARTICLES + class);
        }

        let mut this = Self {
            keys,
            starts,
            groups,
            sizes,
            population,
            nicknames,
            words: HashMap::new(),
            forms: HashMap::new(),
            form_words: HashMap::new(),
            form_labels: Vec::new(),
            titles: HashMap::new(),
            particles,
            numbers: HashMap::new(),
        };
        this.load_words();
        this
    }

    fn load_words(&mut self) {
        let mut labels: HashMap<String, u32> = HashMap::new();
        let mut next_word = WORDS;
        for line in unpack(include_bytes!("../data/words.z")).lines() {
            let mut columns = line.splitn(3, '\t');
            let (Some(kind), Some(label), Some(forms)) = (columns.next(), columns.next(), columns.next())
            else {
                continue;
            };
            let word_class = next_word;
            for form in forms.split('|') {
                let tokens = analyse::split(form, Kind::Organisation);
                let texts: Vec<&str> = tokens.iter().map(|t| t.text.as_str()).collect();
                match kind {
                    "form" if !texts.is_empty() && texts.len() <= 8 => {
                        let known = labels.len();
                        let class = *labels.entry(label.to_owned()).or_insert_with(|| {
                            self.form_labels.push(label.chars().filter_map(ascii_letter).collect());
                            u32::try_from(known).unwrap_or(0)
                        });
                        self.form_words.insert(hash(texts[0]), ());
                        let length = u16::try_from(texts.len()).unwrap_or(u16::MAX);
                        self.forms.insert(hash(&texts.join(" ")), (class, length));
                    }
                    "word" if texts.len() == 1 => {
                        self.words.entry(hash(texts[0])).or_insert(word_class);
                    }
                    "title" if texts.len() == 1 => {
                        self.titles.insert(hash(texts[0]), ());
                    }
                    "number" if texts.len() == 1 && texts[0].chars().count() > 1 => {
                        if let Ok(value) = label.parse::<u32>() {
                            self.numbers.entry(hash(texts[0])).or_insert(value);
                        }
                    }
                    _ => {}
                }
            }
            next_word += 1;
        }
    }

    /// The groups of name parts that a token belongs to, sorted.
    pub(crate) fn groups_of(&self, text: &str, latin: &str, script: Script) -> Vec<u32> {
        let mut found = Vec::new();
        let key = if script == Script::Latin { hash(latin) } else { hash(text) };
        let start = self.starts.get((key >> 48) as usize).map_or(0, |&s| s as usize);
        let rows = self.keys.iter().zip(&self.groups).skip(start).skip_while(|(k, _)| **k < key);
        for (k, group) in rows {
            if *k != key || found.len() >= MAX_GROUPS {
                break;
            }
            found.push(*group);
        }
        if let Some(more) = self.nicknames.get(&hash(latin)) {
            found.extend(more);
        }
        found.sort_unstable();
        found
    }

    /// The share of people or firms that carry this token, from what the tables know of it.
    pub(crate) fn share(&self, latin: &str, groups: &[u32]) -> f32 {
        let counted = self.population.get(&hash(latin)).copied().unwrap_or(0.0);
        let largest = groups.iter().filter_map(|&g| self.sizes.get(g as usize)).max().copied().unwrap_or(0);
        // A name written in many scripts is a common one: fitted by eye to the census shares.
        let by_spread = 2e-6 * f32::from(largest).powf(1.5);
        counted.max(by_spread).clamp(1e-6, 0.05)
    }

    pub(crate) fn particle(&self, text: &str) -> Option<u32> {
        self.particles.get(&hash(text)).copied()
    }

    pub(crate) fn is_title(&self, text: &str) -> bool {
        self.titles.contains_key(&hash(text))
    }

    pub(crate) fn word(&self, text: &str) -> Option<u32> {
        self.words.get(&hash(text)).copied()
    }

    pub(crate) fn number(&self, text: &str) -> Option<u32> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse::<u32>().ok().map(|n| NUMBERS + (n & 0x3ff_ffff));
        }
        self.numbers.get(&hash(text)).map(|n| NUMBERS + n)
    }

    pub(crate) fn may_start_form(&self, text: &str) -> bool {
        self.form_words.contains_key(&hash(text))
    }

    /// The group and label of a legal form given as its tokens joined by spaces.
    pub(crate) fn form(&self, phrase: &str) -> Option<(u32, &str)> {
        let (class, _) = self.forms.get(&hash(phrase))?;
        Some((FORMS + class, self.form_labels.get(*class as usize).map_or("", String::as_str)))
    }
}

/// ASCII letters and digits of a label, lower case; anything else is left out.
fn ascii_letter(c: char) -> Option<char> {
    c.is_ascii_alphanumeric().then(|| c.to_ascii_lowercase())
}

/// The look-up key of one dictionary form; `None` when it is not a single token.
fn part_key(form: &str) -> Option<u64> {
    if form.is_ascii() && form.bytes().all(|b| b.is_ascii_lowercase()) {
        return Some(hash(form));
    }
    let mut tokens = analyse::split(form, Kind::Unknown);
    let token = tokens.pop()?;
    if !tokens.is_empty() {
        return None;
    }
    if token.script == Script::Latin {
        Some(hash(&crate::latin::latin(&token.text, Script::Latin)))
    } else {
        Some(hash(&token.text))
    }
}

fn unpack(packed: &[u8]) -> String {
    let bytes = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, 16 << 20).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
