//! The watch-lists of this installation: the index in use, its versions, deltas, and old versions for replays.
//!
//! The lists lie in the data folder (`aml/`), made by `bonafide aml import --data DATA/aml`: versions under
//! `lists/`, the index under `index/`. The index is opened again when an import has replaced it. An import
//! writes the index first and its manifest last; between the two the index opened before stays in use.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use aml::{
    ENGINE_VERSION, Entity, INDEX_FILE, Screener,
    index::Builder,
    lists::{Change, ListStore, ListVersion, Manifest, diff},
};

/// The opened index and the state of the file that was written last.
type Opened = (SystemTime, Arc<Screener>);
/// The version of each list.
pub(crate) type Versions = BTreeMap<String, String>;
/// The changes between two versions of a list.
pub(crate) type Delta = Vec<(Change, Entity)>;

/// The keys of the entries that changed between two sets of versions.
type Changed = ((Versions, Versions), Arc<HashSet<String>>);

/// The watch-lists of one installation.
pub(crate) struct WatchLists {
    folder: PathBuf,
    opened: Mutex<Option<Opened>>,
    /// The delta that was made last, by list and versions.
    delta: Mutex<Option<(String, Arc<Delta>)>>,
    /// The entries that changed between two sets of versions, asked for last.
    changed: Mutex<Option<Changed>>,
    /// The last index that was built for a replay, by its versions.
    replayed: Mutex<Option<(String, Arc<Screener>)>>,
}

/// Why an earlier screening cannot be repeated.
#[derive(Debug, thiserror::Error)]
pub enum NotRepeatable {
    /// It was made by another version of the matcher.
    #[error("the screening was made by engine {0}; this program has {ENGINE_VERSION}")]
    Engine(String),
    /// A list version is not kept.
    #[error("list version {list} {version} is not kept")]
    Version {
        /// The list.
        list: String,
        /// The version.
        version: String,
    },
    /// The index could not be built.
    #[error("could not build the index of the earlier versions")]
    Io(#[from] std::io::Error),
}

pub(crate) use checks::aml::{version_name, versions_of};

/// What changed in the lists whose versions differ.
pub(crate) fn deltas_of(
    lists: &WatchLists,
    from: &Versions,
    to: &Versions,
) -> Result<Vec<Arc<Delta>>, String> {
    let names: std::collections::BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    names
        .into_iter()
        .filter(|name| from.get(*name) != to.get(*name))
        .map(|name| lists.delta(name, from.get(name).map(String::as_str), to.get(name).map(String::as_str)))
        .collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

impl WatchLists {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self {
            folder,
            opened: Mutex::default(),
            delta: Mutex::default(),
            changed: Mutex::default(),
            replayed: Mutex::default(),
        }
    }

    /// The versions that are kept.
    pub(crate) fn kept(&self) -> ListStore {
        ListStore::new(&self.folder)
    }

    /// The present index; `None` when no list was imported yet.
    pub(crate) fn screener(&self) -> Result<Option<Arc<Screener>>, String> {
        let index = self.folder.join("index");
        let Some(built) = modified(&index.join(INDEX_FILE)) else { return Ok(None) };
        let complete = modified(&index.join("manifest.json")).filter(|complete| *complete >= built);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*opened, complete) {
            (Some((since, screener)), Some(complete)) if *since == complete => {
                return Ok(Some(Arc::clone(screener)));
            }
            (Some((_, screener)), None) => return Ok(Some(Arc::clone(screener))),
            (None, None) => {
                return Err("an import of watch-lists was not finished; run it again".to_owned());
            }
            (_, Some(_)) => {}
        }
        let screener = Arc::new(self.open(&index)?);
        *opened = modified(&index.join("manifest.json")).map(|complete| (complete, Arc::clone(&screener)));
        Ok(Some(screener))
    }

    /// Opens the index. One that another version of the matcher built is built again from the lists that are kept:
    /// scores of two versions do not compare, and an older file may not even open.
    fn open(&self, index: &Path) -> Result<Screener, String> {
        if let Ok(screener) = Screener::open(index)
            && screener.manifest().engine_version == ENGINE_VERSION
        {
            return Ok(screener);
        }
        let kept = self.kept();
        if kept.names().is_empty() {
            return Err(
                "the index of the watch-lists is of another version and no lists are kept; import them again"
                    .to_owned(),
            );
        }
        tracing::info!("building the index of the watch-lists again for {ENGINE_VERSION}");
        kept.build(index).map_err(|error| checks::chain(&error))?;
        Screener::open(index).map_err(|error| checks::chain(&error))
    }

    /// The changes of a list from one version to another; a version that is not kept counts as empty, so that
    /// everything is looked at rather than nothing.
    pub(crate) fn delta(
        &self,
        list: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Arc<Delta>, String> {
        let name = format!("{list} {} {}", from.unwrap_or_default(), to.unwrap_or_default());
        let mut last = self.delta.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, delta)) = &*last
            && *known == name
        {
            return Ok(Arc::clone(delta));
        }
        let kept = self.kept();
        let old = from.and_then(|version| kept.entities_of(list, version).ok()).unwrap_or_default();
        let new = match to {
            Some(version) => kept.entities_of(list, version).map_err(|error| checks::chain(&error))?,
            None => Vec::new(),
        };
        let changes = diff(&old, &new).into_iter().map(|(change, entity)| (change, entity.clone())).collect();
        let delta = Arc::new(changes);
        *last = Some((name, Arc::clone(&delta)));
        Ok(delta)
    }

    /// The entries that are not as they were at some time (seconds since 1970), of all lists of an index. All of a list
    /// that no version is kept of from before.
    pub(crate) fn changed_since(&self, screener: &Screener, at: u64) -> Result<Arc<HashSet<String>>, String> {
        let to = versions_of(&screener.manifest().lists);
        let kept = self.kept();
        let mut from = Versions::new();
        for list in to.keys() {
            let version = kept.version_at(list, at).map_err(|error| checks::chain(&error))?;
            from.extend(version.map(|version| (list.clone(), version_name(&version))));
        }
        let name = (from, to);
        let mut last = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, changed)) = &*last
            && *known == name
        {
            return Ok(Arc::clone(changed));
        }
        let deltas = deltas_of(self, &name.0, &name.1)?;
        let changes = deltas.iter().flat_map(|delta| delta.iter().map(|(change, _)| change.key.clone()));
        let changed: Arc<HashSet<String>> = Arc::new(changes.collect());
        *last = Some((name, Arc::clone(&changed)));
        Ok(changed)
    }

    /// An index of exactly these versions, for repeating an earlier screening.
    pub(crate) fn screener_of(
        &self,
        engine: &str,
        lists: &[ListVersion],
    ) -> Result<Arc<Screener>, NotRepeatable> {
        if engine != ENGINE_VERSION {
            return Err(NotRepeatable::Engine(engine.to_owned()));
        }
        if let Ok(Some(present)) = self.screener()
            && present.manifest().lists == lists
        {
            return Ok(present);
        }
        let name = serde_json::to_string(lists).unwrap_or_default();
        let mut last = self.replayed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, screener)) = &*last
            && *known == name
        {
            return Ok(Arc::clone(screener));
        }
        let kept = self.kept();
        let mut builder = Builder::new();
        for list in lists {
            let version = version_name(list);
            let missing = || NotRepeatable::Version { list: list.list.clone(), version: version.clone() };
            for entity in kept.entities_of(&list.list, &version).map_err(|_| missing())? {
                builder.add(&entity).map_err(|_| missing())?;
            }
        }
        // The files go as soon as the index is mapped: what is kept are the list versions.
        let place = self.folder.join(format!("replay.{}", std::process::id()));
        std::fs::create_dir_all(&place)?;
        let built = (|| {
            builder.write(&place.join(INDEX_FILE))?;
            let manifest = Manifest { engine_version: ENGINE_VERSION.to_owned(), lists: lists.to_vec() };
            manifest.write(&place)?;
            Screener::open(&place).map_err(std::io::Error::other)
        })();
        std::fs::remove_dir_all(&place)?;
        let screener = Arc::new(built?);
        *last = Some((name, Arc::clone(&screener)));
        Ok(screener)
    }
}

impl checks::aml::Lists for WatchLists {
    fn screener(&self) -> Result<Option<Arc<Screener>>, String> {
        // The method of the type itself.
        WatchLists::screener(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_index_there_is_no_screener() {
        let lists = WatchLists::in_folder(PathBuf::from("/nonexistent"));
        assert!(lists.screener().unwrap().is_none());
    }

    #[test]
    fn an_index_of_an_older_matcher_is_built_again_from_the_lists_that_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("own.csv");
        std::fs::write(&source, "id,name\n1,Anna Example\n").unwrap();
        let kept = ListStore::new(folder.path());
        kept.import("own", aml::import::Format::Csv, &source, 10, false).unwrap();
        let index = folder.path().join("index");
        let manifest = kept.build(&index).unwrap();
        std::fs::write(index.join(INDEX_FILE), b"an older format").unwrap();
        Manifest { engine_version: "aml-0".to_owned(), ..manifest.clone() }.write(&index).unwrap();
        let lists = WatchLists::in_folder(folder.path().to_owned());
        let screener = lists.screener().unwrap().unwrap();
        assert_eq!(screener.manifest(), &manifest);
        assert!(Arc::ptr_eq(&screener, &lists.screener().unwrap().unwrap()), "it is built once");
    }

    #[test]
    fn an_old_index_without_its_lists_is_refused_rather_than_taken_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index");
        std::fs::create_dir_all(&index).unwrap();
        std::fs::write(index.join(INDEX_FILE), b"an older format").unwrap();
        Manifest::default().write(&index).unwrap();
        let lists = WatchLists::in_folder(folder.path().to_owned());
        assert!(lists.screener().is_err());
        assert!(lists.screener().is_err(), "and not written anew without entries");
    }

    #[test]
    fn an_import_in_the_middle_leaves_the_index_that_was_opened_before_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("own.csv");
        std::fs::write(&source, "id,name\n1,Anna Example\n").unwrap();
        let lists = WatchLists::in_folder(folder.path().to_owned());
        let kept = lists.kept();
        kept.import("own", aml::import::Format::Csv, &source, 10, false).unwrap();
        kept.build(&folder.path().join("index")).unwrap();
        let first = lists.screener().unwrap().unwrap();
        let manifest = folder.path().join("index/manifest.json");
        let early = std::fs::File::options().append(true).open(&manifest).unwrap();
        early.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(Arc::ptr_eq(&first, &lists.screener().unwrap().unwrap()));
        assert!(WatchLists::in_folder(folder.path().to_owned()).screener().is_err());
    }
}
