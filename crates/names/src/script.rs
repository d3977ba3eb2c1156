//! Tells which script a letter belongs to and which scripts leave vowels out.

/// The scripts whose names need treatment of their own; everything else is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Script {
    /// Latin letters with or without marks, and digits.
    Latin,
    /// Russian, Ukrainian, Serbian and their kin.
    Cyrillic,
    /// Greek.
    Greek,
    /// Arabic, Persian, Urdu, Pashto: short vowels are not written.
    Arabic,
    /// Hebrew: short vowels are not written.
    Hebrew,
    /// Chinese characters, of Chinese, Japanese or Korean names.
    Han,
    /// Korean syllables.
    Hangul,
    /// Hiragana and katakana.
    Kana,
    /// Thai.
    Thai,
    /// Devanagari and the other scripts of India: an unwritten short *a* follows each consonant.
    Indic,
    /// Any other script; it is romanised letter by letter.
    Other,
}

impl Script {
    /// The script of one character.
    #[must_use]
    pub fn of(c: char) -> Self {
        match u32::from(c) {
            0..=0x024F | 0x1E00..=0x1EFF | 0x2C60..=0x2C7F | 0xA720..=0xA7FF => Self::Latin,
            0x0370..=0x03FF | 0x1F00..=0x1FFF => Self::Greek,
            0x0400..=0x052F | 0x1C80..=0x1C8F => Self::Cyrillic,
            0x0590..=0x05FF => Self::Hebrew,
            0x0600..=0x06FF | 0x0750..=0x077F | 0x08A0..=0x08FF | 0xFB50..=0xFDFF | 0xFE70..=0xFEFF => {
                Self::Arabic
            }
            0x0900..=0x0DFF => Self::Indic,
            0x0E00..=0x0E7F => Self::Thai,
            0x1100..=0x11FF | 0x3130..=0x318F | 0xAC00..=0xD7AF => Self::Hangul,
            0x3040..=0x30FF | 0x31F0..=0x31FF => Self::Kana,
            0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3134F | 0x3005 | 0x3007 => {
                Self::Han
            }
            _ => Self::Other,
        }
    }

    /// True where the written form leaves vowels out, so that only consonants can be compared.
    #[must_use]
    pub fn omits_vowels(self) -> bool {
        matches!(self, Self::Arabic | Self::Hebrew | Self::Indic | Self::Thai)
    }

    /// True for scripts written without spaces between family and given name.
    #[must_use]
    pub fn is_unspaced(self) -> bool {
        matches!(self, Self::Han | Self::Hangul | Self::Kana)
    }
}
