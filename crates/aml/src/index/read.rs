//! Opens an index file and looks things up in it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use names::{Role, TokenView};

use super::{MAGIC, SECTIONS, Section, token_key};
use crate::facts::Facts;
use crate::model::{Entity, NameKind, Schema};
use crate::reach::Shape;
use crate::score::Weighed;

/// Number of a token of the vocabulary.
pub(crate) type TokenId = u32;
/// Number of a name.
pub(crate) type NameId = u32;

/// Why an index could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The file could not be opened or mapped.
    #[error("opening the index {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The file is not an index of this version, or is cut short.
    #[error("{} is not an index of this version of the program; build it again", path.display())]
    NotAnIndex {
        /// Which file.
        path: PathBuf,
    },
}

/// An opened index.
pub struct Index(Opened);

self_cell::self_cell! {
    /// The memory of an index and its sections, found once.
    struct Opened {
        owner: Mmap,
        #[covariant]
        dependent: Parts,
    }
}

/// The sections of an index ([`Section`]).
struct Parts<'a> {
    latin: Rows<'a, u8>,
    sound: Rows<'a, u8>,
    skeleton: Rows<'a, u8>,
    token_flags: &'a [u8],
    information: &'a [f32],
    consonant_information: &'a [f32],
    groups: Rows<'a, u32>,
    token_table: &'a [u32],
    trigrams: Rows<'a, u32>,
    skeleton_keys: &'a [u64],
    skeleton_tokens: &'a [u32],
    group_keys: &'a [u32],
    group_tokens: &'a [u32],
    postings: Rows<'a, u32>,
    name_tokens: Rows<'a, u32>,
    name_entity: &'a [u32],
    name_flags: &'a [u8],
    name_text: Rows<'a, u8>,
    entity_names: &'a [u32],
    records: &'a [u8],
    record_start: &'a [u64],
    keys: Rows<'a, u8>,
    facts: Rows<'a, u8>,
    identifier_keys: &'a [u64],
    identifier_entities: &'a [u32],
    name_worth: &'a [u8],
    name_shape: &'a [u32],
}

/// Rows of values, one after the other, and where each starts; one start more than rows.
struct Rows<'a, T> {
    values: &'a [T],
    starts: &'a [u32],
}

impl<'a, T> Rows<'a, T> {
    fn get(&self, i: usize) -> &'a [T] {
        match (self.starts.get(i), self.starts.get(i + 1)) {
            (Some(&start), Some(&end)) => self.values.get(start as usize..end as usize).unwrap_or_default(),
            _ => &[],
        }
    }
}

impl<'a> Rows<'a, u8> {
    fn text(&self, i: usize) -> &'a str {
        std::str::from_utf8(self.get(i)).unwrap_or_default()
    }

    /// A text of one of the three sections that were found to be ASCII on opening.
    fn ascii(&self, i: usize) -> &'a str {
        #[expect(
            unsafe_code,
            reason = "checking each token again took 11 % of a query (perf, 3,808 labelled queries)"
        )]
        // SAFETY: [`Parts::of`] refuses a file whose section is not ASCII, and the file does not change while mapped.
        unsafe {
            std::str::from_utf8_unchecked(self.get(i))
        }
    }
}

impl<'a> Parts<'a> {
    /// The sections of an index in memory; `None` when it is not one.
    fn of(file: &'a [u8]) -> Option<Self> {
        let word = |at: usize| -> Option<usize> {
            let bytes: [u8; 8] = file.get(at..at + 8)?.try_into().ok()?;
            usize::try_from(u64::from_le_bytes(bytes)).ok()
        };
        if file.get(..8) != Some(MAGIC.as_slice()) || word(8) != Some(SECTIONS) {
            return None;
        }
        let bytes = |section: Section| -> Option<&'a [u8]> {
            let at = 16 + section as usize * 16;
            let (start, length) = (word(at)?, word(at + 8)?);
            if start % 8 == 0 { file.get(start..start.checked_add(length)?) } else { None }
        };
        let words = |section| bytemuck::try_cast_slice::<u8, u32>(bytes(section)?).ok();
        let longs = |section| bytemuck::try_cast_slice::<u8, u64>(bytes(section)?).ok();
        let floats = |section| bytemuck::try_cast_slice::<u8, f32>(bytes(section)?).ok();
        let rows = |values, starts| Some(Rows { values: words(values)?, starts: words(starts)? });
        let texts = |values, starts| Some(Rows { values: bytes(values)?, starts: words(starts)? });
        let parts = Self {
            latin: texts(Section::Latin, Section::LatinStart)?,
            sound: texts(Section::Sound, Section::SoundStart)?,
            skeleton: texts(Section::Skeleton, Section::SkeletonStart)?,
            token_flags: bytes(Section::TokenFlags)?,
            information: floats(Section::Information)?,
            consonant_information: floats(Section::ConsonantInformation)?,
            groups: rows(Section::Groups, Section::GroupsStart)?,
            token_table: words(Section::TokenTable)?,
            trigrams: rows(Section::Trigrams, Section::TrigramStart)?,
            skeleton_keys: longs(Section::SkeletonKeys)?,
            skeleton_tokens: words(Section::SkeletonTokens)?,
            group_keys: words(Section::GroupKeys)?,
            group_tokens: words(Section::GroupTokens)?,
            postings: rows(Section::Postings, Section::PostingStart)?,
            name_tokens: rows(Section::NameTokens, Section::NameTokenStart)?,
            name_entity: words(Section::NameEntity)?,
            name_flags: bytes(Section::NameFlags)?,
            name_text: texts(Section::NameText, Section::NameTextStart)?,
            entity_names: words(Section::EntityNames)?,
            records: bytes(Section::Records)?,
            record_start: longs(Section::RecordStart)?,
            keys: texts(Section::Keys, Section::KeyStart)?,
            facts: texts(Section::Facts, Section::FactStart)?,
            identifier_keys: longs(Section::IdentifierKeys)?,
            identifier_entities: words(Section::IdentifierEntities)?,
            name_worth: bytes(Section::NameWorth)?,
            name_shape: words(Section::NameShape)?,
        };
        let ascii = [&parts.latin, &parts.sound, &parts.skeleton].into_iter().all(|t| t.values.is_ascii());
        ascii.then_some(parts)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("entities", &self.entities())
            .field("names", &self.names())
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Maps an index file.
    ///
    /// # Errors
    /// When it cannot be opened or is not an index.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let failed = |source| IndexError::Open { path: path.to_owned(), source };
        let file = fs_err::File::open(path).map_err(failed)?;
        #[expect(
            unsafe_code,
            reason = "a memory map is what keeps 4 M names out of the heap; index files are written once under a new name and never changed in place"
        )]
        // SAFETY: the file is not modified while mapped (see the reason above); all reads are bounds-checked.
        let map = unsafe { Mmap::map(file.file()) }.map_err(failed)?;
        Self::over(map).ok_or_else(|| IndexError::NotAnIndex { path: path.to_owned() })
    }

    /// The index in some memory; `None` when it is not one.
    pub(super) fn over(map: Mmap) -> Option<Self> {
        Opened::try_new(map, |map| Parts::of(map).ok_or(())).ok().map(Self)
    }

    fn parts(&self) -> &Parts<'_> {
        self.0.borrow_dependent()
    }

    /// Entities in the index.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.parts().entity_names.len().saturating_sub(1)
    }

    /// Names in the index.
    #[must_use]
    pub fn names(&self) -> usize {
        self.parts().name_entity.len()
    }

    pub(crate) fn tokens(&self) -> usize {
        self.parts().token_flags.len()
    }

    /// Role and information of a token, without its texts.
    pub(crate) fn weight(&self, id: TokenId) -> (Role, f32) {
        let (role, _, information) = self.role(id);
        (role, information)
    }

    /// Role of a token, whether its vowels are not written, and its information.
    pub(crate) fn role(&self, id: TokenId) -> (Role, bool, f32) {
        let parts = self.parts();
        let flags = parts.token_flags.get(id as usize).copied().unwrap_or_default();
        let information = parts.information.get(id as usize).copied().unwrap_or(1.0);
        (Role::from_code(flags & 0x0f), flags & 0x80 != 0, information)
    }

    pub(crate) fn find_token(&self, latin: &str, role: Role, omits_vowels: bool) -> Option<TokenId> {
        let parts = self.parts();
        let table = parts.token_table;
        if !table.len().is_power_of_two() {
            return None;
        }
        let key = token_key(latin, role, omits_vowels);
        let mut slot = usize::try_from(key & (table.len() as u64 - 1)).ok()?;
        for _ in 0..table.len().min(4096) {
            let token = table.get(slot)?.checked_sub(1)?;
            let i = token as usize;
            if parts.latin.ascii(i) == latin {
                let flags = parts.token_flags.get(i).copied()?;
                let form = Role::from_code(flags & 0x0f) == Role::Form;
                if form == (role == Role::Form) && (flags & 0x80 != 0) == omits_vowels {
                    return Some(token);
                }
            }
            slot = (slot + 1) & (table.len() - 1);
        }
        None
    }

    /// A token with its information.
    pub(crate) fn token(&self, id: TokenId) -> Weighed<'_> {
        let (parts, i) = (self.parts(), id as usize);
        let flags = parts.token_flags.get(i).copied().unwrap_or_default();
        Weighed {
            view: TokenView {
                latin: parts.latin.ascii(i),
                sound: parts.sound.ascii(i),
                skeleton: parts.skeleton.ascii(i),
                groups: parts.groups.get(i),
                role: Role::from_code(flags & 0x0f),
                omits_vowels: flags & 0x80 != 0,
                syllabic: flags & 0x40 != 0,
            },
            information: parts.information.get(i).copied().unwrap_or(1.0),
            consonant_information: parts.consonant_information.get(i).copied().unwrap_or(1.0),
        }
    }

    pub(crate) fn latin_len(&self, id: TokenId) -> usize {
        self.parts().latin.get(id as usize).len()
    }

    pub(crate) fn trigram(&self, trigram: usize) -> &[TokenId] {
        self.parts().trigrams.get(trigram)
    }

    pub(crate) fn with_skeleton(&self, skeleton: &str) -> &[TokenId] {
        let parts = self.parts();
        parts.skeleton_tokens.get(equal(parts.skeleton_keys, names::hash(skeleton))).unwrap_or_default()
    }

    pub(crate) fn in_group(&self, group: u32) -> &[TokenId] {
        let parts = self.parts();
        parts.group_tokens.get(equal(parts.group_keys, group)).unwrap_or_default()
    }

    pub(crate) fn names_with(&self, token: TokenId) -> &[NameId] {
        self.parts().postings.get(token as usize)
    }

    pub(crate) fn tokens_of(&self, name: NameId) -> &[TokenId] {
        self.parts().name_tokens.get(name as usize)
    }

    pub(crate) fn entity_of(&self, name: NameId) -> u32 {
        self.parts().name_entity.get(name as usize).copied().unwrap_or(u32::MAX)
    }

    pub(crate) fn schema_of(&self, name: NameId) -> Schema {
        Schema::from_code(self.parts().name_flags.get(name as usize).copied().unwrap_or(6) & 0x0f)
    }

    /// Information of a name by the default weights, rounded down.
    pub(crate) fn worth_of(&self, name: NameId) -> f32 {
        f32::from(self.parts().name_worth.get(name as usize).copied().unwrap_or(0))
    }

    pub(crate) fn shape_of(&self, name: NameId) -> Shape {
        // What nothing is known of may agree in any way.
        Shape(self.parts().name_shape.get(name as usize).copied().unwrap_or(u32::MAX))
    }

    pub(crate) fn kind_of(&self, name: NameId) -> NameKind {
        match self.parts().name_flags.get(name as usize).copied().unwrap_or(0) >> 4 {
            0 => NameKind::Primary,
            2 => NameKind::Former,
            3 => NameKind::Weak,
            _ => NameKind::Alias,
        }
    }

    pub(crate) fn name_text(&self, name: NameId) -> &str {
        self.parts().name_text.text(name as usize)
    }

    /// The key of an entity by its number in the index, or empty.
    #[must_use]
    pub fn key(&self, number: u32) -> &str {
        self.parts().keys.text(number as usize)
    }

    /// The names of an entity.
    pub(crate) fn names_of(&self, number: u32) -> std::ops::Range<NameId> {
        let starts = self.parts().entity_names;
        match (starts.get(number as usize), starts.get(number as usize + 1)) {
            (Some(&first), Some(&end)) => first..end,
            _ => 0..0,
        }
    }

    /// Numbers of the entities of these keys.
    pub(crate) fn numbers_of(&self, keys: &HashSet<&str>) -> HashMap<String, u32> {
        (0..u32::try_from(self.entities()).unwrap_or(u32::MAX))
            .filter(|&n| keys.contains(self.key(n)))
            .map(|n| (self.key(n).to_owned(), n))
            .collect()
    }

    /// The first name of an entity, or empty.
    pub(crate) fn caption(&self, number: u32) -> &str {
        let starts = self.parts().entity_names;
        match (starts.get(number as usize), starts.get(number as usize + 1)) {
            (Some(&first), Some(&end)) if first < end => self.name_text(first),
            _ => "",
        }
    }

    pub(crate) fn facts(&self, number: u32) -> Facts {
        Facts::read(self.parts().facts.get(number as usize))
    }

    /// The record of an entity by its number in the index.
    #[must_use]
    pub fn entity(&self, number: u32) -> Option<Entity> {
        let starts = self.parts().record_start;
        let start = usize::try_from(*starts.get(number as usize)?).ok()?;
        let end = usize::try_from(*starts.get(number as usize + 1)?).ok()?;
        serde_json::from_slice(self.parts().records.get(start..end)?).ok()
    }

    /// Entities that carry an identifier, by its normal form.
    pub(crate) fn with_identifier(&self, normal: &str) -> &[u32] {
        let parts = self.parts();
        parts.identifier_entities.get(equal(parts.identifier_keys, names::hash(normal))).unwrap_or_default()
    }
}

/// Where a key stands among sorted ones. Few are alike, so that counting them takes less than another search.
fn equal<K: Ord>(keys: &[K], key: K) -> std::ops::Range<usize> {
    let start = keys.partition_point(|k| *k < key);
    let alike = keys.get(start..).unwrap_or_default().iter().take_while(|k| **k == key).count();
    start..start + alike
}
