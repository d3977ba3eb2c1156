//! ICAO worked examples and recorded exchanges with real chips, reproduced byte for byte.

mod common;

use common::data;
use emrtd::agreement::Domain;
use emrtd::apdu::{Command, Response};
use emrtd::bac::{Bac, Password};
use emrtd::chip_auth::ChipAuthentication;
use emrtd::cipher::{Suite, pad};
use emrtd::lds::security_infos::SecurityInfos;
use emrtd::messaging::SecureMessaging;
use emrtd::pace::{Pace, Protocol};
use serde_json::Value;

fn h(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hex")
}

/// One recorded example.
struct Example(Value);

impl Example {
    fn hex(&self, at: usize) -> Vec<u8> {
        h(self.0["hex_constants"][at]["hex"].as_str().expect("is there"))
    }

    fn exchange(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = self.0["apdus"].as_array().expect("a list");
        let bytes = |v: &Value| h(v.as_str().expect("a string"));
        pairs.iter().map(|pair| (bytes(&pair["req"]), bytes(&pair["rsp"]))).collect()
    }

    fn password(&self) -> Password {
        let digest = self.0["password_K_sha1_mrz_information"].as_str().expect("is there");
        Password::Mrz(h(digest).try_into().expect("20 bytes"))
    }
}

fn example(name: &str) -> Option<Example> {
    let path = data("apdu/gmrtd_worked_examples.json")?;
    let all: Value = serde_json::from_slice(&std::fs::read(path).expect("is there")).expect("is JSON");
    Some(Example(all[name].clone()))
}

/// Hands out the recorded random numbers one after the other.
fn replay(numbers: Vec<Vec<u8>>) -> impl FnMut(&mut [u8]) {
    let mut numbers = numbers.into_iter();
    move |bytes: &mut [u8]| bytes.copy_from_slice(&numbers.next().expect("was recorded"))
}

fn answer(bytes: &[u8]) -> Vec<u8> {
    Response::parse(bytes).expect("an answer").success().expect("a success").to_vec()
}

#[test]
fn basic_access_control_of_9303_part_11_appendix_d() {
    let Some(example) = example("bac/bac_test.go:TestDoBAC") else { return };
    let Password::Mrz(digest) = Password::from_mrz("L898902C", "690806", "940623") else { unreachable!() };
    let exchange = example.exchange();
    assert_eq!(Bac::get_challenge().encode(), exchange[0].0);
    let mut random = replay(vec![example.hex(0), example.hex(1)]);
    let (bac, command) =
        Bac::authenticate(&digest, &answer(&exchange[0].1), &mut random).expect("a challenge");
    assert_eq!(command.encode(), exchange[1].0);
    let session = bac.finish(&answer(&exchange[1].1)).expect("opens");
    let (enc, mac, counter) = session.state();
    assert_eq!((enc, mac, counter), (&example.hex(2)[..], &example.hex(3)[..], &example.hex(4)[..]));
}

fn pace(
    example: &Example,
    password: Password,
    randoms: [usize; 2],
    card_access: usize,
) -> (SecureMessaging, Option<emrtd::pace::ChipEvidence>) {
    let infos = SecurityInfos::parse(&example.hex(card_access)).expect("parses");
    let protocol = Protocol::choose(&infos).expect("is supported");
    let exchange = example.exchange();
    let mut random = replay(randoms.iter().map(|at| example.hex(*at)).collect());
    let (mut pace, commands) = Pace::start(protocol, password);
    assert_eq!(hex::encode(commands[0].encode()), hex::encode(&exchange[0].0));
    assert_eq!(hex::encode(commands[1].encode()), hex::encode(&exchange[1].0));
    let command = pace.on_nonce(&answer(&exchange[1].1), &mut random).expect("a nonce");
    assert_eq!(hex::encode(command.encode()), hex::encode(&exchange[2].0));
    let command = pace.on_mapping(&answer(&exchange[2].1), &mut random).expect("maps");
    assert_eq!(hex::encode(command.encode()), hex::encode(&exchange[3].0));
    let command = pace.on_key(&answer(&exchange[3].1)).expect("agrees");
    assert_eq!(hex::encode(command.encode()), hex::encode(&exchange[4].0));
    pace.finish(&answer(&exchange[4].1)).expect("opens")
}

#[test]
fn pace_with_generic_mapping_of_9303_part_11_appendix_g() {
    let Some(example) = example("pace/pace_test.go:TestDoPace_GM_ECDH") else { return };
    let (session, evidence) = pace(&example, Password::from_mrz("T22000129", "640812", "101031"), [0, 3], 4);
    assert!(evidence.is_none());
    let (enc, mac, counter) = session.state();
    assert_eq!((enc, mac, counter), (&example.hex(5)[..], &example.hex(6)[..], &[0; 16][..]));
}

#[test]
fn pace_with_3des_of_a_new_zealand_passport() {
    let Some(example) = example("pace/pace_test.go:TestDoPace_GM_ECDH_TDES_CBC_NZ") else { return };
    let (session, _) = pace(&example, example.password(), [0, 3], 4);
    let (enc, mac, counter) = session.state();
    assert_eq!((enc, mac, counter), (&example.hex(5)[..], &example.hex(6)[..], &[0; 8][..]));
}

#[test]
fn pace_with_chip_authentication_mapping_of_a_german_passport() {
    let Some(example) = example("pace/pace_test.go:TestDoPace_CAM_ECDH_DE") else { return };
    let (mut session, evidence) = pace(&example, example.password(), [0, 3], 4);
    // EF.CardSecurity is read under the new session: the head for its length, then blocks
    let exchange = &example.exchange()[5..];
    let mut file = Vec::new();
    let wrapped = session.wrap(&Command::select_file(0x011D));
    assert_eq!(wrapped, exchange[0].0);
    assert_eq!(session.unwrap(&exchange[0].1).expect("opens").status, 0x9000);
    for (command, response) in &exchange[1..] {
        let left = 0x746 - file.len();
        let length = if file.is_empty() {
            4
        } else if left > 0xDF {
            256
        } else {
            left
        };
        assert_eq!(
            hex::encode(session.wrap(&Command::read_binary(file.len(), length))),
            hex::encode(command)
        );
        file.extend(session.unwrap(response).expect("opens").data);
    }
    let (enc, mac, counter) = session.state();
    assert_eq!((enc, mac, counter), (&example.hex(7)[..], &example.hex(8)[..], &example.hex(9)[..]));
    // what was read is a signed object with the key that the chip just proved
    let signed = emrtd::cms::SignedData::parse(&file).expect("parses");
    signed.verify(&[]).expect("verifies");
    let infos = SecurityInfos::parse(&signed.content).expect("parses");
    let evidence = evidence.expect("chip authentication mapping");
    let proven = infos
        .public_keys()
        .filter_map(|(key, _)| Domain::of_key(key))
        .filter(|(_, key)| evidence.proves(key))
        .count();
    assert_eq!(proven, 1);
}

fn chip_authentication(name: &str, suite_before: Suite) {
    let Some(example) = example(name) else { return };
    let infos = SecurityInfos::parse(&example.hex(0)).expect("parses");
    let offer = infos.chip_authentications().into_iter().next().expect("offers");
    let mut session =
        SecureMessaging::new(suite_before, example.hex(1), example.hex(2), example.hex(3)).expect("fits");
    let mut random = replay(vec![example.hex(4)]);
    let (exchange_keys, commands) =
        ChipAuthentication::start(&offer, offer.inferred, &mut random).expect("is supported");
    let exchange = example.exchange();
    for (command, (sent, received)) in commands.iter().zip(&exchange) {
        assert_eq!(hex::encode(session.wrap(command)), hex::encode(sent), "{name}");
        assert_eq!(session.unwrap(received).expect("opens").status, 0x9000);
    }
    let mut session = exchange_keys.finish().expect("agrees");
    let (sent, received) = exchange.last().expect("is there");
    assert_eq!(hex::encode(session.wrap(&Command::select_file(0x010E))), hex::encode(sent));
    assert_eq!(session.unwrap(received).expect("proves the chip").status, 0x9000);
    let (enc, mac, counter) = session.state();
    assert_eq!((enc, mac, counter), (&example.hex(11)[..], &example.hex(12)[..], &example.hex(13)[..]));
}

#[test]
fn chip_authentication_of_an_austrian_passport() {
    chip_authentication("chipauth/chip_auth_test.go:TestChipAuthAT", Suite::Aes128);
}

#[test]
fn chip_authentication_of_a_german_passport_with_a_key_id() {
    chip_authentication("chipauth/chip_auth_test.go:TestChipAuthDE", Suite::Aes128);
}

#[test]
fn chip_authentication_with_3des_of_a_malaysian_passport() {
    chip_authentication("chipauth/chip_auth_test.go:TestChipAuthMY", Suite::Tdes);
}

#[test]
fn chip_authentication_of_a_french_passport_that_announces_no_protocol() {
    chip_authentication("chipauth/chip_auth_test.go:TestChipAuthFR", Suite::Aes256);
}

#[test]
fn active_authentication_over_a_1792_bit_key() {
    let Some(example) = example("activeauth/active_auth_test.go:TestDoActiveAuth") else { return };
    let mut session =
        SecureMessaging::new(Suite::Tdes, example.hex(0), example.hex(1), example.hex(2)).expect("fits");
    let (challenge, dg15) = (example.hex(3), example.hex(4));
    let exchange = example.exchange();
    assert_eq!(session.wrap(&Command::new(0x88, 0, 0, &challenge, Some(256))), exchange[0].0);
    let response = session.unwrap(&exchange[0].1).expect("opens").data;
    assert_eq!(response, example.hex(6));
    assert_eq!(emrtd::active::verify(&dg15, None, &challenge, &response), Ok(()));
    assert_eq!(session.state().2, example.hex(9));
    for bit in 0..response.len() * 8 {
        let mut changed = response.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if bit % 37 == 0 {
            assert!(emrtd::active::verify(&dg15, None, &challenge, &changed).is_err());
        }
    }
    assert!(emrtd::active::verify(&dg15, None, &[0; 8], &response).is_err());
}

#[test]
fn recovered_messages_of_every_digest() {
    let Some(example) = example("activeauth/active_auth_test.go:TestDecodeF") else { return };
    for at in (0..20).step_by(4) {
        assert!(emrtd::rsa::iso9796_recover(&example.hex(at + 1), &example.hex(at)).is_some(), "{at}");
        assert!(emrtd::rsa::iso9796_recover(&example.hex(at + 1), &[0; 8]).is_none(), "{at}");
    }
}

#[test]
fn key_derivation_and_codes_of_the_worked_examples() {
    let Some(kdf) = example("cryptoutils/kdf_test.go:TestKDF") else { return };
    let suites =
        [(Suite::Tdes, 1), (Suite::Tdes, 2), (Suite::Aes128, 1), (Suite::Aes128, 2), (Suite::Aes128, 3)];
    for (at, (suite, purpose)) in suites.into_iter().enumerate() {
        assert_eq!(suite.derive(&kdf.hex(2 * at), purpose), kdf.hex(2 * at + 1), "{at}");
    }
    let Some(mac) = example("cryptoutils/iso9797_test.go:TestISO9797RetailMacDes") else { return };
    for at in (0..12).step_by(3) {
        let (key, data, expected) = (mac.hex(at), mac.hex(at + 1), mac.hex(at + 2));
        let data = if data.len() % 8 == 0 { data } else { pad(&data, 8) };
        assert_eq!(Suite::Tdes.mac(&key, &data).expect("fits").to_vec(), expected, "{at}");
    }
}

#[test]
fn wrapped_commands_and_answers_of_the_worked_examples() {
    let Some(encode) = example("iso7816/secure_messaging_test.go:TestSecureMessageEncode") else { return };
    let mut session =
        SecureMessaging::new(Suite::Tdes, encode.hex(0), encode.hex(1), encode.hex(2)).expect("fits");
    assert_eq!(session.wrap(&Command::select_file(0x011E)), encode.hex(4));
    let Some(errors) = example("iso7816/secure_messaging_test.go:TestSecureMessageDecodeErrors") else {
        return;
    };
    let count = errors.0["hex_constants"].as_array().expect("a list").len();
    for at in (0..count - 3).step_by(4) {
        let (enc, mac, counter) = (errors.hex(at), errors.hex(at + 1), errors.hex(at + 2));
        let suite = if counter.len() == 8 { Suite::Tdes } else { Suite::Aes128 };
        let suite = if enc.len() == 32 { Suite::Aes256 } else { suite };
        let mut session = SecureMessaging::new(suite, enc, mac, counter).expect("fits");
        assert!(session.unwrap(&errors.hex(at + 3)).is_err(), "{at}");
    }
}
