//! The index of listed names: one file, built once per set of lists, read through a memory map.
//!
//! The vocabulary comes first: a query token is compared with the tokens of the
//! lists that may be like it (same letters, group, consonants, or shared trigrams),
//! each once, and the names that carry these tokens are then weighed. Work depends
//! on the vocabulary more than on the number of names.
//!
//! File: 8 bytes magic, section count, then offset and length of each section, then
//! the sections, each at a multiple of 8 bytes, little-endian. Offsets are checked on
//! opening; the content is read with bounds checks, so a damaged file gives wrong or
//! no hits but cannot do harm.

mod build;
mod read;

pub use build::Builder;
pub use read::{Index, IndexError};

pub(crate) use read::{NameId, TokenId};

pub(crate) const MAGIC: &[u8; 8] = b"BFAML\x06\0\0";

/// Sections in file order.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(crate) enum Section {
    /// Romanised forms, one after the other.
    Latin,
    /// Start of each in `Latin`, one more than tokens.
    LatinStart,
    /// Sound forms.
    Sound,
    /// Start of each.
    SoundStart,
    /// Skeletons.
    Skeleton,
    /// Start of each.
    SkeletonStart,
    /// Role (low 4 bits), whether it is syllabic (bit 6) and whether vowels are omitted (bit 7).
    TokenFlags,
    /// Information of each token, f32.
    Information,
    /// Information of each token's skeleton, f32.
    ConsonantInformation,
    /// Groups of tokens.
    Groups,
    /// Start of each token's groups.
    GroupsStart,
    /// Open-addressing table from hash to token + 1.
    TokenTable,
    /// Trigram postings: tokens.
    Trigrams,
    /// Start of each trigram's postings.
    TrigramStart,
    /// Hashes of skeletons, sorted, as pairs with tokens.
    SkeletonKeys,
    /// Tokens in the order of `SkeletonKeys`.
    SkeletonTokens,
    /// Group numbers, sorted.
    GroupKeys,
    /// Tokens in the order of `GroupKeys`.
    GroupTokens,
    /// Names that carry each token.
    Postings,
    /// Start of each token's postings.
    PostingStart,
    /// Tokens of each name.
    NameTokens,
    /// Start of each name's tokens.
    NameTokenStart,
    /// Entity of each name.
    NameEntity,
    /// Schema code (low 4 bits) and name kind (high 4 bits).
    NameFlags,
    /// Names as written.
    NameText,
    /// Start of each.
    NameTextStart,
    /// First name of each entity, one more than entities.
    EntityNames,
    /// Entity records (JSON).
    Records,
    /// Start of each (u64).
    RecordStart,
    /// Keys of the entities.
    Keys,
    /// Start of each.
    KeyStart,
    /// Facts of the entities ([`crate::facts`]).
    Facts,
    /// Start of each.
    FactStart,
    /// Hashes of identifiers, sorted.
    IdentifierKeys,
    /// Entities in the order of `IdentifierKeys`.
    IdentifierEntities,
    /// Information of each name in whole nats, by the default weights, u8: tells at a glance that too much of a name
    /// is left over.
    NameWorth,
    /// What can be told of a name at a glance ([`crate::reach::Shape`]).
    NameShape,
}

pub(crate) const SECTIONS: usize = Section::NameShape as usize + 1;

/// Symbols a trigram is made of: a letter, a digit, or the edge of the token.
const SYMBOLS: usize = 37;
/// Number of trigrams.
pub(crate) const TRIGRAMS: usize = SYMBOLS * SYMBOLS * SYMBOLS;

fn symbol(c: u8) -> usize {
    match c {
        b'a'..=b'z' => usize::from(c - b'a') + 1,
        // The capitals of the sound form: sounds of two letters.
        b'C' => 3,
        b'J' => 10,
        b'S' => 19,
        b'0'..=b'9' => usize::from(c - b'0') + 27,
        _ => 0,
    }
}

/// Calls `sink` once for each trigram of a token as written and as it sounds, with an edge on either side.
pub(crate) fn both_trigrams(latin: &str, sound: &str, mut sink: impl FnMut(usize)) -> usize {
    let mut seen = [0usize; 80];
    let mut count = 0;
    for text in [latin, sound] {
        let bytes = text.as_bytes();
        let at = |i: isize| usize::try_from(i).ok().and_then(|i| bytes.get(i)).map_or(0, |&c| symbol(c));
        for i in 0..bytes.len().min(40) {
            let i = i.cast_signed();
            let trigram = (at(i - 1) * SYMBOLS + at(i)) * SYMBOLS + at(i + 1);
            if !seen[..count].contains(&trigram) {
                seen[count] = trigram;
                count += 1;
                sink(trigram);
            }
        }
        if latin == sound {
            break;
        }
    }
    count
}

/// What a token is looked up by.
pub(crate) fn token_key(latin: &str, role: names::Role, omits_vowels: bool) -> u64 {
    let class = u64::from(role == names::Role::Form) | u64::from(omits_vowels) << 1;
    names::hash(latin) ^ class.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
