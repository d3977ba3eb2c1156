//! `bonafide key`: makes, lists and revokes API keys.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use super::{
    print_json, print_line,
    serve::{DataArgs, Prepared, prepare},
};

/// Make, list and revoke API keys.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a key; it is shown once.
    Create {
        #[command(flatten)]
        data: DataArgs,
        /// What you call it
        #[arg(long, value_name = "N", default_value = "key")]
        name: String,
        /// What it allows (read:sessions, write:sessions, delete:sessions, write:workflows, write:trust); without any, everything
        #[arg(long, value_name = "S", num_args = 1..)]
        scope: Vec<String>,
        /// Make a further application (tenant) of this name first, with a default workflow, and the key for it
        #[arg(long, value_name = "NAME")]
        new_application: Option<String>,
        /// JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// List the keys, without their text.
    List {
        #[command(flatten)]
        data: DataArgs,
        /// One JSON line a key
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key at once.
    Revoke {
        #[command(flatten)]
        data: DataArgs,
        /// Its id, as `key list` shows it
        id: store::ApiKeyId,
    },
}

/// Scopes that a key can hold.
const SCOPES: [&str; 5] =
    ["read:sessions", "write:sessions", "delete:sessions", "write:workflows", "write:trust"];

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
    runtime.block_on(async {
        match &args.command {
            Command::Create { data, name, scope, new_application, json } => {
                if let Some(unknown) = scope.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
                    anyhow::bail!("there is no scope {unknown}; known are {}", SCOPES.join(", "));
                }
                let Prepared { service, mut ready } = prepare(data).await?;
                if let Some(name) = new_application {
                    ready = service.create_application(name).await?;
                }
                let key = service.create_key(ready.application, name, scope.clone()).await?;
                if *json {
                    print_json(&json!({
                        "api_key": key.api_key,
                        "id": key.id,
                        "application_id": key.application,
                        "workflow_id": ready.workflow,
                    }))?;
                } else {
                    print_line(&key.api_key)?;
                    eprintln!("This key is shown only once. Its id is {}.", key.id);
                }
            }
            Command::List { data, json } => {
                let prepared = prepare(data).await?;
                let application = prepared.ready.application;
                let keys = prepared.service.store().read(move |tx| tx.api_keys(application).list()).await?;
                for key in keys {
                    let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
                    if *json {
                        print_json(&json!({ "id": key.id, "name": key.name, "hint": key.hint, "scopes": key.scopes, "state": state }))?;
                    } else {
                        print_line(&format!("{}  …{}  {state:8}  {}  {}", key.id, key.hint, key.name, key.scopes.join(" ")))?;
                    }
                }
            }
            Command::Revoke { data, id } => {
                let prepared = prepare(data).await?;
                let application = prepared.ready.application;
                let id = *id;
                let revoked = prepared
                    .service
                    .store()
                    .write(move |tx| {
                        let revoked = tx.api_keys(application).revoke(id)?;
                        if revoked {
                            tx.audit(&store::audit::Entry {
                                application: Some(application),
                                actor: "system",
                                action: "key.revoke",
                                object: &format!("key:{id}"),
                                outcome: "ok",
                                ..store::audit::Entry::default()
                            })?;
                        }
                        Ok::<_, store::Error>(revoked)
                    })
                    .await?;
                if !revoked {
                    anyhow::bail!("there is no active key {id}");
                }
                eprintln!("key {id} is revoked");
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
