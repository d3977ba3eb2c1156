//! Compares two tokens and says in what way, and how nearly, they are the same name part.

use crate::analyse::{Role, Token};

/// A token as comparison sees it; an index gives it without copying.
#[derive(Clone, Copy, Debug)]
pub struct TokenView<'a> {
    /// Romanised form.
    pub latin: &'a str,
    /// Sound form.
    pub sound: &'a str,
    /// Consonant skeleton.
    pub skeleton: &'a str,
    /// Groups, sorted.
    pub groups: &'a [u32],
    /// Role in the name.
    pub role: Role,
    /// Script writes no vowels.
    pub omits_vowels: bool,
    /// Romanised from syllables or characters.
    pub syllabic: bool,
}

impl Token {
    /// This token for comparison.
    #[must_use]
    pub fn view(&self) -> TokenView<'_> {
        TokenView {
            latin: &self.latin,
            sound: &self.sound,
            skeleton: &self.skeleton,
            groups: &self.groups,
            role: self.role,
            omits_vowels: self.omits_vowels,
            syllabic: self.syllabic,
        }
    }
}

/// How two tokens agree, from the surest to the weakest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Likeness {
    /// The same letters.
    Exact = 0,
    /// The dictionary holds them to be one name in two writings.
    Group = 1,
    /// They differ only in how the same sound is written.
    Sound = 2,
    /// The consonants agree; at least one side writes no vowels.
    Consonants = 3,
    /// They differ by few letters.
    Spelling = 4,
    /// One is the first letter of the other.
    Initial = 5,
}

/// The result of comparing two tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// In what way.
    pub likeness: Likeness,
    /// How nearly, 0..1; 1 for exact.
    pub similarity: f32,
}

/// Longest token the edit distance looks at.
const MAX_EDIT: usize = 32;

/// Compares two tokens; `None` when they are not the same part by any measure.
#[must_use]
pub fn compare(a: TokenView<'_>, b: TokenView<'_>) -> Option<Agreement> {
    let found = |likeness, similarity| Some(Agreement { likeness, similarity });
    if a.role == Role::Form || b.role == Role::Form {
        return legal_forms(a, b);
    }
    if a.latin == b.latin {
        return found(Likeness::Exact, 1.0);
    }
    if a.role == Role::Number || b.role == Role::Number {
        return if share_group(a.groups, b.groups) { found(Likeness::Group, 1.0) } else { None };
    }
    if a.role == Role::Initial || b.role == Role::Initial {
        let initial = a.latin.as_bytes().first() == b.latin.as_bytes().first();
        let one_each = (a.latin.len() == 1) != (b.latin.len() == 1);
        return if initial && one_each && a.role != Role::Particle && b.role != Role::Particle {
            found(Likeness::Initial, 0.5)
        } else {
            None
        };
    }
    if share_group(a.groups, b.groups) {
        return found(Likeness::Group, 1.0);
    }
    if a.role == Role::Particle || b.role == Role::Particle {
        // Short joining words are near each other by accident.
        return None;
    }
    if a.sound == b.sound && a.latin.len().min(b.latin.len()) > 2 {
        return found(Likeness::Sound, 0.95);
    }
    if a.omits_vowels || b.omits_vowels {
        return consonants(a.skeleton, b.skeleton);
    }
    spelling(a, b)
}

/// The same legal form in any spelling, or a word that is a slip of the pen away from it.
fn legal_forms(a: TokenView<'_>, b: TokenView<'_>) -> Option<Agreement> {
    if a.role == b.role {
        return share_group(a.groups, b.groups)
            .then_some(Agreement { likeness: Likeness::Exact, similarity: 1.0 });
    }
    let (form, word) = if a.role == Role::Form { (a, b) } else { (b, a) };
    if !matches!(word.role, Role::Part | Role::Initial | Role::Particle) {
        return None;
    }
    let (x, y) = (form.sound.as_bytes(), word.latin.as_bytes());
    let cost = edit_cost(x, y, 1.1, |_, _| 1.0, |_, _| 1.0);
    let similarity = 1.0 - cost / x.len().max(y.len()).max(1) as f32;
    (cost <= 1.0 && similarity >= 0.5).then_some(Agreement { likeness: Likeness::Spelling, similarity })
}

fn consonants(a: &str, b: &str) -> Option<Agreement> {
    let shorter = a.len().min(b.len());
    if a == b && shorter >= 2 {
        return Some(Agreement {
            likeness: Likeness::Consonants,
            similarity: if shorter >= 3 { 0.9 } else { 0.7 },
        });
    }
    if shorter < 4 {
        return None;
    }
    let cost = edit_cost(a.as_bytes(), b.as_bytes(), 1.01, |_, _| 1.0, |_, _| 1.0);
    (cost <= 1.0).then_some(Agreement {
        likeness: Likeness::Consonants,
        similarity: if shorter >= 5 { 0.6 } else { 0.5 },
    })
}

fn spelling(a: TokenView<'_>, b: TokenView<'_>) -> Option<Agreement> {
    let (x, y) = (a.latin.as_bytes(), b.latin.as_bytes());
    let (short, long) = (x.len().min(y.len()), x.len().max(y.len()));
    if (a.syllabic || b.syllabic) && short < 5 {
        return None;
    }
    if short < 2 || long < 3 || long > short * 2 || long - short > 4 {
        return None;
    }
    let budget = (short + long) as f32 * 0.5 * 0.56;
    let cost = edit_cost(x, y, budget, substitution, gap);
    // The sound forms are worth a second look only where they differ from the letters and these are not near.
    let cost = if cost > 0.6 && (a.sound != a.latin || b.sound != b.latin) {
        cost.min(edit_cost(a.sound.as_bytes(), b.sound.as_bytes(), budget.min(cost), substitution, gap) + 0.1)
    } else {
        cost
    };
    if cost >= budget {
        return None;
    }
    // One letter means more in a short token, and two names that are both well known are seldom
    // one name misspelt.
    let mut similarity = 1.0 - (cost + 0.25) / ((short + long) as f32 * 0.5);
    if a.skeleton == b.skeleton && a.skeleton.len() >= 3 {
        similarity = similarity.max(0.8);
    }
    if !a.groups.is_empty() && !b.groups.is_empty() {
        similarity -= 0.08;
    }
    (similarity >= 0.45).then_some(Agreement { likeness: Likeness::Spelling, similarity })
}

fn share_group(a: &[u32], b: &[u32]) -> bool {
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        match x.cmp(y) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
        }
    }
    false
}

/// Damerau-Levenshtein (neighbours swapped count once) with letter-dependent costs; stops above `budget`.
fn edit_cost(
    a: &[u8],
    b: &[u8],
    budget: f32,
    change: impl Fn(u8, u8) -> f32,
    drop: impl Fn(u8, u8) -> f32,
) -> f32 {
    let (a, b) = (&a[..a.len().min(MAX_EDIT)], &b[..b.len().min(MAX_EDIT)]);
    let mut before = [0f32; MAX_EDIT + 1];
    let mut last = [0f32; MAX_EDIT + 1];
    let mut this = [0f32; MAX_EDIT + 1];
    for j in 0..b.len() {
        last[j + 1] = last[j] + drop(b[j], if j > 0 { b[j - 1] } else { 0 });
    }
    for i in 0..a.len() {
        let remove = drop(a[i], if i > 0 { a[i - 1] } else { 0 });
        this[0] = last[0] + remove;
        let mut least = this[0];
        for j in 0..b.len() {
            let insert = drop(b[j], if j > 0 { b[j - 1] } else { 0 });
            let same = if a[i] == b[j] { 0.0 } else { change(a[i], b[j]) };
            let mut cost = (last[j] + same).min(last[j + 1] + remove).min(this[j] + insert);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] && a[i] != b[j] {
                cost = cost.min(before[j - 1] + 0.8);
            }
            this[j + 1] = cost;
            least = least.min(cost);
        }
        if least > budget {
            return f32::MAX;
        }
        before = last;
        last = this;
    }
    last[b.len()]
}

fn vowel(c: u8) -> bool {
    matches!(c, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

/// What it costs to take one letter for another.
fn substitution(a: u8, b: u8) -> f32 {
    let (a, b) = if a < b { (a, b) } else { (b, a) };
    if vowel(a) && vowel(b) {
        return match (a, b) {
            (b'i', b'y') | (b'e', b'i') | (b'o', b'u') => 0.3,
            _ => 0.5,
        };
    }
    match (a, b) {
        (b'c', b'k')
        | (b'k', b'q')
        | (b'c', b'q')
        | (b'v', b'w')
        | (b's', b'z')
        | (b'j', b'y')
        | (b'C', b'S')
        | (b'J', b'S') => 0.4,
        (b'g', b'j')
        | (b'f', b'v')
        | (b'g', b'k')
        | (b'b', b'p')
        | (b'd', b't')
        | (b'b', b'v')
        | (b'g', b'h')
        | (b'd', b'z') => 0.6,
        (b'h', b'k')
        | (b'c', b's')
        | (b'h', b'j')
        | (b'C', b'J')
        | (b'J', b'y')
        | (b'S', b's')
        | (b'u', b'v' | b'w')
        | (b'i', b'j') => 0.6,
        (b'0', b'o') | (b'1', b'i' | b'l') | (b'5', b's') => 0.4,
        (b'0'..=b'9', _) => 1.5,
        _ => 1.0,
    }
}

/// What it costs to leave one letter out, after the letter before it.
fn gap(c: u8, before: u8) -> f32 {
    if c == before {
        return 0.25;
    }
    match c {
        b'h' => 0.4,
        b'a' | b'e' | b'i' | b'o' | b'u' | b'y' => 0.6,
        b'0'..=b'9' => 1.5,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::{Kind, analyse};

    fn like(a: &str, b: &str) -> Option<Likeness> {
        let (a, b) = (analyse(a, Kind::Person), analyse(b, Kind::Person));
        compare(a.tokens[0].view(), b.tokens[0].view()).map(|x| x.likeness)
    }

    #[test]
    fn the_same_part_is_found_across_scripts() {
        assert_eq!(like("Muhammad", "محمد"), Some(Likeness::Group));
        assert_eq!(like("Сергей", "Sergey"), Some(Likeness::Exact));
        assert_eq!(like("التكريتي", "x"), None);
    }

    #[test]
    fn a_slip_of_the_pen_is_a_spelling() {
        assert_eq!(like("Gaddafi", "Gadaffi"), Some(Likeness::Sound));
        assert_eq!(like("Kuznetsov", "Kuznestov"), Some(Likeness::Spelling));
        assert_eq!(like("Smith", "Jones"), None);
    }
}
