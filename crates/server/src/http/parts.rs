//! Reads ids in paths and fields in queries with the API's own errors instead of the framework's.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::{Uri, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{body::printable, failure::Failure, fields::Fields};

/// The ids in a path: one, or a tuple of them. What is no UUID names nothing.
pub(crate) struct Ids<T = uuid::Uuid>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Ids<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(ids) = Path::from_request_parts(parts, state).await.map_err(|_| Failure::not_found())?;
        Ok(Self(ids))
    }
}

/// The fields of a query, each given once.
pub(crate) struct QueryFields {
    values: Map<String, Value>,
    complaints: Map<String, Value>,
}

impl QueryFields {
    /// Takes the fields out; each that `read` does not ask for is refused by name.
    ///
    /// # Errors
    /// Every complaint at once.
    pub(crate) fn read<T>(self, read: impl FnOnce(&mut Fields) -> T) -> Result<T, Failure> {
        Fields::read_texts(self.values, self.complaints, Vec::new(), read)
    }

    /// The fields as they came, for the address of a neighbouring page.
    pub(crate) fn as_sent(&self) -> &Map<String, Value> {
        &self.values
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueryFields {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Self::of(&parts.uri)
    }
}

impl QueryFields {
    /// The fields of an address.
    ///
    /// # Errors
    /// When its query cannot be read.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Failure> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Failure::list("The query string could not be read."))?;
        let (mut values, mut complaints) = (Map::new(), Map::new());
        for (key, value) in pairs {
            if values.insert(key.clone(), json!(value)).is_some() {
                complaints.insert(printable(&key), json!(["This is given more than once. Send it once."]));
            }
        }
        Ok(Self { values, complaints })
    }
}
