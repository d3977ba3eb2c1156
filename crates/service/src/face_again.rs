//! Makes enrolled templates anew when the embedder or its recipe has changed.
//!
//! Templates of two recipes never compare (`face::Template::model`), so after an
//! update those already enrolled would be found by no search. Whatever still has
//! its picture is embedded again from it at start; what has none stays as it is,
//! is not compared, and is counted in the log.

use serde_json::json;
use store::{ApplicationId, SessionId};

use crate::{
    Service,
    face_search::{enrol_in, entry_template, template_of},
    pool::Work,
    sessions::state_of,
    standalone::StandaloneError,
};

/// Rows read at once.
const PAGE: i64 = 500;

/// What became of templates of other models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Made anew.
    pub renewed: u64,
    /// Without a picture in which the face is found: not compared any more.
    pub left: u64,
}

impl Service {
    /// Embeds again what another embedder or recipe enrolled in an application.
    ///
    /// # Errors
    /// When the store does not answer. A net that fails leaves its row for the next start.
    pub async fn renew_faces(&self, application: ApplicationId) -> Result<Renewed, store::Error> {
        let Ok(engine) = self.engines.faces() else { return Ok(Renewed::default()) };
        let mut counts = Renewed::default();
        let mut after = None;
        loop {
            let model = engine.model().to_owned();
            let page =
                self.store.read(move |tx| tx.faces(application).of_other_models(&model, after, PAGE)).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.0);
            for (id, session) in page {
                let template = match session {
                    Some(session) => self.template_of_selfie(application, session).await?,
                    None => None,
                };
                let (Some(session), Some(template)) = (session, template) else {
                    counts.left += 1;
                    continue;
                };
                self.store
                    .write(move |tx| {
                        // Erased or made anew by another process meanwhile: nothing comes back.
                        if tx.faces(application).session_of(id)?.is_none() {
                            return Ok(());
                        }
                        let Some(found) = tx.sessions(application).find(session)? else { return Ok(()) };
                        enrol_in(tx, application, session, &found.key, &template)
                    })
                    .await?;
                counts.renewed += 1;
            }
        }
        let mut after = None;
        loop {
            let page = self.store.read(move |tx| tx.lists(application).faces(after, PAGE)).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for entry in page.into_iter().filter(|entry| entry.value["model"] != engine.model()) {
                let session = entry.value["reference_session_id"].as_str().and_then(|id| id.parse().ok());
                let template = match session {
                    Some(session) => self.template_of_selfie(application, session).await?,
                    None => None,
                };
                let Some(template) = template else {
                    counts.left += 1;
                    continue;
                };
                let mut value = entry.value.0.clone();
                value["model"] = json!(template.model);
                value["template"] = json!(entry_template(&template));
                let written =
                    self.store.write(move |tx| tx.lists(application).rewrite(&entry, &value)).await?;
                counts.renewed += u64::from(written);
            }
        }
        if counts != Renewed::default() {
            let Renewed { renewed, left } = counts;
            tracing::warn!(
                application.id = %application, renewed, left,
                "faces enrolled by another embedder or recipe were made anew; those left have no picture and are not compared"
            );
        }
        Ok(counts)
    }

    /// The template of a session's selfie; `None` without a picture, or when no face is found in it.
    async fn template_of_selfie(
        &self,
        application: ApplicationId,
        session: SessionId,
    ) -> Result<Option<face::Template>, store::Error> {
        let selfie = self
            .store
            .read(move |tx| {
                let Some(found) = tx.sessions(application).find(session)? else { return Ok(None) };
                match state_of(&found)?.objects.get("selfie") {
                    Some(object) => tx.objects(application).find(*object),
                    None => Ok(None),
                }
            })
            .await?;
        let Some(selfie) = selfie else { return Ok(None) };
        let Some(bytes) = self.store.get_blob(&selfie).await? else { return Ok(None) };
        let Ok(engines) = self.faces_ready() else { return Ok(None) };
        let made = self
            .pool
            .run(Work::Check, move || {
                let look = checks::faces::look(&engines, Some(&bytes))
                    .map_err(|reason| StandaloneError::Failed(reason.into()))?;
                let engine = engines.faces().map_err(|error| StandaloneError::Failed(Box::new(error)))?;
                template_of(&engine, &look)
            })
            .await;
        Ok(made.ok().and_then(Result::ok).flatten())
    }
}
