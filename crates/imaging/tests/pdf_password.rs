//! PDFs with a password: opened with it, and never without.

use imaging::{DecodeError, Limits, decode_pages};

/// One page with a blue rectangle, encrypted with RC4 and 40 bits under the password `utopia`.
const LOCKED: &[u8] = include_bytes!("locked.pdf");

#[test]
fn an_encrypted_pdf_opens_with_its_password() {
    let open = |password| decode_pages(LOCKED, &Limits::default(), password);
    assert!(matches!(open(None), Err(DecodeError::PasswordRequired)));
    assert!(matches!(open(Some("atlantis")), Err(DecodeError::WrongPassword)));
    let pages = open(Some("utopia")).unwrap();
    assert_eq!(pages.len(), 1);
    let page = &pages[0].pixels;
    let middle = page.get_pixel(page.width() / 2, page.height() / 2);
    assert!(middle[2] > middle[0] + 50, "the rectangle is drawn: {middle:?}");
}
