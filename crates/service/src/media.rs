//! Links to pictures: signed for an hour, each reading audited, only ever re-encoded pixels.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use store::{ApplicationId, ObjectId, Tx};
use uuid::Uuid;

use crate::{Service, pool::Work, sessions::audit_session};

/// Seconds for which a link works.
const VALID_SECONDS: i64 = 3_600;
/// Application, object, end of validity.
const NAMED_BYTES: usize = 16 + 16 + 8;

fn sign(tx: &mut Tx<'_>, application: ApplicationId, named: &[u8]) -> Result<[u8; 32], store::Error> {
    Ok(tx.application_key(application)?.blind_index("media link", named))
}

/// A link to a picture.
pub(crate) fn link(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    object: ObjectId,
    public_url: &str,
) -> Result<String, store::Error> {
    // Rounded up, so that a decision read twice within a while gives the same links.
    let until = (tx.now().seconds() / 300 + 1) * 300 + VALID_SECONDS;
    let mut bytes = Vec::with_capacity(NAMED_BYTES + 32);
    bytes.extend_from_slice(application.0.as_bytes());
    bytes.extend_from_slice(object.0.as_bytes());
    bytes.extend_from_slice(&until.to_be_bytes());
    let mac = sign(tx, application, &bytes)?;
    bytes.extend_from_slice(&mac);
    Ok(format!("{}/media/{}", public_url.trim_end_matches('/'), BASE64.encode(bytes)))
}

/// The parts of a link's token, unproven.
struct Claim {
    application: ApplicationId,
    object: ObjectId,
    /// End of validity, seconds since 1970.
    until: i64,
    named: Vec<u8>,
    mac: Vec<u8>,
}

fn parse(token: &str) -> Option<Claim> {
    let bytes = BASE64.decode(token).ok()?;
    let (named, mac) = bytes.split_at_checked(NAMED_BYTES)?;
    let application = Uuid::from_slice(named.get(..16)?).ok()?;
    let object = Uuid::from_slice(named.get(16..32)?).ok()?;
    let until = i64::from_be_bytes(named.get(32..40)?.try_into().ok()?);
    Some(Claim {
        application: application.into(),
        object: object.into(),
        until,
        named: named.to_vec(),
        mac: mac.to_vec(),
    })
}

/// Compares without telling by its time where two texts differ.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

impl Service {
    /// The JPEG behind a link; `None` when the link is wrong, over, or its picture erased.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn media(&self, token: &str) -> Result<Option<Vec<u8>>, store::Error> {
        let Some(Claim { application, object: id, until, named, mac }) = parse(token) else {
            return Ok(None);
        };
        if until < self.now().seconds() {
            return Ok(None);
        }
        let object = self
            .store
            .write(move |tx| {
                if tx.application(application)?.is_none() || !equal(&sign(tx, application, &named)?, &mac) {
                    return Ok(None);
                }
                let Some(object) = tx.objects(application).find(id)? else { return Ok(None) };
                audit_session(
                    tx,
                    application,
                    "link",
                    "image.read",
                    object.session,
                    Some(serde_json::json!({ "object": id })),
                )?;
                Ok::<_, store::Error>(Some(object))
            })
            .await?;
        let Some(object) = object else { return Ok(None) };
        let Some(bytes) = self.store.get_blob(&object).await? else { return Ok(None) };
        let picture = self
            .pool
            .run(Work::Picture, move || {
                checks::pictures::decode(&bytes, None).ok().map(|picture| checks::pictures::jpeg(&picture))
            })
            .await;
        Ok(picture.ok().flatten())
    }
}
