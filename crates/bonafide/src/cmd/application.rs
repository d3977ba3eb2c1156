//! `bonafide application`: shows applications (tenants) and sets what they may do with faces.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::{
    print_json, print_line,
    serve::{DataArgs, prepare},
};

/// Show applications and say what they may do with faces.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the applications with their settings.
    List {
        #[command(flatten)]
        data: DataArgs,
        /// One JSON line an application
        #[arg(long)]
        json: bool,
    },
    /// Change the settings of an application; a running server follows at once.
    Set {
        #[command(flatten)]
        data: DataArgs,
        /// Which application; the first without it
        #[arg(long, value_name = "ID")]
        application: Option<store::ApplicationId>,
        /// Switch searching among known faces on, for this purpose: people read it before they agree
        #[arg(long, value_name = "PURPOSE", conflicts_with = "no_face_search")]
        face_search: Option<String>,
        /// Switch it off, and delete every enrolled face
        #[arg(long)]
        no_face_search: bool,
        /// Whether single checks on faces need a recorded consent (POST /v3/consents/)
        #[arg(long, value_name = "BOOL")]
        require_consent: Option<bool>,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
    runtime.block_on(async {
        match &args.command {
            Command::List { data, json } => {
                let prepared = prepare(data).await?;
                for application in prepared.service.store().read(|tx| tx.applications()).await? {
                    if *json {
                        print_json(&json!({
                            "id": application.id, "name": application.name,
                            "environment": application.environment, "settings": application.settings,
                        }))?;
                    } else {
                        let settings = service::face_search::Settings::of(&application);
                        let search = settings.face_search.as_deref().unwrap_or("off");
                        let consent = if settings.require_consent { "required" } else { "hosted page only" };
                        print_line(&format!(
                            "{}  {:7}  {}  face search: {search}  consent: {consent}",
                            application.id, application.environment, application.name
                        ))?;
                    }
                }
            }
            Command::Set { data, application, face_search, no_face_search, require_consent } => {
                if face_search.as_ref().is_some_and(|purpose| purpose.trim().is_empty()) {
                    anyhow::bail!("the purpose is empty: say for what faces are searched");
                }
                let prepared = prepare(data).await?;
                let id = application.unwrap_or(prepared.ready.application);
                let (purpose, off, consent) = (face_search.clone(), *no_face_search, *require_consent);
                let found = prepared
                    .service
                    .store()
                    .write(move |tx| {
                        let Some(mut application) = tx.application(id)? else { return Ok(None) };
                        if !application.settings.is_object() {
                            application.settings = json!({});
                        }
                        if let Some(purpose) = purpose {
                            application.settings["face_search"] = json!({ "purpose": purpose });
                        }
                        let mut erased = 0;
                        if off {
                            application.settings["face_search"] = Value::Null;
                            erased = tx.faces(id).delete_all()?;
                        }
                        if let Some(consent) = consent {
                            application.settings["require_consent"] = json!(consent);
                        }
                        tx.update_application(&application)?;
                        tx.audit(&store::audit::Entry {
                            application: Some(id),
                            actor: "system",
                            action: "application.set",
                            object: &format!("application:{id}"),
                            outcome: "ok",
                            details: Some(application.settings.clone()),
                            ..store::audit::Entry::default()
                        })?;
                        Ok::<_, store::Error>(Some(erased))
                    })
                    .await?;
                match found {
                    None => anyhow::bail!("there is no application {id}"),
                    Some(0) => eprintln!("application {id} is set"),
                    Some(erased) => eprintln!("application {id} is set; {erased} enrolled faces are deleted"),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
