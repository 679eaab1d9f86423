//! A git process that sees no configuration but ours.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use tokio::process::Command;

/// Longest time that one call may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Git on one mirror, with the right to read one repository.
#[derive(Debug)]
pub(super) struct Git {
    mirror: PathBuf,
    home: PathBuf,
    scheme: String,
    token: SecretString,
}

impl Git {
    pub(super) fn new(mirror: PathBuf, home: PathBuf, scheme: String, token: SecretString) -> Self {
        Self {
            mirror,
            home,
            scheme,
            token,
        }
    }

    pub(super) fn mirror(&self) -> &Path {
        &self.mirror
    }

    /// What a command prints.
    pub(super) async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let child = self.command(arguments).stdin(Stdio::null()).output();
        let output = tokio::time::timeout(LIMIT, child)
            .await
            .context("git took too long")?
            .context("starting `git`")?;
        if !output.status.success() {
            bail!("git answered: {}", self.redacted(&output.stderr));
        }
        String::from_utf8(output.stdout).context("git printed something that is not UTF-8")
    }

    /// A command to start.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .envs(self.environment())
            .arg("--git-dir")
            .arg(&self.mirror)
            .arg("--no-optional-locks")
            .args(arguments)
            .current_dir(&self.home)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The whole environment. Settings and the token travel here, never on the command line, which everybody on the
    /// machine can read.
    #[expect(
        clippy::disallowed_methods,
        reason = "git has to be found where the server finds it"
    )]
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let basic = base64(format!("x-access-token:{}", self.token.expose_secret()).as_bytes());
        let allow = format!("protocol.{}.allow", self.scheme);
        let header = format!("Authorization: Basic {basic}");
        let mut settings = vec![
            ("core.hooksPath", "/dev/null"),
            ("core.attributesFile", "/dev/null"),
            ("core.excludesFile", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("core.sshCommand", "false"),
            ("core.askPass", ""),
            ("credential.helper", ""),
            ("protocol.allow", "never"),
            (allow.as_str(), "always"),
            ("fetch.fsckObjects", "true"),
            ("transfer.fsckObjects", "true"),
            ("fetch.recurseSubmodules", "false"),
            ("submodule.recurse", "false"),
            ("filter.lfs.smudge", ""),
            ("filter.lfs.process", ""),
            ("filter.lfs.required", "false"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            // A redirect to another host would carry the token there.
            ("http.followRedirects", "false"),
        ];
        // The empty token of a test is no header at all.
        if self.scheme != "file" {
            settings.push(("http.extraHeader", header.as_str()));
        }
        let mut variables: Vec<(OsString, OsString)> = vec![
            ("HOME".into(), self.home.clone().into()),
            ("XDG_CONFIG_HOME".into(), self.home.clone().into()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()),
            ("GIT_ATTR_NOSYSTEM".into(), "1".into()),
            ("GIT_TERMINAL_PROMPT".into(), "0".into()),
            ("GIT_LFS_SKIP_SMUDGE".into(), "1".into()),
            ("GIT_NO_REPLACE_OBJECTS".into(), "1".into()),
            ("GIT_NO_LAZY_FETCH".into(), "1".into()),
            ("LC_ALL".into(), "C".into()),
            ("GIT_CONFIG_COUNT".into(), settings.len().to_string().into()),
        ];
        if let Some(path) = std::env::var_os("PATH") {
            variables.push(("PATH".into(), path));
        }
        for (index, (key, value)) in settings.iter().enumerate() {
            variables.push((format!("GIT_CONFIG_KEY_{index}").into(), key.into()));
            variables.push((format!("GIT_CONFIG_VALUE_{index}").into(), value.into()));
        }
        variables
    }

    /// What git complained about, on one line and without the token.
    pub(super) fn redacted(&self, stderr: &[u8]) -> String {
        let text = String::from_utf8_lossy(stderr);
        let token = self.token.expose_secret();
        let text = if token.is_empty() {
            text.into_owned()
        } else {
            text.replace(token, "…")
        };
        crate::bot::markdown::one_line(text.trim())
    }
}

/// RFC 4648, with padding: what HTTP's basic authentication wants.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .chain(std::iter::repeat(&0))
            .take(3)
            .fold(0_usize, |group, byte| group << 8 | usize::from(*byte));
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(ALPHABET[group >> (18 - 6 * place) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_in_its_standard() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn the_token_is_on_no_command_line_and_in_no_error() {
        let git = Git::new(
            "/m".into(),
            "/h".into(),
            "https".to_owned(),
            SecretString::from("ghs_secret"),
        );
        let command = git.command(&["fetch", "--", "https://host/a/b.git"]);
        let shown: Vec<_> = command.as_std().get_args().collect();
        assert!(!format!("{shown:?}").contains("ghs_secret"));
        assert!(!format!("{git:?}").contains("ghs_secret"));
        assert_eq!(
            git.redacted(b"fatal: ghs_secret\n is wrong"),
            "fatal: …  is wrong"
        );
    }
}
