//! Commands as processes of their own, killed with everything that they started.

use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::time::Duration;
use std::time::Instant;

/// No command of these tests takes longer, unless something is held for ever.
pub(crate) const LONGEST: Duration = Duration::from_secs(180);

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// 128 and more: the signal that ended it.
    pub(crate) code: i32,
    pub(crate) said: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// The last lines of what it said.
    pub(crate) fn tail(&self) -> String {
        let lines: Vec<&str> = self.said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// A command that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    since: Instant,
    said: File,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        // A file takes everything, where a pipe would have to be read.
        let said = tempfile::tempfile().unwrap();
        command
            .stdout(said.try_clone().unwrap())
            .stderr(said.try_clone().unwrap())
            .process_group(0);
        Self {
            since: Instant::now(),
            child: command.spawn().unwrap(),
            said,
        }
    }

    /// Whether it ended by itself within `time` from its start.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            let Some(left) = time.checked_sub(self.since.elapsed()) else {
                return false;
            };
            std::thread::sleep(left.min(Duration::from_millis(2)));
        }
    }

    /// Sends a signal, such as `STOP`, to it and all that it started.
    pub(crate) fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), "--", &group]);
        // It may have ended a moment ago.
        kill.output().unwrap();
    }

    /// What it said until now.
    pub(crate) fn said(&mut self) -> String {
        let mut said = String::new();
        self.said.rewind().unwrap();
        self.said.read_to_string(&mut said).unwrap();
        said
    }

    /// Kills it, whatever it does; it may have ended before.
    pub(crate) fn kill(mut self) -> Ended {
        self.signal("KILL");
        let status = self.child.wait().unwrap();
        self.ended(status)
    }

    /// Waits for its end; one that takes too long is killed, which shows in its code.
    pub(crate) fn wait(mut self) -> Ended {
        if !self.ends_within(LONGEST) {
            return self.kill();
        }
        let status = self.child.wait().unwrap();
        self.ended(status)
    }

    fn ended(&mut self, status: ExitStatus) -> Ended {
        let code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
        Ended {
            code,
            said: self.said(),
            took: self.since.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal("CONT");
            self.signal("KILL");
            self.child.wait().ok();
        }
    }
}
