//! Who runs this. What lies in the state folder belongs to one user. Root becomes that user, after it has read the
//! secrets that may be root's alone; anybody else is refused with the line that works.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Gid, Uid, geteuid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::EngineError;
use crate::config::Loaded;
use crate::domain::policy::Access;
use crate::domain::shell;
use crate::secret;

/// The user who started this process, whatever it became since: the `uid` of entries.
pub(super) fn started_as() -> u32 {
    static UID: OnceLock<u32> = OnceLock::new();
    *UID.get_or_init(|| getuid().as_raw())
}

/// Makes this process the owner of the state folder, or refuses. Called before anything there is opened.
pub(super) fn be_owner(loaded: &Loaded) -> Result<(), EngineError> {
    let state = &loaded.settings.state;
    let failed = |doing| move |cause| EngineError::Io { doing, path: state.clone(), cause };
    let about = fs::metadata(state).map_err(failed("look at the state folder"))?;
    let (us, owner) = (geteuid().as_raw(), about.uid());
    started_as();
    if owner == us {
        return Ok(());
    }
    // The change of user is this thread's alone, and threads that it starts later inherit it.
    let alone = fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if us != 0 || !alone {
        let command = command_line(loaded, std::env::args().collect());
        return Err(EngineError::NotOurs {
            path: state.clone(),
            owner: shell::quoted(&account(owner, about.gid()).name),
            command,
        });
    }
    keep_secrets(loaded);
    become_user(&account(owner, about.gid())).map_err(failed("become the owner of"))
}

/// Reads every secret that the policy names. One that can't be read now is told when it is needed.
fn keep_secrets(loaded: &Loaded) {
    let passwords = loaded.policy.systems.values().filter_map(|system| match &system.access {
        Access::Mariadb(access) | Access::Postgres(access) => access.password.as_ref(),
        Access::Sqlite(_) => None,
    });
    for reference in passwords.chain(&loaded.settings.wrap) {
        if let Err(error) = secret::keep(reference) {
            tracing::debug!(%error, "a secret was not read before the change of user");
        }
    }
}

/// A user of this host.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

fn account(uid: u32, gid: u32) -> Account {
    let read = |path: &str| fs::read_to_string(Path::new(path)).unwrap_or_default();
    account_of(uid, gid, &read("/etc/passwd"), &read("/etc/group"))
}

/// Looks a user up in the texts of `passwd` and `group`; one that is not there has the folder's group.
fn account_of(uid: u32, gid: u32, passwd: &str, group: &str) -> Account {
    let found = passwd.lines().find_map(|line| match line.split(':').collect::<Vec<_>>().as_slice() {
        [name, _, user, group, ..] if user.parse() == Ok(uid) => Some((*name, group.parse().unwrap_or(gid))),
        _ => None,
    });
    let Some((name, gid)) = found else {
        return Account { name: format!("#{uid}"), uid, gid, groups: vec![gid] };
    };
    let mut groups = vec![gid];
    groups.extend(group.lines().filter_map(|line| match line.split(':').collect::<Vec<_>>().as_slice() {
        [_, _, group, members] if members.split(',').any(|member| member == name) => group.parse::<u32>().ok(),
        _ => None,
    }));
    groups.sort_unstable();
    groups.dedup();
    Account { name: name.into(), uid, gid, groups }
}

fn become_user(account: &Account) -> io::Result<()> {
    let groups: Vec<Gid> = account.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// The command as it was typed, ready for a shell, with the policy that it found.
fn command_line(loaded: &Loaded, mut args: Vec<String>) -> String {
    let named = args.iter().any(|arg| arg == "--config" || arg.starts_with("--config="));
    let usual = Path::new("/etc/bewaard/bewaard.toml");
    if let Some(policy) = loaded.files.first().filter(|policy| !named && *policy != usual) {
        let at = args.len().min(1);
        args.splice(at..at, ["--config".to_string(), policy.display().to_string()]);
    }
    args.iter().map(|arg| shell::quoted(arg)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_with_all_groups() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbewaard:x:998:997::/var/lib/bewaard:/usr/sbin/nologin\n";
        let group = "root:x:0:\nmysql:x:112:bewaard,jan\nssl-cert:x:113:jan\nbewaard:x:997:\n";
        let found = account_of(998, 5, passwd, group);
        assert_eq!(found, Account { name: "bewaard".into(), uid: 998, gid: 997, groups: vec![112, 997] });
        let stranger = account_of(4711, 5, passwd, group);
        assert_eq!(stranger, Account { name: "#4711".into(), uid: 4711, gid: 5, groups: vec![5] });
    }
}
