//! Keeps secrets and personal data out of logs: their `Debug` prints `‹redacted›`.

use std::fmt;

/// A secret: a token, a password, key material as text. Wiping is left to the keys in [`crate::keys`].
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }
    /// Shows the secret to whoever asks by this name.
    pub const fn expose(&self) -> &T {
        &self.0
    }
    /// Takes the secret out.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("‹redacted›")
    }
}

/// Something personal: a name, a number, an e-mail address, extracted fields.
#[derive(Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Pii<T>(pub T);

impl<T> Pii<T> {
    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Pii<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Pii<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Pii<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("‹redacted›")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_secrets_and_personal_data_shows_nothing() {
        assert_eq!(
            format!("{:?} {:?}", Secret::new("token"), Pii("Anna".to_owned())),
            "‹redacted› ‹redacted›"
        );
    }
}
