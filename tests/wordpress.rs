//! A real WordPress, purged by the policy that we ship for it, and whether it still works afterwards.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at what should not be")]
#![expect(clippy::disallowed_methods, reason = "the files here are the test's own")]

use std::collections::BTreeMap;

#[path = "support/wordpress.rs"]
mod wordpress;

use wordpress::{ADMIN, ADMIN_PASSWORD, Truth, WordPress};

/// Users and comments besides the named ones.
fn counts() -> (u32, u32) {
    match std::env::var("BEWAARD_TEST_TIER").as_deref() {
        Ok("deep") => (400, 400),
        Ok("long") => (10_000, 10_000),
        _ => (40, 40),
    }
}

/// Whether WordPress does for people what it should, by what was put in and the purge that did or did not happen.
fn assert_it_serves(site: &WordPress, truth: &Truth, purged: bool) {
    let front = site.visitor().get("/");
    assert_eq!(front.status, 200);
    assert!(front.body.contains("Voorbeeld Fietsen") && front.body.contains("Ketting smeren"), "{}", front.body);
    assert!(front.body.trim_end().ends_with("</html>"), "the page is whole");

    for post in &truth.posts {
        let page = site.visitor().get(&format!("/?p={post}"));
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Een reactie: "), "comments are shown");
    }
    assert_eq!(site.visitor().get("/?feed=comments-rss2").status, 200);

    let mut admin = site.visitor();
    assert!(admin.log_in(ADMIN, ADMIN_PASSWORD));
    let users = admin.get("/wp-admin/users.php?orderby=login&s=vreemd");
    assert_eq!(users.status, 200);
    assert_eq!(users.body.contains("vreemd@example.nl"), !purged);
    assert_eq!(admin.get("/wp-admin/edit-comments.php").status, 200);

    let mut subscriber = site.visitor();
    assert!(subscriber.log_in("actief", &truth.password));
    let profile = subscriber.get("/wp-admin/profile.php");
    assert!(profile.status == 200 && profile.body.contains("actief@example.nl"), "{}", profile.body);
    let refused = subscriber.get("/wp-admin/users.php").status;
    assert_eq!(refused, 403, "a subscriber stays a subscriber");

    assert_eq!(site.visitor().log_in("praatte", &truth.password), !purged);
    assert_eq!(site.complaints(), Vec::<String>::new());
}

/// The rows of a table as `name<tab>number`, to compare with what was put in.
fn numbers(site: &WordPress, sql: &str) -> BTreeMap<String, u64> {
    let rows = site.query(sql);
    rows.iter()
        .map(|row| row.split_once('\t').unwrap())
        .map(|(name, id)| (name.to_owned(), id.parse().unwrap()))
        .collect()
}

#[test]
fn wordpress_is_installed_filled_and_serves_before_any_purge() {
    let site = WordPress::install();
    let (inactive, comments) = counts();
    let truth = site.fill(inactive, comments);
    let users = numbers(&site, "SELECT user_login, ID FROM wp_users");
    assert_eq!(users.len(), truth.users.len() + 1, "the administrator and those that were put in");
    for (login, known) in &truth.users {
        assert_eq!(users[login], known.id);
    }
    let found = numbers(
        &site,
        "SELECT SUBSTRING(comment_content, 14), comment_ID FROM wp_comments WHERE comment_content LIKE 'Een reactie: %'",
    );
    assert_eq!(found, truth.comments.iter().map(|(name, known)| (name.clone(), known.id)).collect());
    for truth in truth.users.values().chain(truth.comments.values()).map(|known| known.truth.as_str()) {
        assert!(["kept", "gone", "anonymised"].contains(&truth), "{truth}");
    }
    assert_it_serves(&site, &truth, false);
}
