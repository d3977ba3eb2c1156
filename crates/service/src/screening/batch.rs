//! Screens many people in one request: a chunk at a time on the cores, nothing is kept.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{Asked, examine};
use crate::{
    Service,
    pool::{PoolError, Work},
};

/// Waits between two tries while the cores are busy.
const WAIT: Duration = Duration::from_millis(50);

impl Service {
    /// Screens a chunk of people in order. While the cores are busy it waits: the caller reads no further then.
    pub async fn screen_chunk(&self, chunk: Vec<Asked>) -> Vec<Value> {
        let chunk = Arc::new(chunk);
        loop {
            let (lists, questions) = (Arc::clone(&self.lists), Arc::clone(&chunk));
            let screened = self
                .pool
                .run(Work::Search, move || {
                    questions
                        .iter()
                        .map(|asked| json!({ "aml": examine(lists.as_ref(), asked.clone(), Vec::new()).block }))
                        .collect()
                })
                .await;
            match screened {
                Ok(results) => return results,
                Err(PoolError::Busy) => tokio::time::sleep(WAIT).await,
                Err(PoolError::Panicked(_) | PoolError::TooLong(_)) => {
                    return chunk.iter().map(|_| json!({ "error": "screening failed" })).collect();
                }
            }
        }
    }
}
