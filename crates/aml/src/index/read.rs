//! Opens an index file and looks things up in it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use names::{Role, TokenView};

use super::{MAGIC, SECTIONS, Section, token_key};
use crate::facts::Facts;
use crate::model::{Entity, NameKind, Schema};
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
pub struct Index {
    map: Mmap,
    sections: [(usize, usize); SECTIONS],
    entities: usize,
    names: usize,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("entities", &self.entities)
            .field("names", &self.names)
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
        let word = |at: usize| -> Option<usize> {
            let bytes: [u8; 8] = map.get(at..at + 8)?.try_into().ok()?;
            usize::try_from(u64::from_le_bytes(bytes)).ok()
        };
        if map.get(..8) != Some(MAGIC.as_slice()) || word(8) != Some(SECTIONS) {
            return None;
        }
        let mut sections = [(0, 0); SECTIONS];
        for (i, section) in sections.iter_mut().enumerate() {
            let (start, length) = (word(16 + i * 16)?, word(24 + i * 16)?);
            if start % 8 != 0 || start.checked_add(length).is_none_or(|end| end > map.len()) {
                return None;
            }
            *section = (start, start + length);
        }
        let mut index = Self { map, sections, entities: 0, names: 0 };
        if [Section::Latin, Section::Sound, Section::Skeleton].into_iter().any(|s| !index.bytes(s).is_ascii())
        {
            return None;
        }
        index.entities = index.words(Section::EntityNames).len().saturating_sub(1);
        index.names = index.words(Section::NameEntity).len();
        Some(index)
    }

    /// Entities in the index.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.entities
    }

    /// Names in the index.
    #[must_use]
    pub fn names(&self) -> usize {
        self.names
    }

    pub(crate) fn tokens(&self) -> usize {
        self.bytes(Section::TokenFlags).len()
    }

    fn bytes(&self, section: Section) -> &[u8] {
        let (start, end) = self.sections[section as usize];
        self.map.get(start..end).unwrap_or_default()
    }

    fn words(&self, section: Section) -> &[u32] {
        bytemuck::try_cast_slice(self.bytes(section)).unwrap_or_default()
    }

    fn longs(&self, section: Section) -> &[u64] {
        bytemuck::try_cast_slice(self.bytes(section)).unwrap_or_default()
    }

    fn floats(&self, section: Section) -> &[f32] {
        bytemuck::try_cast_slice(self.bytes(section)).unwrap_or_default()
    }

    fn row(&self, values: Section, starts: Section, i: usize) -> &[u32] {
        let starts = self.words(starts);
        let (Some(&a), Some(&b)) = (starts.get(i), starts.get(i + 1)) else { return &[] };
        self.words(values).get(a as usize..b as usize).unwrap_or_default()
    }

    fn text(&self, values: Section, starts: Section, i: usize) -> &str {
        let starts = self.words(starts);
        let (Some(&a), Some(&b)) = (starts.get(i), starts.get(i + 1)) else { return "" };
        self.bytes(values)
            .get(a as usize..b as usize)
            .and_then(|b| std::str::from_utf8(b).ok())
            .unwrap_or_default()
    }

    /// A slice of one of the three blobs that were found to be ASCII on opening.
    fn ascii(&self, values: Section, starts: Section, i: usize) -> &str {
        let starts = self.words(starts);
        let (Some(&a), Some(&b)) = (starts.get(i), starts.get(i + 1)) else { return "" };
        let bytes = self.bytes(values).get(a as usize..b as usize).unwrap_or_default();
        #[expect(
            unsafe_code,
            reason = "checking each token again took 11 % of a query (perf, 3,808 labelled queries)"
        )]
        // SAFETY: `open` refuses a file whose blob is not ASCII, and the file does not change while mapped.
        unsafe {
            std::str::from_utf8_unchecked(bytes)
        }
    }

    /// Role and information of a token, without its texts.
    pub(crate) fn weight(&self, id: TokenId) -> (Role, f32) {
        let i = id as usize;
        let flags = self.bytes(Section::TokenFlags).get(i).copied().unwrap_or_default();
        (Role::from_code(flags & 0x0f), self.floats(Section::Information).get(i).copied().unwrap_or(1.0))
    }

    /// Role of a token, whether its vowels are not written, and its information.
    pub(crate) fn role(&self, id: TokenId) -> (Role, bool, f32) {
        let flags = self.bytes(Section::TokenFlags).get(id as usize).copied().unwrap_or_default();
        let information = self.floats(Section::Information).get(id as usize).copied().unwrap_or(1.0);
        (Role::from_code(flags & 0x0f), flags & 0x80 != 0, information)
    }

    pub(crate) fn find_token(&self, latin: &str, role: Role, omits_vowels: bool) -> Option<TokenId> {
        let table = self.words(Section::TokenTable);
        if !table.len().is_power_of_two() {
            return None;
        }
        let key = token_key(latin, role, omits_vowels);
        let mut slot = usize::try_from(key & (table.len() as u64 - 1)).ok()?;
        for _ in 0..table.len().min(4096) {
            let token = table.get(slot)?.checked_sub(1)?;
            let i = token as usize;
            if self.ascii(Section::Latin, Section::LatinStart, i) == latin {
                let flags = self.bytes(Section::TokenFlags).get(i).copied()?;
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
        let i = id as usize;
        let flags = self.bytes(Section::TokenFlags).get(i).copied().unwrap_or_default();
        Weighed {
            view: TokenView {
                latin: self.ascii(Section::Latin, Section::LatinStart, i),
                sound: self.ascii(Section::Sound, Section::SoundStart, i),
                skeleton: self.ascii(Section::Skeleton, Section::SkeletonStart, i),
                groups: self.row(Section::Groups, Section::GroupsStart, i),
                role: Role::from_code(flags & 0x0f),
                omits_vowels: flags & 0x80 != 0,
                syllabic: flags & 0x40 != 0,
            },
            information: self.floats(Section::Information).get(i).copied().unwrap_or(1.0),
            consonant_information: self.floats(Section::ConsonantInformation).get(i).copied().unwrap_or(1.0),
        }
    }

    pub(crate) fn latin_len(&self, id: TokenId) -> usize {
        let starts = self.words(Section::LatinStart);
        match (starts.get(id as usize), starts.get(id as usize + 1)) {
            (Some(a), Some(b)) => b.saturating_sub(*a) as usize,
            _ => 0,
        }
    }

    pub(crate) fn trigram(&self, trigram: usize) -> &[TokenId] {
        self.row(Section::Trigrams, Section::TrigramStart, trigram)
    }

    pub(crate) fn with_skeleton(&self, skeleton: &str) -> &[TokenId] {
        let key = names::hash(skeleton);
        let keys = self.longs(Section::SkeletonKeys);
        let start = keys.partition_point(|&k| k < key);
        let end = start + keys.get(start..).unwrap_or_default().partition_point(|&k| k == key);
        self.words(Section::SkeletonTokens).get(start..end).unwrap_or_default()
    }

    pub(crate) fn in_group(&self, group: u32) -> &[TokenId] {
        let keys = self.words(Section::GroupKeys);
        let start = keys.partition_point(|&k| k < group);
        let end = start + keys.get(start..).unwrap_or_default().partition_point(|&k| k == group);
        self.words(Section::GroupTokens).get(start..end).unwrap_or_default()
    }

    pub(crate) fn names_with(&self, token: TokenId) -> &[NameId] {
        self.row(Section::Postings, Section::PostingStart, token as usize)
    }

    pub(crate) fn tokens_of(&self, name: NameId) -> &[TokenId] {
        self.row(Section::NameTokens, Section::NameTokenStart, name as usize)
    }

    pub(crate) fn entity_of(&self, name: NameId) -> u32 {
        self.words(Section::NameEntity).get(name as usize).copied().unwrap_or(u32::MAX)
    }

    pub(crate) fn schema_of(&self, name: NameId) -> Schema {
        Schema::from_code(self.bytes(Section::NameFlags).get(name as usize).copied().unwrap_or(6) & 0x0f)
    }

    /// Information of a name by the default weights, rounded down.
    pub(crate) fn worth_of(&self, name: NameId) -> f32 {
        f32::from(self.bytes(Section::NameWorth).get(name as usize).copied().unwrap_or(0))
    }

    pub(crate) fn kind_of(&self, name: NameId) -> NameKind {
        match self.bytes(Section::NameFlags).get(name as usize).copied().unwrap_or(0) >> 4 {
            0 => NameKind::Primary,
            2 => NameKind::Former,
            3 => NameKind::Weak,
            _ => NameKind::Alias,
        }
    }

    pub(crate) fn name_text(&self, name: NameId) -> &str {
        self.text(Section::NameText, Section::NameTextStart, name as usize)
    }

    /// The key of an entity by its number in the index, or empty.
    #[must_use]
    pub fn key(&self, number: u32) -> &str {
        self.text(Section::Keys, Section::KeyStart, number as usize)
    }

    /// The names of an entity.
    pub(crate) fn names_of(&self, number: u32) -> std::ops::Range<NameId> {
        let starts = self.words(Section::EntityNames);
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
        let starts = self.words(Section::EntityNames);
        match (starts.get(number as usize), starts.get(number as usize + 1)) {
            (Some(&first), Some(&end)) if first < end => self.name_text(first),
            _ => "",
        }
    }

    pub(crate) fn facts(&self, number: u32) -> Facts {
        let starts = self.words(Section::FactStart);
        match (starts.get(number as usize), starts.get(number as usize + 1)) {
            (Some(&a), Some(&b)) => {
                Facts::read(self.bytes(Section::Facts).get(a as usize..b as usize).unwrap_or_default())
            }
            _ => Facts::default(),
        }
    }

    /// The record of an entity by its number in the index.
    #[must_use]
    pub fn entity(&self, number: u32) -> Option<Entity> {
        let starts = self.longs(Section::RecordStart);
        let start = usize::try_from(*starts.get(number as usize)?).ok()?;
        let end = usize::try_from(*starts.get(number as usize + 1)?).ok()?;
        serde_json::from_slice(self.bytes(Section::Records).get(start..end)?).ok()
    }

    /// Entities that carry an identifier, by its normal form.
    pub(crate) fn with_identifier(&self, normal: &str) -> &[u32] {
        let key = names::hash(normal);
        let keys = self.longs(Section::IdentifierKeys);
        let start = keys.partition_point(|&k| k < key);
        let end = start + keys.get(start..).unwrap_or_default().partition_point(|&k| k == key);
        self.words(Section::IdentifierEntities).get(start..end).unwrap_or_default()
    }
}
