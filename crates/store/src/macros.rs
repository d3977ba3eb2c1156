//! Two small macros that every table's file uses.

/// Names statements, and lists them as `STATEMENTS` for the test that prepares all on both engines.
macro_rules! statements {
    ($($name:ident = $sql:expr;)+) => {
        $(pub(crate) const $name: &str = $sql;)+
        /// Every statement of this file.
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[&str] = &[$($name),+];
    };
}

/// A table's door, with the application fixed when it is opened, so that no statement can forget it.
macro_rules! repository {
    ($(#[$doc:meta])* $name:ident, $open:ident) => {
        $(#[$doc])*
        pub struct $name<'t, 'c> {
            tx: &'t mut $crate::Tx<'c>,
            application: $crate::ApplicationId,
        }

        impl<'c> $crate::Tx<'c> {
            $(#[$doc])*
            pub fn $open(&mut self, application: $crate::ApplicationId) -> $name<'_, 'c> {
                $name { tx: self, application }
            }
        }
    };
}
