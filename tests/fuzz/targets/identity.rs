//! Any text as the field of a person: what is known of her is compared in one form, however it is written.

use bewaard::domain::identity::{Identity, IdentityKind, Reading};

use super::input::Input;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = *input.one_of(&IdentityKind::ALL);
    let text = input.text();
    let reading = Identity::read(kind, &text);
    assert_eq!(reading, Identity::read(kind, &format!(" {text}\n")), "space around it means nothing");
    if let Some(one) = Identity::new(kind, &text) {
        assert!(!text.trim().is_empty());
        assert_ne!(one, Identity::unreadable(kind), "a text is taken for what can't be read");
        assert_eq!(format!("{one:?}"), format!("Identity({kind}, ..)"), "a printed identity names a person");
    }
    match reading {
        Reading::Empty => assert!(text.trim().is_empty()),
        Reading::Known(known) => {
            assert!(!known.is_empty(), "known, and nobody");
            for one in &known {
                assert_eq!(one.kind(), kind);
                assert_ne!(*one, Identity::unreadable(kind), "a text is taken for what can't be read");
                assert!(one.canonical().starts_with(b"I"));
            }
            if text.is_ascii() && kind != IdentityKind::Phone {
                let loud = Identity::read(kind, &text.to_ascii_uppercase());
                assert_eq!(loud, Reading::Known(known), "capitals make another person");
            }
        }
        Reading::Unreadable => assert!(!text.trim().is_empty()),
    }
}
