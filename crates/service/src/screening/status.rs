//! How the watch-lists stand, what changed between two versions of one, and who may ask them by other APIs.

use std::{collections::HashSet, sync::Arc};

use aml::{
    Screener,
    lists::{ListError, ListStatus, Manifest},
};
use serde_json::{Value, json};

use crate::{
    Service,
    pool::{PoolError, Work},
};

/// Why lists cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ListsError {
    /// No such list or version.
    #[error("no such list or version")]
    NotFound,
    /// The queue is full.
    #[error("too many checks are waiting")]
    Busy,
    /// What is kept is damaged.
    #[error("reading the kept lists")]
    Damaged(#[source] ListError),
    /// The index cannot be opened.
    #[error("{0}")]
    Index(String),
}

impl From<ListError> for ListsError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Unknown(_) | ListError::BadName => Self::NotFound,
            ListError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => Self::NotFound,
            other => Self::Damaged(other),
        }
    }
}

impl From<PoolError> for ListsError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Busy => Self::Busy,
            broken => Self::Index(broken.to_string()),
        }
    }
}

/// The part of a difference that a page shows.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Changes to pass over.
    pub offset: usize,
    /// Most changes shown.
    pub limit: usize,
}

impl Service {
    /// The lists that are kept, and what the index in use was built from.
    ///
    /// # Errors
    /// [`ListsError`].
    pub async fn list_status(&self) -> Result<(Vec<ListStatus>, Option<Manifest>), ListsError> {
        let lists = Arc::clone(&self.lists);
        let now = u64::try_from(self.now().seconds()).unwrap_or(0);
        self.pool
            .run(Work::Search, move || {
                let in_use = lists.screener().map_err(ListsError::Index)?;
                let manifest = in_use.map(|screener| screener.manifest().clone());
                Ok((lists.kept().status(now)?, manifest))
            })
            .await?
    }

    /// What changed in a list, by default from the version before to the one in use.
    ///
    /// # Errors
    /// [`ListsError`].
    pub async fn list_diff(
        &self,
        list: String,
        from: Option<String>,
        to: Option<String>,
        page: Page,
    ) -> Result<Value, ListsError> {
        let lists = Arc::clone(&self.lists);
        let now = u64::try_from(self.now().seconds()).unwrap_or(0);
        self.pool
            .run(Work::Search, move || {
                let status = lists.kept().status(now)?;
                let found =
                    status.iter().find(|status| status.current.list == list).ok_or(ListsError::NotFound)?;
                let to = to.unwrap_or_else(|| super::lists::version_name(&found.current));
                let before = || found.versions.iter().skip_while(|version| **version != to).nth(1).cloned();
                let from = from.or_else(before).ok_or(ListsError::NotFound)?;
                for version in [&from, &to] {
                    if !found.versions.contains(version) {
                        return Err(ListsError::NotFound);
                    }
                }
                let delta = lists.delta(&list, Some(&from), Some(&to)).map_err(ListsError::Index)?;
                let count = |kind: aml::lists::ChangeKind| {
                    delta.iter().filter(|(change, _)| change.kind == kind).count()
                };
                use aml::lists::ChangeKind::{Added, Modified, Removed};
                let changes: Vec<Value> = delta
                    .iter()
                    .skip(page.offset)
                    .take(page.limit)
                    .map(|(change, entity)| {
                        json!({
                            "entity_id": change.key, "kind": change.kind, "fields": change.fields,
                            "material": change.material, "caption": entity.caption(),
                        })
                    })
                    .collect();
                Ok(json!({
                    "list": list, "from": from, "to": to, "count": delta.len(),
                    "added": count(Added), "modified": count(Modified), "removed": count(Removed),
                    "material": delta.iter().filter(|(change, _)| change.material).count(),
                    "changes": changes,
                }))
            })
            .await?
    }

    /// As [`Self::ask_lists`], with the keys of the entries that are not as they were at `since` (seconds since 1970).
    ///
    /// # Errors
    /// [`ListsError`].
    pub async fn ask_lists_changed<T: Send + 'static>(
        &self,
        since: Option<u64>,
        ask: impl FnOnce(&Screener, Option<Arc<HashSet<String>>>) -> T + Send + 'static,
    ) -> Result<Option<T>, ListsError> {
        let lists = Arc::clone(&self.lists);
        self.pool
            .run(Work::Search, move || {
                let Some(screener) = lists.screener().map_err(ListsError::Index)? else { return Ok(None) };
                let changed = since.map(|at| lists.changed_since(&screener, at)).transpose();
                Ok(Some(ask(&screener, changed.map_err(ListsError::Index)?)))
            })
            .await?
    }

    /// Asks the index directly, as the yente endpoints do; `None` when no list was imported yet.
    ///
    /// # Errors
    /// [`ListsError`].
    pub async fn ask_lists<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Screener) -> T + Send + 'static,
    ) -> Result<Option<T>, ListsError> {
        self.ask_lists_changed(None, move |screener, _| ask(screener)).await
    }
}
