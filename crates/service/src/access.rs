//! Who may do what: API keys, found by their hash and remembered for a second.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use store::{ApiKeyId, ApplicationId, Time, rows::api_keys};

use crate::Service;

/// How long a found key is used without asking the database: a revoked key works no longer than this.
const REMEMBERED_US: i64 = 1_000_000;
/// Most keys remembered at once.
const MAX_REMEMBERED: usize = 10_000;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Access {
    /// The tenant; every query takes it.
    pub application: ApplicationId,
    /// The key that was shown.
    pub key: ApiKeyId,
    scopes: Vec<String>,
}

impl Access {
    /// Whether the key holds a scope. A key without scopes was made for everything.
    pub fn allows(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|own| own == scope)
    }

    /// How the audit log names the caller.
    pub(crate) fn actor(&self) -> String {
        format!("key:{}", self.key)
    }
}

/// Found keys by the hash of their text.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<HashMap<[u8; 32], (Access, Time)>>);

impl Service {
    /// The caller behind a key; `None` for a key that is wrong or revoked.
    ///
    /// # Errors
    /// When the database does not answer: then nobody is let in.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Access>, store::Error> {
        if !api_keys::looks_like_token(token) {
            return Ok(None);
        }
        let hash = store::sha256(token.as_bytes());
        let now = self.now();
        {
            let cache = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((access, since)) = cache.get(&hash)
                && now.micros() - since.micros() < REMEMBERED_US
            {
                return Ok(Some(access.clone()));
            }
        }
        let token = token.to_owned();
        let found = self.store.read(move |tx| tx.api_key_by_token(&token)).await?;
        let access = found.filter(|key| key.revoked_at.is_none()).map(|key| Access {
            application: key.application,
            key: key.id,
            scopes: key.scopes,
        });
        let mut cache = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_REMEMBERED {
            cache.clear();
        }
        match &access {
            Some(access) => drop(cache.insert(hash, (access.clone(), now))),
            None => drop(cache.remove(&hash)),
        }
        Ok(access)
    }
}
