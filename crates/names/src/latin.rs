//! Brings one token of any script to lower-case ASCII letters and digits.
//!
//! Arabic and Hebrew have tables of their own, because what matters there is that
//! the consonants come out as the skeleton expects them; the rest goes through
//! `any_ascii` after the corrections below.

use crate::script::Script;
use crate::sound::{skeleton, skeleton_of_letters};

/// The romanised form of a token; empty only when the token holds no letter or digit at all.
#[must_use]
pub fn latin(token: &str, script: Script) -> String {
    let mut out = String::with_capacity(token.len());
    let mut first = true;
    for c in token.chars() {
        match script {
            Script::Arabic => push_arabic(c, first, &mut out),
            Script::Hebrew => push_hebrew(c, first, &mut out),
            Script::Cyrillic => push_cyrillic(c, &mut out),
            Script::Hangul => {
                // Official romanisation writes o, u, e with two letters; names seldom do.
                let mut syllable = String::new();
                push_ascii(c, &mut syllable);
                out.push_str(&syllable.replace("eo", "o").replace("eu", "u").replace("ae", "e"));
            }
            // *c* of the romanisation of India is *ch* to everyone else.
            Script::Indic => {
                let mut letter = String::new();
                push_ascii(c, &mut letter);
                out.push_str(&letter);
                if letter.starts_with('c') && !letter.starts_with("ch") {
                    out.insert(out.len() - letter.len() + 1, 'h');
                }
            }
            _ => push_ascii(c, &mut out),
        }
        first = false;
    }
    out
}

/// The consonant skeleton of a token, letter by letter where the script writes no short vowels.
pub(crate) fn skeleton_of(token: &str, latin: &str, script: Script) -> String {
    if !matches!(script, Script::Arabic | Script::Hebrew) {
        return skeleton(latin);
    }
    let letters: Vec<String> = token
        .chars()
        .enumerate()
        .map(|(i, c)| {
            let mut letter = String::new();
            if script == Script::Arabic {
                push_arabic(c, i == 0, &mut letter);
            } else {
                push_hebrew(c, i == 0, &mut letter);
            }
            letter
        })
        .collect();
    let found = skeleton_of_letters(letters.iter().map(String::as_str));
    if found.is_empty() { skeleton(latin) } else { found }
}

fn push_ascii(c: char, out: &mut String) {
    if c.is_ascii() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            out.push(c);
        }
        return;
    }
    out.extend(
        any_ascii::any_ascii_char(c)
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase()),
    );
}

fn push_cyrillic(c: char, out: &mut String) {
    let text = match c {
        'ъ' | 'ь' => "",
        'й' => "y",
        'ы' => "y",
        'э' | 'є' => "e",
        'ё' => "yo",
        'ю' => "yu",
        'я' => "ya",
        'х' => "kh",
        'ж' => "zh",
        'ц' => "ts",
        'ч' => "ch",
        'ш' => "sh",
        'щ' => "shch",
        'ђ' => "dj",
        'ћ' => "c",
        'џ' => "dz",
        'љ' => "lj",
        'њ' => "nj",
        'ў' => "u",
        'ғ' => "g",
        'қ' => "k",
        'ҳ' | 'һ' => "h",
        'ө' => "o",
        'ү' | 'ұ' => "u",
        'ә' => "a",
        'ң' => "n",
        _ => return push_ascii(c, out),
    };
    out.push_str(text);
}

fn push_arabic(c: char, first: bool, out: &mut String) {
    let text = match c {
        'ا' | 'أ' | 'إ' | 'آ' | 'ٱ' | 'ى' => "a",
        'ب' => "b",
        'پ' => "p",
        'ت' | 'ط' | 'ټ' | 'ٹ' => "t",
        'ث' => "th",
        'ج' | 'ځ' => "j",
        'چ' | 'څ' => "ch",
        'ح' | 'ه' | 'ھ' | 'ہ' | 'ۀ' | 'ە' => "h",
        'خ' => "kh",
        'د' | 'ض' | 'ډ' | 'ڈ' => "d",
        'ذ' => "dh",
        'ر' | 'ړ' | 'ڑ' => "r",
        'ز' | 'ظ' | 'ږ' => "z",
        'ژ' => "zh",
        'س' | 'ص' => "s",
        'ش' | 'ښ' => "sh",
        'ع' | 'ئ' | 'ؤ' | 'ء' => {
            if first {
                "a"
            } else {
                ""
            }
        }
        'غ' => "gh",
        'ف' => "f",
        'ڤ' => "v",
        'ق' => "q",
        'ك' | 'ک' | 'ڪ' => "k",
        'گ' | 'ګ' => "g",
        'ل' => "l",
        'م' => "m",
        'ن' | 'ڼ' | 'ں' => "n",
        'و' => {
            if first {
                "w"
            } else {
                "u"
            }
        }
        'ي' | 'ی' | 'ې' | 'ۍ' | 'ے' => {
            if first {
                "y"
            } else {
                "i"
            }
        }
        'ة' => "a",
        _ => return push_ascii(c, out),
    };
    out.push_str(text);
}

fn push_hebrew(c: char, first: bool, out: &mut String) {
    let text = match c {
        'א' | 'ע' => {
            if first {
                "a"
            } else {
                ""
            }
        }
        'ב' => "b",
        'ג' => "g",
        'ד' => "d",
        'ה' => "h",
        'ו' => {
            if first {
                "v"
            } else {
                "u"
            }
        }
        'ז' => "z",
        'ח' => "h",
        'ט' | 'ת' => "t",
        'י' => {
            if first {
                "y"
            } else {
                "i"
            }
        }
        'כ' | 'ך' | 'ק' => "k",
        'ל' => "l",
        'מ' | 'ם' => "m",
        'נ' | 'ן' => "n",
        'ס' => "s",
        'פ' | 'ף' => "p",
        'צ' | 'ץ' => "ts",
        'ר' => "r",
        'ש' => "sh",
        _ => return push_ascii(c, out),
    };
    out.push_str(text);
}
