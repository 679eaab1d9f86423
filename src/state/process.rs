//! Telling a process that is busy from one that is gone.
//!
//! A process is named by the machine since its last start, the namespace that its number counts in, its number, and
//! when it began; so a number that is given out again is somebody else's. Where the system does not tell, a name is
//! empty, and nothing is known about it.

use std::fs;
use std::path::Path;

/// The name of this process; empty where the system has none.
pub(super) fn this_process() -> String {
    let own = || Some(format!("{} {}", machine()?, numbered("self")?));
    own().unwrap_or_default()
}

/// Whether the process of that name has surely ended. One of another machine never counts as ended.
pub(super) fn is_gone(process: &str) -> bool {
    let Some((place, rest)) = process.rsplit_once('|') else {
        return false;
    };
    let Some(machine) = machine() else {
        return false;
    };
    if format!("{place}|") != machine {
        return false;
    }
    let mut parts = rest.split_whitespace();
    let (Some(number), Some(_began)) = (parts.next(), parts.next()) else {
        return false;
    };
    numbered(number).is_none_or(|found| found != rest.trim())
}

/// The machine since its last start, and the namespace of process numbers. Ends in `|`.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}|", boot.trim(), namespace.display()))
}

/// A process's number and when it began, in ticks since the machine's start; `None` when there is no such one.
fn numbered(process: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new("/proc").join(process).join("stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    let (number, rest) = text.split_once(" (")?;
    let (_, fields) = rest.rsplit_once(") ")?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let began = fields.nth(18)?;
    // What has ended but was not waited for yet does nothing any more.
    (!matches!(state, "Z" | "X")).then(|| format!("{number} {began}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_gone() {
        assert!(!is_gone(&this_process()));
        assert!(!is_gone(""));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_ended_is_gone_and_one_of_another_machine_is_not() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let name = format!(
            "{} {}",
            machine().unwrap(),
            numbered(&child.id().to_string()).unwrap()
        );
        assert!(!is_gone(&name));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&name));
        assert!(!is_gone(&format!("elsewhere {name}")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_number_that_was_given_out_again_is_somebody_else() {
        let name = this_process();
        let (before, began) = name.rsplit_once(' ').unwrap();
        let earlier = format!("{before} {}", began.parse::<u64>().unwrap() - 1);
        assert!(is_gone(&earlier));
    }
}
