//! Whether a document stands on the application's blocklist: found by a keyed digest of issuer, type and number.

use evidence::Signal;
use serde_json::json;
use store::{ApplicationId, Tx};

/// What entries of these lists are.
pub const ENTRY_TYPE: &str = "document";

/// The signal for a document that is listed.
pub(super) fn signal(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    number: &str,
) -> Result<Option<Signal>, store::Error> {
    let found = tx.lists(application).matches(ENTRY_TYPE, number)?;
    let blocked = found.into_iter().find(|(_, kind, _)| kind == "blocklist");
    Ok(blocked.map(|(list, _, entry)| {
        let shows = json!({ "list_id": list, "entry_id": entry });
        Signal::certain("ID_DOCUMENT_IN_BLOCKLIST", "document.listed/1", shows)
    }))
}
