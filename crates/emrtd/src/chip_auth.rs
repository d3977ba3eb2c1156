//! Chip authentication (ICAO 9303-11 6.2): the chip proves its private key by agreeing on new session keys.
//!
//! The proof is the first answer under the new keys: only the holder of the private key can make it.

use crate::agreement::{Domain, KeyPair, Public};
use crate::apdu::Command;
use crate::ber::element;
use crate::cipher::{Entropy, Suite};
use crate::lds::security_infos::{CHIP_AUTHENTICATION, ChipAuthenticationOffer};
use crate::messaging::SecureMessaging;
use crate::pace::general_authenticate;

/// An exchange under way.
pub struct ChipAuthentication {
    suite: Suite,
    domain: Domain,
    pair: KeyPair,
    chip_key: Public,
}

impl ChipAuthentication {
    /// Prepares the commands, which go out together under the old session. `None` when the offer is not supported.
    /// `template` picks the older form of 3DES (MSE:Set KAT); chips that announce their protocol mostly take the
    /// general form for 3DES, too, chips that announce nothing only know the older one.
    pub fn start(
        offer: &ChipAuthenticationOffer,
        template: bool,
        entropy: &mut dyn Entropy,
    ) -> Option<(Self, Vec<Command>)> {
        let suite = suite(offer)?;
        let (domain, chip_key) = Domain::of_key(&offer.key)?;
        let pair = domain.generate(entropy);
        let public = domain.encode(&pair.public);
        let key_id = offer.key_id.as_ref().map_or_else(Vec::new, |id| element(0x84, id));
        let commands = if suite == Suite::Tdes && template {
            // MSE:Set KAT carries the key itself
            vec![Command::new(0x22, 0x41, 0xA6, &[element(0x91, &public), key_id].concat(), None)]
        } else {
            let data = [element(0x80, &offer.protocol.to_content()), key_id].concat();
            let authenticate = general_authenticate(&element(0x80, &public), true);
            vec![Command::new(0x22, 0x41, 0xA4, &data, None), authenticate]
        };
        Some((Self { suite, domain, pair, chip_key }, commands))
    }

    /// The new session, once the chip accepted the commands.
    pub fn finish(self) -> Option<SecureMessaging> {
        let shared = self.domain.agree(&self.pair.secret, &self.chip_key)?;
        Some(SecureMessaging::from_secret(self.suite, &self.domain.secret_bytes(&shared)))
    }
}

/// The suite of an offer.
pub fn suite(offer: &ChipAuthenticationOffer) -> Option<Suite> {
    let (_, cipher) = offer.protocol.below(CHIP_AUTHENTICATION)?.split_once('.')?;
    Suite::from_arc(cipher)
}
