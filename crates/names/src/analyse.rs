//! Turns a name as written into tokens that can be compared.
//!
//! Promises: work is bounded whatever the input (256 characters, 24 tokens, each of
//! at most 40 characters are looked at); a name without a letter or digit has no
//! tokens and so matches nothing; no token is ever dropped because it is common:
//! particles, titles and legal forms stay, marked with their role.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_canonical;

use crate::latin::{latin, skeleton_of};
use crate::lexicon::{self, lexicon};
use crate::script::Script;
use crate::sound::sound;

/// Characters of a name that are looked at.
pub const MAX_CHARS: usize = 256;
/// Tokens of a name that are looked at.
pub const MAX_TOKENS: usize = 24;
/// Characters of one token that are looked at.
const MAX_TOKEN_CHARS: usize = 40;

/// What carries the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person.
    Person,
    /// A company, body, group.
    Organisation,
    /// A vessel, aircraft or other object.
    Thing,
    /// Not known.
    Unknown,
}

/// What a token does in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// A name part proper.
    Part = 0,
    /// Joins parts: *al*, *bin*, *de la*.
    Particle = 1,
    /// A legal form: *Ltd*, *ООО*.
    Form = 2,
    /// A title: *Dr*, *President*.
    Title = 3,
    /// A number or ordinal.
    Number = 4,
    /// A single letter that stands for a part.
    Initial = 5,
    /// A word many firms carry: *bank*, *trading*.
    Word = 6,
}

impl Role {
    /// The role of this code, as index files store it; an unknown code is a part.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Particle,
            2 => Self::Form,
            3 => Self::Title,
            4 => Self::Number,
            5 => Self::Initial,
            6 => Self::Word,
            _ => Self::Part,
        }
    }
}

/// One token in all the forms it is compared by.
#[derive(Clone, Debug)]
pub struct Token {
    /// Lower case, without marks, in its own script.
    pub text: String,
    /// Romanised: lower-case ASCII letters and digits, never empty.
    pub latin: String,
    /// How it sounds (`sound::sound`).
    pub sound: String,
    /// Its consonants (`sound::skeleton`).
    pub skeleton: String,
    /// Groups of equivalent parts, sorted.
    pub groups: Vec<u32>,
    /// What it does in the name.
    pub role: Role,
    /// True where the script writes no vowels: only skeletons can be compared.
    pub omits_vowels: bool,
    /// Romanised from syllables or characters: one letter apart is another syllable, not a slip.
    pub syllabic: bool,
    /// Share of names that carry it, as far as the tables know (0..1).
    pub share: f32,
}

/// A name ready for comparison.
#[derive(Clone, Debug, Default)]
pub struct Name {
    /// The tokens in written order.
    pub tokens: Vec<Token>,
}

/// A raw token before romanisation.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) script: Script,
    hyphen_after: bool,
}

/// Cuts a name into tokens and finds everything comparison needs of each.
#[must_use]
pub fn analyse(name: &str, kind: Kind) -> Name {
    let lexicon = lexicon();
    let turned;
    let name = match family_first(name, kind) {
        Some((family, given)) => {
            turned = format!("{given} {family}");
            turned.as_str()
        }
        None => name,
    };
    let mut pieces = split(name, kind);
    if matches!(kind, Kind::Person | Kind::Unknown) {
        part_unspaced(&mut pieces);
    }
    let mut tokens = Vec::with_capacity(pieces.len());
    let mut i = 0;
    while i < pieces.len() && tokens.len() < MAX_TOKENS {
        if !matches!(kind, Kind::Person)
            && let Some((token, used)) = legal_form(&pieces[i..])
        {
            tokens.push(token);
            i += used;
            continue;
        }
        let piece = &pieces[i];
        i += 1;
        let latin = latin(&piece.text, piece.script);
        if latin.is_empty() {
            continue;
        }
        let person = matches!(kind, Kind::Person | Kind::Unknown);
        let mut groups = Vec::new();
        let mut role = Role::Part;
        let mut share = None;
        let particle = lexicon.particle(if piece.script == Script::Latin { &latin } else { &piece.text });
        if latin.len() == 1 && piece.script != Script::Han && piece.text.chars().count() == 1 {
            role = if latin.as_bytes()[0].is_ascii_digit() { Role::Number } else { Role::Initial };
        } else if let Some(group) = particle.filter(|&g| kind != Kind::Thing && lexicon::tells(g)) {
            // *Abu* and *Abd* open many names, but who has one is told apart by it.
            groups = lexicon.groups_of(&piece.text, &latin, piece.script);
            groups.push(group);
            share = Some(0.05);
        } else if let Some(group) = particle.filter(|_| kind != Kind::Thing) {
            // An article needs its hyphen: "Al Gore", "An Li" are names.
            role = if person || piece.hyphen_after { Role::Particle } else { Role::Word };
            groups = lexicon.groups_of(&piece.text, &latin, piece.script);
            groups.push(group);
            share = Some(0.12);
        } else if kind == Kind::Person && lexicon.is_title(&piece.text) {
            role = Role::Title;
            groups = lexicon.groups_of(&piece.text, &latin, piece.script);
            share = Some(0.05);
        }
        if role == Role::Part && groups.is_empty() {
            if kind != Kind::Person
                && let Some(number) = lexicon.number(&piece.text)
            {
                role = Role::Number;
                groups.push(number);
                share = Some(0.01);
            } else if latin.bytes().all(|b| b.is_ascii_digit()) {
                role = Role::Number;
                share = Some(0.01);
            } else {
                groups = lexicon.groups_of(&piece.text, &latin, piece.script);
                if kind != Kind::Person
                    && let Some(class) = lexicon.word(&piece.text)
                {
                    role = Role::Word;
                    groups.push(class);
                    share = Some(0.01);
                }
            }
        }
        let share = share.unwrap_or_else(|| match role {
            Role::Initial => 0.04,
            _ => lexicon.share(&latin, &groups).max(syllables(piece)),
        });
        tokens.push(Token {
            sound: sound(&latin),
            skeleton: skeleton_of(&piece.text, &latin, piece.script),
            text: piece.text.clone(),
            latin,
            groups,
            role,
            omits_vowels: piece.script.omits_vowels(),
            syllabic: piece.script.is_unspaced(),
            share,
        });
    }
    Name { tokens }
}

/// Romanised syllables are few: a lone one is shared by many people however it is written.
fn syllables(piece: &Piece) -> f32 {
    match (piece.script, piece.text.chars().count()) {
        (Script::Han | Script::Hangul | Script::Kana, 1) => 0.03,
        (Script::Han | Script::Hangul | Script::Kana, 2) => 0.002,
        _ => 0.0,
    }
}

/// Splits "FAMILY, Given" as lists write persons.
fn family_first(name: &str, kind: Kind) -> Option<(&str, &str)> {
    if kind != Kind::Person || name.len() > MAX_CHARS * 4 {
        return None;
    }
    let (family, given) = name.split_once(',')?;
    (!given.contains(',') && given.chars().any(char::is_alphanumeric)).then_some((family, given))
}

fn legal_form(pieces: &[Piece]) -> Option<(Token, usize)> {
    let lexicon = lexicon();
    if !lexicon.may_start_form(&pieces.first()?.text) {
        return None;
    }
    for used in (1..=pieces.len().min(8)).rev() {
        let phrase = pieces[..used].iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(" ");
        if let Some((group, label)) = lexicon.form(&phrase) {
            let label = if label.is_empty() { "form" } else { label };
            let written: String = pieces[..used].iter().map(|p| latin(&p.text, p.script)).collect();
            let token = Token {
                text: phrase,
                latin: label.to_owned(),
                // What was written, so that a slip in it can be told from another word.
                sound: written,
                skeleton: label.to_owned(),
                groups: vec![group],
                role: Role::Form,
                omits_vowels: false,
                syllabic: false,
                share: 0.2,
            };
            return Some((token, used));
        }
    }
    None
}

/// Cuts at everything that is not a letter, digit or mark, and where the writing system changes.
pub(crate) fn split(name: &str, kind: Kind) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut current = String::new();
    let mut script = Script::Other;
    let mut length = 0;
    let organisation = matches!(kind, Kind::Organisation | Kind::Unknown);
    let mut finish = |current: &mut String, script: Script, hyphen: bool| {
        if !current.is_empty() && pieces.len() < MAX_TOKENS * 2 {
            push_piece(std::mem::take(current), script, hyphen, &mut pieces);
        }
        current.clear();
    };
    // Compatibility forms first; then marks come off their letters, except where the marked
    // letter is a letter of its own (Cyrillic й) or a syllable (Hangul, Kana).
    let mut folded = String::with_capacity(name.len().min(MAX_CHARS * 4));
    for c in name.chars().take(MAX_CHARS).flat_map(char::to_lowercase).nfkc().take(MAX_CHARS * 3) {
        match Script::of(c) {
            Script::Cyrillic | Script::Hangul | Script::Kana => folded.push(c),
            _ => decompose_canonical(c, |part| folded.push(part)),
        }
    }
    for c in folded.chars() {
        if is_dropped(c) {
            continue;
        }
        if organisation && matches!(c, '&' | '+') {
            finish(&mut current, script, false);
            current.push_str("and");
            finish(&mut current, Script::Latin, false);
            continue;
        }
        if !(c.is_alphanumeric() || is_vowel_sign(c)) {
            let hyphen = matches!(c, '-' | '‐' | '‑' | '–');
            // "S.A.": letters with full stops between them are one word in the name of a firm.
            let acronym =
                organisation && c == '.' && (length == 1 || (length == 0 && current.ends_with('.')));
            if acronym {
                current.push('.');
            } else {
                finish(&mut current, script, hyphen);
            }
            length = 0;
            continue;
        }
        let this = if c.is_ascii_digit() && !current.is_empty() { script } else { Script::of(c) };
        let glued = current.ends_with('.');
        if !current.is_empty()
            && !glued
            && this != script
            && (this.is_unspaced() || script.is_unspaced())
            && !joins(script, this)
        {
            finish(&mut current, script, false);
            length = 0;
        }
        if current.is_empty() || this != Script::Other {
            script = this;
        }
        if length < MAX_TOKEN_CHARS {
            current.push(c);
        }
        length += 1;
    }
    finish(&mut current, script, false);
    if organisation { join_acronyms(pieces) } else { pieces }
}

/// Splits "s.a.de" style runs: letters each followed by a stop are one acronym, the rest stands alone.
fn join_acronyms(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if !piece.text.contains('.') {
            out.push(piece);
            continue;
        }
        let last_dot = piece.text.rfind('.').unwrap_or(0);
        let (head, tail) = piece.text.split_at(last_dot);
        let tail = tail.trim_start_matches('.');
        let mut head: String = head.chars().filter(|&c| c != '.').collect();
        if tail.chars().count() <= 1 {
            head.push_str(tail);
            out.push(Piece { text: head, ..piece });
        } else {
            let script = piece.script;
            out.push(Piece { text: head, script, hyphen_after: false });
            out.push(Piece { text: tail.to_owned(), ..piece });
        }
    }
    out.retain(|p| !p.text.is_empty());
    out
}

/// Arabic writes its article joined to the word.
fn push_piece(text: String, script: Script, hyphen_after: bool, pieces: &mut Vec<Piece>) {
    if script == Script::Arabic {
        let letters = text.chars().count();
        // *Abd al-Jabbar* is often written as one word; *Abdallah* is one.
        if let Some(rest) = text.strip_prefix("عبدال")
            && letters >= 8
        {
            for (part, hyphen_after) in [("عبد", false), ("ال", true), (rest, hyphen_after)] {
                pieces.push(Piece { text: part.to_owned(), script, hyphen_after });
            }
            return;
        }
        if let Some(rest) = text.strip_prefix("ال")
            && letters >= 5
        {
            pieces.push(Piece { text: "ال".to_owned(), script, hyphen_after: true });
            pieces.push(Piece { text: rest.to_owned(), script, hyphen_after });
            return;
        }
    }
    pieces.push(Piece { text, script, hyphen_after });
}

/// A lone unspaced name of two to four characters is family name, then given name.
fn part_unspaced(pieces: &mut Vec<Piece>) {
    const COMPOUND: [&str; 14] = [
        "欧阳", "歐陽", "司马", "司馬", "诸葛", "諸葛", "上官", "皇甫", "남궁", "황보", "제갈", "사공",
        "선우", "독고",
    ];
    if pieces.len() != 1 {
        return;
    }
    let piece = &pieces[0];
    let length = piece.text.chars().count();
    if !matches!(piece.script, Script::Han | Script::Hangul) || !(2..=4).contains(&length) {
        return;
    }
    let family = if length > 2 && COMPOUND.iter().any(|c| piece.text.starts_with(c)) { 2 } else { 1 };
    let cut = piece.text.char_indices().nth(family).map_or(piece.text.len(), |(at, _)| at);
    let (head, tail) = piece.text.split_at(cut);
    let script = piece.script;
    *pieces = vec![
        Piece { text: head.to_owned(), script, hyphen_after: false },
        Piece { text: tail.to_owned(), script, hyphen_after: false },
    ];
}

fn joins(a: Script, b: Script) -> bool {
    matches!(
        (a, b),
        (Script::Han, Script::Han) | (Script::Kana, Script::Kana) | (Script::Hangul, Script::Hangul)
    )
}

/// Marks, joiners, apostrophes and control characters carry no name.
fn is_dropped(c: char) -> bool {
    matches!(u32::from(c),
        0x0300..=0x036F | 0x0483..=0x0489 | 0x0591..=0x05C7 | 0x0610..=0x061A | 0x064B..=0x065F | 0x0670 | 0x0640
        | 0x06D6..=0x06ED | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFE00..=0xFE0F | 0x00AD
        | 0x02B9..=0x02BF | 0x02C8 | 0x2018 | 0x2019 | 0x201B | 0x0027 | 0x0060 | 0x00B4 | 0x00B7 | 0x05F3 | 0x05F4
        | 0xFFFD | 0x20D0..=0x20FF | 0x1AB0..=0x1AFF | 0x3099 | 0x309A)
        && c != '·'
        || (c.is_control() && !c.is_whitespace())
}

/// Vowel signs of India and Thailand are marks that are part of the word.
fn is_vowel_sign(c: char) -> bool {
    matches!(u32::from(c), 0x0900..=0x0DFF | 0x0E31..=0x0E4E)
        && !c.is_ascii_punctuation()
        && c != '।'
        && c != '॥'
}
