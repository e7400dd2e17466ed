//! Any text as a file of cases for a policy: each case is judged, or every fault is told with its place.

use std::path::Path;
use std::sync::LazyLock;

use bewaard::config::cases;
use bewaard::config::load::load_text;
use bewaard::domain::policy::Policy;

use super::config::{is_told_well, obeyed_by_no_terminal};
use super::input::Input;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = include_str!("../../../config/examples/webshop.toml");
    load_text(Path::new("/policy/webshop.toml"), text).unwrap_or_else(|faults| panic!("{faults}")).policy
});

pub(super) fn run(data: &[u8]) {
    let text = Input::new(data).text();
    let judge = || cases::run(&POLICY, &text, Path::new("/policy/cases.toml"));
    match (judge(), judge()) {
        (Ok(one), Ok(two)) => {
            assert_eq!(one, two, "the same cases are judged the same");
            assert_eq!(one.passed(), one.cases.iter().all(|case| case.differs.is_empty()));
            for case in &one.cases {
                assert!(case.at.starts_with("/policy/cases.toml:"), "{}", case.at);
                assert!(!case.why.is_empty(), "a case says why");
            }
            obeyed_by_no_terminal(&one.render(true));
        }
        (Err(one), Err(two)) => {
            assert_eq!(one.render(false, 100), two.render(false, 100), "the same text gives the same faults");
            assert!(one.has_faults());
            is_told_well(&one, &text);
        }
        _ => panic!("the same text is a file of cases, and is none"),
    }
}
