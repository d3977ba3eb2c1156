//! API keys: 256 random bits, shown once, kept as their SHA-256.
//!
//! A key is `bf_live_` or `bf_test_`, 43 characters of base64url, and 6 that check it, so that scanners for leaked
//! secrets know one when they see it. 256 random bits need no password hash.

use crate::clock::{Random, Time};
use crate::error::Result;
use crate::ids::{ApiKeyId, ApplicationId};
use crate::keys::sha256;
use crate::secret::Secret;
use crate::tx::Tx;
use crate::value::Row;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

statements! {
    INSERT = "INSERT INTO api_keys (application_id, id, name, token_hash, hint, scopes, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    FIND_BY_TOKEN = "SELECT application_id, id, name, hint, scopes, created_at, last_used_at, revoked_at FROM api_keys WHERE token_hash = $1";
    LIST = "SELECT application_id, id, name, hint, scopes, created_at, last_used_at, revoked_at FROM api_keys \
        WHERE application_id = $1 ORDER BY created_at, id";
    REVOKE = "UPDATE api_keys SET revoked_at = $3 WHERE application_id = $1 AND id = $2 AND revoked_at IS NULL";
    TOUCH = "UPDATE api_keys SET last_used_at = $3 WHERE application_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $4)";
}

/// What is known of a key; the key itself is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Whose it is.
    pub application: ApplicationId,
    /// Its name in logs and lists.
    pub id: ApiKeyId,
    /// What its owner calls it.
    pub name: String,
    /// Its last four characters.
    pub hint: String,
    /// What it allows; empty allows everything.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// Makes the text of a new key.
#[must_use]
pub fn new_token(random: &dyn Random, live: bool) -> Secret<String> {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    let body = format!("{}{}", if live { "bf_live_" } else { "bf_test_" }, URL_SAFE_NO_PAD.encode(bytes));
    Secret::new(format!("{body}{}", check_characters(&body)))
}

fn check_characters(body: &str) -> String {
    let mut check = URL_SAFE_NO_PAD.encode(sha256(body.as_bytes()));
    check.truncate(6);
    check
}

/// Whether a text has the form of a key and its check characters fit; others need no look into the database.
#[must_use]
pub fn looks_like_token(text: &str) -> bool {
    let well_formed =
        (text.starts_with("bf_live_") || text.starts_with("bf_test_")) && text.len() == 8 + 43 + 6;
    well_formed
        && text.is_ascii()
        && text.split_at_checked(8 + 43).is_some_and(|(body, check)| check_characters(body) == check)
}

fn row(row: &Row<'_>) -> Result<ApiKey> {
    Ok(ApiKey {
        application: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        hint: row.get(3)?,
        scopes: crate::json_list(row, 4)?,
        created_at: row.get(5)?,
        last_used_at: row.get(6)?,
        revoked_at: row.get(7)?,
    })
}

repository! {
    /// API keys of one application.
    ApiKeys, api_keys
}

impl ApiKeys<'_, '_> {
    /// Makes a key; this is the only time it can be read.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn create(&mut self, name: &str, scopes: &[String], live: bool) -> Result<(ApiKey, Secret<String>)> {
        let token = new_token(self.tx.random(), live);
        let key = self.insert_token(name, scopes, &token)?;
        Ok((key, token))
    }

    /// Stores a key whose text is known already.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn insert_token(&mut self, name: &str, scopes: &[String], token: &Secret<String>) -> Result<ApiKey> {
        let id: ApiKeyId = self.tx.new_id();
        let now = self.tx.now();
        let text = token.expose();
        let hint = text.get(text.len().saturating_sub(4)..).unwrap_or_default();
        let hash = sha256(text.as_bytes());
        self.tx.execute(
            INSERT,
            params![self.application, id, name, hash, hint, crate::json_of(&scopes)?, now],
        )?;
        Ok(ApiKey {
            application: self.application,
            id,
            name: name.to_owned(),
            hint: hint.to_owned(),
            scopes: scopes.to_vec(),
            created_at: now,
            last_used_at: None,
            revoked_at: None,
        })
    }

    /// All keys, also revoked ones, oldest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn list(&mut self) -> Result<Vec<ApiKey>> {
        self.tx.query(LIST, params![self.application], row)
    }

    /// Revokes a key at once; `false` when there is none or it is revoked already.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn revoke(&mut self, id: ApiKeyId) -> Result<bool> {
        let now = self.tx.now();
        Ok(self.tx.execute(REVOKE, params![self.application, id, now])? == 1)
    }

    /// Notes that a key was used, once a minute at most.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn touch(&mut self, id: ApiKeyId) -> Result<()> {
        let now = self.tx.now();
        self.tx.execute(TOUCH, params![self.application, id, now, now.plus_seconds(-60)]).map(|_| ())
    }
}

impl Tx<'_> {
    /// The key with this text, also when it is revoked; the caller checks that.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn api_key_by_token(&mut self, token: &str) -> Result<Option<ApiKey>> {
        if !looks_like_token(token) {
            return Ok(None);
        }
        self.query_opt(FIND_BY_TOKEN, params![sha256(token.as_bytes())], row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededRandom;

    #[test]
    fn a_token_with_one_changed_character_is_refused_before_the_database_is_asked() {
        let token = new_token(&SeededRandom::new(1), true).into_inner();
        assert!(looks_like_token(&token), "{token}");
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(changed == token || !looks_like_token(&changed), "{index}");
        }
        assert!(!looks_like_token("") && !looks_like_token("bf_live_é"));
    }
}
