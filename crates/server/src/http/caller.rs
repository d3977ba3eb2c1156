//! Who calls, as an extractor: a handler that takes a [`Caller`] cannot run without permission.

use std::marker::PhantomData;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};
use service::access::Access;

use super::{
    failure::Failure,
    limit::{Budget, Standing},
};
use crate::app::App;

/// A permission that a key can have.
pub(crate) trait Scope: Send + Sync {
    /// Name as keys carry it.
    const NAME: &'static str;
}

macro_rules! scopes {
    ($($(#[$doc:meta])* $kind:ident = $name:literal;)+) => {
        $($(#[$doc])* pub(crate) struct $kind;
        impl Scope for $kind { const NAME: &'static str = $name; })+
    };
}

scopes! {
    /// Read sessions and decisions.
    ReadSessions = "read:sessions";
    /// Start sessions, hand in checks, change statuses.
    WriteSessions = "write:sessions";
    /// Erase sessions.
    DeleteSessions = "delete:sessions";
    /// Read and change workflows.
    ManageWorkflows = "write:workflows";
    /// See and change whose chips are trusted.
    ManageTrust = "write:trust";
}

/// The authenticated caller of an API operation, holding the scope `S`.
pub(crate) struct Caller<S: Scope> {
    pub(crate) access: Access,
    standing: Option<Standing>,
    scope: PhantomData<S>,
}

impl<S: Scope> Caller<S> {
    /// Finishes an answer: the rate-limit headers go on every one.
    pub(crate) fn answer(&self, answer: impl axum::response::IntoResponse) -> axum::response::Response {
        let mut response = answer.into_response();
        if let Some(standing) = self.standing {
            standing.write(&mut response);
        }
        response
    }
}

/// The key that a request shows: in `x-api-key`, or in `Authorization` as clients of yente's API send it.
fn key_of(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok();
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("ApiKey") || scheme.eq_ignore_ascii_case("Bearer");
    known.then_some(key.trim())
}

impl<S: Scope> FromRequestParts<App> for Caller<S> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let key = key_of(&parts.headers).ok_or_else(Failure::forbidden)?;
        let access = app.service.authenticate(key).await?.ok_or_else(Failure::forbidden)?;
        let budget = if parts.method == Method::GET {
            Budget::Read
        } else if parts.uri.path() == "/v3/session/" {
            Budget::CreateSession
        } else {
            Budget::Write
        };
        let standing = app.keys.count(&access.key, budget, app.now_s())?;
        if !access.allows(S::NAME) {
            return Err(Failure::forbidden());
        }
        Ok(Self { access, standing, scope: PhantomData })
    }
}
