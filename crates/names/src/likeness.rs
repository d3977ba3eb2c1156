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

/// True for a token of this role and these groups that opens a name that goes on: *Abd*, *Abu*.
#[must_use]
pub fn opens(role: Role, groups: &[u32]) -> bool {
    role == Role::Part && groups.last().is_some_and(|&g| crate::lexicon::tells(g))
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
        return if initial
            && one_each
            && !a.omits_vowels
            && !b.omits_vowels
            && a.role != Role::Particle
            && b.role != Role::Particle
        {
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
    let cost = edit_cost(x, y, 1.1, &PLAIN);
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
    if shorter < 3 {
        return None;
    }
    let cost = edit_cost(a.as_bytes(), b.as_bytes(), 1.01, &READING);
    if cost <= OTHER_READING || one_letter_as_two(a, b) {
        return Some(Agreement { likeness: Likeness::Consonants, similarity: 0.8 });
    }
    (cost <= 1.0 && shorter >= 4).then_some(Agreement {
        likeness: Likeness::Consonants,
        similarity: if shorter >= 5 { 0.6 } else { 0.5 },
    })
}

/// Two letters that romanised look like one: *Ishaq* has *s* and *h*, *Mazhari* *z* and *h*.
fn one_letter_as_two(a: &str, b: &str) -> bool {
    let (one, two) = if a.len() < b.len() { (a, b) } else { (b, a) };
    one.len() + 1 == two.len()
        && TWO_LETTERS.iter().any(|&(pair, letter)| {
            two.match_indices(pair).any(|(at, _)| {
                one.get(..at) == two.get(..at)
                    && one.get(at..).and_then(|r| r.strip_prefix(letter)) == two.get(at + 2..)
            })
        })
}

/// Two consonants of a skeleton and the one that they look like when romanised.
const TWO_LETTERS: [(&str, char); 2] = [("sh", 'x'), ("dh", 'j')];

/// The skeletons that a listed spelling of the same word may have, besides its own.
#[must_use]
pub fn readings(skeleton: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (pair, letter) in TWO_LETTERS {
        out.extend(skeleton.match_indices(pair).map(|(at, _)| {
            format!("{}{letter}{}", &skeleton[..at], skeleton.get(at + 2..).unwrap_or_default())
        }));
    }
    for (at, c) in skeleton.char_indices() {
        let other = match c {
            't' => 's',
            'j' => 'k',
            _ => continue,
        };
        out.push(format!("{}{other}{}", &skeleton[..at], skeleton.get(at + 1..).unwrap_or_default()));
    }
    out
}

/// Cost of a consonant that another tongue reads otherwise.
const OTHER_READING: f32 = 0.3;

/// Spellings less similar are not taken for the same name.
const LEAST: f32 = 0.5;
/// What any difference costs besides its letters.
const SURPLUS: f32 = 0.25;

fn spelling(a: TokenView<'_>, b: TokenView<'_>) -> Option<Agreement> {
    let (x, y) = (a.latin.as_bytes(), b.latin.as_bytes());
    let (short, long) = (x.len().min(y.len()), x.len().max(y.len()));
    if (a.syllabic || b.syllabic) && short < 7 {
        return None;
    }
    if short < 2 || long < 3 || long > short * 2 || long - short > 4 {
        return None;
    }
    let length = (short + long) as f32 * 0.5;
    let same_consonants = a.skeleton == b.skeleton && a.skeleton.len() >= 3;
    // Two names that are both well known are seldom one name misspelt; slips and spellings seldom touch how a name
    // begins, other names do.
    let known = if !a.groups.is_empty() && !b.groups.is_empty() { 0.08 } else { 0.0 };
    let begins = if a.sound.as_bytes().first() == b.sound.as_bytes().first() { 0.0 } else { 0.12 };
    let mut budget = length * 0.56;
    if !same_consonants {
        // What costs more leaves less than the least similarity.
        budget = budget.min((1.0 - LEAST - known - begins) * length - SURPLUS + 1.0 / TWENTIETHS);
    }
    let cost = edit_cost(x, y, budget, &SPELLING);
    // The sound forms are worth a second look only where they differ from the letters and these are not near.
    let cost = if cost > 0.6 && (a.sound != a.latin || b.sound != b.latin) {
        // A change weighs more where the sound is shorter than the letters.
        let stretch = (short + long) as f32 / (a.sound.len() + b.sound.len()).max(1) as f32;
        let budget = budget.min(cost) / stretch.max(1.0);
        cost.min(edit_cost(a.sound.as_bytes(), b.sound.as_bytes(), budget, &SPELLING) * stretch + 0.1)
    } else {
        cost
    };
    if cost >= budget {
        return None;
    }
    // One letter means more in a short token.
    let mut similarity = 1.0 - (cost + SURPLUS) / length;
    if same_consonants {
        similarity = similarity.max(0.65);
    }
    similarity -= known + begins;
    (similarity >= LEAST).then_some(Agreement { likeness: Likeness::Spelling, similarity })
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
///
/// Costs are whole twentieths inside, looked up and not computed: this is the innermost loop of screening.
fn edit_cost(a: &[u8], b: &[u8], budget: f32, costs: &Costs) -> f32 {
    let (a, b) = (&a[..a.len().min(MAX_EDIT)], &b[..b.len().min(MAX_EDIT)]);
    let budget = (budget * TWENTIETHS) as u16;
    let (mut x, mut y) = ([0u8; MAX_EDIT], [0u8; MAX_EDIT]);
    for (class, &c) in x.iter_mut().zip(a) {
        *class = letter_class(c);
    }
    for (class, &c) in y.iter_mut().zip(b) {
        *class = letter_class(c);
    }
    let (x, y) = (&x[..a.len()], &y[..b.len()]);
    let mut insert = [0u16; MAX_EDIT];
    let mut before = [0u16; MAX_EDIT + 1];
    let mut last = [0u16; MAX_EDIT + 1];
    let mut this = [0u16; MAX_EDIT + 1];
    let mut previous = u8::MAX;
    for (j, &c) in y.iter().enumerate() {
        insert[j] = costs.gap(c, previous);
        last[j + 1] = last[j] + insert[j];
        previous = c;
    }
    previous = u8::MAX;
    for &c in x {
        let remove = costs.gap(c, previous);
        let change = costs.changes(c);
        this[0] = last[0] + remove;
        let mut least = this[0];
        for (j, &d) in y.iter().enumerate() {
            let mut cost = (last[j] + u16::from(change[usize::from(d) % CLASSES]))
                .min(last[j + 1] + remove)
                .min(this[j] + insert[j]);
            if j > 0 && d == previous && y[j - 1] == c && c != d {
                cost = cost.min(before[j - 1] + SWAP);
            }
            this[j + 1] = cost;
            least = least.min(cost);
        }
        if least > budget {
            return f32::MAX;
        }
        previous = c;
        before = last;
        last = this;
    }
    f32::from(last[y.len()]) / TWENTIETHS
}

const TWENTIETHS: f32 = 20.0;
/// Two neighbours in the other order.
const SWAP: u16 = 16;
/// Letters, digits, the three sounds of `sound` that have capital letters, and everything else.
const CLASSES: usize = 64;

/// Position of a byte in the tables of costs: a letter's capital is a sound of its own.
const fn letter_class(c: u8) -> u8 {
    match c {
        b'a'..=b'z' => c - b'a',
        b'0'..=b'9' => 26 + (c - b'0'),
        b'C' => 36,
        b'S' => 37,
        b'J' => 38,
        _ => 63,
    }
}

/// What changing and leaving out letters costs, in twentieths.
struct Costs {
    change: [[u8; CLASSES]; CLASSES],
    gap: [u8; CLASSES],
    doubled: u8,
}

impl Costs {
    fn changes(&self, c: u8) -> &[u8; CLASSES] {
        &self.change[usize::from(c) % CLASSES]
    }

    /// Cost of leaving out a letter after the letter before it.
    fn gap(&self, c: u8, previous: u8) -> u16 {
        u16::from(if c == previous { self.doubled } else { self.gap[usize::from(c) % CLASSES] })
    }

    /// Every change and gap costs 1.
    const fn plain() -> Self {
        let mut change = [[20u8; CLASSES]; CLASSES];
        let mut i = 0;
        while i < CLASSES {
            change[i][i] = 0;
            i += 1;
        }
        Self { change, gap: [20; CLASSES], doubled: 20 }
    }

    const fn with(mut self, pairs: &[(&[u8; 2], u8)]) -> Self {
        let mut i = 0;
        while i < pairs.len() {
            let (pair, cost) = pairs[i];
            let (a, b) = (letter_class(pair[0]) as usize, letter_class(pair[1]) as usize);
            self.change[a][b] = cost;
            self.change[b][a] = cost;
            i += 1;
        }
        self
    }

    /// How names are misread, misheard and mistyped.
    const fn of_spelling() -> Self {
        let mut this = Self::plain();
        let vowels = b"aeiouy";
        let mut i = 0;
        while i < vowels.len() {
            let mut j = 0;
            while j < vowels.len() {
                if i != j {
                    this.change[letter_class(vowels[i]) as usize][letter_class(vowels[j]) as usize] = 10;
                }
                j += 1;
            }
            this.gap[letter_class(vowels[i]) as usize] = 12;
            i += 1;
        }
        this.gap[letter_class(b'h') as usize] = 8;
        let mut digit = 26;
        while digit < 36 {
            this.gap[digit] = 30;
            let mut other = 0;
            while other < CLASSES {
                if other != digit {
                    this.change[digit][other] = 30;
                    this.change[other][digit] = 30;
                }
                other += 1;
            }
            digit += 1;
        }
        this.doubled = 5;
        this.with(&[
            (b"iy", 6),
            (b"ei", 6),
            (b"ou", 6),
            (b"ck", 8),
            (b"kq", 8),
            (b"cq", 8),
            (b"vw", 8),
            (b"sz", 8),
            (b"jy", 8),
            (b"CS", 8),
            (b"JS", 8),
            (b"gj", 12),
            (b"fv", 12),
            (b"gk", 12),
            (b"bp", 12),
            (b"dt", 12),
            (b"bv", 12),
            (b"gh", 12),
            (b"dz", 12),
            (b"hk", 12),
            (b"cs", 12),
            (b"hj", 12),
            (b"CJ", 12),
            (b"Jy", 12),
            (b"Ss", 12),
            (b"uv", 12),
            (b"uw", 12),
            (b"ij", 12),
            (b"0o", 8),
            (b"1i", 8),
            (b"1l", 8),
            (b"5s", 8),
        ])
    }
}

static SPELLING: Costs = Costs::of_spelling();
static PLAIN: Costs = Costs::plain();
/// One Arabic letter read by two tongues: *th* is *s* from Turkey to India, *j* is *g* in Egypt.
static READING: Costs = Costs::plain().with(&[(b"st", 6), (b"jk", 6)]);

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
