//! The first start: an application, its default workflow and a key, made when there is none.

use serde_json::json;
use store::{ApplicationId, Tx, WorkflowId, audit};
use workflow::{Definition, Feature};

use crate::{
    Service,
    workflows::{self, Saved},
};

/// What a start found or made.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The first application.
    pub application: ApplicationId,
    /// Its default workflow.
    pub workflow: WorkflowId,
    /// Features of that workflow.
    pub features: Vec<&'static str>,
    /// Whether this start made them.
    pub made: bool,
}

/// A key that was just made; its text is shown once.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The key.
    pub api_key: String,
    /// Its public name.
    pub id: store::ApiKeyId,
    /// Its application.
    pub application: ApplicationId,
}

/// The checks of a new default workflow: what this machine's models can judge.
///
/// Passive liveness is part of it only when a model for it is installed: a
/// workflow that contains a check which nothing can evaluate would send every
/// person to review. The start says which checks were chosen.
pub fn default_features(liveness_installed: bool) -> Vec<Feature> {
    let mut features = vec![Feature::Ocr];
    if liveness_installed {
        features.push(Feature::Liveness);
    }
    features.push(Feature::FaceMatch);
    features
}

/// Whether an application is one to try things in, where published specimens are accepted.
pub(crate) fn is_sandbox(tx: &mut Tx<'_>, application: ApplicationId) -> Result<bool, store::Error> {
    Ok(tx.application(application)?.is_some_and(|application| application.environment == "sandbox"))
}

fn create(
    tx: &mut Tx<'_>,
    name: &str,
    environment: &str,
    features: &[Feature],
) -> Result<Ready, store::Error> {
    let application = tx.create_application(name, environment, json!({}))?;
    tx.audit(&audit::Entry {
        application: Some(application.id),
        actor: "system",
        action: "application.create",
        object: &format!("application:{}", application.id),
        outcome: "ok",
        ..audit::Entry::default()
    })?;
    add_default_workflow(tx, application.id, features)
}

fn add_default_workflow(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    features: &[Feature],
) -> Result<Ready, store::Error> {
    let saved = Saved { label: "KYC".to_owned(), is_default: true, definition: Definition::of(features) };
    let workflow = workflows::insert(tx, application, "system", None, saved)?;
    let features = features.iter().map(|feature| feature.name()).collect();
    Ok(Ready { application, workflow: workflow.id, features, made: true })
}

impl Service {
    /// Makes the first application with its default workflow, when there is none.
    ///
    /// It is a sandbox: published specimens are accepted in it, so that a newcomer can try everything. Real people are
    /// verified in a live application ([`Service::create_application`]), where a specimen is declined.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn make_ready(&self, name: &str) -> Result<Ready, store::Error> {
        let features = self.default_features();
        let name = name.to_owned();
        self.store
            .write(move |tx| {
                let existing = tx.applications()?.into_iter().next();
                if let Some(application) = existing {
                    if let Some(workflow) = tx.workflows(application.id).default()? {
                        let definition: Definition =
                            serde_json::from_value(workflow.settings).map_err(store::Error::Json)?;
                        let names = definition.nodes.iter().map(|node| node.feature.name()).collect();
                        return Ok(Ready {
                            application: application.id,
                            workflow: workflow.id,
                            features: names,
                            made: false,
                        });
                    }
                    return add_default_workflow(tx, application.id, &features);
                }
                create(tx, &name, "sandbox", &features)
            })
            .await
    }

    /// Makes a further, live application with a default workflow.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn create_application(&self, name: &str) -> Result<Ready, store::Error> {
        let features = self.default_features();
        let name = name.to_owned();
        self.store.write(move |tx| create(tx, &name, "live", &features)).await
    }

    fn default_features(&self) -> Vec<Feature> {
        default_features(self.engines.passive().is_ok_and(|passive| passive.is_available()))
    }

    /// Makes an API key; without scopes it is for everything.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn create_key(
        &self,
        application: ApplicationId,
        name: &str,
        scopes: Vec<String>,
    ) -> Result<NewKey, store::Error> {
        let name = name.to_owned();
        self.store
            .write(move |tx| {
                let live =
                    tx.application(application)?.is_some_and(|application| application.environment == "live");
                let (key, token) = tx.api_keys(application).create(&name, &scopes, live)?;
                tx.audit(&audit::Entry {
                    application: Some(application),
                    actor: "system",
                    action: "key.create",
                    object: &format!("key:{}", key.id),
                    outcome: "ok",
                    ..audit::Entry::default()
                })?;
                Ok(NewKey { api_key: token.into_inner(), id: key.id, application })
            })
            .await
    }
}
