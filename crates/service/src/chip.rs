//! Verifies the files of a document's chip against the issuers that an application trusts.
//!
//! Trusted issuers are in [`trust`]. Nothing is trusted that was not imported:
//! without it a chip is at best untrusted, and never approved. [`relay`] reads
//! chips through a person's device; `checks::chip` says what they prove.

pub mod relay;
pub mod trust;

use std::{collections::BTreeMap, sync::Arc};

use emrtd::{Input, time::Time, verify::ActiveAuthentication};
use workflow::Feature;

use crate::{
    Service,
    access::Access,
    pool::Work,
    standalone::{Answer, Common, StandaloneError},
};

/// Files of a chip.
#[derive(Debug, Clone)]
pub struct ChipFiles {
    /// EF.SOD.
    pub sod: Vec<u8>,
    /// Data groups by number.
    pub data_groups: BTreeMap<u8, Vec<u8>>,
    /// Challenge and answer of an active authentication that the caller ran.
    pub active_authentication: Option<(Vec<u8>, Vec<u8>)>,
    /// The rest.
    pub common: Common,
}

impl Service {
    /// Verifies the files of a chip.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub async fn verify_chip(&self, access: &Access, input: ChipFiles) -> Result<Answer, StandaloneError> {
        let (trust, application) = (Arc::clone(&self.trust), access.application);
        let now = self.now();
        let common = input.common.clone();
        let ((block, status), pictures) = self
            .pool
            .run(Work::Check, move || {
                let trust = trust.of(application).map_err(|reason| StandaloneError::Failed(reason.into()))?;
                let report = emrtd::verify(&Input {
                    sod: &input.sod,
                    data_groups: &input.data_groups,
                    complete_read: false,
                    active_authentication: input.active_authentication.as_ref().map(
                        |(challenge, response)| ActiveAuthentication {
                            challenge,
                            response,
                            challenge_is_ours: false,
                        },
                    ),
                    chip_authentication: None,
                    trust: &trust,
                    now: Some(Time(now.seconds())),
                });
                let groups = &input.data_groups;
                let shown = checks::chip::shown(&report, groups, crate::date_of(now));
                let block =
                    serde_json::to_value(&shown).map_err(|error| StandaloneError::Failed(Box::new(error)))?;
                let pictures = checks::chip::pictures(&report, groups);
                Ok::<_, StandaloneError>(((block, shown.status), pictures))
            })
            .await??;
        self.answer_check(access, &common, "NFC_VERIFICATION", Feature::Nfc, block, status, pictures).await
    }
}
