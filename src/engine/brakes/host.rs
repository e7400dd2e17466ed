//! What this host bears: load, room on disks, a backup that runs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::domain::brake::{Backups, Brake, Brakes, Free, Reading, Sample};

/// The kernel keeps so many bytes of a program's name.
const NAME: usize = 15;

/// Every reading of this host that the brakes ask for.
pub(super) fn samples(brakes: &Brakes, folders: &[PathBuf]) -> Vec<Sample> {
    let mut out = Vec::new();
    if let Some(limit) = brakes.limits.get(&Brake::Load) {
        out.push(Sample { brake: Brake::Load, reading: Reading::Known(load()), limit: *limit, place: None });
    }
    if let Some(free) = brakes.free {
        let folders: BTreeSet<&PathBuf> = folders.iter().collect();
        out.extend(folders.into_iter().map(|folder| room(folder, free)));
    }
    out.extend(backups(&brakes.backups));
    out
}

/// The load of the last minute, in per cent of one process for each core.
fn load() -> u64 {
    /// One process, in the kernel's figures.
    const ONE: u128 = 1 << 16;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let loads = rustix::system::sysinfo().loads;
    let last_minute = loads.first().copied().unwrap_or_default();
    let per_cent = u128::from(last_minute) * 100 / ONE / cores as u128;
    u64::try_from(per_cent).unwrap_or(u64::MAX)
}

/// The room that is left where a folder lies. A folder of another host is none of this one.
fn room(folder: &Path, free: Free) -> Sample {
    let place = Some(folder.display().to_string());
    let (reading, limit) = match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            (Reading::Known(disk.f_bavail.saturating_mul(disk.f_frsize)), disk.f_blocks.saturating_mul(disk.f_frsize))
        }
        Err(_) => (Reading::Nothing, 0),
    };
    Sample { brake: Brake::DiskFree, reading, limit: free.of(limit), place }
}

fn backups(backups: &Backups) -> Vec<Sample> {
    let sample = |reading, place: Option<&str>| Sample {
        brake: Brake::Backup,
        reading,
        limit: 0,
        place: place.map(str::to_string),
    };
    let mut out: Vec<Sample> =
        backups.locks.iter().map(|lock| sample(is_held(Path::new(lock)), Some(lock.as_str()))).collect();
    if !backups.programs.is_empty() {
        out.push(match running(Path::new("/proc"), &backups.programs) {
            Ok(Some(program)) => sample(Reading::Known(1), Some(&program)),
            Ok(None) => sample(Reading::Known(0), None),
            Err(_) => sample(
                Reading::Hidden {
                    text: "whether a backup program runs on this host".into(),
                    remedy: "take ProtectProc= out of the unit, or name a file in brakes.backup-locks".into(),
                },
                None,
            ),
        });
    }
    out
}

/// A file is there; one that holds the number of a process counts only while that process runs.
fn is_held(lock: &Path) -> Reading {
    let mut text = String::new();
    let read = fs::File::open(lock).and_then(|file| file.take(64).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Reading::Known(0),
        // It is there, and what it holds is not for us.
        Err(_) => return Reading::Known(1),
        Ok(_) => {}
    }
    let process = text.trim().parse::<i32>().ok().and_then(rustix::process::Pid::from_raw);
    let gone = process.is_some_and(|process| {
        rustix::process::test_kill_process(process).is_err_and(|error| error == rustix::io::Errno::SRCH)
    });
    Reading::Known(u64::from(!gone))
}

/// The first of these programs that runs. An error: the processes of others can't be seen.
fn running(proc: &Path, programs: &[String]) -> io::Result<Option<String>> {
    fs::metadata(proc.join("1/comm"))?;
    let short = |name: &str| name.as_bytes().iter().copied().take(NAME).collect::<Vec<u8>>();
    let wanted: Vec<Vec<u8>> = programs.iter().map(|program| short(program)).collect();
    for entry in fs::read_dir(proc)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // A process that ended meanwhile runs no more.
        let Ok(name) = fs::read(entry.path().join("comm")) else { continue };
        let name = name.strip_suffix(b"\n").unwrap_or(&name);
        if let Some(place) = wanted.iter().position(|one| one == name) {
            return Ok(programs.get(place).cloned());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable;

    fn put(path: &Path, text: &str) {
        durable::replace(path, text.as_bytes(), durable::PRIVATE, path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_lock_counts_while_its_process_runs() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        assert_eq!(is_held(&lock), Reading::Known(0));
        put(&lock, "");
        assert_eq!(is_held(&lock), Reading::Known(1), "it is there");
        put(&lock, &format!("{}\n", std::process::id()));
        assert_eq!(is_held(&lock), Reading::Known(1), "we run");
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        put(&lock, &ended.id().to_string());
        assert_eq!(is_held(&lock), Reading::Known(0), "a lock of a process that is gone");
    }

    #[test]
    fn a_program_is_known_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for (process, name) in [("1", "init"), ("20", "mariadb-dump"), ("21", "a-very-long-nam"), ("net", "pg_dump")] {
            fs::create_dir(folder.path().join(process)).unwrap();
            put(&folder.path().join(process).join("comm"), &format!("{name}\n"));
        }
        let look = |name: &str| running(folder.path(), &[name.to_string()]).unwrap();
        assert_eq!(look("mariadb-dump").as_deref(), Some("mariadb-dump"));
        assert_eq!(look("a-very-long-name-of-a-program").as_deref(), Some("a-very-long-name-of-a-program"));
        assert_eq!((look("mariadb"), look("pg_dump")), (None, None));
        fs::remove_dir_all(folder.path().join("1")).unwrap();
        assert!(running(folder.path(), &["init".into()]).is_err(), "others are hidden");
    }

    #[test]
    fn disk_and_load_of_this_host_are_read() {
        let here = room(Path::new("/"), Free::Share(50));
        assert!(matches!(here.reading, Reading::Known(free) if free > 0) && here.limit > 0);
        assert_eq!(room(Path::new("/no/such/folder"), Free::Bytes(1)).reading, Reading::Nothing);
        let text = fs::read_to_string("/proc/loadavg").unwrap();
        let hundredths: u64 = text.split(' ').next().unwrap().replace('.', "").parse().unwrap();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        let (read, expected) = (load(), hundredths / cores);
        // The kernel makes it anew every five seconds.
        assert!(read.abs_diff(expected) <= 20 + expected / 5, "{read} is not about {expected}");
    }
}
