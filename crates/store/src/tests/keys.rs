//! Sealed values open only where they were sealed; keys rotate under load.

use super::{Bench, create_session, on_both_engines};
use crate::{Error, Key, RootKey, SeededRandom, Store};
use proptest::prelude::*;

on_both_engines!(
    a_value_moved_to_another_row_does_not_open,
    rotating_all_keys_under_load_loses_nothing_and_makes_the_old_root_useless,
    a_rotation_that_crashed_before_the_key_file_was_replaced_is_settled_at_the_next_start,
);

#[test]
fn hmac_and_gcm_give_the_published_vectors() {
    // RFC 4231, test case 2.
    let mac = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"Jefe"),
        b"what do ya want for nothing?",
    );
    assert_eq!(hex::encode(mac.as_ref()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    // NIST GCM specification (McGrew, Viega), test case 14: AES-256, zero key, nonce and block.
    let key = aws_lc_rs::aead::LessSafeKey::new(
        aws_lc_rs::aead::UnboundKey::new(&aws_lc_rs::aead::AES_256_GCM, &[0; 32]).expect("key"),
    );
    let mut block = vec![0; 16];
    key.seal_in_place_append_tag(
        aws_lc_rs::aead::Nonce::assume_unique_for_key([0; 12]),
        aws_lc_rs::aead::Aad::empty(),
        &mut block,
    )
    .expect("sealed");
    assert_eq!(hex::encode(block), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

#[test]
fn a_sealed_value_has_the_documented_form_and_opens_with_the_documented_steps() {
    // Opens a value by the words of the module's documentation, without its code.
    let key = Key::from_hex(&"11".repeat(32)).expect("key");
    let subject = crate::keys::tests_support::subject_key(&key);
    let sealed = subject.seal(&SeededRandom::new(3), "object", "column", b"plain").expect("sealed");
    assert_eq!(sealed.len(), 5 + crate::keys::SEAL_OVERHEAD);
    assert_eq!(&sealed[..5], &[1, 0, 0, 0, 1]);
    let message = [&b"bonafide object key 1"[..], &sealed[5..17]].concat();
    let object_key = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[0x11; 32]),
        &message,
    );
    let mut aad = sealed[..29].to_vec();
    for part in [&[0u8; 16][..], &[0u8; 16][..], b"object", b"column"] {
        aad.extend_from_slice(&u32::try_from(part.len()).expect("short").to_be_bytes());
        aad.extend_from_slice(part);
    }
    let cipher = aws_lc_rs::aead::LessSafeKey::new(
        aws_lc_rs::aead::UnboundKey::new(&aws_lc_rs::aead::AES_256_GCM, object_key.as_ref()).expect("key"),
    );
    let nonce = aws_lc_rs::aead::Nonce::try_assume_unique_for_key(&sealed[17..29]).expect("nonce");
    let mut body = sealed[29..].to_vec();
    let plain = cipher.open_in_place(nonce, aws_lc_rs::aead::Aad::from(aad), &mut body).expect("opens");
    assert_eq!(plain, b"plain");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_sealed_opens_and_any_changed_byte_does_not(plain in proptest::collection::vec(any::<u8>(), 0..200), seed: u64) {
        let key = crate::keys::tests_support::subject_key(&Key::generate(&SeededRandom::new(seed)));
        let sealed = key.seal(&SeededRandom::new(!seed), "o", "c", &plain).expect("sealed");
        prop_assert_eq!(&key.open("o", "c", &sealed).expect("opens"), &plain);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1 << (index % 8);
            prop_assert!(matches!(key.open("o", "c", &changed), Err(Error::Seal)), "byte {}", index);
        }
        for length in 0..sealed.len() {
            prop_assert!(key.open("o", "c", &sealed[..length]).is_err());
        }
        prop_assert!(key.open("o", "d", &sealed).is_err());
        prop_assert!(key.open("p", "c", &sealed).is_err());
        // Parts keep their borders.
        prop_assert!(key.open("oc", "", &sealed).is_err());
    }

    #[test]
    fn opening_arbitrary_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let key = crate::keys::tests_support::subject_key(&Key::generate(&SeededRandom::new(1)));
        prop_assert!(key.open("o", "c", &bytes).is_err());
    }
}

#[test]
fn a_million_sealings_of_one_value_never_share_salt_and_nonce() {
    use crate::Random;
    // The header's 24 random bytes are what sealing draws; drawing them alone is what makes a million quick.
    let random = crate::SystemRandom;
    let mut seen = std::collections::HashSet::with_capacity(1_000_000);
    for _ in 0..1_000_000 {
        let mut once = [0u8; 24];
        random.fill(&mut once);
        assert!(seen.insert(once));
    }
}

async fn a_value_moved_to_another_row_does_not_open(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let (first, second) = bench
        .store
        .write(move |tx| {
            Ok::<_, Error>((create_session(tx, &application)?.id, create_session(tx, &application)?.id))
        })
        .await
        .expect("created");
    bench
        .store
        .write(move |tx| {
            let swap = "UPDATE sessions SET sealed_details = (SELECT sealed_details FROM sessions WHERE id = $2), \
                        subject_id = (SELECT subject_id FROM sessions WHERE id = $2) WHERE id = $1";
            tx.execute(swap, params![first, second])
        })
        .await
        .expect("swapped, with the key");
    let moved = bench.store.read(move |tx| tx.sessions(id).find(first)).await;
    assert!(matches!(moved, Err(Error::Seal)), "{moved:?}");
    bench
        .store
        .write(move |tx| {
            tx.execute("UPDATE sessions SET sealed_details = sealed_state WHERE id = $1", params![second])
        })
        .await
        .expect("swapped columns");
    let moved = bench.store.read(move |tx| tx.sessions(id).find(second)).await;
    assert!(matches!(moved, Err(Error::Seal)), "{moved:?}");
}

async fn rotating_all_keys_under_load_loses_nothing_and_makes_the_old_root_useless(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let store = bench.store.clone();
    let load = tokio::spawn({
        let (store, application) = (store.clone(), application.clone());
        async move {
            let mut made = Vec::new();
            for _ in 0..150 {
                let application = application.clone();
                let session = store
                    .write(move |tx| create_session(tx, &application))
                    .await
                    .expect("create under rotation");
                let session = session.id;
                store
                    .read(move |tx| tx.sessions(id).find(session))
                    .await
                    .expect("read under rotation")
                    .expect("there");
                made.push(session);
            }
            made
        }
    });
    let old = crate::keys::read_key_file(&bench.config.data_dir.join("root.key")).expect("old key");
    for seed in 0..3 {
        store.rotate_application_key(id).await.expect("application key");
        store.rotate_root(Key::generate(&SeededRandom::new(seed))).await.expect("root key");
    }
    let made = load.await.expect("load");
    store.rotate_application_key(id).await.expect("application key");
    store.close().await;

    let mut with_old = bench.config.clone();
    with_old.root_key = RootKey::Given(old);
    assert!(matches!(Store::open(with_old).await, Err(Error::RootKey(_))), "the old root is useless");

    let again = Store::open(bench.config.clone()).await.expect("opens with the new root");
    for session in made {
        again.read(move |tx| tx.sessions(id).find(session)).await.expect("opens").expect("there");
    }
    let old_versions: i64 = again
        .read(|tx| {
            tx.query_one("SELECT COUNT(*) FROM subject_keys WHERE application_key_version < 5", &[], |row| {
                row.get(0)
            })
        })
        .await
        .expect("count");
    assert_eq!(old_versions, 0, "all subjects hang on the newest key");
    again.close().await;
}

async fn a_rotation_that_crashed_before_the_key_file_was_replaced_is_settled_at_the_next_start(bench: Bench) {
    let application = bench.application().await;
    let folder = &bench.config.data_dir;
    let old = fs_err::read_to_string(folder.join("root.key")).expect("old");
    bench.store.rotate_root(Key::generate(&SeededRandom::new(9))).await.expect("rotated");
    bench.store.close().await;
    // As it is after a crash: the database has the new root, the file is still beside its place.
    fs_err::rename(folder.join("root.key"), folder.join("root.key.new")).expect("renamed");
    let old_key = Key::from_hex(&old).expect("key");
    crate::keys::write_key_file(&folder.join("root.key"), &old_key).expect("old file");
    let again = Store::open(bench.config.clone()).await.expect("settles");
    assert!(!folder.join("root.key.new").exists());
    assert_eq!(again.read(|tx| tx.applications()).await.expect("read"), vec![application]);
    again.close().await;
    // And as it is when the crash came before the database was changed.
    crate::keys::write_key_file(&folder.join("root.key.new"), &old_key).expect("unused key");
    let again = Store::open(bench.config.clone()).await.expect("drops the unused key");
    assert!(!folder.join("root.key.new").exists());
    again.close().await;
}
