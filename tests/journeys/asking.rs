//! A plan in a terminal, which asks and waits for the answer.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

use crate::workspace::Workspace;

/// A plan by ada that has been shown and waits for her answer.
pub(crate) struct Asking {
    process: Child,
    shown: BufReader<ChildStdout>,
}

impl Asking {
    /// `siding plan` with `arguments`, up to its question.
    pub(crate) fn start(workspace: &Workspace, arguments: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_siding");
        let plan = format!("{program} plan {arguments} --color never");
        let mut process = Command::new("script")
            .args(["-qefc", &plan, "/dev/null"])
            .current_dir(workspace.path())
            .env("USER", "ada")
            .env("XDG_CACHE_HOME", workspace.path().join(".cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut shown = BufReader::new(process.stdout.take().unwrap());
        let mut question = Vec::new();
        while !String::from_utf8_lossy(&question).contains("Apply - ") {
            assert!(shown.read_until(b']', &mut question).unwrap() > 0);
        }
        Self { process, shown }
    }

    /// Says yes. Comes back: the exit code, and what was said after.
    pub(crate) fn yes(mut self) -> (Option<i32>, String) {
        let mut answers = self.process.stdin.take().unwrap();
        answers.write_all(b"y\n").unwrap();
        let mut said = String::new();
        self.shown.read_to_string(&mut said).unwrap();
        (self.process.wait().unwrap().code(), said)
    }
}
