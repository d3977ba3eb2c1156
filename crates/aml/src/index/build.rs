//! Collects entities and writes the index file.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use names::{Role, analyse};

use super::{Index, MAGIC, SECTIONS, Section, TRIGRAMS, both_trigrams, token_key};
use crate::facts::Facts;
use crate::model::Entity;
use crate::reach::Shape;
use crate::score::{Weights, tells};

/// Entities of the population that a list's own counts are smoothed with.
const SMOOTHING: f32 = 2_000.0;

/// Collects entities; [`Builder::write`] makes the file.
#[derive(Default)]
pub struct Builder {
    tokens: HashMap<u64, u32>,
    latin: Vec<u8>,
    latin_start: Vec<u32>,
    sound: Vec<u8>,
    sound_start: Vec<u32>,
    skeleton: Vec<u8>,
    skeleton_start: Vec<u32>,
    flags: Vec<u8>,
    share: Vec<f32>,
    entities_with: Vec<u32>,
    last_entity: Vec<u32>,
    groups: Vec<u32>,
    groups_start: Vec<u32>,
    name_tokens: Vec<u32>,
    name_token_start: Vec<u32>,
    name_entity: Vec<u32>,
    name_flags: Vec<u8>,
    name_text: Vec<u8>,
    name_text_start: Vec<u32>,
    entity_names: Vec<u32>,
    records: Vec<u8>,
    record_start: Vec<u64>,
    identifiers: Vec<(u64, u32)>,
    keys: Vec<u8>,
    key_start: Vec<u32>,
    facts: Vec<u8>,
    fact_start: Vec<u32>,
}

fn len32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Builder {
    /// Nothing collected yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Entities collected.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.entity_names.len()
    }

    /// Names collected.
    #[must_use]
    pub fn names(&self) -> usize {
        self.name_entity.len()
    }

    /// Adds an entity with all its names.
    ///
    /// # Errors
    /// When the record cannot be written as JSON, which does not happen for entities from importers.
    pub fn add(&mut self, entity: &Entity) -> Result<(), serde_json::Error> {
        let record = serde_json::to_vec(entity)?;
        let number = len32(self.entity_names.len());
        self.entity_names.push(len32(self.name_entity.len()));
        for listed in &entity.names {
            let name = analyse(&listed.text, entity.schema.kind());
            // A name without letters or digits would match everything or nothing: it is not indexed.
            if name.tokens.is_empty() {
                continue;
            }
            let id = len32(self.name_entity.len());
            debug_assert!(id < u32::MAX);
            self.name_token_start.push(len32(self.name_tokens.len()));
            for token in &name.tokens {
                let token = self.token(token, number);
                self.name_tokens.push(token);
            }
            self.name_entity.push(number);
            self.name_flags.push(entity.schema.code() | (listed.kind as u8) << 4);
            self.name_text_start.push(len32(self.name_text.len()));
            self.name_text.extend_from_slice(listed.text.as_bytes());
        }
        for identifier in &entity.identifiers {
            self.identifiers.push((names::hash(&identifier.normal()), number));
        }
        self.key_start.push(len32(self.keys.len()));
        self.keys.extend_from_slice(entity.key.as_bytes());
        self.fact_start.push(len32(self.facts.len()));
        Facts::of(entity).write(&mut self.facts);
        self.record_start.push(self.records.len() as u64);
        self.records.extend_from_slice(&record);
        Ok(())
    }

    fn token(&mut self, token: &names::Token, entity: u32) -> u32 {
        let key = token_key(&token.latin, token.role, token.omits_vowels);
        let next = len32(self.flags.len());
        let id = *self.tokens.entry(key).or_insert(next);
        if id == next {
            self.latin_start.push(len32(self.latin.len()));
            self.latin.extend_from_slice(token.latin.as_bytes());
            self.sound_start.push(len32(self.sound.len()));
            self.sound.extend_from_slice(token.sound.as_bytes());
            self.skeleton_start.push(len32(self.skeleton.len()));
            self.skeleton.extend_from_slice(token.skeleton.as_bytes());
            self.groups_start.push(len32(self.groups.len()));
            self.groups.extend_from_slice(&token.groups);
            self.flags
                .push(token.role as u8 | u8::from(token.syllabic) << 6 | u8::from(token.omits_vowels) << 7);
            self.share.push(token.share);
            self.entities_with.push(0);
            self.last_entity.push(u32::MAX);
        }
        let i = id as usize;
        if self.last_entity[i] != entity {
            self.last_entity[i] = entity;
            self.entities_with[i] += 1;
        }
        id
    }

    /// Writes the index file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(self, path: &Path) -> std::io::Result<()> {
        let sections = self.sections();
        let mut out = std::io::BufWriter::with_capacity(1 << 20, fs_err::File::create(path)?);
        lay_out(&sections, &mut out)?;
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()
    }

    /// The index in memory only: what is personal is not written to a disk unsealed.
    pub(crate) fn in_memory(self) -> std::io::Result<Index> {
        let sections = self.sections();
        let mut map = memmap2::MmapMut::map_anon(length_of(&sections))?;
        lay_out(&sections, &mut &mut map[..])?;
        Index::over(map.make_read_only()?).ok_or_else(|| std::io::Error::other("the index is too large"))
    }

    fn sections(mut self) -> Vec<(Section, Vec<u8>)> {
        let tokens = self.flags.len();
        self.latin_start.push(len32(self.latin.len()));
        self.sound_start.push(len32(self.sound.len()));
        self.skeleton_start.push(len32(self.skeleton.len()));
        self.groups_start.push(len32(self.groups.len()));
        self.name_token_start.push(len32(self.name_tokens.len()));
        self.name_text_start.push(len32(self.name_text.len()));
        let entities = self.entity_names.len();
        self.entity_names.push(len32(self.name_entity.len()));
        self.record_start.push(self.records.len() as u64);
        self.key_start.push(len32(self.keys.len()));
        self.fact_start.push(len32(self.facts.len()));

        let text = |blob: &[u8], start: &[u32], i: usize| -> String {
            String::from_utf8_lossy(&blob[start[i] as usize..start[i + 1] as usize]).into_owned()
        };
        let part = |i: usize| {
            matches!(Role::from_code(self.flags[i] & 0x0f), Role::Part | Role::Word | Role::Particle)
        };
        // How common: what the tables know of the population, or the lists themselves if they have it oftener.
        let listed: Vec<f32> =
            self.entities_with.iter().map(|&n| n as f32 / (entities as f32 + SMOOTHING)).collect();
        let share: Vec<f32> = self.share.iter().zip(&listed).map(|(a, b)| a.max(*b)).collect();
        let mut skeletons: Vec<(u64, u32)> = Vec::with_capacity(tokens);
        let mut by_skeleton: HashMap<u64, f32> = HashMap::new();
        for (i, token_share) in share.iter().enumerate() {
            let key = names::hash(&text(&self.skeleton, &self.skeleton_start, i));
            if part(i) {
                skeletons.push((key, len32(i)));
            }
            *by_skeleton.entry(key).or_default() += token_share;
        }
        let information: Vec<f32> = share.iter().map(|s| -s.clamp(1e-6, 0.6).ln()).collect();
        let consonants: Vec<f32> = (0..tokens)
            .map(|i| {
                let key = names::hash(&text(&self.skeleton, &self.skeleton_start, i));
                -by_skeleton.get(&key).copied().unwrap_or(share[i]).clamp(1e-6, 0.6).ln()
            })
            .collect();
        skeletons.sort_unstable();
        let weights = Weights::default();
        let name_worth: Vec<u8> = (0..self.name_entity.len())
            .map(|name| {
                let range = self.name_token_start[name] as usize..self.name_token_start[name + 1] as usize;
                let worth = self.name_tokens[range].iter().map(|&t| {
                    let role = Role::from_code(self.flags[t as usize] & 0x0f);
                    weights.worth(role, information[t as usize])
                });
                worth.sum::<f32>() as u8
            })
            .collect();

        let view = |t: u32| {
            let i = t as usize;
            let groups = &self.groups[self.groups_start[i] as usize..self.groups_start[i + 1] as usize];
            let role = Role::from_code(self.flags[i] & 0x0f);
            let letters = (self.latin_start[i + 1] - self.latin_start[i]) as usize;
            (role, self.flags[i] & 0x80 != 0, letters, tells(role, groups))
        };
        let name_shape: Vec<u32> = self
            .name_token_start
            .windows(2)
            .map(|range| {
                let tokens = &self.name_tokens[range[0] as usize..range[1] as usize];
                Shape::of(tokens.iter().map(|&t| view(t))).0
            })
            .collect();

        let mut groups: Vec<(u32, u32)> = Vec::new();
        for i in 0..tokens {
            for &group in &self.groups[self.groups_start[i] as usize..self.groups_start[i + 1] as usize] {
                groups.push((group, len32(i)));
            }
        }
        groups.sort_unstable();

        let mut counts = vec![0u32; TRIGRAMS + 1];
        let spelled: Vec<bool> = (0..tokens).map(part).collect();
        for i in (0..tokens).filter(|&i| spelled[i]) {
            both_trigrams(
                &text(&self.latin, &self.latin_start, i),
                &text(&self.sound, &self.sound_start, i),
                |t| counts[t + 1] += 1,
            );
        }
        for i in 0..TRIGRAMS {
            counts[i + 1] += counts[i];
        }
        let mut filled = counts.clone();
        let mut postings = vec![0u32; counts[TRIGRAMS] as usize];
        for i in (0..tokens).filter(|&i| spelled[i]) {
            both_trigrams(
                &text(&self.latin, &self.latin_start, i),
                &text(&self.sound, &self.sound_start, i),
                |t| {
                    postings[filled[t] as usize] = len32(i);
                    filled[t] += 1;
                },
            );
        }

        let mut table = vec![0u32; (tokens * 2 + 8).next_power_of_two()];
        for (&key, &token) in &self.tokens {
            let mut slot = usize::try_from(key).unwrap_or(0) & (table.len() - 1);
            while table[slot] != 0 {
                slot = (slot + 1) & (table.len() - 1);
            }
            table[slot] = token + 1;
        }

        let mut starts = vec![0u32; tokens + 1];
        let names = self.name_entity.len();
        // A name that carries a token twice is in its postings twice: each can answer another token of the query.
        let carried = |name: usize| {
            let range = self.name_token_start[name] as usize..self.name_token_start[name + 1] as usize;
            self.name_tokens[range].iter().map(|&t| t as usize)
        };
        for name in 0..names {
            carried(name).for_each(|t| starts[t + 1] += 1);
        }
        for t in 0..tokens {
            starts[t + 1] += starts[t];
        }
        let mut filled = starts.clone();
        let mut names_with = vec![0u32; starts[tokens] as usize];
        for name in 0..names {
            carried(name).for_each(|t| {
                names_with[filled[t] as usize] = len32(name);
                filled[t] += 1;
            });
        }
        self.identifiers.sort_unstable();
        self.identifiers.dedup();

        let mut sections: Vec<(Section, Vec<u8>)> = Vec::with_capacity(SECTIONS);
        let words = |v: &[u32]| bytemuck::cast_slice::<u32, u8>(v).to_vec();
        let floats = |v: &[f32]| bytemuck::cast_slice::<f32, u8>(v).to_vec();
        sections.push((Section::Latin, self.latin));
        sections.push((Section::LatinStart, words(&self.latin_start)));
        sections.push((Section::Sound, self.sound));
        sections.push((Section::SoundStart, words(&self.sound_start)));
        sections.push((Section::Skeleton, self.skeleton));
        sections.push((Section::SkeletonStart, words(&self.skeleton_start)));
        sections.push((Section::TokenFlags, self.flags));
        sections.push((Section::Information, floats(&information)));
        sections.push((Section::ConsonantInformation, floats(&consonants)));
        sections.push((Section::Groups, words(&self.groups)));
        sections.push((Section::GroupsStart, words(&self.groups_start)));
        sections.push((Section::TokenTable, words(&table)));
        sections.push((Section::Trigrams, words(&postings)));
        sections.push((Section::TrigramStart, words(&counts)));
        let keys: Vec<u64> = skeletons.iter().map(|s| s.0).collect();
        let values: Vec<u32> = skeletons.iter().map(|s| s.1).collect();
        sections.push((Section::SkeletonKeys, bytemuck::cast_slice(&keys).to_vec()));
        sections.push((Section::SkeletonTokens, words(&values)));
        sections.push((Section::GroupKeys, words(&groups.iter().map(|g| g.0).collect::<Vec<_>>())));
        sections.push((Section::GroupTokens, words(&groups.iter().map(|g| g.1).collect::<Vec<_>>())));
        sections.push((Section::Postings, words(&names_with)));
        sections.push((Section::PostingStart, words(&starts)));
        sections.push((Section::NameTokens, words(&self.name_tokens)));
        sections.push((Section::NameTokenStart, words(&self.name_token_start)));
        sections.push((Section::NameEntity, words(&self.name_entity)));
        sections.push((Section::NameFlags, self.name_flags));
        sections.push((Section::NameText, self.name_text));
        sections.push((Section::NameTextStart, words(&self.name_text_start)));
        sections.push((Section::EntityNames, words(&self.entity_names)));
        sections.push((Section::Records, self.records));
        sections.push((Section::RecordStart, bytemuck::cast_slice(&self.record_start).to_vec()));
        sections.push((Section::Keys, self.keys));
        sections.push((Section::KeyStart, words(&self.key_start)));
        sections.push((Section::Facts, self.facts));
        sections.push((Section::FactStart, words(&self.fact_start)));
        let keys: Vec<u64> = self.identifiers.iter().map(|s| s.0).collect();
        let values: Vec<u32> = self.identifiers.iter().map(|s| s.1).collect();
        sections.push((Section::IdentifierKeys, bytemuck::cast_slice(&keys).to_vec()));
        sections.push((Section::IdentifierEntities, words(&values)));
        sections.push((Section::NameWorth, name_worth));
        sections.push((Section::NameShape, words(&name_shape)));

        sections
    }
}

const HEAD: usize = 16 + SECTIONS * 16;

fn length_of(sections: &[(Section, Vec<u8>)]) -> usize {
    sections.iter().fold(HEAD, |end, (_, bytes)| end.next_multiple_of(8) + bytes.len())
}

fn lay_out(sections: &[(Section, Vec<u8>)], out: &mut dyn Write) -> std::io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&(SECTIONS as u64).to_le_bytes())?;
    let mut offset = HEAD;
    for (at, (section, bytes)) in sections.iter().enumerate() {
        debug_assert_eq!(*section as usize, at);
        offset = offset.next_multiple_of(8);
        out.write_all(&(offset as u64).to_le_bytes())?;
        out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        offset += bytes.len();
    }
    let mut written = HEAD;
    for (_, bytes) in sections {
        let padding = written.next_multiple_of(8) - written;
        out.write_all(&[0; 8][..padding])?;
        out.write_all(bytes)?;
        written += padding + bytes.len();
    }
    Ok(())
}
