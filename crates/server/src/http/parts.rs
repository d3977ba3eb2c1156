//! Reads ids in paths and fields in queries with the API's own errors instead of the framework's.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{failure::Failure, fields::Fields};

/// The ids in a path: one, or a tuple of them. What is no UUID names nothing.
pub(crate) struct Ids<T = uuid::Uuid>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Ids<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(ids) = Path::from_request_parts(parts, state).await.map_err(|_| Failure::not_found())?;
        Ok(Self(ids))
    }
}

/// The fields of a query; of a field that stands twice the last one counts.
pub(crate) struct QueryFields(pub(crate) Fields);

impl<S: Send + Sync> FromRequestParts<S> for QueryFields {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Failure::list("The query string could not be read."))?;
        Ok(Self(Fields::new(pairs.into_iter().map(|(key, value)| (key, json!(value))).collect())))
    }
}
