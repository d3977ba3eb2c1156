//! The watched people in memory, searchable by what a list says: read once, then only what was added.
//!
//! Names lie sealed in the store and unsealed here only; nothing of it is written to a disk. Who is in the index may
//! have gone since, and the hits held may be older than the store's: both only make more people looked at, and
//! whoever is looked at is read from the store again. Nobody is missed: a shard's numbers are given out under its
//! lock, so everyone up to the last number read is in the index, and the job screens those who came later one by one.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use aml::{
    Profile, Screener,
    lists::Change,
    monitor::{Newcomers, People},
};
use store::{ApplicationId, Store, SubjectId, Time, rows::screening::shard_of};

use super::{
    Asked, Remembered,
    lists::{Versions, WatchLists, deltas_of},
};
use crate::{
    jobs::JobError,
    pool::{CpuPool, PoolError, Work},
};

/// People read at once.
const PAGE: i64 = 2_000;
/// Hits are read again that were written so long before the last look: transactions do not end in the order of their
/// times, and the clocks of several machines differ.
const OVERLAP_SECONDS: i64 = 600;

/// One person in the index.
#[derive(Debug, Clone, Copy)]
struct Member {
    application: ApplicationId,
    subject: SubjectId,
    /// Their place in the shard.
    sequence: i64,
    /// How they are screened, by place in [`State::profiles`].
    profile: u16,
}

type ShardOf = (ApplicationId, u8);

/// How much of a shard was read.
#[derive(Debug, Clone, Copy)]
struct Read {
    /// The last number read.
    sequence: i64,
    /// How many people of it are in the index.
    people: i64,
    /// Hits written before are held.
    hits: Option<Time>,
}

#[derive(Default)]
struct State {
    people: People<Member>,
    profiles: Vec<Profile>,
    shards: HashMap<ShardOf, Read>,
    /// Who was reported to match an entry.
    hits: HashMap<String, HashSet<(ApplicationId, SubjectId)>>,
    /// What list changes mean, by the versions between which they lie; those to the versions in use only.
    meant: HashMap<(Versions, Versions), Arc<Meant>>,
}

/// The people whom some changes may concern.
#[derive(Debug, Default)]
struct Meant {
    people: HashMap<ShardOf, BTreeSet<SubjectId>>,
    /// The last number of each shard that was looked through.
    read: HashMap<ShardOf, i64>,
}

/// The index of the watched people of this process.
#[derive(Default)]
pub(crate) struct WatchedPeople {
    state: tokio::sync::Mutex<State>,
}

/// Computes on a thread where it may take its time.
async fn apart<T: Send + 'static>(
    compute: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, JobError> {
    match tokio::task::spawn_blocking(compute).await {
        Ok(computed) => computed.map_err(JobError::Lists),
        Err(error) => Err(JobError::Lists(error.to_string())),
    }
}

fn failed(error: &dyn std::error::Error) -> String {
    format!("indexing the watched people: {error}")
}

impl State {
    /// The place of a profile among those in use.
    fn place_of(&mut self, profile: Profile) -> u16 {
        let found = self.profiles.iter().position(|known| *known == profile);
        let place = found.unwrap_or_else(|| {
            self.profiles.push(profile);
            self.profiles.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// Reads who came and what was reported since the last look.
    async fn catch_up(&mut self, store: &Store) -> Result<(), JobError> {
        let shards = store.read(|tx| tx.screening_shards()).await?;
        let mut newcomers = Newcomers::default();
        let mut read = self.shards.clone();
        for (application, shard) in shards.into_iter().filter(|(_, shard)| shard.enrolled > 0) {
            let number = shard.shard;
            let entry =
                read.entry((application, number)).or_insert(Read { sequence: 0, people: 0, hits: None });
            while entry.sequence < shard.enrolled {
                let after = entry.sequence;
                let page: Vec<(SubjectId, i64, Asked)> = store
                    .read(move |tx| {
                        let page = tx.screenings(application).watched(number, after, PAGE)?;
                        page.into_iter()
                            .map(|watched| {
                                let asked =
                                    serde_json::from_value(watched.profile.0).map_err(store::Error::Json)?;
                                Ok((watched.subject, watched.sequence, asked))
                            })
                            .collect::<Result<_, store::Error>>()
                    })
                    .await?;
                let Some((_, last, _)) = page.last() else {
                    entry.sequence = shard.enrolled;
                    break;
                };
                entry.sequence = *last;
                entry.people += i64::try_from(page.len()).unwrap_or(0);
                let page: Vec<(Member, Asked)> = page
                    .into_iter()
                    .map(|(subject, sequence, asked)| {
                        let profile = self.place_of(asked.settings.profile());
                        (Member { application, subject, sequence, profile }, asked)
                    })
                    .collect();
                newcomers = apart(move || {
                    for (member, asked) in page {
                        newcomers.add(member, &asked.query).map_err(|error| failed(&error))?;
                    }
                    Ok(newcomers)
                })
                .await?;
            }
            let since = entry.hits.unwrap_or(Time::from_seconds(0));
            let (now, hits) = store
                .read(move |tx| {
                    let known = tx.screenings(application).known_in_shard(number, since)?;
                    Ok::<_, store::Error>((tx.now(), known))
                })
                .await?;
            entry.hits = Some(now.plus_seconds(-OVERLAP_SECONDS));
            for (subject, remembered) in hits {
                let remembered: Remembered =
                    serde_json::from_value(remembered.0).map_err(store::Error::Json)?;
                self.hits.entry(remembered.entity).or_default().insert((application, subject));
            }
        }
        let mut people = self.people.clone();
        self.people =
            apart(move || people.add(newcomers).map(|()| people).map_err(|error| failed(&error))).await?;
        self.shards = read;
        Ok(())
    }

    /// Forgets those who are no longer watched.
    async fn forget(&mut self, store: &Store) -> Result<(), JobError> {
        let mut left: HashMap<ShardOf, HashSet<i64>> = HashMap::new();
        for (&(application, number), read) in &self.shards {
            let last = read.sequence;
            let count = store.read(move |tx| tx.screenings(application).count_up_to(number, last)).await?;
            if count < read.people {
                let sequences =
                    store.read(move |tx| tx.screenings(application).sequences_up_to(number, last)).await?;
                left.insert((application, number), sequences.into_iter().collect());
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let mut people = self.people.clone();
        let counts: Vec<(ShardOf, i64)> =
            left.iter().map(|(shard, left)| (*shard, i64::try_from(left.len()).unwrap_or(0))).collect();
        self.people = apart(move || {
            people
                .retain(|member| {
                    let shard = (member.application, shard_of(member.subject));
                    left.get(&shard).is_none_or(|left| left.contains(&member.sequence))
                })
                .map_err(|error| failed(&error))?;
            Ok(people)
        })
        .await?;
        for (shard, count) in counts {
            if let Some(read) = self.shards.get_mut(&shard) {
                read.people = count;
            }
        }
        // Hits are few; those of the people who are left are read again.
        self.hits.clear();
        self.shards.values_mut().for_each(|read| read.hits = None);
        self.meant.clear();
        Ok(())
    }
}

/// The people whom the changes between some versions may concern.
fn meant_by(
    lists: &WatchLists,
    (from, to): (&Versions, &Versions),
    screener: &Screener,
    people: &People<Member>,
    profiles: &[Profile],
    hits: &HashMap<String, HashSet<(ApplicationId, SubjectId)>>,
) -> Result<HashMap<ShardOf, BTreeSet<SubjectId>>, String> {
    let mut meant: HashMap<ShardOf, BTreeSet<SubjectId>> = HashMap::new();
    let mut add = |application: ApplicationId, subject: SubjectId| {
        meant.entry((application, shard_of(subject))).or_default().insert(subject);
    };
    let any = Profile::default();
    for delta in deltas_of(lists, from, to)? {
        let changes: Vec<(Change, &aml::Entity)> =
            delta.iter().map(|(change, entity)| (change.clone(), entity)).collect();
        let profile = |member: &Member| profiles.get(usize::from(member.profile)).unwrap_or(&any);
        for (_, member) in people.meant(&changes, screener, profile) {
            add(member.application, member.subject);
        }
        for (change, _) in changes.iter().filter(|(change, _)| change.material) {
            hits.get(&change.key).into_iter().flatten().for_each(|&(of, subject)| add(of, subject));
        }
    }
    Ok(meant)
}

impl WatchedPeople {
    /// Reads who came, and forgets who is no longer watched: what is to be done now and then, and at the start, when
    /// all are read.
    pub(crate) async fn tidy(&self, store: &Store) -> Result<(), JobError> {
        let mut state = self.state.lock().await;
        state.catch_up(store).await?;
        state.forget(store).await
    }

    /// The people of a shard whom the changes between some versions may concern, and the last number of those who
    /// were looked through.
    pub(crate) async fn meant(
        &self,
        store: &Store,
        pool: &CpuPool,
        lists: &Arc<WatchLists>,
        screener: &Arc<Screener>,
        (from, to): (&Versions, &Versions),
        shard: ShardOf,
    ) -> Result<(BTreeSet<SubjectId>, i64), JobError> {
        let mut state = self.state.lock().await;
        let name = (from.clone(), to.clone());
        let known = state.meant.get(&name).filter(|meant| meant.read.contains_key(&shard)).cloned();
        let meant = match known {
            Some(meant) => meant,
            None => {
                state.catch_up(store).await?;
                let (people, profiles) = (state.people.clone(), state.profiles.clone());
                let hits = std::mem::take(&mut state.hits);
                let (lists, screener, versions) = (Arc::clone(lists), Arc::clone(screener), name.clone());
                let computed = pool
                    .run(Work::Upkeep, move || {
                        let versions = (&versions.0, &versions.1);
                        let meant = meant_by(&lists, versions, &screener, &people, &profiles, &hits);
                        (hits, meant)
                    })
                    .await;
                let meant = match computed {
                    Ok((hits, meant)) => {
                        state.hits = hits;
                        meant.map_err(JobError::Lists)?
                    }
                    Err(error) => {
                        // The hits went with the computation: they are read again.
                        state.shards.values_mut().for_each(|read| read.hits = None);
                        return Err(match error {
                            PoolError::Busy => JobError::Busy,
                            broken => JobError::Lists(broken.to_string()),
                        });
                    }
                };
                let read = state.shards.iter().map(|(shard, read)| (*shard, read.sequence)).collect();
                let meant = Arc::new(Meant { people: meant, read });
                state.meant.retain(|(_, known), _| *known == name.1);
                state.meant.insert(name, Arc::clone(&meant));
                meant
            }
        };
        let last = meant.read.get(&shard).copied().unwrap_or(0);
        Ok((meant.people.get(&shard).cloned().unwrap_or_default(), last))
    }
}
