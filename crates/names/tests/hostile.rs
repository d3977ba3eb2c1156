//! Names that somebody wrote to break us.

use names::{Kind, MAX_TOKENS, analyse, compare};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_bounded_tokens_that_are_never_empty(text in "\\PC{0,300}|(?s).{0,300}") {
        for kind in [Kind::Person, Kind::Organisation, Kind::Thing, Kind::Unknown] {
            let name = analyse(&text, kind);
            prop_assert!(name.tokens.len() <= MAX_TOKENS);
            for token in &name.tokens {
                prop_assert!(!token.latin.is_empty() && token.latin.is_ascii());
                prop_assert!(!token.skeleton.is_empty() && token.skeleton.is_ascii());
                prop_assert!(!token.sound.is_empty() && token.sound.is_ascii());
            }
        }
    }

    #[test]
    fn comparing_is_symmetric_in_whether_there_is_agreement(a in "[a-zа-я]{1,12}", b in "[a-zа-я]{1,12}") {
        let (a, b) = (analyse(&a, Kind::Person), analyse(&b, Kind::Person));
        if let (Some(x), Some(y)) = (a.tokens.first(), b.tokens.first()) {
            prop_assert_eq!(compare(x.view(), y.view()).is_some(), compare(y.view(), x.view()).is_some());
        }
    }
}

#[test]
fn a_name_without_letters_has_no_tokens() {
    for text in ["", "   ", "-.,'", "\u{200b}\u{202e}", "\u{0301}\u{0301}", "???"] {
        assert!(analyse(text, Kind::Person).tokens.is_empty(), "{text:?}");
    }
}

#[test]
fn the_only_distinguishing_token_is_kept() {
    let name = analyse("11420 CORP.", Kind::Organisation);
    assert!(name.tokens.iter().any(|t| t.latin == "11420"));
    assert!(!analyse("Ltd", Kind::Organisation).tokens.is_empty());
    assert!(!analyse("al", Kind::Person).tokens.is_empty());
}
