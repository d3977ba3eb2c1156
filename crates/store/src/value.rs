//! The six kinds of value that both engines store, and the traits that carry them in and out.
//!
//! `params![a, b]` makes the parameters of a statement; `row.get(0)?` reads a
//! column. Times are BIGINT microseconds, ids are TEXT, JSON is TEXT.

use crate::clock::Time;
use crate::error::{Error, Result};
use std::borrow::Cow;
use uuid::Uuid;

/// A parameter on its way into a statement.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// BIGINT.
    Int(i64),
    /// DOUBLE.
    Real(f64),
    /// BOOLEAN.
    Bool(bool),
    /// TEXT.
    Text(Cow<'a, str>),
    /// BLOB, BYTEA.
    Blob(Cow<'a, [u8]>),
}

impl Value<'_> {
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(value) => Value::Int(value),
            Self::Real(value) => Value::Real(value),
            Self::Bool(value) => Value::Bool(value),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Blob(bytes) => Value::Blob(Cow::Owned(bytes.into_owned())),
        }
    }
}

/// A column on its way out. SQLite has no booleans, so `Int` may stand for one.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// SQL NULL.
    Null,
    /// BIGINT (or, from SQLite, BOOLEAN).
    Int(i64),
    /// DOUBLE.
    Real(f64),
    /// BOOLEAN.
    Bool(bool),
    /// TEXT.
    Text(&'a str),
    /// BLOB, BYTEA.
    Blob(&'a [u8]),
}

/// What can be a parameter.
pub trait Bind {
    /// The value to bind.
    fn bind(&self) -> Value<'_>;
}

/// What can be read from a column.
pub trait FromColumn: Sized {
    /// `None` when the column holds another kind of value.
    fn from_column(value: ValueRef<'_>) -> Option<Self>;
}

/// Makes the parameters of a statement: `params![application, id, name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::Bind::bind(&$value)),*] as &[$crate::Value<'_>] };
}

macro_rules! bind {
    ($($kind:ty => |$value:ident| $made:expr;)+) => {$(
        impl Bind for $kind {
            fn bind(&self) -> Value<'_> {
                let $value = self;
                $made
            }
        }
    )+};
}

bind! {
    i64 => |value| Value::Int(*value);
    i32 => |value| Value::Int(i64::from(*value));
    u32 => |value| Value::Int(i64::from(*value));
    u16 => |value| Value::Int(i64::from(*value));
    u8 => |value| Value::Int(i64::from(*value));
    f64 => |value| Value::Real(*value);
    bool => |value| Value::Bool(*value);
    str => |value| Value::Text(Cow::Borrowed(value));
    String => |value| Value::Text(Cow::Borrowed(value));
    [u8] => |value| Value::Blob(Cow::Borrowed(value));
    Vec<u8> => |value| Value::Blob(Cow::Borrowed(value));
    Time => |value| Value::Int(value.0);
    Uuid => |value| Value::Text(Cow::Owned(value.hyphenated().to_string()));
    serde_json::Value => |value| Value::Text(Cow::Owned(value.to_string()));
}

impl<const N: usize> Bind for [u8; N] {
    fn bind(&self) -> Value<'_> {
        Value::Blob(Cow::Borrowed(self))
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn bind(&self) -> Value<'_> {
        (**self).bind()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn bind(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Bind::bind)
    }
}

impl Bind for Value<'_> {
    fn bind(&self) -> Value<'_> {
        match self {
            Value::Null => Value::Null,
            Value::Int(value) => Value::Int(*value),
            Value::Real(value) => Value::Real(*value),
            Value::Bool(value) => Value::Bool(*value),
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            Value::Blob(bytes) => Value::Blob(Cow::Borrowed(bytes)),
        }
    }
}

impl FromColumn for i64 {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Int(value) => Some(value),
            _ => None,
        }
    }
}

macro_rules! narrow {
    ($($kind:ty),+) => {$(
        impl FromColumn for $kind {
            fn from_column(value: ValueRef<'_>) -> Option<Self> {
                i64::from_column(value).and_then(|wide| Self::try_from(wide).ok())
            }
        }
    )+};
}
narrow!(i32, u32, u64, u16, u8, usize);

impl FromColumn for f64 {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Real(value) => Some(value),
            _ => None,
        }
    }
}

impl FromColumn for bool {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Bool(value) => Some(value),
            ValueRef::Int(value @ (0 | 1)) => Some(value == 1),
            _ => None,
        }
    }
}

impl FromColumn for String {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Blob(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl<const N: usize> FromColumn for [u8; N] {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Blob(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}

impl FromColumn for Time {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        i64::from_column(value).map(Self)
    }
}

impl FromColumn for Uuid {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Text(text) => Self::parse_str(text).ok(),
            _ => None,
        }
    }
}

impl FromColumn for serde_json::Value {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Text(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Null => Some(None),
            value => T::from_column(value).map(Some),
        }
    }
}

/// One row of an answer.
pub struct Row<'r>(pub(crate) RowOf<'r>);

pub(crate) enum RowOf<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// Reads column `index` (from 0).
    ///
    /// # Errors
    /// [`Error::Column`] when there is no such column or it holds another kind of value.
    pub fn get<T: FromColumn>(&self, index: usize) -> Result<T> {
        let wrong = Error::Column { index };
        match &self.0 {
            RowOf::Sqlite(row) => {
                use rusqlite::types::ValueRef as Sqlite;
                let value = match row.get_ref(index).map_err(|_| Error::Column { index })? {
                    Sqlite::Null => ValueRef::Null,
                    Sqlite::Integer(value) => ValueRef::Int(value),
                    Sqlite::Real(value) => ValueRef::Real(value),
                    Sqlite::Text(bytes) => {
                        ValueRef::Text(std::str::from_utf8(bytes).map_err(|_| Error::Column { index })?)
                    }
                    Sqlite::Blob(bytes) => ValueRef::Blob(bytes),
                };
                T::from_column(value).ok_or(wrong)
            }
            RowOf::Postgres(row) => {
                let cell: crate::postgres::Cell<'_> =
                    row.try_get(index).map_err(|_| Error::Column { index })?;
                T::from_column(cell.0).ok_or(wrong)
            }
        }
    }
}
