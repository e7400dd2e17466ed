//! A real WordPress, purged by the policy that we ship for it, and whether it still works afterwards.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at what should not be")]
#![expect(clippy::disallowed_methods, reason = "the files here are the test's own")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

mod support;
#[path = "support/wordpress.rs"]
mod wordpress;

use wordpress::{ADMIN, ADMIN_PASSWORD, Known, Truth, WordPress, write};

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

/// The example as shipped, on this database and with folders of its own.
fn shipped_policy(site: &WordPress) -> Policy {
    let folder = site.folder().join("bewaard");
    let credentials = folder.join("credentials");
    fs::create_dir_all(&credentials).unwrap();
    write(&credentials.join("wordpress-db"), PASSWORD);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/wordpress.toml");
    let mut text = fs::read_to_string(example).unwrap();
    for (shipped, here) in [
        ("/run/mysqld/mysqld.sock", site.socket().display().to_string()),
        ("\"/var/lib/bewaard\"", format!("\"{}\"", folder.join("state").display())),
        ("\"/var/lib/bewaard/log\"", format!("\"{}\"", folder.join("log").display())),
    ] {
        assert_eq!(text.matches(shipped).count(), 1, "{shipped} stands once in the example");
        text = text.replace(shipped, &here);
    }
    let file = folder.join("bewaard.toml");
    write(&file, &text);
    let policy = Policy { file, folder, credentials };
    policy.take_exactly_the_rights(site);
    policy
}

const PASSWORD: &str = "wachtwoord van bewaard";

struct Policy {
    file: PathBuf,
    folder: PathBuf,
    credentials: PathBuf,
}

impl Policy {
    /// An account that may look asks what it needs, and from then on has that and nothing else.
    fn take_exactly_the_rights(&self, site: &WordPress) {
        let account = "bewaard@localhost";
        site.query(&format!(
            "CREATE USER {account} IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON wordpress.* TO {account}"
        ));
        let grants = self.bewaard(&["grants", "wordpress"]);
        site.query(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}; {grants}"));
        let rights = site.query(&format!("SHOW GRANTS FOR {account}")).join("\n");
        assert!(!rights.contains("ALL PRIVILEGES") && !rights.contains("SELECT ON `wordpress`.* "), "{rights}");
    }

    /// Runs the program as installed; it must end well.
    fn bewaard(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_bewaard"))
            .arg("--config")
            .arg(&self.file)
            .args(arguments)
            .env_clear()
            .env("CREDENTIALS_DIRECTORY", &self.credentials)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "bewaard {arguments:?}: {}\n{stdout}\n{stderr}", output.status);
        stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.bewaard(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// `due` of each rule.
    fn due(&self) -> BTreeMap<String, u64> {
        let plan = self.json(&["plan"]);
        let plans = plan["plans"].as_array().unwrap();
        plans.iter().map(|one| (one["rule"].as_str().unwrap().to_owned(), one["due"].as_u64().unwrap())).collect()
    }

    /// Approves each plan as a person would who has read it: beyond the share where that refused it, for the first
    /// run over an old site.
    fn approve_all(&self) {
        for plan in self.json(&["plan"])["plans"].as_array().unwrap() {
            let mut arguments = vec!["approve", plan["id"].as_str().unwrap(), "--reason", "first run, numbers read"];
            for limit in plan["limits"].as_array().unwrap() {
                arguments.extend(["--beyond", limit.as_str().unwrap()]);
            }
            self.bewaard(&arguments);
        }
    }
}

/// Every row of a table by its number, whole.
fn rows(site: &WordPress, table: &str, key: &str) -> BTreeMap<u64, String> {
    let key_first = format!("SELECT {key}, t.* FROM {table} t");
    let pairs = site.query(&key_first);
    pairs
        .iter()
        .map(|row| row.split_once('\t').unwrap())
        .map(|(id, row)| (id.parse().unwrap(), row.to_owned()))
        .collect()
}

/// What no rule is about.
fn untouched(site: &WordPress) -> Vec<String> {
    site.query(
        "CHECKSUM TABLE wp_posts, wp_postmeta, wp_options, wp_terms, wp_term_taxonomy, wp_term_relationships, wp_links",
    )
}

/// How many of the truth are to end so.
fn those<'a>(known: impl Iterator<Item = &'a Known>, truth: &str) -> u64 {
    known.filter(|one| one.truth == truth).count().try_into().unwrap()
}

/// A comment without its text: author, e-mail, address of a site, IP, browser, user.
fn who_wrote(site: &WordPress, comment: u64) -> String {
    let columns = "comment_author, comment_author_email, comment_author_url, comment_author_IP, comment_agent, user_id";
    site.query(&format!("SELECT {columns} FROM wp_comments WHERE comment_ID = {comment}")).remove(0)
}

fn assert_truth(site: &WordPress, truth: &Truth, users: &BTreeMap<u64, String>, comments: &BTreeMap<u64, String>) {
    let (users_now, comments_now) = (rows(site, "wp_users", "ID"), rows(site, "wp_comments", "comment_ID"));
    for (login, known) in &truth.users {
        let meta = &site.query(&format!("SELECT COUNT(*) FROM wp_usermeta WHERE user_id = {}", known.id))[0];
        match known.truth.as_str() {
            "gone" => assert!(!users_now.contains_key(&known.id) && meta == "0", "{login} is gone, with all meta"),
            _ => assert!(users_now.get(&known.id) == users.get(&known.id) && meta != "0", "{login} is as before"),
        }
    }
    for (name, known) in &truth.comments {
        match known.truth.as_str() {
            "gone" => assert!(!comments_now.contains_key(&known.id), "{name} is gone"),
            "kept" => assert_eq!(comments_now.get(&known.id), comments.get(&known.id), "{name} is as before"),
            _ => {
                let ip = if name == "zesgast" { "2001:db8:aaaa::" } else { "198.51.100.0" };
                assert_eq!(who_wrote(site, known.id), format!("Anonymous\t\t\t{ip}\t\t0"), "{name}");
                assert!(comments_now[&known.id].contains(name), "the text of {name} stays");
            }
        }
    }
    // The filter's notes go by the age of their comment alone: of all but the youngest.
    let notes = "SELECT comment_id FROM wp_commentmeta WHERE meta_key LIKE 'akismet%'";
    assert_eq!(site.query(notes), [truth.comments["verse-spam"].id.to_string()]);
    let wrong = "SELECT ID FROM wp_posts p WHERE comment_count <> (SELECT COUNT(*) FROM wp_comments c
        WHERE c.comment_post_ID = p.ID AND comment_approved = '1')";
    assert_eq!(site.query(wrong), Vec::<String>::new(), "WordPress's own count of comments stays true");
    let orphans =
        "SELECT umeta_id FROM wp_usermeta m WHERE NOT EXISTS (SELECT 1 FROM wp_users u WHERE u.ID = m.user_id)
        UNION SELECT comment_ID FROM wp_comments c WHERE user_id <> 0
        AND NOT EXISTS (SELECT 1 FROM wp_users u WHERE u.ID = c.user_id)";
    assert_eq!(site.query(orphans), Vec::<String>::new(), "nothing is left of who is gone");
}

/// Nothing of a person may stand in what we keep: log, state, and what is said.
fn assert_nobody_is_named(folder: &Path, said: &str) {
    let mut folders = vec![folder.join("log"), folder.join("state")];
    let mut texts = vec![said.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            texts.push(path.file_name().unwrap().to_string_lossy().into_owned());
            if path.is_dir() {
                folders.push(path);
            } else {
                texts.push(String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
            }
        }
    }
    for canary in ["slaper", "praatte", "@example.nl", "gast.example", "198.51.100", "Robert", "alert(", PASSWORD] {
        assert!(!texts.iter().any(|text| text.contains(canary)), "{canary} stands in what bewaard keeps or says");
    }
}

#[test]
fn the_shipped_policy_purges_a_wordpress_that_works_on() {
    let site = WordPress::install();
    let (inactive, comments) = counts();
    let truth = site.fill(inactive, comments);
    let policy = shipped_policy(&site);
    let (users, comments) = (rows(&site, "wp_users", "ID"), rows(&site, "wp_comments", "comment_ID"));
    let before = untouched(&site);

    let mut said = policy.bewaard(&["check"]);
    said += &policy.bewaard(&["init"]);
    let due = policy.due();
    assert_eq!(due["inactive-readers"], those(truth.users.values(), "gone"));
    // One of those that lose their names does so with the account that wrote it.
    assert_eq!(due["old-comments"], those(truth.comments.values(), "anonymised") - 1);
    assert_eq!(due["rejected-comments"], those(truth.comments.values(), "gone"));
    assert_eq!(due["spam-filter-notes"], u64::try_from(truth.comments.len()).unwrap() - 1);
    assert_eq!(rows(&site, "wp_users", "ID"), users, "a plan purges nothing");
    assert_eq!(rows(&site, "wp_comments", "comment_ID"), comments, "a plan purges nothing");

    policy.approve_all();
    let run = policy.json(&["run"]);
    let erased = |rule: &str, outcome: &str| {
        let runs = run["runs"].as_array().unwrap();
        let one = runs.iter().find(|one| one["rule"] == rule).unwrap_or_else(|| panic!("no run of {rule}: {run}"));
        one[outcome].as_u64().unwrap_or_else(|| panic!("{rule} does not say {outcome}: {one}"))
    };
    assert_eq!(erased("inactive-readers", "erased"), due["inactive-readers"]);
    assert_eq!(erased("old-comments", "anonymised"), due["old-comments"]);
    assert_eq!(erased("rejected-comments", "erased"), due["rejected-comments"]);
    for rule in due.keys() {
        for outcome in ["failed", "unknown", "changed", "withheld"] {
            assert_eq!(erased(rule, outcome), 0, "{rule}: {run}");
        }
    }
    assert_truth(&site, &truth, &users, &comments);
    assert_eq!(untouched(&site), before);

    said += &policy.bewaard(&["status"]);
    said += &policy.bewaard(&["log", "verify"]);
    assert!(policy.due().values().all(|due| *due == 0), "what is done is not due again");
    said += &policy.bewaard(&["run"]);
    assert_truth(&site, &truth, &users, &comments);
    said += &policy.bewaard(&["log", "show"]);
    assert_nobody_is_named(&policy.folder, &said);

    assert_it_serves(&site, &truth, true);
    assert_our_values_are_wordpresss_own(&site, &truth);
}

/// WordPress's own eraser, on a comment that our policy kept, leaves what we leave.
fn assert_our_values_are_wordpresss_own(site: &WordPress, truth: &Truth) {
    let (theirs, ours) = (truth.comments["versegast"].id, truth.comments["oudegast0"].id);
    assert_ne!(who_wrote(site, theirs), who_wrote(site, ours));
    let done = site.php("echo json_encode(wp_comments_personal_data_eraser('versegast@gast.example'));");
    assert!(done.contains("\"items_removed\":true"), "{done}");
    assert_eq!(who_wrote(site, theirs), who_wrote(site, ours));
}
