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

fn create(tx: &mut Tx<'_>, name: &str, features: &[Feature]) -> Result<Ready, store::Error> {
    let application = tx.create_application(name, "live", json!({}))?;
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
                create(tx, &name, &features)
            })
            .await
    }

    /// Makes a further application with a default workflow.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn create_application(&self, name: &str) -> Result<Ready, store::Error> {
        let features = self.default_features();
        let name = name.to_owned();
        self.store.write(move |tx| create(tx, &name, &features)).await
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
                let (key, token) = tx.api_keys(application).create(&name, &scopes, true)?;
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
